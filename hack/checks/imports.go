package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
)

// module is our module's path; a package of ours is named by what follows it.
const module = "vpcmirror.io/operator"

// sdk is the path that all packages of the cloud's SDK share.
const sdk = "github.com/huaweicloud"

// goPackage is what we read of `go list -json`.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// checkImports compares every import of ours with the table, and what package comments
// say of it with both.
func checkImports(ctx context.Context, root string) ([]string, error) {
	packages, err := goList(ctx, root, "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	if err != nil {
		return nil, err
	}
	comments, err := packageComments(root)
	if err != nil {
		return nil, err
	}
	var findings []string
	byFolder := map[string]goPackage{}
	for _, p := range packages {
		byFolder[within(p.ImportPath)] = p
		findings = append(findings, importsOf(p)...)
	}
	// Also of folders that are modules of their own, which go list does not name.
	for _, folder := range slices.Sorted(maps.Keys(comments)) {
		p := byFolder[folder]
		p.ImportPath = module + "/" + folder
		findings = append(findings, sentencesOf(p, comments[folder])...)
	}
	return findings, nil
}

// importsOf returns the imports of a package that the table does not allow.
func importsOf(p goPackage) []string {
	from := within(p.ImportPath)
	home := layerOf(from)
	if home == nil {
		return []string{from + ": this package is in no layer of the table in hack/checks/layers.go; move it into one, or add the layer"}
	}
	var findings []string
	for _, imported := range ours(p.Imports) {
		if !home.allows(imported, home.may) {
			findings = append(findings, fmt.Sprintf("%s imports %s: %s may import %s", from, imported, home.name, list(home.may)))
		}
	}
	entries := slices.Concat(home.may, home.tests)
	for _, imported := range ours(slices.Concat(p.TestImports, p.XTestImports)) {
		if !home.allows(imported, entries) {
			findings = append(findings, fmt.Sprintf("%s: its tests import %s: tests of %s may import %s", from, imported, home.name, list(entries)))
		}
	}
	slices.Sort(findings)
	return slices.Compact(findings)
}

// within cuts the module's name off the path of a package of ours.
func within(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

// ours picks the imports that are ours and cuts the module's name off.
func ours(imports []string) []string {
	var names []string
	for _, path := range imports {
		if below(path, module) {
			names = append(names, within(path))
		}
	}
	return names
}

// checkLayers finds layers of the table that have no folder: a table that names what is
// not there is believed in nothing.
func checkLayers(_ context.Context, root string) ([]string, error) {
	var findings []string
	for _, l := range layers {
		if !exists(root, l.name) {
			findings = append(findings, l.name+": this layer of the table in hack/checks/layers.go has no folder")
		}
	}
	return findings, nil
}

// closure is what must not be in packages at all, by whatever detour.
type closure struct {
	pattern   string
	tests     bool // whether their tests count too
	forbidden []string
	why       string
}

var closures = []closure{
	{
		pattern:   "./cmd/verifier/...",
		forbidden: []string{module + "/controllers/cloud", module + "/controllers/credentials", sdk},
		why:       "the verifier runs on every node and must not carry credentials or the cloud's client",
	},
	{
		pattern:   "./controllers/verifier/...",
		forbidden: []string{module + "/controllers/cloud", module + "/controllers/credentials", sdk},
		why:       "the verifier runs on every node and must not carry credentials or the cloud's client",
	},
	{
		pattern:   "./test/cloudsim/...",
		tests:     true,
		forbidden: []string{module + "/controllers", module + "/api"},
		why:       "the simulated cloud must not share a line with what it tests",
	},
}

// checkClosures looks at everything that is linked in.
func checkClosures(ctx context.Context, root string) ([]string, error) {
	var findings []string
	for _, c := range closures {
		args := []string{"-json=ImportPath", "-deps"}
		if c.tests {
			args = append(args, "-test")
		}
		packages, err := goList(ctx, root, append(args, c.pattern)...)
		if err != nil {
			return nil, err
		}
		findings = append(findings, c.find(packages)...)
	}
	slices.Sort(findings)
	return slices.Compact(findings), nil
}

// find returns what of the packages must not be there.
func (c closure) find(packages []goPackage) []string {
	var findings []string
	for _, p := range packages {
		path, _, _ := strings.Cut(p.ImportPath, " ") // "a/b [a/b.test]" is a/b built for its test
		if slices.ContainsFunc(c.forbidden, func(name string) bool { return below(path, name) }) {
			findings = append(findings, fmt.Sprintf("%s depends on %s: %s", c.pattern, path, c.why))
		}
	}
	return findings
}

// goList runs `go list`. A pattern that fits no package gives none.
func goList(ctx context.Context, root string, args ...string) ([]goPackage, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"list", "-e"}, args...)...)
	command.Dir = root
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("running go list %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	var packages []goPackage
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading what go list says: %w", err)
		}
		packages = append(packages, p)
	}
}
