package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
)

// localRepository is where config and chart look for the images, unless somebody says else.
const localRepository = "localhost/vpcmirror"

// charts packages every chart in a folder of config, with the version given, and returns
// the packages by name. Helm stamps the time of packaging into them; that of the commit
// takes its place.
func (r release) charts(ctx context.Context) ([]artifact, error) {
	found, err := filepath.Glob(filepath.Join(r.root, "config/*/Chart.yaml"))
	if err != nil {
		return nil, err
	}
	var all []artifact
	for _, chart := range found {
		packed, err := r.chart(ctx, filepath.Dir(chart))
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", filepath.Dir(chart), err)
		}
		all = append(all, packed)
	}
	return all, nil
}

func (r release) chart(ctx context.Context, chart string) (artifact, error) {
	work, err := os.MkdirTemp("", "vpcmirror-chart-")
	if err != nil {
		return artifact{}, err
	}
	defer os.RemoveAll(work)
	home := []string{"HELM_CACHE_HOME=" + work, "HELM_CONFIG_HOME=" + work, "HELM_DATA_HOME=" + work}
	packages := filepath.Join(work, "packages")
	if _, err := output(ctx, r.root, home, filepath.Join(r.tools, "helm"), "package", chart, "--version", r.version, "--app-version", r.version, "--destination", packages); err != nil {
		return artifact{}, err
	}
	made, err := os.ReadDir(packages)
	if err != nil {
		return artifact{}, err
	}
	if len(made) != 1 {
		return artifact{}, fmt.Errorf("helm made %d packages of one chart", len(made))
	}
	packed, err := os.ReadFile(filepath.Join(packages, made[0].Name()))
	if err != nil {
		return artifact{}, err
	}
	entries, err := readTarGzip(packed)
	if err != nil {
		return artifact{}, err
	}
	if err := r.nameImages(entries); err != nil {
		return artifact{}, err
	}
	content, err := tarGzip(entries, r.from.when)
	return artifact{made[0].Name(), content}, err
}

// nameImages makes the registry of this release the default of a chart's value
// image.repository.
func (r release) nameImages(entries []entry) error {
	if r.repository == localRepository {
		return nil
	}
	for i, e := range entries {
		if path.Base(e.name) != "values.yaml" || path.Dir(path.Dir(e.name)) != "." {
			continue
		}
		line := []byte("\n  repository: " + localRepository + "\n")
		switch bytes.Count(e.content, line) {
		case 0: // a chart without images
		case 1:
			entries[i].content = bytes.Replace(e.content, line, []byte("\n  repository: "+r.repository+"\n"), 1)
		default:
			return fmt.Errorf("%s names the repository %s more than once", e.name, localRepository)
		}
	}
	return nil
}
