package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chartOf writes a chart with the values and their schema's properties.
func chartOf(t *testing.T, values, properties string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{
		"Chart.yaml": "{description: A chart, kubeVersion: '>=1.33.0-0'}", "values.yaml": values,
		"values.schema.json": `{"properties": {` + properties + `}, "definitions": {"port": {"type": "integer", "minimum": 1, "maximum": 9}}}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestEveryValueIsWrittenWithTypeDefaultAndComment(t *testing.T) {
	folder := chartOf(t, `# Values.

# How many
# there are, <n> | m.
size: 3
# Where.
ports: [1, 2] # not this
# It.
it:
  # Its colour.
  colour: red
  # As in a pod; --log-level=debug too.
  labels: {a: "1"}
  # Whatever.
  more: {limits: {cpu: 1}}
`, `"size": {"type": "integer", "minimum": 0}, "ports": {"type": "array", "items": {"$ref": "#/definitions/port"}},
"it": {"properties": {"colour": {"enum": ["red", "blue"]}, "labels": {"type": "object", "additionalProperties": {"type": "string"}},
"more": {"anyOf": [{"type": "object"}, {"type": ["string", "null"]}]}}}`)
	var out strings.Builder
	if err := writeValues(&out, folder); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(out.String(), "under that name.\n")
	want := `
| value | type | default | what it is |
| --- | --- | --- | --- |
| ` + "`size` | integer, at least 0 | `3`" + ` | How many there are, &lt;n&gt; \| m. |
| ` + "`ports` | list of integers, 1 to 9 | `[1, 2]`" + ` | Where. |

## it

It.

| value | type | default | what it is |
| --- | --- | --- | --- |
| ` + "`it.colour` | `red`, `blue` | `red`" + ` | Its colour. |
| ` + "`it.labels` | map of strings | `{a: \"1\"}` | As in a pod; `--log-level=debug`" + ` too. |
| ` + "`it.more` | object, or string or null | `{limits: {cpu: 1}}`" + ` | Whatever. |
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is written (-want +got):\n%s", diff)
	}
}

func TestAValueWithoutCommentOrSchemaIsAnError(t *testing.T) {
	for values, want := range map[string]string{
		"# Here.\na: 1\nb: 2\n":         "values.yaml has no comment about b",
		"# Here.\na: 1\n# There.\nc: 2": "values.schema.json doesn't know c",
	} {
		err := writeValues(&strings.Builder{}, chartOf(t, values, `"a": {"type": "integer"}, "b": {"type": "integer"}`))
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", values, err, want)
		}
	}
}
