package harness

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/env"
)

// SecretName is the Secret that every object of a World names unless an edit names another.
const SecretName = "huawei-cloud"

// World is one test's share of everything.
type World struct {
	t testing.TB
	// Cluster is shared; the namespace is the test's own.
	Cluster   *env.Cluster
	Namespace string
	// Cloud is the test's own simulated cloud.
	Cloud *sim.Sim
	// Clock is the manager's; it can be moved forward.
	Clock *Clock

	seen   map[string]*history // by kind
	byHand sync.Map            // versions whose status a test wrote
	inMark func() string       // the cluster's name in the ownership mark
	// foreign is what somebody else has made in the cloud, by ID.
	foreign map[string]foreign
}

// New makes a namespace with a Secret for a simulated cloud of the walkthrough. When the
// test ends every status that was written there is checked, see Verdicts.
func New(t testing.TB, options ...sim.Option) *World {
	t.Helper()
	cluster := env.Start(t)
	w := &World{t: t, Cluster: cluster, Namespace: cluster.Namespace(t), Cloud: sim.ForTest(t, options...), Clock: &Clock{}, seen: map[string]*history{}, foreign: map[string]foreign{}}
	w.inMark = sync.OnceValue(func() string { return w.Mark(&corev1.Namespace{}).Cluster })
	w.watchStatuses()
	w.Create(w.Secret(SecretName))
	return w
}

// Clock is the time of day, moved forward by Advance.
type Clock struct{ offset atomic.Int64 }

// Now is the time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// Create stores an object.
func (w *World) Create(o client.Object) {
	w.t.Helper()
	if err := w.Cluster.Client.Create(w.ctx(), o); err != nil {
		w.t.Fatalf("creating the %T %s: %v", o, o.GetName(), err)
	}
}

// Delete asks the API server to delete an object.
func (w *World) Delete(o client.Object) {
	w.t.Helper()
	if err := w.Cluster.Client.Delete(w.ctx(), o); err != nil {
		w.t.Fatalf("deleting the %T %s: %v", o, o.GetName(), err)
	}
}

// Get reads an object anew.
func (w *World) Get(o client.Object) error {
	return w.Cluster.Client.Get(w.ctx(), client.ObjectKeyFromObject(o), o)
}

// Change edits an object as it is in the API server now.
func Change[T client.Object](w *World, o T, edit func(T)) {
	w.t.Helper()
	if err := w.Get(o); err != nil {
		w.t.Fatalf("reading the %T %s: %v", o, o.GetName(), err)
	}
	before := o.DeepCopyObject().(client.Object) // a copy has its original's type
	edit(o)
	if err := w.Cluster.Client.Patch(w.ctx(), o, client.MergeFrom(before)); err != nil {
		w.t.Fatalf("changing the %T %s: %v", o, o.GetName(), err)
	}
}

// requested counts the requests to reconcile, so that no two are equal.
var requested atomic.Int64

// RequestReconcile asks for a reconcile of the object now, and returns what will be
// echoed; an object that is gone already, or goes because of it, echoes nothing.
func (w *World) RequestReconcile(o client.Object) string {
	w.t.Helper()
	request := fmt.Sprintf("request-%d", requested.Add(1))
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ReconcileRequestedAnnotation, request)
	err := w.Cluster.Client.Patch(w.ctx(), o, client.RawPatch(types.MergePatchType, []byte(patch)))
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatalf("annotating the %T %s: %v", o, o.GetName(), err)
	}
	return request
}

// ReconcileNow asks for a reconcile of the object now and returns when there was one.
func ReconcileNow[T status.Object](w *World, o T) T {
	w.t.Helper()
	request := w.RequestReconcile(o)
	return Until(w, o, "the requested reconcile is done", func(o T) bool { return o.Common().LastHandledReconcileAt == request })
}

// Fault switches a fault of the cloud on and returns its ID.
func (w *World) Fault(f fault.Fault) string {
	w.t.Helper()
	id, err := w.Cloud.Faults.Add(f)
	if err != nil {
		w.t.Fatalf("switching a fault on: %v", err)
	}
	return id
}

// Mark is the ownership mark of an object.
func (w *World) Mark(o client.Object) plan.Mark {
	w.t.Helper()
	var system corev1.Namespace
	if err := w.Cluster.Client.Get(w.ctx(), client.ObjectKey{Name: metav1.NamespaceSystem}, &system); err != nil {
		w.t.Fatalf("reading the namespace kube-system: %v", err)
	}
	return plan.Mark{Cluster: plan.ClusterID(string(system.UID)), UID: string(o.GetUID())}
}

// Events returns the notes of the object's events with the reason, oldest first.
func (w *World) Events(o client.Object, reason string) []string {
	w.t.Helper()
	var list eventsv1.EventList
	if err := w.Cluster.Client.List(w.ctx(), &list, client.InNamespace(w.Namespace)); err != nil {
		w.t.Fatalf("listing events: %v", err)
	}
	slices.SortFunc(list.Items, func(a, b eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
	var notes []string
	for _, e := range list.Items {
		if e.Reason == reason && e.Regarding.UID == o.GetUID() {
			notes = append(notes, e.Note)
		}
	}
	return notes
}

// EventSays waits for an event of the object with the reason whose note holds the words.
func (w *World) EventSays(o client.Object, reason, words string) {
	w.t.Helper()
	Poll(w.t, fmt.Sprintf("an event %s that says %q", reason, words),
		func() []string { return w.Events(o, reason) },
		func(notes []string) bool {
			return slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, words) })
		})
}

// Secret is one for the walkthrough's account.
func (w *World) Secret(name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name},
		Data: map[string][]byte{
			"accessKey": []byte(scenario.WalkthroughAccessKey),
			"secretKey": []byte(scenario.WalkthroughSecretKey),
			"region":    []byte(scenario.WalkthroughRegion),
			"projectID": []byte(scenario.WalkthroughProject),
			"endpoint":  []byte(w.Cloud.URL),
		},
	}
}

// OtherSecret is one for the other account of the same cloud.
func (w *World) OtherSecret(name string) *corev1.Secret {
	s := w.Secret(name)
	s.Data["accessKey"] = []byte(scenario.WalkthroughOtherKey)
	s.Data["secretKey"] = []byte(scenario.WalkthroughOtherSecret)
	s.Data["projectID"] = []byte(scenario.WalkthroughOtherProject)
	return s
}

func (w *World) ctx() context.Context { return context.WithoutCancel(w.t.Context()) }

// text is a buffer for several writers.
type text struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *text) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *text) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// linesWith returns the lines that hold one of the words.
func (b *text) linesWith(words ...string) string {
	var kept []string
	for line := range strings.Lines(b.String()) {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) }) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
