package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// localRepository is where config and chart look for the images, unless somebody says else.
const localRepository = "localhost/vpcmirror"

// charts packages every chart in a folder of config, with the version given and the terms of
// this project, and returns the packages by name. Helm stamps the time of packaging into them; that of the commit
// takes its place.
func (r release) charts(ctx context.Context, terms entry) ([]artifact, error) {
	found, err := filepath.Glob(filepath.Join(r.root, "config/*/Chart.yaml"))
	if err != nil {
		return nil, err
	}
	var all []artifact
	for _, chart := range found {
		packed, err := r.chart(ctx, filepath.Dir(chart), terms)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", filepath.Dir(chart), err)
		}
		all = append(all, packed)
	}
	return all, nil
}

func (r release) chart(ctx context.Context, chart string, terms entry) (artifact, error) {
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
	terms.name = path.Join(strings.SplitN(entries[0].name, "/", 2)[0], terms.name) // all is in a folder of the chart's name
	entries = append(entries, terms)
	content, err := tarGzip(entries, r.from.when)
	return artifact{made[0].Name(), content}, err
}

// nameImages makes the registry and the version of this release those of a chart: the default
// of image.repository in its values and in the page about them, and the images that its
// description lists.
func (r release) nameImages(entries []entry) error {
	for i, e := range entries {
		_, file, _ := strings.Cut(e.name, "/")
		var from, to string
		switch file {
		case "values.yaml":
			from, to = "\n  repository: "+localRepository+"\n", "\n  repository: "+r.repository+"\n"
		case "README.md":
			from, to = "| `"+localRepository+"` |", "| `"+r.repository+"` |"
		case "Chart.yaml":
			entries[i].content = imageNames.ReplaceAll(e.content, []byte("image: "+r.repository+"/$1:"+r.version+"\n"))
			continue
		default:
			continue
		}
		if n := bytes.Count(e.content, []byte(from)); n > 1 {
			return fmt.Errorf("%s names the repository %s more than once", e.name, localRepository)
		}
		entries[i].content = bytes.Replace(e.content, []byte(from), []byte(to), 1) // none is a chart without images
	}
	return nil
}

// imageNames are the images that a chart's description lists.
var imageNames = regexp.MustCompile(`image: ` + regexp.QuoteMeta(localRepository) + `/([a-z]+):[^\n]*\n`)
