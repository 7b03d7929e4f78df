//go:build !oldest

package integration_test

import (
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestASecretThatSuddenlyNamesAnotherAccountTouchesNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*harness.World, *sim.Sim) map[string][]byte{
		"another project": func(w *harness.World, _ *sim.Sim) map[string][]byte { return w.OtherSecret("x").Data },
		"another cloud": func(w *harness.World, other *sim.Sim) map[string][]byte {
			data := w.Secret("x").Data
			data["endpoint"] = []byte(other.URL)
			return data
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, other := harness.New(t), sim.ForTest(t)
			w.Start(harness.WithEndpoints(other.URL))
			filter, session := w.Pair("bound")
			want, asked := w.Content(), w.Cloud.Journal.Last()
			before := w.Content()

			secret := w.Secret(harness.SecretName)
			right := maps.Clone(secret.Data)
			harness.Change(w, secret, func(s *corev1.Secret) { s.Data = change(w, other) })
			for _, edit := range []func(){
				func() {
					harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = append(f.Spec.Rules, harness.Rule(2)) })
				},
				func() { harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(9)) }) },
			} {
				edit()
			}
			harness.Because(w, filter, v1alpha1.ReasonAccountChanged, scenario.WalkthroughProject, w.Cloud.URL, "nothing was touched")
			harness.Because(w, session, v1alpha1.ReasonAccountChanged, scenario.WalkthroughProject, w.Cloud.URL, "nothing was touched")
			harness.Same(t, "the account in the status", account(w), filter.Status.Account)

			// Deletion touches nothing either.
			w.Delete(session)
			harness.Until(w, session, "held", func(s *v1alpha1.MirrorSession) bool {
				return strings.Contains(s.Status.Conditions[0].Message, "set spec.deletionPolicy to Retain")
			})
			harness.Same(t, "what was written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(asked)))
			harness.Same(t, "what was written to the other cloud", []string{}, harness.Operations(other.Journal.Writes(0)))
			w.Holds(before)

			// The old credentials heal everything.
			harness.Change(w, secret, func(s *corev1.Secret) { s.Data = right })
			harness.ReconcileNow(w, filter)
			harness.Ready(w, filter)
			w.RequestReconcile(session)
			w.Gone(session)
			rule := harness.CloudRule(2)
			rule.FilterID = filter.Status.ID
			want.Sessions, want.Rules = nil, append(want.Rules, rule)
			w.Holds(want)
		})
	}
}

func TestASessionWhoseFilterLivesInAnotherAccountIsNotMade(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	w.Create(w.OtherSecret("other"))
	filter := w.Filter("elsewhere", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = "other" })
	w.Create(filter)
	harness.Ready(w, filter)
	session := w.Session("here", "elsewhere")
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonAccountMismatch, `"elsewhere"`, "same credentials")
	harness.Same(t, "the sessions", 0, len(w.Content().Sessions))
}

func TestAWrongSecretKeyIsSaidAndShownNowhere(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	const wrong = "wrong-secret-key-that-nobody-may-see"
	secret := w.Secret("wrong")
	secret.Data["secretKey"] = []byte(wrong)
	w.Create(secret)
	m := w.Start()
	filter := w.Filter("refused", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = "wrong" })
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonAuthenticationFailed,
		"refused the signature", "check the access key, the secret key", "clock", "endpoint and region")
	w.EventSays(filter, v1alpha1.ReasonAuthenticationFailed, "refused the signature")

	shown := m.Log.String() + strings.Join(w.Events(filter, v1alpha1.ReasonAuthenticationFailed), "\n") + harness.Text(filter)
	for _, key := range []string{wrong, scenario.WalkthroughAccessKey} {
		if strings.Contains(shown, key) {
			t.Errorf("log, events or status show %q", key)
		}
	}
	if m.Log.String() == "" {
		t.Error("the manager logged nothing")
	}

	harness.Change(w, secret, func(s *corev1.Secret) { s.Data["secretKey"] = []byte(scenario.WalkthroughSecretKey) })
	harness.ReconcileNow(w, filter)
	harness.Ready(w, filter)
	if shown := m.Log.String(); strings.Contains(shown, scenario.WalkthroughSecretKey) || strings.Contains(shown, scenario.WalkthroughAccessKey) {
		t.Error("the log shows a key")
	}
}

func TestAnObjectWhoseKeyWasAlwaysRefusedGoesWithoutTheCloud(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	secret := w.Secret("wrong")
	secret.Data["secretKey"] = []byte("refused")
	w.Create(secret)
	m := w.Start()
	// Another object of the account has read the cloud already, with the right key.
	filter, session := w.Pair("served")
	refused := w.Filter("refused", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = "wrong" })
	w.Create(refused)
	harness.Because(w, refused, v1alpha1.ReasonAuthenticationFailed)
	if refused.Status.Account != nil {
		t.Errorf("it is bound to %+v, where nothing of it is", refused.Status.Account)
	}
	late := w.Session("late", "served")
	late.Spec.CredentialsRef.Name = "wrong"
	w.Create(late)
	harness.Because(w, late, v1alpha1.ReasonAuthenticationFailed)
	if late.Status.Target != nil || late.Status.Sources != nil {
		t.Errorf("a refused key shows interfaces: %+v", late.Status)
	}
	m.Stop(w)
	w.Delete(late)
	w.Delete(refused)
	w.Start() // it has nothing in memory, and meets them as they go
	w.Gone(late)
	w.Gone(refused)
	harness.Ready(w, filter)
	harness.Ready(w, session)
}

func TestWhatIsWrongWithASecretIsSaidWithTheRemedy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit   func(*corev1.Secret)
		reason string
		words  []string
	}{
		"no secret key": {
			func(s *corev1.Secret) { delete(s.Data, "secretKey") }, v1alpha1.ReasonCredentialsNotFound,
			[]string{"has no key secretKey", "add it"},
		},
		"no region": {
			func(s *corev1.Secret) { delete(s.Data, "region") }, v1alpha1.ReasonInvalidCredentials,
			[]string{"the region is missing", "spec.region"},
		},
		"an endpoint that is none": {
			func(s *corev1.Secret) { s.Data["endpoint"] = []byte("vpc.example") }, v1alpha1.ReasonEndpointNotAllowed,
			[]string{"endpoint", "http", "--allowed-endpoints"},
		},
		"a project of somebody else": {
			func(s *corev1.Secret) { s.Data["projectID"] = []byte(scenario.WalkthroughOtherProject) }, v1alpha1.ReasonPermissionDenied,
			[]string{"the project does not belong to these keys", "check projectID"},
		},
		"nobody at the endpoint": {
			func(s *corev1.Secret) { s.Data["endpoint"] = []byte("http://127.0.0.1:1") }, v1alpha1.ReasonCloudUnavailable,
			[]string{"no connection to http://127.0.0.1:1", "connection refused"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start(harness.WithEndpoints("http://127.0.0.1:1"))
			secret := w.Secret("broken")
			c.edit(secret)
			w.Create(secret)
			filter := w.Filter("unserved", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = "broken" })
			w.Create(filter)
			harness.Because(w, filter, c.reason, c.words...)
			w.Holds(harness.Content{})
			if c.reason == v1alpha1.ReasonCredentialsNotFound || c.reason == v1alpha1.ReasonInvalidCredentials || c.reason == v1alpha1.ReasonEndpointNotAllowed {
				w.Delete(filter) // nothing is in the cloud, so it needs no credentials to go
				w.Gone(filter)
			}
		})
	}
}

func TestAMissingSecretIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter := w.Filter("unserved", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = "missing" })
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonCredentialsNotFound, w.Namespace+"/missing does not exist", "create it with the keys accessKey and secretKey")
	w.Create(w.Secret("missing"))
	harness.ReconcileNow(w, filter)
	harness.Ready(w, filter)
}

func TestWithoutASecretAndWithoutOwnCredentialsTheWayIsSaid(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter := w.Filter("unserved", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef = nil })
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonCredentialsNotFound, "spec.credentialsRef names no Secret", "name a Secret in namespace "+w.Namespace)
}

func TestDeletionPolicy(t *testing.T) {
	t.Parallel()
	retain := func(o client.Object) {
		switch o := o.(type) {
		case *v1alpha1.MirrorFilter:
			o.Spec.DeletionPolicy = v1alpha1.DeletionRetain
		case *v1alpha1.MirrorSession:
			o.Spec.DeletionPolicy = v1alpha1.DeletionRetain
		}
	}
	t.Run("Retain leaves everything in the cloud as it is, but takes the mark off", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		filter, session := w.Pair("retained")
		want := w.Content()
		for _, o := range []client.Object{session, filter} {
			harness.Change(w, o, retain)
			w.Delete(o)
			w.Gone(o)
		}
		want.Filters[0].Description = w.Mark(filter).Released("")
		want.Sessions[0].Description = w.Mark(session).Released("")
		w.Holds(want)
	})
	t.Run("Retain lets an object go whose Secret is gone for good", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		first := w.Start()
		_, session := w.Pair("stuck")
		first.Stop(w)
		want := w.Content()
		secret := w.Secret(harness.SecretName)
		w.Delete(secret)
		harness.Change(w, secret, func(s *corev1.Secret) { s.Finalizers = nil }) // by force
		w.Gone(secret)
		w.Delete(session)
		w.Start() // it never sees the Secret

		harness.Until(w, session, "the way out", func(s *v1alpha1.MirrorSession) bool {
			m := s.Status.Conditions[0].Message
			return strings.Contains(m, "huawei-cloud does not exist") && strings.Contains(m, "set spec.deletionPolicy to Retain")
		})
		harness.Change(w, session, func(s *v1alpha1.MirrorSession) { retain(s) })
		w.Gone(session)
		w.Holds(want)
	})
	t.Run("a suspended object is deleted from the cloud too", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		filter, session := w.Pair("suspended")
		harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true })
		harness.Because(w, session, v1alpha1.ReasonSuspended)
		w.Delete(session)
		w.Gone(session)
		w.Delete(filter)
		w.Gone(filter)
		w.Holds(harness.Content{})
	})
	t.Run("what is gone from the cloud already does not keep an object", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		filter, session := w.Pair("gone")
		if err := w.Cloud.State.DeleteSession(scenario.WalkthroughProject, session.Status.Sessions[0].ID); err != nil {
			t.Fatal(err)
		}
		if err := w.Cloud.State.DeleteFilter(scenario.WalkthroughProject, filter.Status.ID); err != nil {
			t.Fatal(err)
		}
		w.Delete(session)
		w.Gone(session)
		w.Delete(filter)
		w.Gone(filter)
	})
	t.Run("somebody else's finalizer is left alone", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		filter := w.Filter("guarded", func(f *v1alpha1.MirrorFilter) { f.Finalizers = []string{"example.com/guard"} })
		w.Create(filter)
		harness.Ready(w, filter)
		w.Delete(filter)
		harness.Until(w, filter, "our finalizer is gone", func(f *v1alpha1.MirrorFilter) bool {
			return len(f.Finalizers) == 1 && f.Finalizers[0] == "example.com/guard"
		})
		w.Holds(harness.Content{})
		harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Finalizers = nil })
		if err := w.Get(filter); !apierrors.IsNotFound(err) {
			t.Errorf("reading it gives %v, want NotFound", err)
		}
	})
}
