package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/test/env/need"
)

// project is the project's folder.
const project = "../.."

// toolsFolder is the one with helm, or the test is skipped.
func toolsFolder(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(project, "bin/tools"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "helm")); err != nil {
		need.Skip(t, "it needs bin/tools/helm: run `make tools` once (2 to 3 minutes)")
	}
	return folder
}

// copyOf is what a release packs of the project, at a place of its own, with times and rights
// that another checkout may have.
func copyOf(t *testing.T, mode fs.FileMode, when time.Time) string {
	t.Helper()
	root := t.TempDir()
	for _, part := range []string{"config", "Dockerfile", licenceFile} {
		err := filepath.WalkDir(filepath.Join(project, part), func(name string, found fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(project, name)
			if err != nil {
				return err
			}
			into := filepath.Join(root, relative)
			if found.IsDir() {
				return os.MkdirAll(into, 0o700)
			}
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(into), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(into, content, mode); err != nil {
				return err
			}
			return os.Chtimes(into, when, when)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// packed is what release.pack makes, in place of real programs with stand-ins.
func packed(t *testing.T, r release) map[string][]byte {
	t.Helper()
	stages, err := readStages(filepath.Join(r.root, "Dockerfile"), r.version)
	if err != nil {
		t.Fatal(err)
	}
	built := t.TempDir()
	var programs []program
	for _, p := range pluginPlatforms {
		for _, name := range []string{"manager", "verifier", plugin} {
			file := filepath.Join(built, name+"_"+p.String())
			write(t, file, strings.Repeat(name+" for "+p.String()+"\n", 1000))
			programs = append(programs, program{name, p, file})
		}
	}
	artifacts, err := r.pack(t.Context(), stages, programs, []byte("licences"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, a := range artifacts {
		if all[a.name] != nil {
			t.Errorf("%s is there twice", a.name)
		}
		all[a.name] = a.content
	}
	return all
}

func TestPackingTwiceGivesTheSameBytes(t *testing.T) {
	made := func(mode fs.FileMode, when time.Time) map[string]string {
		t.Setenv("TMPDIR", t.TempDir())
		r := release{
			root: copyOf(t, mode, when), tools: toolsFolder(t), version: "0.3.0", from: source{"c0ffee", committed},
			repository: "registry.example.com/vpcmirror", url: "https://example.com/0.3.0",
		}
		sums := map[string]string{}
		for name, content := range packed(t, r) {
			sum := sha256.Sum256(content)
			sums[name] = hex.EncodeToString(sum[:])
		}
		return sums
	}
	one := made(0o600, committed.AddDate(0, 0, 1))
	other := made(0o664, committed.AddDate(1, 0, 0))
	if diff := cmp.Diff(one, other); diff != "" {
		t.Errorf("(-one +other):\n%s", diff)
	}
	if len(one) < 12 {
		t.Errorf("it has only %d files: %v", len(one), one)
	}
}

func TestEveryPartOfAReleaseNamesItsVersionAndWhereItIs(t *testing.T) {
	for name, repository := range map[string]string{"on this machine": localRepository, "in a registry": "registry.example.com:5000/team"} {
		t.Run(name, func(t *testing.T) {
			root, err := filepath.Abs(project)
			if err != nil {
				t.Fatal(err)
			}
			r := release{
				root: root, tools: toolsFolder(t), version: "0.3.0-rc.1", from: source{"c0ffee", committed},
				repository: repository, url: "https://example.com/0.3.0-rc.1",
			}
			all := packed(t, r)
			for _, program := range []string{"manager", "verifier"} {
				if line := "image: " + repository + "/" + program + ":0.3.0-rc.1\n"; bytes.Count(all["install.yaml"], []byte(line)) != 1 {
					t.Errorf("install.yaml has %q not once", line)
				}
				if !bytes.Contains(all[program+"_0.3.0-rc.1.oci.tar"], []byte(repository+"/"+program+":0.3.0-rc.1")) {
					t.Errorf("the archive of %s does not name it", program)
				}
			}
			if bytes.Contains(all["crds.yaml"], []byte("kind: Deployment")) || bytes.Count(all["crds.yaml"], []byte("\nkind: CustomResourceDefinition")) != 2 {
				t.Error("crds.yaml has not the two definitions alone")
			}
			chart, err := readTarGzip(all["vpcmirror-0.3.0-rc.1.tgz"])
			if err != nil {
				t.Fatal(err)
			}
			var about, values map[string]any
			var page, terms string
			for _, e := range chart {
				switch e.name {
				case "vpcmirror/Chart.yaml":
					err = yaml.Unmarshal(e.content, &about)
				case "vpcmirror/values.yaml":
					err = yaml.Unmarshal(e.content, &values)
				case "vpcmirror/README.md":
					page = string(e.content)
				case "vpcmirror/LICENSE":
					terms = string(e.content)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			image, _ := values["image"].(map[string]any)
			got := []any{about["version"], about["appVersion"], image["repository"]}
			if diff := cmp.Diff([]any{"0.3.0-rc.1", "0.3.0-rc.1", repository}, got); diff != "" {
				t.Errorf("the chart (-want +got):\n%s", diff)
			}
			notes, _ := about["annotations"].(map[string]any)
			listed, _ := notes["artifacthub.io/images"].(string)
			for _, program := range []string{"manager", "verifier"} {
				if line := "image: " + repository + "/" + program + ":0.3.0-rc.1\n"; strings.Count(listed+"\n", line) != 1 {
					t.Errorf("the chart's images, %q, have %q not once", listed, line)
				}
			}
			if !strings.Contains(page, "| `image.repository` | string | `"+repository+"` |") {
				t.Error("the page of the chart's values has another default of image.repository")
			}
			if !strings.Contains(terms, "Apache License") {
				t.Error("the chart has no licence")
			}
		})
	}
}

func TestTheKrewManifestHasTheSumOfEachArchive(t *testing.T) {
	r := release{version: "0.3.0", from: source{"c0ffee", committed}, url: "https://example.com/0.3.0"}
	var archives []artifact
	for _, p := range pluginPlatforms {
		archive, err := r.pluginArchive(p, []byte("program"), []entry{{name: licenceFile}, {name: thirdParty}})
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, archive)
	}
	made, err := r.krew(archives)
	if err != nil {
		t.Fatal(err)
	}
	var got krewManifest
	if err := yaml.UnmarshalStrict(made.content, &got); err != nil {
		t.Fatal(err)
	}
	if made.name != "mirror.yaml" || got.Metadata["name"] != "mirror" || got.Spec.Version != "v0.3.0" || len(got.Spec.ShortDescription) > 50 {
		t.Errorf("%s begins with %+v", made.name, got)
	}
	sum := sha256.Sum256(archives[5].content)
	want := krewPlatform{
		Selector: krewSelector{map[string]string{"os": "windows", "arch": "arm64"}},
		URI:      "https://example.com/0.3.0/kubectl-mirror_0.3.0_windows_arm64.zip",
		SHA256:   hex.EncodeToString(sum[:]),
		Bin:      "kubectl-mirror.exe",
		Files:    []krewFile{{"kubectl-mirror.exe", "."}, {"LICENSE", "."}, {"THIRD-PARTY-LICENSES.txt", "."}},
	}
	if diff := cmp.Diff(want, got.Spec.Platforms[5]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if uri := got.Spec.Platforms[2].URI; uri != "https://example.com/0.3.0/kubectl-mirror_0.3.0_linux_amd64.tar.gz" {
		t.Errorf("for Linux it names %s", uri)
	}
}

func TestAReleaseIsThereAsAWholeWithItsChecksums(t *testing.T) {
	into := filepath.Join(t.TempDir(), "release/0.3.0")
	write(t, filepath.Join(into, "of-before"), "x")
	artifacts := []artifact{{"b", []byte("2")}, {"a", []byte("1")}}
	if err := (release{}).write(t.Context(), into, artifacts); err != nil {
		t.Fatal(err)
	}
	var names []string
	entries, err := os.ReadDir(into)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"a", "b", checksumsFile}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	sums, err := os.ReadFile(filepath.Join(into, checksumsFile))
	if err != nil {
		t.Fatal(err)
	}
	const want = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b  a\n" +
		"d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35  b\n"
	if diff := cmp.Diff(want, string(sums)); diff != "" {
		t.Errorf("sums (-want +got):\n%s", diff)
	}
}

func TestASignatureIsGoodForItsFileAlone(t *testing.T) {
	program := need.Tool(t, "ssh-keygen")
	folder := t.TempDir()
	key, file := filepath.Join(folder, "key"), filepath.Join(folder, checksumsFile)
	if _, err := output(t.Context(), folder, nil, program, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key); err != nil {
		t.Fatal(err)
	}
	write(t, file, "sums")
	if err := sign(t.Context(), file, key); err != nil {
		t.Fatal(err)
	}
	one, err := os.ReadFile(file + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "signers"), "vpcmirror "+string(public))
	verify := func() error {
		// ssh-keygen reads the file from its standard input.
		_, err := output(t.Context(), folder, nil, "sh", "-c", "ssh-keygen -Y verify -f signers -I vpcmirror -n file -s checksums.txt.sig <checksums.txt")
		return err
	}
	if err := verify(); err != nil {
		t.Error(err)
	}
	write(t, file, "other sums")
	if verify() == nil {
		t.Error("it is good for another file")
	}
	write(t, file, "sums")
	if err := os.Remove(file + ".sig"); err != nil {
		t.Fatal(err)
	}
	if err := sign(t.Context(), file, key); err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(file + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(one, other) {
		t.Error("signed again it has other bytes")
	}
}
