package plan

import (
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"vpcmirror.io/operator/api/v1alpha1"
)

func wish() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "vpcmirror.io/v1alpha1", "kind": "MirrorFilter", "metadata": map[string]any{"namespace": "n", "name": "f"},
		"spec": map[string]any{"rules": []any{}},
	}}
}

// asking asks for a plan of a filter, of an API server that answers a create so; it returns what is there afterwards.
func asking(t *testing.T, create func(context.Context, client.WithWatch, client.Object, bool, ...client.CreateOption) error) (left []string, err error) {
	t.Helper()
	s := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	server := fake.NewClientBuilder().WithScheme(s).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, to client.WithWatch, o client.Object, with ...client.CreateOption) error {
			all := (&client.CreateOptions{}).ApplyOptions(with)
			return create(ctx, to, o, len(all.DryRun) > 0, with...)
		},
	}).Build()
	a := &Asker{Client: server, Timeout: time.Minute, Warn: func(s string) { t.Errorf("it warns: %s", s) }}
	_, err = a.Ask(t.Context(), []*unstructured.Unstructured{wish()})
	var all v1alpha1.MirrorFilterList
	if err := server.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for i := range all.Items {
		left = append(left, all.Items[i].Name)
	}
	return left, err
}

func TestACopyIsDeletedAlsoWhereTheAnswerToItsCreateWasLost(t *testing.T) {
	lost := errors.New("the connection was cut")
	left, err := asking(t, func(ctx context.Context, to client.WithWatch, o client.Object, dry bool, with ...client.CreateOption) error {
		if err := to.Create(ctx, o, with...); err != nil || dry {
			return err
		}
		return lost
	})
	if err == nil || err.Error() != "ask the API server for the MirrorFilter f: the connection was cut" || len(left) > 0 {
		t.Errorf("it says %v, and leaves %q", err, left)
	}
}

func TestWhatWouldBeRefusedByItsOwnNameIsNotAskedFor(t *testing.T) {
	made := 0
	left, err := asking(t, func(ctx context.Context, to client.WithWatch, o client.Object, dry bool, with ...client.CreateOption) error {
		if dry && o.GetName() == "f" {
			return apierrors.NewBadRequest("strict decoding error: unknown field \"stauts\"")
		}
		made++
		return to.Create(ctx, o, with...)
	})
	const want = `the MirrorFilter f would be refused: strict decoding error: unknown field "stauts"`
	if err == nil || err.Error() != want || made > 0 || len(left) > 0 {
		t.Errorf("it says %v, makes %d, and leaves %q", err, made, left)
	}
}
