package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are what `kubectl apply` takes: everything, and the definitions alone.
func (r release) manifests(stages []stage) ([]artifact, error) {
	var all []artifact
	for _, m := range []struct{ name, base, about string }{
		{"install.yaml", "config/default", "everything that an installation needs, in the namespace vpcmirror-system"},
		{"crds.yaml", "config/crd", "the definitions of MirrorFilter and MirrorSession alone"},
	} {
		content, err := r.kustomized(m.base, stages)
		if err != nil {
			return nil, fmt.Errorf("build %s: %w", m.base, err)
		}
		header := fmt.Sprintf("# vpcmirror %s: %s.\n# kubectl apply --server-side -f %s\n", r.version, m.about, m.name)
		all = append(all, artifact{m.name, append([]byte(header), content...)})
	}
	return all, nil
}

// kustomized builds an overlay over a folder of the project, as an installation with
// images of its own would have.
func (r release) kustomized(base string, stages []stage) ([]byte, error) {
	overlay, err := os.MkdirTemp("", "vpcmirror-overlay-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(overlay)
	// kustomize compares real paths.
	overlay, err = filepath.EvalSymlinks(overlay)
	if err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(r.root)
	if err != nil {
		return nil, err
	}
	relative, err := filepath.Rel(overlay, filepath.Join(root, base))
	if err != nil {
		return nil, err
	}
	kustomization := types.Kustomization{
		TypeMeta:  types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
		Resources: []string{filepath.ToSlash(relative)},
	}
	for _, s := range stages {
		kustomization.Images = append(kustomization.Images, types.Image{
			Name: localRepository + "/" + s.name, NewName: r.repository + "/" + s.name, NewTag: r.version,
		})
	}
	content, err := yaml.Marshal(kustomization)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), content, 0o600); err != nil {
		return nil, err
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), overlay)
	if err != nil {
		return nil, err
	}
	return built.AsYaml()
}

// reference is the name of a stage's image in this release.
func (r release) reference(s stage) string {
	return strings.TrimSuffix(r.repository, "/") + "/" + s.name + ":" + r.version
}
