package lifecycle

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestTheLastFilterLetsItsSecretGo(t *testing.T) {
	noKind := &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "vpcmirror.io", Kind: "MirrorSession"}, SearchedVersions: []string{"v1alpha1"}}
	for name, c := range map[string]struct {
		listing error
		guarded bool
	}{
		"when the definition of sessions is gone, and all of them with it": {noKind, false},
		"and not while sessions can't be listed":                           {errors.New("the API server is busy"), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := runtime.NewScheme()
			if err := errors.Join(clientgoscheme.AddToScheme(s), v1alpha1.AddToScheme(s)); err != nil {
				t.Fatal(err)
			}
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "keys", Finalizers: []string{v1alpha1.SecretFinalizer}}}
			last := filter()
			last.Finalizers, last.Spec.CredentialsRef = []string{v1alpha1.Finalizer, v1alpha1.CredentialsFinalizer}, &v1alpha1.SecretReference{Name: "keys"}
			server := fake.NewClientBuilder().WithScheme(s).WithObjects(secret, last).WithStatusSubresource(last).WithInterceptorFuncs(interceptor.Funcs{
				List: func(ctx context.Context, to client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
					if _, sessions := list.(*v1alpha1.MirrorSessionList); sessions {
						return c.listing
					}
					return to.List(ctx, list, o...)
				},
			}).Build()
			services, _ := newTestServices()
			options := services.Options
			options.Client, options.Reader = server, server
			services = New(options)
			if err := server.Get(t.Context(), client.ObjectKeyFromObject(last), last); err != nil {
				t.Fatal(err)
			}
			if err := services.NewScope(last).letGo(t.Context()); (err != nil) != c.guarded {
				t.Errorf("letting go: %v", err)
			}
			if err := server.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
				t.Fatal(err)
			}
			if guarded := len(secret.Finalizers) > 0; guarded != c.guarded {
				t.Errorf("the Secret has the finalizers %v", secret.Finalizers)
			}
		})
	}
}
