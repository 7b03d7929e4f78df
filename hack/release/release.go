package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// release is what is asked for. Its paths are absolute.
type release struct {
	root    string // the project's folder, or what is committed of it
	tools   string // the folder with helm and cyclonedx-gomod
	version string
	from    source
	ldflags string
	// repository is where the images will be: manifests and chart name them so.
	repository string
	// url is the folder on a server where the files will be.
	url string
	// key is that of SSH which signs, empty for none.
	key string
}

// artifact is a file of a release.
type artifact struct {
	name    string
	content []byte
}

// program is one that was built, with its file.
type program struct {
	name string
	platform
	file string
}

// checksumsFile has the SHA-256 of every other file but its own signature.
const checksumsFile = "checksums.txt"

// make writes the release into a folder.
func (r release) make(ctx context.Context, into string, say func(string)) error {
	stages, err := readStages(filepath.Join(r.root, "Dockerfile"), r.version)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "vpcmirror-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	programs, err := r.buildAll(ctx, stages, work, say)
	if err != nil {
		return err
	}
	say("Collecting the licences of what is linked in")
	licences, err := r.licences(ctx, programs)
	if err != nil {
		return err
	}
	say("Writing the SBOMs")
	artifacts := []artifact{{thirdParty, licences}}
	for _, p := range programs {
		sbom, err := r.billOfMaterials(ctx, p.file)
		if err != nil {
			return fmt.Errorf("the SBOM of %s for %s: %w", p.name, p.platform, err)
		}
		artifacts = append(artifacts, artifact{fmt.Sprintf("%s_%s_%s.cdx.json", p.name, r.version, p.platform), sbom})
	}
	say("Packing images, chart, manifests and plugin")
	packed, err := r.pack(ctx, stages, programs, licences)
	if err != nil {
		return err
	}
	return r.write(ctx, into, append(artifacts, packed...))
}

// buildAll builds the programs of the images and the plugin.
func (r release) buildAll(ctx context.Context, stages []stage, work string, say func(string)) ([]program, error) {
	var all []program
	for _, s := range stages {
		for _, arch := range architectures {
			all = append(all, program{name: s.name, platform: platform{"linux", arch}})
		}
	}
	for _, p := range pluginPlatforms {
		all = append(all, program{name: plugin, platform: p})
	}
	for i, p := range all {
		say(fmt.Sprintf("Building %s for %s/%s", p.name, p.os, p.arch))
		file, err := r.build(ctx, p.name, p.platform, work)
		if err != nil {
			return nil, err
		}
		all[i].file = file
	}
	return all, nil
}

// pack makes everything of the programs and of config. The same input gives the same
// bytes, whenever and wherever.
func (r release) pack(ctx context.Context, stages []stage, programs []program, licences []byte) ([]artifact, error) {
	var all []artifact
	digests := map[string]string{}
	ours, err := os.ReadFile(filepath.Join(r.root, licenceFile))
	if err != nil {
		return nil, err
	}
	terms := []entry{{name: licenceFile, content: ours}, {name: thirdParty, content: licences}}
	for _, s := range stages {
		archive, digest, err := r.packImage(s, programs, terms)
		if err != nil {
			return nil, err
		}
		all, digests[s.name] = append(all, archive), digest
	}
	archives, err := r.packPlugin(programs, terms)
	if err != nil {
		return nil, err
	}
	krew, err := r.krew(archives)
	if err != nil {
		return nil, err
	}
	charts, err := r.charts(ctx, terms[0])
	if err != nil {
		return nil, err
	}
	manifests, err := r.manifests(stages)
	if err != nil {
		return nil, err
	}
	facts, err := r.facts(ctx, digests)
	if err != nil {
		return nil, err
	}
	return slices.Concat(all, archives, charts, manifests, []artifact{krew, facts}), nil
}

// packImage makes the archive of an image and returns the digest of its index, by which a
// registry that it was copied to knows it.
func (r release) packImage(s stage, programs []program, terms []entry) (artifact, string, error) {
	index, err := images(s, r.from, terms, func(file, arch string) ([]byte, error) {
		if file == certificates {
			return roots(), nil
		}
		for _, p := range programs {
			if file == "/out/"+p.name && p.platform == (platform{"linux", arch}) {
				return os.ReadFile(p.file)
			}
		}
		return nil, fmt.Errorf("the Dockerfile copies %s, which a release does not make: teach it that in hack/release", file)
	})
	if err != nil {
		return artifact{}, "", err
	}
	digest, err := index.Digest()
	if err != nil {
		return artifact{}, "", err
	}
	content, err := ociArchive(index, r.reference(s), r.from.when)
	return artifact{fmt.Sprintf("%s_%s.oci.tar", s.name, r.version), content}, digest.String(), err
}

func (r release) packPlugin(programs []program, licences []entry) ([]artifact, error) {
	var all []artifact
	for _, p := range pluginPlatforms {
		i := slices.IndexFunc(programs, func(q program) bool { return q.name == plugin && q.platform == p })
		if i < 0 {
			return nil, fmt.Errorf("%s was not built for %s", plugin, p)
		}
		binary, err := os.ReadFile(programs[i].file)
		if err != nil {
			return nil, err
		}
		archive, err := r.pluginArchive(p, binary, licences)
		if err != nil {
			return nil, err
		}
		all = append(all, archive)
	}
	return all, nil
}

// facts are what one needs to make the same bytes again, and the digests of the images.
func (r release) facts(ctx context.Context, digests map[string]string) (artifact, error) {
	version, err := output(ctx, r.root, nil, "go", "env", "GOVERSION")
	if err != nil {
		return artifact{}, err
	}
	content, err := json.MarshalIndent(map[string]any{
		"version":    r.version,
		"commit":     r.from.commit,
		"committed":  r.from.when,
		"go":         strings.TrimSpace(string(version)),
		"repository": r.repository,
		"url":        r.url,
		"images":     digests,
	}, "", "  ")
	return artifact{"build.json", append(content, '\n')}, err
}

// write puts the artifacts and their checksums into a folder, which is there as a whole or
// not at all.
func (r release) write(ctx context.Context, into string, artifacts []artifact) error {
	partial := into + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return err
	}
	for _, a := range append(artifacts, artifact{checksumsFile, checksums(artifacts)}) {
		if err := os.WriteFile(filepath.Join(partial, a.name), a.content, 0o644); err != nil {
			return err
		}
	}
	if r.key != "" {
		if err := sign(ctx, filepath.Join(partial, checksumsFile), r.key); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(into); err != nil {
		return err
	}
	return os.Rename(partial, into)
}

// checksums is the list that sha256sum --check reads.
func checksums(artifacts []artifact) []byte {
	var out bytes.Buffer
	for _, a := range slices.SortedFunc(slices.Values(artifacts), func(a, b artifact) int { return cmp.Compare(a.name, b.name) }) {
		sum := sha256.Sum256(a.content)
		fmt.Fprintf(&out, "%s  %s\n", hex.EncodeToString(sum[:]), a.name)
	}
	return out.Bytes()
}
