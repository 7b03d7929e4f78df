package manifests_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/env"
)

// lenient takes from a schema all that refuses values.
func lenient(s *apiextensionsv1.JSONSchemaProps) {
	s.XValidations, s.MaxLength, s.MinLength, s.MaxItems, s.Enum, s.Required = nil, nil, nil, nil, nil, nil
	for name, p := range s.Properties {
		lenient(&p)
		s.Properties[name] = p
	}
	if s.Items != nil && s.Items.Schema != nil {
		lenient(s.Items.Schema)
	}
}

// definition is that of a kind of ours in a group of the test's own.
func definition(t *testing.T, kind, group string, schema apiextensionsv1.JSONSchemaProps) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	singular := strings.ToLower(kind)
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: singular + "s." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: singular + "s", Singular: singular, Kind: kind, ListKind: kind + "List"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1alpha1", Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema:       &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &schema},
			}},
		},
	}
}

func eventually(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, last)
	}
}

func TestWhatWasStoredBeforeARuleCameCanBeChangedElsewhere(t *testing.T) {
	cluster := env.Start(t)
	namespace := cluster.Namespace(t)
	schema := env.Schema(t, "mirrorfilters")
	lax := *schema.DeepCopy()
	spec := lax.Properties["spec"]
	lenient(&spec)
	lax.Properties["spec"] = spec
	crd := definition(t, "MirrorFilter", "former.example.com", lax)
	if err := cluster.Client.Create(t.Context(), crd); err != nil {
		t.Fatal(err)
	}
	stored := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "former.example.com/v1alpha1", "kind": "MirrorFilter", "metadata": map[string]any{"namespace": namespace, "name": "old"},
		"spec": map[string]any{
			"cloudName": "my filter", "deletionPolicy": "Orphan", "credentialsRef": map[string]any{"name": "Not_A_Name"},
			"rules": []any{map[string]any{
				"direction": "Both", "priority": int64(0), "action": "Drop", "source": map[string]any{}, "destination": map[string]any{"cidr": "10.0.0.1/8"},
			}},
		},
	}}
	eventually(t, "storing what nothing refuses yet", func(ctx context.Context) error { return cluster.Client.Create(ctx, stored.DeepCopy()) })
	before := crd.DeepCopy()
	crd.Spec.Versions[0].Schema.OpenAPIV3Schema = &schema
	if err := cluster.Client.Patch(t.Context(), crd, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rules are in force", func(ctx context.Context) error {
		another := stored.DeepCopy()
		another.SetName("new")
		if err := cluster.Client.Create(ctx, another, client.DryRunAll); !apierrors.IsInvalid(err) {
			return fmt.Errorf("a new one gives %w", err)
		}
		return nil
	})

	patch := func(text string, options ...client.PatchOption) error {
		return cluster.Client.Patch(t.Context(), stored.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(text)), options...)
	}
	for what, text := range map[string]string{
		"a label":          `{"metadata":{"labels":{"a":"b"}}}`,
		"our finalizer":    `{"metadata":{"finalizers":["vpcmirror.io/cloud"]}}`,
		"another field":    `{"spec":{"suspend":true}}`,
		"what is mended":   `{"spec":{"cloudName":"my-filter"}}`,
		"all of the rules": `{"spec":{"rules":[]}}`,
	} {
		if err := patch(text, client.DryRunAll); err != nil {
			t.Errorf("%s can't be changed: %v", what, err)
		}
	}
	status := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"ruleCount":1}}`))
	if err := cluster.Client.Status().Patch(t.Context(), stored.DeepCopy(), status); err != nil {
		t.Errorf("the status can't be written: %v", err)
	}
	if err := patch(`{"spec":{"cloudName":"my other filter"}}`, client.DryRunAll); !apierrors.IsInvalid(err) {
		t.Errorf("one wrong value may be changed into another: %v", err)
	}
}
