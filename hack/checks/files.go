package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// maxLines is the length at which a Go file surely has two subjects.
const maxLines = 700

// topLevel is all that the project's folder may hold, beside files that begin with
// a dot and bin, which is built and never committed.
var topLevel = []string{
	"api", "controllers", "config", "cmd", "hack", "test",
	"go.mod", "go.sum", "Dockerfile", "Makefile",
	"README.md", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md",
	"bin",
}

// vagueNames are names of packages that say nothing of what is in them.
var vagueNames = []string{"util", "utils", "common", "helpers", "misc", "shared", "base"}

func checkTopLevel(_ context.Context, root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("listing the project's folder: %w", err)
	}
	var findings []string
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) {
			findings = append(findings, name+": the project's folder holds only "+strings.Join(topLevel, " ")+
				" and dotfiles; move this into one of them")
		}
	}
	return findings, nil
}

// checkFiles looks at each Go file by itself, and at the doc comment that one file
// of each package has to carry.
func checkFiles(_ context.Context, root string) ([]string, error) {
	var findings []string
	docs := map[string]string{} // by folder, the package's comment
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" || entry.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		found, doc, err := checkGoFile(path)
		if err != nil {
			return err
		}
		findings = append(findings, found...)
		if !strings.HasSuffix(path, "_test.go") {
			docs[filepath.Dir(path)] += doc
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the sources: %w", err)
	}
	return append(findings, checkDocs(docs)...), nil
}

// checkGoFile returns what is wrong with the file, and the package comment in it.
func checkGoFile(path string) (findings []string, doc string, err error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", path, err)
	}
	if file.Doc != nil {
		doc = file.Doc.Text()
	}
	if ast.IsGenerated(file) {
		return nil, doc, nil
	}
	if slices.Contains(vagueNames, file.Name.Name) {
		findings = append(findings, fmt.Sprintf("%s: the package name %q says nothing of what is in it; name it after that", path, file.Name.Name))
	}
	if lines := bytes.Count(source, []byte("\n")); lines > maxLines {
		findings = append(findings, fmt.Sprintf("%s: %d lines; %d are the limit: split it by subject", path, lines, maxLines))
	}
	if strings.HasSuffix(path, "_test.go") &&
		bytes.Contains(source, []byte("time.Sleep(")) && !bytes.Contains(source, []byte(`"testing/synctest"`)) {
		findings = append(findings, path+": it calls time.Sleep; poll with a deadline, inject the clock, or use testing/synctest")
	}
	formatted, err := format.Source(source)
	switch {
	case err != nil:
		findings = append(findings, fmt.Sprintf("%s: %v", path, err))
	case !bytes.Equal(source, formatted):
		findings = append(findings, path+": run gofmt -w on it")
	}
	return findings, doc, nil
}

var imports = regexp.MustCompile(`(?i)\bimports?\b`)

// checkDocs wants each package to say in its comment what of ours it may import.
func checkDocs(docs map[string]string) []string {
	var findings []string
	for folder, doc := range docs {
		switch {
		case strings.TrimSpace(doc) == "":
			findings = append(findings, folder+": the package has no doc comment")
		case !imports.MatchString(doc):
			findings = append(findings, folder+`: the package's doc comment doesn't say what of ours it may import ("It may import ... of ours.")`)
		}
	}
	slices.Sort(findings)
	return findings
}
