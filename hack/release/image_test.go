package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// dockerfile is the project's.
const dockerfile = "../../Dockerfile"

func TestTheImagesAreThoseOfTheDockerfile(t *testing.T) {
	all, err := readStages(dockerfile, "0.3.0")
	if err != nil {
		t.Fatal(err)
	}
	const name = "org.opencontainers.image."
	want := []stage{
		{
			name: "manager", user: "65532:65532", entrypoint: []string{"/manager"},
			copies: []copied{{certificates, certificates}, {"/out/manager", "/manager"}},
		},
		{
			name: "verifier", user: "0:0", entrypoint: []string{"/verifier"}, args: []string{"run"},
			copies: []copied{{"/out/verifier", "/verifier"}},
		},
	}
	for i, s := range all {
		if s.labels[name+"version"] != "0.3.0" || s.labels[name+"licenses"] != "Apache-2.0" || s.labels[name+"title"] != "vpcmirror "+s.name {
			t.Errorf("the labels of %s are %v", s.name, s.labels)
		}
		all[i].labels = nil
	}
	if diff := cmp.Diff(want, all, cmp.AllowUnexported(stage{}, copied{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestADockerfileThatAReleaseWouldNotFollowIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ dockerfile, want string }{
		"an unknown instruction":     {"FROM scratch AS manager\nEXPOSE 80", `read the Dockerfile: "EXPOSE 80": a release does not know the instruction EXPOSE: teach it this in hack/release`},
		"a stage without a name":     {"FROM scratch", `read the Dockerfile: "FROM scratch": name the stage, as in FROM scratch AS manager`},
		"a copy from elsewhere":      {"FROM scratch AS a\nCOPY b /b", `read the Dockerfile: "COPY b /b": a release understands COPY --from=build FILE /FILE alone: teach it this in hack/release`},
		"a label without quotes":     {"FROM scratch AS a\nLABEL a=b", `read the Dockerfile: "LABEL a=b": give labels as name="value", without a backslash`},
		"nothing that is of scratch": {"FROM golang AS build\nRUN true", "read the Dockerfile: no stage begins with FROM scratch AS NAME"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := stages(c.dockerfile, "0.3.0")
			sentence(t, err, c.want)
		})
	}
}

func TestAnIndexHasAnImageThatIsSoundForEachArchitecture(t *testing.T) {
	all, err := readStages(dockerfile, "0.3.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			made, err := images(s, source{"c0ffee", committed}, []entry{{name: licenceFile, content: []byte("ours")}, {name: thirdParty, content: []byte("others'")}}, func(file, arch string) ([]byte, error) { return []byte(file + " for " + arch), nil })
			if err != nil {
				t.Fatal(err)
			}
			index := readBack(t, made, localRepository+"/"+s.name+":0.3.0")
			if err := validate.Index(index); err != nil {
				t.Error(err)
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			var platforms []string
			for _, m := range manifest.Manifests {
				platforms = append(platforms, m.Platform.String())
				image, err := index.Image(m.Digest)
				if err != nil {
					t.Fatal(err)
				}
				config, err := image.ConfigFile()
				if err != nil {
					t.Fatal(err)
				}
				want := v1.Config{User: s.user, Entrypoint: s.entrypoint, Cmd: s.args, Labels: s.labels, WorkingDir: "/"}
				if diff := cmp.Diff(want, config.Config); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				layers := len(s.copies) + 1 // the terms
				if config.Platform().String() != m.Platform.String() || len(config.RootFS.DiffIDs) != layers || len(config.History) != layers {
					t.Errorf("the image for %s is for %s and has %d layers", m.Platform, config.Platform(), len(config.RootFS.DiffIDs))
				}
				if diff := cmp.Diff(terms, inTheLastLayer(t, image), cmp.AllowUnexported(entry{})); diff != "" {
					t.Errorf("the terms in the image (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
				t.Errorf("platforms (-want +got):\n%s", diff)
			}
		})
	}
}

// terms are those that go into each image.
var terms = []entry{{name: "licenses/" + licenceFile, content: []byte("ours")}, {name: "licenses/" + thirdParty, content: []byte("others'")}}

// inTheLastLayer are the files of an image's last layer.
func inTheLastLayer(t *testing.T, image v1.Image) []entry {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	all, err := readTar(content)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// readBack writes an index as an archive and returns what a container engine finds there.
func readBack(t *testing.T, index v1.ImageIndex, reference string) v1.ImageIndex {
	t.Helper()
	packed, err := ociArchive(index, reference, committed)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := readTar(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, e := range entries {
		write(t, filepath.Join(folder, e.name), string(e.content))
	}
	all, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Annotations["io.containerd.image.name"] != reference {
		t.Fatalf("it has not one image with the name %s: %+v", reference, manifest.Manifests)
	}
	found, err := all.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTheListOfAuthoritiesIsNotEmptyAndTheSameTwice(t *testing.T) {
	one, other := roots(), roots()
	if len(one) < 100_000 || string(one) != string(other) {
		t.Errorf("it has %d and %d bytes", len(one), len(other))
	}
}

func TestWhatTheDockerfileCopiesAndNobodyMakesIsNamed(t *testing.T) {
	s := stage{name: "manager", copies: []copied{{"/out/other", "/other"}}}
	_, _, err := release{}.packImage(s, nil, nil)
	sentence(t, err, "the image of manager for amd64: the Dockerfile copies /out/other, which a release does not make: teach it that in hack/release")
}
