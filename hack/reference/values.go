package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// valueSchema is what values.schema.json says of a value.
type valueSchema struct {
	Ref         string                 `json:"$ref"`
	Type        json.RawMessage        `json:"type"`
	Enum        []string               `json:"enum"`
	Minimum     *int64                 `json:"minimum"`
	Maximum     *int64                 `json:"maximum"`
	Properties  map[string]valueSchema `json:"properties"`
	Items       *valueSchema           `json:"items"`
	Additional  json.RawMessage        `json:"additionalProperties"`
	OneOf       []valueSchema          `json:"oneOf"`
	AnyOf       []valueSchema          `json:"anyOf"`
	Definitions map[string]valueSchema `json:"definitions"`
}

// chartFile is what Chart.yaml has for the reader.
type chartFile struct {
	Description string `yaml:"description"`
	Version     string `yaml:"version"`
	AppVersion  string `yaml:"appVersion"`
	KubeVersion string `yaml:"kubeVersion"`
}

// values is the reference of a chart's values.
type values struct {
	root valueSchema
	out  strings.Builder
}

// writeValues writes the README of the chart in a folder: every value as its comment in values.yaml and its
// schema have it.
func writeValues(out io.Writer, folder string) error {
	var chart chartFile
	var document yamlv3.Node
	v := &values{}
	for name, into := range map[string]any{"Chart.yaml": &chart, "values.yaml": &document} {
		if err := readInto(filepath.Join(folder, name), into, yamlv3.Unmarshal); err != nil {
			return err
		}
	}
	if err := readInto(filepath.Join(folder, "values.schema.json"), &v.root, json.Unmarshal); err != nil {
		return err
	}
	fmt.Fprintf(&v.out, valuesIntroduction, chart.Description, strings.TrimSuffix(strings.TrimPrefix(chart.KubeVersion, ">="), ".0-0"))
	if err := v.section("", v.root, document.Content[0]); err != nil {
		return err
	}
	if _, err := io.WriteString(out, v.out.String()); err != nil {
		return fmt.Errorf("write the values: %w", err)
	}
	return nil
}

const valuesIntroduction = `<!-- Written by hack/reference from the comments of values.yaml and from values.schema.json: change them, then make generate. -->

# The chart vpcmirror

%s.

Kubernetes %s or later. How to get images, install, upgrade and uninstall, and what it costs, is in
[Installing and running vpcmirror](../README.md); what the alerts of ` + "`monitoring.rules`" + ` mean is in [prometheus](../prometheus).

` + "```" + `
helm install vpcmirror config/chart -n vpcmirror-system --create-namespace --values my-values.yaml
` + "```" + `

A value that is not here is refused, and so is one of another type or outside of its bounds. "object" and lists of it have the
fields that Kubernetes has under that name.
`

func readInto(name string, into any, unmarshal func([]byte, any) error) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read the chart: %w", err)
	}
	if err := unmarshal(content, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// section writes a table of the values of a mapping, and then the sections of the mappings among them.
func (v *values) section(path string, s valueSchema, mapping *yamlv3.Node) error {
	header := false
	var later []func() error
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := path + key.Value
		schema, known := s.Properties[key.Value]
		if !known {
			return fmt.Errorf("values.schema.json doesn't know %s", name)
		}
		schema = v.resolved(schema)
		text := prose(strings.ReplaceAll(strings.TrimPrefix(key.HeadComment, "#"), "\n#", " "))
		if text == "" {
			return fmt.Errorf("values.yaml has no comment about %s", name)
		}
		if isSection(schema, value) {
			later = append(later, func() error {
				fmt.Fprintf(&v.out, "\n## %s\n\n%s\n", name, text)
				return v.section(name+".", schema, value)
			})
			continue
		}
		if !header {
			v.out.WriteString("\n| value | type | default | what it is |\n| --- | --- | --- | --- |\n")
			header = true
		}
		shown, err := flow(value)
		if err != nil {
			return fmt.Errorf("write the default of %s: %w", name, err)
		}
		fmt.Fprintf(&v.out, "| `%s` | %s | `%s` | %s |\n", name, v.kind(schema), shown, text)
	}
	var failures []error
	for _, write := range later {
		failures = append(failures, write())
	}
	return errors.Join(failures...)
}

// isSection: the values below are explained one by one.
func isSection(s valueSchema, value *yamlv3.Node) bool {
	if len(s.Properties) == 0 || value.Kind != yamlv3.MappingNode || len(value.Content) == 0 {
		return false
	}
	for i := 0; i < len(value.Content); i += 2 {
		if value.Content[i].HeadComment == "" {
			return false
		}
	}
	return true
}

func (v *values) resolved(s valueSchema) valueSchema {
	if name, is := strings.CutPrefix(s.Ref, "#/definitions/"); is {
		return v.root.Definitions[name]
	}
	return s
}

// kind is what a value may be.
func (v *values) kind(s valueSchema) string {
	s = v.resolved(s)
	var kinds []string
	switch either := slices.Concat(s.OneOf, s.AnyOf); {
	case len(s.Enum) > 0:
		return "`" + strings.Join(s.Enum, "`, `") + "`"
	case len(either) > 0:
		for _, one := range either {
			kinds = append(kinds, v.kind(one))
		}
		return strings.Join(kinds, ", or ")
	case s.Items != nil:
		return "list of " + plural.ReplaceAllString(v.kind(*s.Items), "${0}s")
	case json.Unmarshal(s.Type, &kinds) == nil: // several types
		return strings.Join(kinds, " or ")
	}
	kind := strings.Trim(string(s.Type), `"`)
	if bounds := between(s.Minimum, s.Maximum, ""); bounds != "" {
		kind += ", " + strings.TrimSpace(bounds)
	}
	if kind == "object" && bytes.HasPrefix(s.Additional, []byte("{")) {
		return "map of strings"
	}
	return kind
}

var plural = regexp.MustCompile(`\b(?:string|object|integer)\b`)

// flow is a value in one line.
func flow(value *yamlv3.Node) (string, error) {
	plain := *value
	strip(&plain)
	plain.Style = yamlv3.FlowStyle
	if value.Kind == yamlv3.ScalarNode {
		plain.Style = value.Style
	}
	content, err := yamlv3.Marshal(&plain)
	if err != nil {
		return "", err
	}
	return strings.Join(strings.Fields(string(content)), " "), nil
}

// strip takes comments off, which would end the line.
func strip(node *yamlv3.Node) {
	node.HeadComment, node.LineComment, node.FootComment = "", "", ""
	for i, child := range node.Content {
		plain := *child
		strip(&plain)
		node.Content[i] = &plain
	}
}
