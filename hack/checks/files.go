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

// checkFiles looks at each Go file by itself.
func checkFiles(_ context.Context, root string) ([]string, error) {
	files, err := goFiles(root)
	if err != nil {
		return nil, err
	}
	var findings []string
	for _, path := range files {
		found, err := checkGoFile(path)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

// goFiles are all Go files that are not test data, begun by a dot, or built.
func goFiles(root string) ([]string, error) { return sources(root, ".go") }

// sources are all files with the extension that are not test data, begun by a dot, or
// built.
func sources(root, extension string) ([]string, error) {
	var files []string
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
		if filepath.Ext(path) == extension {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the sources: %w", err)
	}
	return files, nil
}

// exists reports whether the project has such a file or folder.
func exists(root, name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

// checkGoFile returns what is wrong with the file.
func checkGoFile(path string) (findings []string, err error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if ast.IsGenerated(file) {
		return nil, nil
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
	return findings, nil
}
