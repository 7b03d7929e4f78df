package lifecycle

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
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
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/status"
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
			if err := services.NewScope(t.Context(), last).letGo(t.Context()); (err != nil) != c.guarded {
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

// refusing is a kind whose calls end with an error.
type refusing struct {
	Kind
	err error
}

func (k refusing) Sync(context.Context) error { return k.err }

func TestAKeyThatIsRefusedIsWrongOnlyIfItsSecretHasNoOther(t *testing.T) {
	s := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(s), v1alpha1.AddToScheme(s)); err != nil {
		t.Fatal(err)
	}
	healthy := func() *v1alpha1.MirrorFilter {
		f := filter()
		f.Finalizers, f.Spec.CredentialsRef = []string{v1alpha1.Finalizer, v1alpha1.CredentialsFinalizer}, &v1alpha1.SecretReference{Name: "keys"}
		f.Status.SecretName, f.Status.Account = "keys", &v1alpha1.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}
		status.Synced(f, "")
		return f
	}
	asked := func(f *v1alpha1.MirrorFilter) {
		f.Annotations = map[string]string{v1alpha1.ReconcileRequestedAnnotation: "now"}
	}
	refused, away := &cloud.Error{Class: cloud.ClassAuthentication, HTTPStatus: 401}, &cloud.Error{Class: cloud.ClassServer}
	for name, c := range map[string]struct {
		edit    func(*v1alpha1.MirrorFilter)
		rotated bool
		err     error
		want    error
	}{
		"it has another":                       {nil, true, refused, errOutdated},
		"it has no other":                      {nil, false, refused, refused},
		"it was read for this reconcile":       {asked, true, refused, refused},
		"it is not the key that is wrong":      {nil, true, away, away},
		"it is a right, and it has another":    {nil, true, &cloud.Error{Class: cloud.ClassPermission}, errOutdated},
		"nothing is refused, and it has other": {nil, true, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "keys", Finalizers: []string{v1alpha1.SecretFinalizer}}}
			f := healthy()
			server := fake.NewClientBuilder().WithScheme(s).WithObjects(secret, f).WithStatusSubresource(f).Build()
			services, _ := newTestServices()
			options := services.Options
			options.Client, options.Reader, options.Clients = server, server, &secrets{client: accountOnly{account: cloud.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}}}
			now := noon
			options.Clock = func() time.Time {
				now = now.Add(1) // time passes between two readings
				return now
			}
			services = New(options)
			same(t, "the first look", error(nil), services.NewScope(t.Context(), f).sync(t.Context(), refusing{}), cmpopts.EquateErrors())
			if c.edit != nil {
				c.edit(f)
			}
			if c.rotated {
				secret.Data = map[string][]byte{"accessKey": []byte("another")}
				if err := server.Update(t.Context(), secret); err != nil {
					t.Fatal(err)
				}
			}
			if c.edit != nil {
				c.edit(f)
			}
			same(t, "the second look", c.want, services.NewScope(t.Context(), f).sync(t.Context(), refusing{err: c.err}), cmpopts.EquateErrors())
		})
	}
}
