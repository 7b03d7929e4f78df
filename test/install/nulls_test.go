package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	yamlv3 "go.yaml.in/yaml/v3"
)

// defaults gathers each value with what stands for nothing of its kind; of what Kubernetes documents the whole.
func defaults(node *yamlv3.Node, path string, into map[string]string) {
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := strings.TrimPrefix(path+"."+key.Value, ".")
		switch {
		case value.Kind == yamlv3.MappingNode:
			into[name] = "{}"
			if !slices.Contains(kubernetesOwn, key.Value) {
				defaults(value, name, into)
			}
		case value.Kind == yamlv3.SequenceNode:
			into[name] = "[]"
		case value.Tag == "!!str":
			into[name] = `""`
		default:
			into[name] = ""
		}
	}
}

func TestAValueThatIsNullIsRefusedInASentence(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "config/chart/values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document yamlv3.Node
	if err := yamlv3.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	defaults(document.Content[0], "", all)
	if len(all) < 100 {
		t.Fatalf("only %d values are found", len(all))
	}
	for path, nothing := range all {
		if path == "tracing" { // the sign of values from before it, which have a sentence of their own
			continue
		}
		want := path + " has no value, as where it is null or with `helm upgrade --reuse-values`: leave it out to have its default"
		if nothing != "" {
			want += ", or write " + nothing
		}
		_, err := template(t, "", "--set-json", strings.ReplaceAll(path, "/", "")+"=null")
		if err == nil || !strings.Contains(err.Error(), ": "+want+"\n") {
			t.Errorf("%s: null gives %v\nwant: %s", path, err, want)
		}
	}
}

// There null takes a default away, which is what it is for.
func TestWithinWhatKubernetesDocumentsNullTakesADefaultAway(t *testing.T) {
	const values = "{manager: {nodeSelector: {kubernetes.io/os: null}, resources: {limits: {memory: null}}, strategy: {type: Recreate, rollingUpdate: null}}}"
	if _, err := template(t, values); err != nil {
		t.Error(err)
	}
}
