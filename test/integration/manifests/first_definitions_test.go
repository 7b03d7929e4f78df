package manifests_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/test/env"
)

// firstSchema is what the definition of the chart that was first says of a kind, by its plural.
func firstSchema(t *testing.T, plural string) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	file, err := os.Open("../upgrade/testdata/vpcmirror-0.1.0.tgz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(unpacked); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("that chart has no definition of %s", plural)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(header.Name, "/vpcmirror.io_"+plural+".yaml") {
			continue
		}
		content, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &definition); err != nil {
			t.Fatal(err)
		}
		return *definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
}

// stored is an object that the first definitions took and today's refuse, and what becomes of changes of it: nothing
// where they are taken, else the field that is at fault.
type stored struct {
	kind, spec string
	changes    map[string]string
}

// A list that is changed has to be right as a whole: its elements have no names by which an old one could be known.
var storedFirst = map[string]stored{
	"a node that is source and target": {"MirrorSession", `{filterRef: {name: f}, sources: [{nodeName: b}, {nodeName: c}], target: {nodeName: b}}`, map[string]string{
		`{sources: [{nodeName: c}, {nodeName: b}, {nodeName: d}]}`: "",
		`{target: {nodeName: d}}`:                                  "",
		`{sources: [{nodeName: c}]}`:                               "",
		`{target: {nodeName: c}}`:                                  "spec.target",
	}},
	"names that no node, filter and Secret can have": {"MirrorSession", `{credentialsRef: {name: My_Secret}, filterRef: {name: My_Filter}, sources: [{nodeName: Node A}, {nodeName: c}], target: {nodeName: Node B}}`, map[string]string{
		`{target: {nodeName: d}}`:                     "",
		`{sources: [{nodeName: c}]}`:                  "",
		`{vni: 7}`:                                    "",
		`{filterRef: {name: f}}`:                      "",
		`{sources: [{nodeName: Node A}]}`:             "spec.sources[0].nodeName",
		`{sources: [{nodeName: d}, {nodeName: b c}]}`: "spec.sources[1].nodeName",
	}},
	"ends of a rule that say nothing": {"MirrorFilter", `{rules: [{direction: Ingress, priority: 1, action: Accept, source: {}}, {direction: Egress, priority: 1, action: Accept, destination: {}}]}`, map[string]string{
		`{cloudName: f}`: "",
		`{rules: [{direction: Ingress, priority: 1, action: Accept}]}`:             "",
		`{rules: [{direction: Ingress, priority: 2, action: Accept, source: {}}]}`: "spec.rules[0].source",
	}},
}

func TestWhatTheFirstDefinitionsTookCanBeChangedElsewhereUnderTodays(t *testing.T) {
	cluster := env.Start(t)
	namespace := cluster.Namespace(t)
	const group = "first.example.com"
	crds := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, kind := range []string{"MirrorFilter", "MirrorSession"} {
		crds[kind] = definition(t, kind, group, firstSchema(t, strings.ToLower(kind)+"s"))
		if err := cluster.Client.Create(t.Context(), crds[kind]); err != nil {
			t.Fatal(err)
		}
	}
	objects := map[string]*unstructured.Unstructured{}
	for name, s := range storedFirst {
		u := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": group + "/v1alpha1", "kind": s.kind, "metadata": map[string]any{"namespace": namespace, "name": strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(name), " ", "-"), ",", "")},
		}}
		var spec map[string]any
		if err := yaml.Unmarshal([]byte(s.spec), &spec); err != nil {
			t.Fatal(err)
		}
		u.Object["spec"] = spec
		eventually(t, "storing "+name, func(ctx context.Context) error { return cluster.Client.Create(ctx, u.DeepCopy()) })
		objects[name] = u
	}
	for kind, crd := range crds {
		before := crd.DeepCopy()
		schema := env.Schema(t, strings.ToLower(kind)+"s")
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema = &schema
		if err := cluster.Client.Patch(t.Context(), crd, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	for name, s := range storedFirst {
		eventually(t, "today's rules are in force", func(ctx context.Context) error {
			another := objects[name].DeepCopy()
			another.SetName("another")
			if err := cluster.Client.Create(ctx, another, client.DryRunAll); !apierrors.IsInvalid(err) {
				return fmt.Errorf("a new one gives %w", err)
			}
			return nil
		})
		t.Run(name, func(t *testing.T) { changedElsewhere(t, cluster.Client, objects[name], s) })
	}
}

func changedElsewhere(t *testing.T, c client.Client, u *unstructured.Unstructured, s stored) {
	t.Helper()
	patch := func(change string) error {
		text, err := yaml.YAMLToJSON([]byte(change))
		if err != nil {
			t.Fatal(err)
		}
		return c.Patch(t.Context(), u.DeepCopy(), client.RawPatch("application/merge-patch+json", text), client.DryRunAll)
	}
	for _, change := range []string{
		`{spec: {suspend: true}}`, `{spec: {description: d}}`, `{metadata: {finalizers: [vpcmirror.io/cloud]}}`, `{metadata: {labels: {a: b}}}`,
	} {
		if err := patch(change); err != nil {
			t.Errorf("%s: %v", change, err)
		}
	}
	for change, field := range s.changes {
		err := patch("spec: " + change)
		if field == "" && err != nil || field != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), " "+field+": ")) {
			t.Errorf("%s is answered with %v, want a fault at %q", change, err, field)
		}
	}
	status := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"observedGeneration":1}}`))
	if err := c.Status().Patch(t.Context(), u.DeepCopy(), status); err != nil {
		t.Errorf("the status can't be written: %v", err)
	}
}
