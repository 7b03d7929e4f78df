package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSentences(t *testing.T) {
	const (
		plan      = "controllers/plan: its doc comment "
		writePlan = `: write "It may import api and controllers/cloud."`
	)
	tests := []struct {
		name    string
		folder  string
		imports []string
		tests   []string
		comment string
		want    []string
	}{
		{
			name: "a sentence that says what the table says is fine", folder: "controllers/plan",
			imports: []string{"controllers/cloud"},
			comment: "Package plan decides.\n\nIt may import api and\ncontrollers/cloud.\n",
		},
		{
			name: "a package without a comment is found", folder: "controllers/plan",
			want: []string{"controllers/plan: the package has no doc comment"},
		},
		{
			name: "a comment without the sentence is found", folder: "controllers/plan",
			comment: "Package plan decides. It imports little.",
			want:    []string{"controllers/plan: its doc comment doesn't say what of ours it may import" + writePlan},
		},
		{
			name: "a sentence that leaves out what the table has is found", folder: "controllers/plan",
			comment: "Package plan decides. It may import api.",
			want:    []string{plan + "leaves out controllers/cloud" + writePlan},
		},
		{
			name: "a sentence that names what the table has not is found", folder: "controllers/plan",
			comment: "Package plan decides. It may import api, controllers/cloud and controllers/status.",
			want:    []string{plan + `names "controllers/status", which the table in hack/checks/layers.go does not` + writePlan},
		},
		{
			name: "a part of a layer may say less than the table", folder: "controllers/verifier/lease",
			comment: "Package lease renews. It may import nothing of ours.",
		},
		{
			name: "a part of a layer is held to what it says", folder: "controllers/verifier/lease",
			imports: []string{"api/v1alpha1", "controllers/verifier/report"},
			comment: "Package lease renews. It may import api.",
			want: []string{"controllers/verifier/lease: its doc comment leaves out controllers/verifier/report, which is imported: " +
				`write "It may import api and controllers/verifier/report."`},
		},
		{
			name: "a part of a layer says no more than the table", folder: "controllers/verifier/lease",
			comment: "Package lease renews. It may import api and controllers/cloud.",
			want: []string{"controllers/verifier/lease: its doc comment " +
				`names "controllers/cloud", which the table in hack/checks/layers.go does not: write "It may import nothing of ours."`},
		},
		{
			name: "all that is below a folder can be named at once", folder: "test/cloudsim",
			imports: []string{"test/cloudsim/api", "test/cloudsim/dataplane/netns"},
			comment: "Command cloudsim serves. It may import everything below test/cloudsim.",
		},
		{
			name: "where everything is allowed, less can be named", folder: "test/integration/harness",
			imports: []string{"api/v1alpha1", "controllers/cloud/huawei"},
			comment: "Package harness sets up. It may import api and everything below controllers.",
		},
		{
			name: "words that are no folder are found", folder: "test/integration/harness",
			comment: "Package harness sets up. It may import the API.",
			want: []string{`test/integration/harness: its doc comment names "the API", which the table in hack/checks/layers.go does not: ` +
				`write "It may import nothing of ours."`},
		},
		{
			name: "the sentence about tests is held to the tests", folder: "test/install",
			tests:   []string{"api/v1alpha1", "controllers/plan"},
			comment: "Package install tests. It may import nothing of ours. Its tests may import api, controllers/status, test/env and test/env/need.",
			want:    []string{"test/install: its doc comment, about tests, leaves out controllers/plan, which is imported"},
		},
		{
			name: "a folder in no layer is not judged twice", folder: "controllers/planner",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := goPackage{ImportPath: module + "/" + test.folder}
			for _, name := range test.imports {
				p.Imports = append(p.Imports, module+"/"+name)
			}
			for _, name := range test.tests {
				p.TestImports = append(p.TestImports, module+"/"+name)
			}
			if diff := cmp.Diff(test.want, sentencesOf(p, test.comment)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatASentenceListsIsReadAsItWasWritten(t *testing.T) {
	for _, entries := range [][]string{
		nil, {"api"}, {"api", "controllers/cloud"}, {"api", "controllers/cloud", "test/env"}, {"..."}, {"api", "test/..."},
	} {
		if diff := cmp.Diff(entries, entriesOf(list(entries))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", list(entries), diff)
		}
	}
}

func TestTheCommentOfAPackageIsFound(t *testing.T) {
	root := folderWith(t, map[string]string{
		"a/a.go":      "// Package a is documented.\npackage a\n",
		"a/a_test.go": "// Not this.\npackage a\n",
		"a/b.go":      "package a\n",
		"b/b_test.go": "// Package b has only tests.\npackage b\n",
		"c/c.go":      "package c\n",
	})
	got, err := packageComments(root)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "Package a is documented.\n", "b": "Package b has only tests.\n", "c": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
}
