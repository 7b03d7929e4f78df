// Command reference writes the reference of the API, in Markdown, to standard output:
// every field as the CustomResourceDefinitions have it, and every condition and reason
// as the comments of the API's Go package explain them.
//
//	reference DEFINITIONS PACKAGE    such as: reference config/crd/bases api/v1alpha1
//	reference --remedies PACKAGE     the remedies as Go, for that package
//	reference --causes CATALOGUE PACKAGE    the causes of the catalogue and the reasons, in Markdown
//	reference --values CHART         the values of the chart, in Markdown
//	reference --metrics FOLDER...    the metrics that the Go sources there declare, in Markdown
//	reference --alerts RULES RUNBOOKS    the alerts of a rules file, each with its runbook, in Markdown
//
// It fails when a reason has no meaning or no remedy. hack/generate calls it.
//
// It may import nothing of ours.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	usage := "usage: reference DEFINITIONS PACKAGE, the folders of the CustomResourceDefinitions and of their Go types; " +
		"or --remedies PACKAGE, --causes CATALOGUE PACKAGE, --values CHART, --metrics FOLDER..., --alerts RULES RUNBOOKS"
	err := errUsage
	switch args := os.Args[1:]; {
	case len(args) == 2 && args[0] == "--remedies":
		err = writeRemedies(os.Stdout, args[1])
	case len(args) == 3 && args[0] == "--causes":
		err = writeCauses(os.Stdout, args[1], args[2])
	case len(args) == 3 && args[0] == "--alerts":
		err = writeAlerts(os.Stdout, args[1], args[2])
	case len(args) == 2 && args[0] == "--values":
		err = writeValues(os.Stdout, args[1])
	case len(args) >= 2 && args[0] == "--metrics":
		err = writeMetrics(os.Stdout, args[1:]...)
	case len(args) == 2:
		err = write(os.Stdout, args[0], args[1])
	}
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("the arguments are none that there are")

func write(out io.Writer, definitions, pkg string) error {
	kinds, err := readDefinitions(definitions)
	if err != nil {
		return err
	}
	constants, err := readConstants(pkg)
	if err != nil {
		return err
	}
	text, err := document(kinds, constants)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	return nil
}

// readDefinitions reads the definitions of a folder, by name of their kind.
func readDefinitions(folder string) ([]apiextensionsv1.CustomResourceDefinition, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("look for definitions: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no definitions", folder)
	}
	var kinds []apiextensionsv1.CustomResourceDefinition
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read a definition: %w", err)
		}
		var kind apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &kind); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if len(kind.Spec.Versions) != 1 {
			return nil, fmt.Errorf("%s has %d versions, and the reference is for one", name, len(kind.Spec.Versions))
		}
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b apiextensionsv1.CustomResourceDefinition) int {
		return strings.Compare(a.Spec.Names.Kind, b.Spec.Names.Kind)
	})
	return kinds, nil
}

// document is the whole reference.
func document(kinds []apiextensionsv1.CustomResourceDefinition, constants *constants) (string, error) {
	if err := constants.check(); err != nil {
		return "", err
	}
	first := kinds[0].Spec
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Written by hack/reference from the definitions and the comments of this folder: change it there, then make generate. -->\n\n")
	fmt.Fprintf(&b, "# Reference of %s/%s\n\n", first.Group, first.Versions[0].Name)
	for _, kind := range kinds {
		name := kind.Spec.Names.Kind
		fmt.Fprintf(&b, "[%s](#%s) · ", name, strings.ToLower(name))
	}
	b.WriteString("[conditions](#conditions) · [reasons](#reasons) · [names on objects](#names-on-objects)\n\n")
	fmt.Fprintf(&b, "The same is in every cluster that has the definitions: `kubectl explain %s.spec`. What \"bounds\" says is checked by the\n"+
		"API server, which refuses the rest with that sentence. Manifests to begin with are in [config/samples](../../config/samples).\n",
		first.Names.Singular)
	seen := map[string]string{}
	for _, kind := range kinds {
		writeKind(&b, kind.Spec, seen)
	}
	constants.write(&b)
	return b.String(), nil
}

// writeKind writes the chapter of one kind.
func writeKind(b *strings.Builder, spec apiextensionsv1.CustomResourceDefinitionSpec, seen map[string]string) {
	version := spec.Versions[0]
	schema := version.Schema.OpenAPIV3Schema
	fmt.Fprintf(b, "\n## %s\n\n%s Short name `%s`, category `%s`.\n\n", spec.Names.Kind, prose(schema.Description),
		strings.Join(spec.Names.ShortNames, "`, `"), strings.Join(spec.Names.Categories, "`, `"))
	fmt.Fprintf(b, "| column of `kubectl get %s` | what it shows |\n| --- | --- |\n", spec.Names.ShortNames[0])
	for _, column := range version.AdditionalPrinterColumns {
		wide := ""
		if column.Priority > 0 {
			wide = " (`-o wide`)"
		}
		text := prose(column.Description)
		if text == "" {
			text = "`" + strings.TrimPrefix(column.JSONPath, ".") + "`"
		}
		fmt.Fprintf(b, "| %s%s | %s |\n", strings.ToUpper(column.Name), wide, text)
	}
	for _, part := range []string{"spec", "status"} {
		fields := schema.Properties[part]
		fmt.Fprintf(b, "\n### %s %s\n\n%s\n\n", spec.Names.Kind, part, prose(fields.Description))
		if sentences := messages(fields); sentences != "" {
			fmt.Fprintf(b, "Checked over several fields:<br>%s\n\n", sentences)
		}
		b.WriteString("| field | type | default | bounds | what it is |\n| --- | --- | --- | --- | --- |\n")
		t := table{out: b, anchor: strings.ToLower(spec.Names.Kind) + "-", seen: seen}
		t.rows(part, "", fields)
	}
}
