package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// module is our module's path; a room is named by what follows it.
const module = "vpcmirror.io/operator"

// sdk is the path that all packages of the cloud's SDK share.
const sdk = "github.com/huaweicloud/"

// anything lets a room import every other.
const anything = "*"

// room is a part of the house and what of ours its packages may import, beside
// packages of the room itself. Names stand for the room and all below it.
type room struct {
	name  string
	may   []string
	tests []string // what its tests may import beyond that
}

// rooms are the arrows. The room of a package is the longest name that fits.
var rooms = []room{
	{name: "api", tests: []string{"test/env"}},

	{name: "controllers/cloud"},
	{name: "controllers/cloud/huawei", may: []string{"controllers/cloud"}, tests: []string{"test"}},
	{name: "controllers/credentials", may: []string{"api", "controllers/cloud"}, tests: []string{"controllers/cloud/huawei", "test"}},
	{name: "controllers/plan", may: []string{"api", "controllers/cloud"}},
	{name: "controllers/status", may: []string{"api"}, tests: []string{"test/env"}},
	{name: "controllers/inventory", may: []string{"controllers/cloud!"}},
	{name: "controllers/liveness", may: []string{"api"}, tests: []string{"test/env"}},
	{name: "controllers/lifecycle", may: reconcilers, tests: []string{"test/env"}},
	{name: "controllers/mirrorfilter", may: reconcilers, tests: []string{"controllers", "test"}},
	{name: "controllers/mirrorsession", may: reconcilers, tests: []string{"controllers", "test"}},
	{name: "controllers/verifier", may: []string{"api"}, tests: []string{"test"}},

	{name: "cmd/manager", may: []string{anything}},
	{name: "cmd/verifier", may: []string{"api", "cmd/internal", "controllers/verifier"}, tests: []string{"test"}},
	{name: "cmd/internal"},
	{name: "cmd/kubectl-mirror", may: []string{anything}},

	// The simulated cloud shares no line with what it tests.
	{name: "test/cloudsim", tests: []string{"test/env/need"}},
	{name: "test/env", may: []string{"api", "test/env/need", "test/env/pki"}},
	{name: "test/env/need"},
	{name: "test/env/pki"},
	{name: "test/integration", may: []string{anything}},
	{name: "test/e2e", may: []string{anything}},
	{name: "test/install", tests: []string{"api", "controllers/status", "test/env"}},
	{name: "test/bench", may: []string{anything}},
	{name: "test/demo", may: []string{anything}},

	{name: "hack"},
}

// reconcilers know the cloud by its port alone, never by its adapter.
var reconcilers = []string{
	"api", "controllers/cloud!", "controllers/credentials", "controllers/inventory", "controllers/lifecycle",
	"controllers/liveness", "controllers/plan", "controllers/status",
}

// closures are what must not be in a program or package at all, by whatever detour.
var closures = []struct {
	pattern   string
	tests     bool // whether its tests count too
	forbidden []string
	why       string
}{
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

// goPackage is what we read of `go list -json`.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// checkArrows compares every import of ours with the table.
func checkArrows(ctx context.Context, root string) ([]string, error) {
	packages, err := list(ctx, root, "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	if err != nil {
		return nil, err
	}
	var findings []string
	for _, p := range packages {
		findings = append(findings, arrowsOf(p)...)
	}
	return findings, nil
}

func arrowsOf(p goPackage) []string {
	from := within(p.ImportPath)
	home := roomOf(from)
	if home == nil {
		return []string{from + ": this package is in no room of the table in hack/checks/arrows.go; move it into one, or add the room"}
	}
	var findings []string
	for _, imported := range ours(p.Imports) {
		if !home.reaches(imported, home.may) {
			findings = append(findings, fmt.Sprintf("%s imports %s: %s may import %s", from, imported, home.name, say(home.may)))
		}
	}
	for _, imported := range ours(slices.Concat(p.TestImports, p.XTestImports)) {
		allowed := slices.Concat(home.may, home.tests)
		if !home.reaches(imported, allowed) {
			findings = append(findings, fmt.Sprintf("%s: its tests import %s: tests of %s may import %s", from, imported, home.name, say(allowed)))
		}
	}
	slices.Sort(findings)
	return slices.Compact(findings)
}

// reaches says whether a package of the room may import another. A name that ends
// in "!" stands for that one package without those below it.
func (r *room) reaches(imported string, allowed []string) bool {
	if target := roomOf(imported); target != nil && target.name == r.name {
		return true
	}
	return slices.ContainsFunc(allowed, func(name string) bool {
		exact, isExact := strings.CutSuffix(name, "!")
		return name == anything || imported == exact || !isExact && below(imported, name)
	})
}

func roomOf(name string) *room {
	var longest *room
	for i := range rooms {
		if below(name, rooms[i].name) && (longest == nil || len(rooms[i].name) > len(longest.name)) {
			longest = &rooms[i]
		}
	}
	return longest
}

func say(names []string) string {
	if len(names) == 0 {
		return "nothing of ours"
	}
	return "only " + strings.Join(names, ", ")
}

func within(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

func below(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

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

// checkClosures looks at everything that is linked in.
func checkClosures(ctx context.Context, root string) ([]string, error) {
	var findings []string
	for _, closure := range closures {
		args := []string{"-json=ImportPath", "-deps"}
		if closure.tests {
			args = append(args, "-test")
		}
		packages, err := list(ctx, root, append(args, closure.pattern)...)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			path, _, _ := strings.Cut(p.ImportPath, " ") // "a/b [a/b.test]" is a/b built for its test
			if slices.ContainsFunc(closure.forbidden, func(name string) bool {
				return below(path, strings.TrimSuffix(name, "/"))
			}) {
				findings = append(findings, fmt.Sprintf("%s depends on %s: %s", closure.pattern, path, closure.why))
			}
		}
	}
	slices.Sort(findings)
	return slices.Compact(findings), nil
}

// list runs `go list`. A pattern that fits no package gives none.
func list(ctx context.Context, root string, args ...string) ([]goPackage, error) {
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
