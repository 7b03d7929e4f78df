package integration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/integration/harness"
)

// guarded waits until the Secret has our finalizer, or has it no more.
func guarded(t *testing.T, w *harness.World, name string, want bool) {
	t.Helper()
	_ = harness.Poll(t, fmt.Sprintf("the Secret %s has the finalizer: %t", name, want), func() *corev1.Secret {
		s := named(w, name)
		if err := w.Get(s); err != nil {
			t.Fatal(err)
		}
		return s
	}, func(s *corev1.Secret) bool {
		return controllerutil.ContainsFinalizer(s, v1alpha1.SecretFinalizer) == want
	})
}

func named(w *harness.World, name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
}

// use lets an object name another Secret.
func use(w *harness.World, o status.Object, secret string) {
	harness.Change(w, o, func(o status.Object) { o.Cloud().CredentialsRef = &v1alpha1.SecretReference{Name: secret} })
}

// switched waits until the status notes the Secret.
func switched(w *harness.World, o status.Object, secret string) {
	harness.Until(w, o, "it uses the Secret "+secret, func(o status.Object) bool { return o.Common().SecretName == secret })
}

func TestASecretIsGuardedBeforeAnythingIsMadeInTheCloud(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	var tooEarly atomic.Int64
	w.Start(harness.WithClient(func(c client.Client) client.Client {
		return watched{c, func() {
			if len(w.Cloud.Journal.Writes(0)) > 0 {
				tooEarly.Add(1)
			}
		}}
	}))
	w.Pair("guarded")
	guarded(t, w, harness.SecretName, true)
	if n := tooEarly.Load(); n > 0 {
		t.Errorf("the cloud had been asked to change something when the Secret was guarded (%d times)", n)
	}
}

// watched calls a function before each patch of a Secret.
type watched struct {
	client.Client
	before func()
}

func (c watched) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if _, ok := o.(*corev1.Secret); ok {
		c.before()
	}
	return c.Client.Patch(ctx, o, patch, opts...)
}

func TestASecretIsKeptWhileAnyObjectNeedsItAndFreeAfterTheLast(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]string{
		"the filter last":        {"copies", "second", "rules"},
		"a session last":         {"second", "copies", "rules"},
		"the filter asked first": {"rules", "copies", "second"},
		"a retained one last":    {"copies", "rules", "second"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			filter, session, second := w.Filter("rules"), w.Session("copies", "rules"), w.Session("second", "rules")
			if name == "a retained one last" {
				second.Spec.DeletionPolicy, filter.Spec.DeletionPolicy = v1alpha1.DeletionRetain, v1alpha1.DeletionRetain
			}
			objects := map[string]status.Object{"rules": filter, "copies": session, "second": second}
			for _, o := range objects {
				w.Create(o)
			}
			for _, o := range objects {
				harness.Ready(w, o)
			}
			w.Delete(named(w, harness.SecretName))
			for i, one := range order {
				guarded(t, w, harness.SecretName, true)
				w.Delete(objects[one])
				if one != "rules" {
					w.Gone(objects[one])
				}
				if i == 0 {
					harness.ReconcileNow[status.Object](w, objects[order[1]])
				}
			}
			w.Gone(filter)
			w.Gone(named(w, harness.SecretName))
		})
	}
}

func TestASecretIsFreedWhenAllThatNeedItGoAtOnce(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	for round := range 12 {
		secret := fmt.Sprintf("round-%d", round)
		w.Create(w.Secret(secret))
		var objects []status.Object
		for i := range 3 {
			name := fmt.Sprintf("o-%d-%d", round, i)
			filter, session := w.Filter(name), w.Session(name, name)
			for _, o := range []status.Object{filter, session} {
				o.Cloud().CredentialsRef.Name = secret
				w.Create(o)
				objects = append(objects, o)
			}
		}
		for _, o := range objects {
			harness.Ready(w, o)
		}
		all := []client.Object{named(w, secret)} // as a namespace is emptied: the Secret may come first
		for _, o := range objects {
			all = append(all, o)
		}
		done := make(chan error, len(all))
		for _, o := range all {
			go func() { done <- w.Cluster.Client.Delete(t.Context(), o) }()
		}
		for range all {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		for _, o := range slices.Backward(all) {
			w.Gone(o)
		}
	}
	w.Holds(harness.Content{})
}

func TestASecretThatNobodyNamesAnyMoreIsFreed(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("switching")
	before := w.Content()
	secrets := []string{"first", "second"}
	for _, s := range secrets {
		w.Create(w.Secret(s))
	}
	// One after the other: the old one is kept until the last has gone over.
	use(w, session, "first")
	switched(w, session, "first")
	guarded(t, w, "first", true)
	guarded(t, w, harness.SecretName, true)
	use(w, filter, "first")
	switched(w, filter, "first")
	guarded(t, w, harness.SecretName, false)

	// Both at once, again and again.
	for round := range 20 {
		from, to := secrets[round%2], secrets[(round+1)%2]
		use(w, filter, to)
		use(w, session, to)
		switched(w, filter, to)
		switched(w, session, to)
		guarded(t, w, from, false)
		guarded(t, w, to, true)
	}
	w.Holds(before)
}

func TestASecretThatWasMadeAnewIsGuardedAgain(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("again")
	secret := named(w, harness.SecretName)
	w.Delete(secret)
	harness.ReconcileNow(w, session)
	w.EventSays(session, "SecretDeleting", "the Secret huawei-cloud is being deleted, and stays until no object needs it: name another in spec.credentialsRef, or delete this object")
	harness.Change(w, secret, func(s *corev1.Secret) { s.Finalizers = nil }) // by force
	w.Gone(secret)
	harness.ReconcileNow(w, session)
	harness.Because(w, session, v1alpha1.ReasonCredentialsNotFound, "huawei-cloud does not exist")
	w.Create(w.Secret(harness.SecretName))
	harness.ReconcileNow(w, session)
	guarded(t, w, harness.SecretName, true)
	w.Delete(session)
	w.Gone(session)
	w.Delete(filter)
	w.Gone(filter)
	guarded(t, w, harness.SecretName, false)
}

func TestSomebodyElsesFinalizerOnASecretIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	harness.Change(w, named(w, harness.SecretName), func(s *corev1.Secret) { s.Finalizers = []string{"example.com/guard"} })
	filter, session := w.Pair("shared")
	guarded(t, w, harness.SecretName, true)
	w.Delete(session)
	w.Gone(session)
	w.Delete(filter)
	w.Gone(filter)
	secret := named(w, harness.SecretName)
	if err := w.Get(secret); err != nil {
		t.Fatal(err)
	}
	harness.Same(t, "the finalizers", []string{"example.com/guard"}, secret.Finalizers)
}

// stops fails all patches from the first one that takes the last of our finalizers off an
// object: the manager gets no further.
type stops struct {
	client.Client
	at *atomic.Bool
}

var errStopped = errors.New("the manager stopped here")

func (c stops) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
	_, secret := o.(*corev1.Secret)
	if !secret && !o.GetDeletionTimestamp().IsZero() && !sets.New(o.GetFinalizers()...).Has(v1alpha1.CredentialsFinalizer) {
		c.at.Store(true)
		return errStopped
	}
	return c.Client.Patch(ctx, o, patch, opts...)
}

func TestAManagerThatStoppedAfterItFreedTheSecretIsFollowedByOneThatEnds(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	var stopped atomic.Bool
	first := w.Start(harness.WithClient(func(c client.Client) client.Client { return stops{c, &stopped} }))
	filter := w.Filter("alone")
	w.Create(filter)
	harness.Ready(w, filter)
	secret := named(w, harness.SecretName)
	w.Delete(secret)
	w.Delete(filter)
	w.Gone(secret)
	harness.Poll(t, "the manager gets as far as the object's finalizer", stopped.Load, func(at bool) bool { return at })
	first.Stop(w)
	w.Holds(harness.Content{})

	w.Start() // it never saw the Secret
	w.Gone(filter)
}
