package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Two SBOMs of one program, as two runs of a generator on two machines could give them.
const (
	sbomOfOne = `{"serialNumber": "urn:uuid:1", "metadata": {"timestamp": "2026-01-01T00:00:00Z",
		"tools": [{"name": "generator", "hashes": [{"alg": "MD5", "content": "1"}]}],
		"properties": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}],
		"component": {"name": "manager", "version": "v0.3.0"}},
		"version": 1,
		"components": [{"bom-ref": "x", "purl": "p?a&b"}, {"bom-ref": "y"}],
		"dependencies": [{"ref": "x", "dependsOn": ["y", "z"]}, {"ref": "y"}]}`
	sbomOfOther = `{"serialNumber": "urn:uuid:2", "metadata": {"timestamp": "2027-01-01T00:00:00Z",
		"tools": [{"name": "generator", "hashes": [{"alg": "MD5", "content": "2"}]}],
		"properties": [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}],
		"component": {"name": "manager", "version": "v0.3.0"}},
		"version": 1,
		"dependencies": [{"ref": "y"}, {"ref": "x", "dependsOn": ["z", "y"]}],
		"components": [{"bom-ref": "y"}, {"bom-ref": "x", "purl": "p?a\u0026b"}]}`
)

func TestAnSBOMSaysWhatIsInTheProgramAndNothingOfItsMaking(t *testing.T) {
	want := `{
  "components": [
    {
      "bom-ref": "x",
      "purl": "p?a&b"
    },
    {
      "bom-ref": "y"
    }
  ],
  "dependencies": [
    {
      "dependsOn": [
        "y",
        "z"
      ],
      "ref": "x"
    },
    {
      "ref": "y"
    }
  ],
  "metadata": {
    "component": {
      "hashes": [
        {
          "alg": "SHA-256",
          "content": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        }
      ],
      "name": "manager",
      "version": "v0.3.0"
    },
    "properties": [
      {
        "name": "a",
        "value": "1"
      },
      {
        "name": "b",
        "value": "2"
      }
    ],
    "tools": [
      {
        "name": "generator"
      }
    ]
  },
  "version": 1
}
`
	for name, sbom := range map[string]string{"of one": sbomOfOne, "of the other": sbomOfOther} {
		t.Run(name, func(t *testing.T) {
			got, err := normalised([]byte(sbom), []byte("abc"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNoSBOMIsRefused(t *testing.T) {
	_, err := normalised([]byte(`{}`), nil)
	sentence(t, err, "the SBOM does not say of which program it is")
}

func TestLicencesOfCodeInCodeAreFound(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "LICENSE"), "the module's")
	write(t, filepath.Join(root, "NOTICE.txt"), "a notice")
	write(t, filepath.Join(root, "license.go"), "package a")
	write(t, filepath.Join(root, "third_party/b/COPYING"), "of b")
	write(t, filepath.Join(root, "third_party/b/c/c.go"), "package c")
	write(t, filepath.Join(root, "other/LICENSE"), "of what is not linked in")
	l := linked{Dir: filepath.Join(root, "third_party/b/c")}
	l.Module = &module{Path: "example.com/a", Version: "v1.0.0", Dir: root}
	got, err := textsOf(l)
	if err != nil {
		t.Fatal(err)
	}
	const name = "example.com/a v1.0.0"
	want := []licence{{name, "third_party/b/COPYING", "of b"}, {name, "LICENSE", "the module's"}, {name, "NOTICE.txt", "a notice"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(licence{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEachTextIsThereOnceBelowAllWhoHaveIt(t *testing.T) {
	all := []licence{{"b v1", "LICENSE", "the same\r\n"}, {"c v1", "LICENSE", "another"}, {"a v1", "COPYING", "the same\n"}, {"a v1", "COPYING", "the same\n"}}
	got := string(notice(all))
	want := strings.Repeat("=", 80) + "\na v1 (COPYING)\nb v1 (LICENSE)\n" + strings.Repeat("=", 80) + "\n\nthe same\n\n" +
		strings.Repeat("=", 80) + "\nc v1 (LICENSE)\n" + strings.Repeat("=", 80) + "\n\nanother\n"
	if _, after, _ := strings.Cut(got, "\n\n"); after != want {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, after))
	}
}

func TestWhatIsLinkedIntoAProgramIsReadFromIt(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]bool{}
	if err := modulesOf(self, modules); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"github.com/google/go-containerregistry", rootsModule} {
		if !modules[path] {
			t.Errorf("%s is not found among %v", path, modules)
		}
	}
}

func TestAModuleWithoutALicenceIsNotGivenOn(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(project)
	if err != nil {
		t.Fatal(err)
	}
	// This test stands in for the plugin, whose packages have no text for what only a release needs.
	_, err = release{root: root}.licences(t.Context(), []program{{plugin, platform{"linux", "amd64"}, self}})
	sentence(t, err, "the module github.com/google/go-containerregistry, which is linked in, has no licence text: what has none may not be given on")
}
