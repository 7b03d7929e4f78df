package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// goFor are the variables with which Go builds for a platform. All that could make the
// bytes differ is set here, whatever the environment says.
func (r release) goFor(p platform) []string {
	return []string{
		"GOOS=" + p.os, "GOARCH=" + p.arch, "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false -mod=readonly",
		"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off", "GODEBUG=", "GOWORK=off", "GOTOOLCHAIN=local",
	}
}

// build builds a program of cmd into a folder and returns the file.
func (r release) build(ctx context.Context, name string, p platform, into string) (string, error) {
	file := filepath.Join(into, p.String(), name)
	if p.os == "windows" {
		file += ".exe"
	}
	if _, err := output(ctx, r.root, r.goFor(p), "go", "build", "-ldflags", r.ldflags, "-o", file, "./cmd/"+name); err != nil {
		return "", fmt.Errorf("build %s for %s: %w", name, p, err)
	}
	return file, nil
}
