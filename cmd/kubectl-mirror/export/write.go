package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
)

// document is a manifest as it is written.
type document struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       any      `json:"spec"`
}

type metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// Write writes the manifests as a stream of YAML, with what a person should know above each; or nothing, with an error.
func (r Result) Write(out io.Writer, namespace string) error {
	var b bytes.Buffer
	for i, m := range r.Manifests {
		if i > 0 {
			b.WriteString("---\n")
		}
		fmt.Fprintf(&b, "# %s\n", line(m.Of))
		for _, remark := range m.Remarks {
			fmt.Fprintf(&b, "# %s\n", line(remark))
		}
		data, err := encode(document{v1alpha1.GroupVersion.String(), m.Kind, metadata{m.Name, namespace}, m.Spec})
		if err != nil {
			return fmt.Errorf("encode %s %s: %w", m.Kind, m.Name, err)
		}
		b.Write(data)
	}
	_, err := out.Write(b.Bytes())
	return err
}

// encode gives a document as YAML. It goes by way of JSON, which leaves some characters as they are that YAML must escape.
func encode(d document) ([]byte, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		if r >= 0x7f && r <= 0x9f || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return yaml.JSONToYAML(b.Bytes())
}

// Tell writes what a person should know, a line each.
func (r Result) Tell(notes io.Writer) {
	for _, unseen := range r.Unseen {
		fmt.Fprintf(notes, "%s\n", line(unseen))
	}
	for _, m := range r.Manifests {
		for _, remark := range m.Remarks {
			fmt.Fprintf(notes, "%s\n", line(m.Of+": "+remark))
		}
	}
	for _, why := range r.LeftOut {
		fmt.Fprintf(notes, "%s\n", line(why))
	}
	if len(r.Manifests) == 0 {
		fmt.Fprintln(notes, "there is nothing to export")
	}
}

// line is a text as one line that steers no terminal and ends no comment: names of the cloud can hold anything.
func line(text string) string {
	return v1alpha1.Fit(strings.ReplaceAll(text, "\n", " "), maxLine)
}

// maxLine is more than a sentence needs.
const maxLine = 2000

// quoted is a text of the cloud within a sentence.
func quoted(text string) string { return fmt.Sprintf("%q", v1alpha1.Fit(text, 64)) }
