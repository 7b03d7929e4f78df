package main

import (
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	licenceFile = "LICENSE"
	// thirdParty is the file with the licences of what is linked in.
	thirdParty = "THIRD-PARTY-LICENSES.txt"
)

// licenceName matches the names of files that say under which terms code may be given on.
var licenceName = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying|notice|copyright|patents)([-._].*)?$`)

// licence is a text of a module.
type licence struct {
	module string // with its version
	file   string // in the module
	text   string
}

// linked is a package that was linked into a program, as go list has it.
type linked struct {
	Dir        string
	ImportPath string
	Module     *module // nil for the standard library
}

type module struct {
	Path, Version, Dir string
	Main               bool
}

// licences are the texts of everything that is linked into the programs, of what the
// images hold beside, and of Go.
func (r release) licences(ctx context.Context, programs []program) ([]byte, error) {
	wanted := map[string]bool{rootsModule: true}
	var packages []linked
	for _, p := range programs {
		if err := modulesOf(p.file, wanted); err != nil {
			return nil, err
		}
		found, err := r.packages(ctx, p.platform, "./cmd/"+p.name, rootsModule+"/bundle")
		if err != nil {
			return nil, err
		}
		packages = append(packages, found...)
	}
	var all []licence
	having := map[string]bool{}
	for _, l := range packages {
		if l.Module == nil || l.Module.Main || !wanted[l.Module.Path] {
			continue
		}
		texts, err := textsOf(l)
		if err != nil {
			return nil, err
		}
		having[l.Module.Path] = having[l.Module.Path] || len(texts) > 0
		all = append(all, texts...)
	}
	for _, module := range slices.Sorted(maps.Keys(wanted)) {
		if !having[module] {
			return nil, fmt.Errorf("the module %s, which is linked in, has no licence text: what has none may not be given on", module)
		}
	}
	ours, err := r.licenceOfGo(ctx)
	if err != nil {
		return nil, err
	}
	return notice(append(all, ours, certificatesTerms)), nil
}

// rootsModule is what the list of certificates is from, see roots.
const rootsModule = "golang.org/x/crypto/x509roots/fallback"

// certificatesTerms are those of the list itself, which the module has from Mozilla.
var certificatesTerms = licence{
	module: "the certificates in the image of the manager", file: "ca-certificates.crt",
	text: "They are from the list of root certificates that Mozilla keeps (https://wiki.mozilla.org/CA/Included_Certificates), under the terms\n" +
		"of the Mozilla Public License, version 2.0: https://mozilla.org/MPL/2.0/. Its source form is certdata.txt of Mozilla's NSS.",
}

// modulesOf adds the modules that are linked into a program.
func modulesOf(file string, to map[string]bool) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read what is linked into %s: %w", file, err)
	}
	for _, module := range info.Deps {
		to[module.Path] = true
	}
	return nil
}

// packages are those that a build for the platform links.
func (r release) packages(ctx context.Context, p platform, patterns ...string) ([]linked, error) {
	said, err := output(ctx, r.root, r.goFor(p), "go", append([]string{"list", "-deps", "-json=Dir,ImportPath,Module"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	var all []linked
	decoder := json.NewDecoder(bytes.NewReader(said))
	for {
		var l linked
		err := decoder.Decode(&l)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read what go list says: %w", err)
		}
		all = append(all, l)
	}
}

// textsOf are the licence texts from a package's folder up to its module's: code that a
// module took over from others has theirs beside it.
func textsOf(l linked) ([]licence, error) {
	var all []licence
	for dir := l.Dir; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() || !licenceName.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			relative, err := filepath.Rel(l.Module.Dir, filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			all = append(all, licence{l.Module.Path + " " + l.Module.Version, filepath.ToSlash(relative), string(text)})
		}
		if dir == l.Module.Dir || len(dir) <= len(l.Module.Dir) {
			return all, nil
		}
	}
}

// licenceOfGo is that of the standard library.
func (r release) licenceOfGo(ctx context.Context) (licence, error) {
	said, err := output(ctx, r.root, nil, "go", "env", "GOROOT", "GOVERSION")
	if err != nil {
		return licence{}, err
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	text, err := os.ReadFile(filepath.Join(root, licenceFile))
	if err != nil {
		return licence{}, fmt.Errorf("this Go has no licence text: use the one of https://go.dev/dl: %w", err)
	}
	return licence{"std " + version, licenceFile, string(text)}, nil
}

// notice is the document with all the texts: each once, below the modules that have it.
func notice(all []licence) []byte {
	having := map[string][]string{} // by text
	for _, l := range all {
		text := strings.TrimSpace(strings.ReplaceAll(l.text, "\r\n", "\n"))
		having[text] = append(having[text], l.module+" ("+l.file+")")
	}
	type group struct {
		modules []string
		text    string
	}
	var groups []group
	for text, modules := range having {
		slices.Sort(modules)
		groups = append(groups, group{slices.Compact(modules), text})
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(slices.Compare(a.modules, b.modules), cmp.Compare(a.text, b.text))
	})
	var out bytes.Buffer
	out.WriteString("What is linked into the programs of vpcmirror, or is in its images, beside its own code,\nand the terms of each.\n")
	for _, g := range groups {
		fmt.Fprintf(&out, "\n%[1]s\n%[2]s\n%[1]s\n\n%[3]s\n", strings.Repeat("=", 80), strings.Join(g.modules, "\n"), g.text)
	}
	return out.Bytes()
}
