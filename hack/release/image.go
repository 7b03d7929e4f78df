package main

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// architectures are those that the images are for.
var architectures = []string{"amd64", "arm64"}

// certificates is the file of a stage that no compiler makes.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// roots are the authorities that browsers trust, from Mozilla's list as the Go project
// keeps it: with its version pinned they are the same on every machine. One that is
// trusted for certificates of before some day alone is left out, as a PEM file can't say
// that.
func roots() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return out.Bytes()
}

// termsFolder has the terms of what is in an image, which has to go wherever that goes.
const termsFolder = "licenses/"

// images makes the index of a stage: one image for each architecture, with the terms beside
// what the Dockerfile puts into it. built returns what the build gives for a file of the
// Dockerfile.
func images(s stage, from source, terms []entry, built func(file, arch string) ([]byte, error)) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range architectures {
		image, err := s.image(from, terms, arch, built)
		if err != nil {
			return nil, fmt.Errorf("the image of %s for %s: %w", s.name, arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	annotations := map[string]string{"org.opencontainers.image.revision": from.commit, "org.opencontainers.image.created": from.when.Format(time.RFC3339)}
	for name, value := range s.labels {
		annotations[name] = value
	}
	annotated, ok := mutate.Annotations(index, annotations).(v1.ImageIndex)
	if !ok {
		return nil, fmt.Errorf("the index of %s takes no annotations", s.name)
	}
	return annotated, nil
}

func (s stage) image(from source, terms []entry, arch string, built func(file, arch string) ([]byte, error)) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: arch, Created: v1.Time{Time: from.when},
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{User: s.user, Entrypoint: s.entrypoint, Cmd: s.args, Labels: s.labels, WorkingDir: "/"},
	})
	if err != nil {
		return nil, err
	}
	for _, c := range s.copies {
		content, err := built(c.from, arch)
		if err != nil {
			return nil, err
		}
		file := entry{name: strings.TrimPrefix(path.Clean(c.to), "/"), executable: c.from != certificates, content: content}
		image, err = layered(image, "COPY "+c.from+" "+c.to, append(foldersOf(file.name), file), from.when)
		if err != nil {
			return nil, err
		}
	}
	below := []entry{{name: termsFolder, executable: true}}
	for _, t := range terms {
		below = append(below, entry{name: termsFolder + t.name, content: t.content})
	}
	return layered(image, "COPY "+licenceFile+" "+thirdParty+" /"+termsFolder, below, from.when)
}

// layered is the image with a layer of files and folders on top.
func layered(image v1.Image, by string, entries []entry, when time.Time) (v1.Image, error) {
	var out bytes.Buffer
	if err := writeTar(&out, entries, when); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression))
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: when}, CreatedBy: by}})
}

// foldersOf are the folders above a file, as entries whose names end with a slash.
func foldersOf(name string) []entry {
	var all []entry
	for up := path.Dir(name); up != "."; up = path.Dir(up) {
		all = append(all, entry{name: up + "/", executable: true})
	}
	slices.Reverse(all)
	return all
}

// ociArchive is an index as a tar file of the OCI image layout, which container engines
// load and skopeo, crane and oras copy to a registry. reference is the name that it has
// where an engine loads it.
func ociArchive(index v1.ImageIndex, reference string, when time.Time) ([]byte, error) {
	work, err := os.MkdirTemp("", "vpcmirror-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	written, err := layout.Write(work, empty.Index)
	if err != nil {
		return nil, err
	}
	_, tag, _ := strings.Cut(path.Base(reference), ":")
	if err := written.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          reference,
		"org.opencontainers.image.ref.name": tag,
	})); err != nil {
		return nil, err
	}
	entries, err := files(work)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := writeTar(&out, entries, when); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
