package install

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/test/env"
)

// ofOthers are API groups in documents whose kinds a cluster need not have; kustomize
// reads its own in the tests of the folders.
var ofOthers = []string{"kustomize.config.k8s.io", "argoproj.io", "kustomize.toolkit.fluxcd.io", "monitoring.coreos.com"}

// block is a piece of YAML in a document.
type block struct {
	location string // such as README.md:12
	text     string
}

// isYAML fits the first line of a block that is marked as YAML.
var isYAML = regexp.MustCompile("^```ya?ml\\b")

// yamlBlocks are the fenced blocks of a Markdown text that are marked as YAML. An
// indented fence, as in a list, indents what is in it.
func yamlBlocks(document, text string) []block {
	var blocks []block
	indent, open := "", false
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case open && strings.HasPrefix(trimmed, "```"):
			open = false
		case open:
			last := &blocks[len(blocks)-1]
			last.text += strings.TrimPrefix(line, indent) + "\n"
		case isYAML.MatchString(trimmed):
			open, indent = true, line[:len(line)-len(trimmed)]
			blocks = append(blocks, block{location: fmt.Sprintf("%s:%d", document, n)})
		}
	}
	return blocks
}

// documentBlocks are the YAML blocks of every Markdown file of the project.
func documentBlocks(t *testing.T) []block {
	t.Helper()
	var blocks []block
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		document, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		blocks = append(blocks, yamlBlocks(document, string(content))...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

// submit holds a block to what it is for, and returns the kinds in it: objects are given to
// the API server, what has no kind are values of the chart.
func (b block) submit(t *testing.T, cluster *env.Cluster, namespace string) (kinds []string, err error) {
	t.Helper()
	var ours strings.Builder
	want := 0
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(b.text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var head metav1.TypeMeta
		if err == nil {
			err = yaml.Unmarshal(document, &head)
		}
		if err != nil {
			return nil, fmt.Errorf("read the block: %w", err)
		}
		kinds = append(kinds, head.Kind)
		switch {
		case head == metav1.TypeMeta{}:
			if _, err := template(t, string(document)); err != nil {
				return nil, err
			}
		case head.Kind == "" || head.APIVersion == "":
			return nil, errors.New("an object has apiVersion and kind, values of the chart have neither")
		case slices.Contains(ofOthers, head.GroupVersionKind().Group):
		default:
			want++
			fmt.Fprintf(&ours, "---\n%s\n", document)
		}
	}
	if want == 0 {
		return kinds, nil
	}
	said, err := apply(t, cluster, ours.String(), "--dry-run=server", "--force-conflicts", "--warnings-as-errors", "--namespace", namespace)
	if took := strings.Count(said, "serverside-applied (server dry run)"); err == nil && took != want {
		err = fmt.Errorf("it took %d of %d objects: %s", took, want, said)
	}
	return kinds, err
}

func TestTheAPIServerTakesTheYAMLInDocuments(t *testing.T) {
	cluster := installed(t)
	namespace := cluster.Namespace(t)
	kinds := map[string]bool{}
	for _, b := range documentBlocks(t) {
		found, err := b.submit(t, cluster, namespace)
		if err != nil {
			t.Errorf("%s: %v", b.location, err)
		}
		for _, kind := range found {
			kinds[kind] = true
		}
	}
	for _, kind := range []string{"MirrorFilter", "MirrorSession", "Secret"} {
		if !kinds[kind] {
			t.Errorf("no document shows a %s: is the YAML found?", kind)
		}
	}
}

func TestYAMLThatTheAPIServerOrTheChartRefusesIsFound(t *testing.T) {
	cluster := installed(t)
	namespace := cluster.Namespace(t)
	for _, test := range []struct {
		name, yaml string
		want       string // in the complaint
	}{
		{
			name: "a field that does not exist",
			yaml: "apiVersion: vpcmirror.io/v1alpha1\nkind: MirrorFilter\nmetadata: {name: x}\nspec: {rulez: []}\n",
			want: "rulez",
		},
		{
			name: "a value that a rule refuses",
			yaml: "apiVersion: vpcmirror.io/v1alpha1\nkind: MirrorSession\nmetadata: {name: x}\n" +
				"spec: {filterRef: {name: f}, target: {nodeName: a, address: {ip: 192.0.2.1}}}\n",
			want: "target has address and nodeName: keep one of interfaceID, address, nodeName and loadBalancerID",
		},
		{
			name: "the second object of a block",
			yaml: "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: x_y}\n",
			want: "x_y",
		},
		{
			name: "a kind that does not exist",
			yaml: "apiVersion: vpcmirror.io/v1alpha1\nkind: MirrorFilters\nmetadata: {name: x}\n",
			want: "MirrorFilters",
		},
		{name: "an object without an apiVersion", yaml: "kind: MirrorFilter\nmetadata: {name: x}\n", want: "apiVersion and kind"},
		{name: "a value that the chart does not have", yaml: "manager: {replica: 2}\n", want: "replica"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := block{text: test.yaml}.submit(t, cluster, namespace)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the complaint is %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestYAMLBlocksAreFoundWhereverTheyStand(t *testing.T) {
	const text = "one\n```yaml title\na: 1\n\nb: 2\n```\n```\nc: 3\n```\n- item\n  ```yaml\n  d:\n    e: 4\n  ```\n```go\nf()\n```\n"
	want := []block{{location: "x.md:2", text: "a: 1\n\nb: 2\n"}, {location: "x.md:11", text: "d:\n  e: 4\n"}}
	if got := yamlBlocks("x.md", text); !slices.Equal(want, got) {
		t.Errorf("blocks are %q, want %q", got, want)
	}
}
