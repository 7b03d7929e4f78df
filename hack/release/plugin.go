package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"sigs.k8s.io/yaml"
)

// plugin is the program whose archives krew installs.
const plugin = "kubectl-mirror"

// platform is what a program is built for.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "_" + p.arch }

// pluginPlatforms are those of the people who use kubectl.
var pluginPlatforms = []platform{
	{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// file is the plugin's name on the platform.
func (p platform) file() string {
	if p.os == "windows" {
		return plugin + ".exe"
	}
	return plugin
}

// pluginArchive is the plugin for a platform, with the licences that go with it.
func (r release) pluginArchive(p platform, binary []byte, licences []entry) (artifact, error) {
	entries := append([]entry{{name: p.file(), executable: true, content: binary}}, licences...)
	name := fmt.Sprintf("%s_%s_%s", plugin, r.version, p)
	if p.os == "windows" {
		content, err := zipped(entries, r.from.when)
		return artifact{name + ".zip", content}, err
	}
	content, err := tarGzip(entries, r.from.when)
	return artifact{name + ".tar.gz", content}, err
}

// krewManifest is the plugin's manifest for krew
// (https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/).
type krewManifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       krewSpec          `json:"spec"`
}

type krewSpec struct {
	Version          string         `json:"version"`
	ShortDescription string         `json:"shortDescription"`
	Description      string         `json:"description"`
	Platforms        []krewPlatform `json:"platforms"`
}

type krewPlatform struct {
	Selector krewSelector `json:"selector"`
	URI      string       `json:"uri"`
	SHA256   string       `json:"sha256"`
	Bin      string       `json:"bin"`
	Files    []krewFile   `json:"files"`
}

type krewSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type krewFile struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// krew is the manifest for the archives, which are in the order of pluginPlatforms.
func (r release) krew(archives []artifact) (artifact, error) {
	manifest := krewManifest{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2",
		Kind:       "Plugin",
		Metadata:   map[string]string{"name": "mirror"}, // the file is called so too
		Spec: krewSpec{
			Version:          "v" + r.version,
			ShortDescription: "Why mirrored packets do not arrive",
			Description: "kubectl mirror why says of each MirrorSession of vpcmirror (traffic mirroring on Huawei Cloud)\n" +
				"whether its copies arrive at the target, and if not, why, with the remedy of each cause.\n",
		},
	}
	for i, p := range pluginPlatforms {
		sum := sha256.Sum256(archives[i].content)
		manifest.Spec.Platforms = append(manifest.Spec.Platforms, krewPlatform{
			Selector: krewSelector{map[string]string{"os": p.os, "arch": p.arch}},
			URI:      r.url + "/" + archives[i].name,
			SHA256:   hex.EncodeToString(sum[:]),
			Bin:      p.file(),
			Files:    []krewFile{{p.file(), "."}, {licenceFile, "."}, {thirdParty, "."}},
		})
	}
	content, err := yaml.Marshal(manifest)
	return artifact{"mirror.yaml", content}, err
}
