package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const makefileOfTest = `
VERSION ?= 1
.PHONY: demo
demo: build ## play
build:
	@echo
verify-all: build
`

const managerOfTest = `package main

func main() {
	fs.StringVar(&level, "log-level", "info", "help")
	fs.StringVarP(output, "output", "o", "text", "help")
	fs.Func("image", "help", f)
	fs.Println("no-flag")
	options.register(fs)
}
`

func TestDocuments(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{
			name: "links to files, folders, headings and anchors are fine",
			files: map[string]string{
				"README.md": "# One\n\n[a](docs/a.md) [b](docs/a.md#two-words-and-code) [c](docs/a.md#reason-x) [d](docs) [e](#one)\n" +
					"[f](https://example.com/nowhere#x)\n[g]: docs/a.md\n[text over\nlines](docs/a.md)\n",
				"docs/a.md": "## Two words, and `code`\n\n| <a id=\"reason-x\"></a>`X` | [back](../README.md) |\n",
			},
		},
		{
			name:  "a link to a file that is not there is found",
			files: map[string]string{"README.md": "one\n\n[a](docs/a.md)\n"},
			want:  []string{"README.md:3: the link to docs/a.md leads nowhere: there is no docs/a.md"},
		},
		{
			name:  "a link to a heading that is not there is found, in the own document too",
			files: map[string]string{"README.md": "[a](docs/a.md#there) [b](#here)\n", "docs/a.md": "# Elsewhere\n"},
			want: []string{
				`README.md:1: the link to docs/a.md#there leads nowhere: docs/a.md has no heading or anchor "there"`,
				`README.md:1: the link to #here leads nowhere: README.md has no heading or anchor "here"`,
			},
		},
		{
			name:  "a reference that leads nowhere is found",
			files: map[string]string{"README.md": "see [a]\n\n[a]: a.md\n"},
			want:  []string{"README.md:3: the link to a.md leads nowhere: there is no a.md"},
		},
		{
			name: "code shows links and headings without having them",
			files: map[string]string{
				"README.md": "`[a](a.md)`\n\n```\n[b](b.md)\n# Heading\n```\n\n[c](#heading)\n",
			},
			want: []string{`README.md:8: the link to #heading leads nowhere: README.md has no heading or anchor "heading"`},
		},
		{
			name:  "the second of two equal headings has a number",
			files: map[string]string{"README.md": "# A\n# A\n[one](#a) [two](#a-1) [three](#a-2)\n"},
			want:  []string{`README.md:3: the link to #a-2 leads nowhere: README.md has no heading or anchor "a-2"`},
		},
		{
			name:  "targets that are there are fine, with variables and behind other commands",
			files: map[string]string{"README.md": "`make demo`\n\n```\nmake build VERSION=1 && sudo make verify-all   # make nothing\nmake\n```\n"},
		},
		{
			name:  "a target that is not there is found, in prose and in a block",
			files: map[string]string{"README.md": "`make it2`\n\n```\n$ cd x && make build them\n```\n"},
			want:  []string{"README.md:1: the Makefile has no target it2", "README.md:4: the Makefile has no target them"},
		},
		{
			name: "flags that are declared are fine, in whatever package of the program",
			files: map[string]string{"README.md": "`bin/manager --log-level=debug --image x` `--output` `manager --help --kubeconfig=f --workers 2`\n" +
				"`kubectl apply --server-side` `helm --set a=b`\n"},
		},
		{
			name:  "a flag that is not declared is found",
			files: map[string]string{"README.md": "```\nbin/manager \\\n  --log-level debug --no-flag\n```\n\n`manager --loglevel` and `--loglevel`, `verifier --log-level`\n"},
			want: []string{
				"README.md:6: manager has no flag --loglevel",
				"README.md:6: no program of ours has a flag --loglevel",
				"README.md:6: verifier has no flag --log-level",
				"README.md:2: manager has no flag --no-flag",
			},
		},
		{
			name:  "a flag of a plugin of kubectl has to be declared",
			files: map[string]string{"README.md": "`kubectl mirror why x --context=c` `kubectl mirror why --loud && kubectl get x --loud`\n"},
			want:  []string{"README.md:1: kubectl-mirror has no flag --loud"},
		},
		{
			name:  "what is YAML is no command",
			files: map[string]string{"README.md": "```yaml\nextraArgs: [--what=5m]\n```\n"},
		},
		{
			name:  "a file of the project that is not there is found",
			files: map[string]string{"README.md": "`cmd/manager` `cmd/manager/main.go` `cmd/other` `test/...` `kubectl apply -k config/none`\n"},
			want:  []string{"README.md:1: cmd/other does not exist", "README.md:1: config/none does not exist"},
		},
		{
			name:  "a metric that is not there is found",
			files: map[string]string{"README.md": "`vpcmirror_calls_total{op=\"x\"}` and `rate(vpcmirror_call_total[1m])`\n"},
			want:  []string{"README.md:1: there is no metric vpcmirror_call_total"},
		},
		{
			name:  "a test that is not there is found",
			files: map[string]string{"README.md": "| `TestOne` | `go test ./x -run 'TestOne|FuzzTwo|TestThree'` |\n"},
			want:  []string{"README.md:1: there is no test TestThree"},
		},
		{
			name: "the README is one page, other documents need not be",
			files: map[string]string{
				"README.md": strings.Repeat("word ", 30) + "word\n" + strings.Repeat(strings.Repeat("word ", 29)+"\n", 30),
				"docs/a.md": strings.Repeat("word ", 1000),
			},
			want: []string{
				"README.md: 901 words; 900 are the limit: move what is about one part into the README of its folder",
			},
		},
		{
			name:  "a long line of the README is found by its characters",
			files: map[string]string{"README.md": strings.Repeat("ü", 160) + "\n" + strings.Repeat("ü", 161) + "\n"},
			want:  []string{"README.md:2: 161 characters; 160 are the limit"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := folderWith(t, test.files)
			documents, err := readDocuments(root)
			if err != nil {
				t.Fatal(err)
			}
			code := folderWith(t, map[string]string{
				"Makefile": makefileOfTest, "cmd/manager/main.go": managerOfTest,
				"controllers/plan/plan.go":      "package plan\n\nfunc f() { fs.Int(\"workers\", 1, \"\") }\nconst m = \"vpcmirror_calls_total\"\n",
				"controllers/plan/plan_test.go": "package plan\n\nfunc TestOne(t *testing.T) {}\n\nfunc FuzzTwo(f *testing.F) {}\n\n// TestThree is none.\n",
			})
			v, err := readVocabulary(code, []goPackage{{ImportPath: module + "/cmd/manager", Imports: []string{"fmt", module + "/controllers/plan"}}})
			if err != nil {
				t.Fatal(err)
			}
			var findings []string
			for _, name := range []string{"README.md", "docs/a.md"} {
				d, ok := documents[name]
				if !ok {
					continue
				}
				findings = append(findings, d.deadLinks(root, documents)...)
				findings = append(findings, d.deadCommands(code, v)...)
				if name == readme {
					findings = append(findings, d.tooLong()...)
				}
			}
			if diff := cmp.Diff(test.want, findings); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheTableIsWrittenIntoItsDocumentOnce(t *testing.T) {
	root := folderWith(t, map[string]string{tableDocument: "before\n" + tableBegins + "\nold\n" + tableEnds + "\nafter\n"})
	stale, err := checkTable(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	var writes []bool
	for range 2 {
		wrote, err := writeTable(root)
		if err != nil {
			t.Fatal(err)
		}
		writes = append(writes, wrote)
	}
	current, err := checkTable(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := tableIn(root)
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		Stale, Current []string
		Writes         []bool
		Document       string
	}
	want := outcome{
		Stale:    []string{tableDocument + ": its table is not that of hack/checks/layers.go: run make generate"},
		Writes:   []bool{true, false},
		Document: "before\n" + tableBegins + "\n\n" + table() + "\n" + tableEnds + "\nafter\n",
	}
	if diff := cmp.Diff(want, outcome{stale, current, writes, got}); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	rows := strings.Count(table(), "\n")
	if want := len(layers) + 2; rows != want {
		t.Errorf("the table has %d rows, want %d", rows, want)
	}
}

func TestADocumentWithoutAPlaceForTheTableIsAnError(t *testing.T) {
	root := folderWith(t, map[string]string{tableDocument: "no marks\n"})
	_, err := checkTable(t.Context(), root)
	want := fmt.Sprintf("%s has no place for the table of imports: the lines %q and %q", tableDocument, tableBegins, tableEnds)
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
