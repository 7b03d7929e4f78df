package mirrorsession

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/workqueue"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
)

func TestANodeIsFoundByATermOfEverySelectorThatMatchesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		by, err := selectorDrawn().Draw(t, "selector").Selector()
		if err != nil {
			t.Skip("it can't be stored")
		}
		has := labelsDrawn().Draw(t, "labels")
		terms := termsOfNode(has)
		if by.Matches(labels.Set(has)) && !slices.ContainsFunc(termsOf(by), func(term string) bool { return slices.Contains(terms, term) }) {
			t.Fatalf("%s matches %v, but has the terms %v", by, has, termsOf(by))
		}
	})
}

func TestASelectorIsFoundByTheRequirementThatFewestNodesFit(t *testing.T) {
	for text, want := range map[string]string{
		"kubernetes.io/os=linux,pool=web":            "pool=web",
		"kubernetes.io/os=linux,pool in (web,db)":    "pool=db pool=web",
		"kubernetes.io/os=linux":                     "kubernetes.io/os=linux",
		"kubernetes.io/os=linux,gpu":                 "gpu",
		"pool!=web":                                  anyNode,
		"!pool":                                      anyNode,
		"kubernetes.io/hostname":                     "kubernetes.io/hostname",
		"kubernetes.io/hostname,pool notin (web,db)": "kubernetes.io/hostname",
	} {
		by, err := labels.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got := termsOf(by)
		slices.Sort(got)
		same(t, text, want, strings.Join(got, " "))
	}
	same(t, "one that matches nothing", "", strings.Join(termsOf(labels.Nothing()), " "))
}

// selectingSessions are sessions with one selector each, in an indexed client.
func selectingSessions(t testing.TB, selectors ...*v1alpha1.NodeSelector) *Reconciler {
	t.Helper()
	scheme := kruntime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := fake.NewClientBuilder().WithScheme(scheme)
	for index := range sessionIndexes {
		b = b.WithIndex(&v1alpha1.MirrorSession{}, index, func(o client.Object) []string { return IndexValues(index, o.(*v1alpha1.MirrorSession)) })
	}
	for i, by := range selectors {
		s := session(func(s *v1alpha1.MirrorSession) {
			s.Name, s.UID = fmt.Sprint(i), ""
			s.Spec.Sources = []v1alpha1.SourceSelector{{NodeSelector: by}}
		})
		b = b.WithObjects(s)
	}
	return &Reconciler{Services: lifecycle.New(lifecycle.Options{Client: b.Build(), Clock: time.Now})}
}

// woken are the names of the sessions that an update of a node wakes.
func woken(ctx context.Context, r *Reconciler, before, after *corev1.Node) (names []string) {
	e := event.UpdateEvent{ObjectOld: before, ObjectNew: after}
	if !nodeMatters().Update(e) {
		return nil
	}
	q := workqueue.NewTypedRateLimitingQueue(lifecycle.Backoff())
	defer q.ShutDown()
	r.ofNodes().Update(ctx, e, q)
	for q.Len() > 0 {
		one, _ := q.Get()
		names = append(names, one.Name)
		q.Done(one)
	}
	slices.Sort(names)
	return names
}

// A session is looked at for a node's labels exactly where what it selects has changed.
func TestAChangeOfLabelsWakesTheSessionsWhoseSelectionItChanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all []*v1alpha1.NodeSelector
		for i := range 4 {
			by := selectorDrawn().Draw(rt, fmt.Sprint("selector ", i))
			if _, err := by.Selector(); err == nil {
				all = append(all, by)
			}
		}
		node := func(what string) *corev1.Node {
			return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: labelsDrawn().Draw(rt, what)}}
		}
		before, after := node("labels before"), node("labels after")
		moves := rapid.Bool().Draw(rt, "it becomes another server")
		if moves {
			after.Spec.ProviderID = "huaweicloud://5a1f0c7e-0000-4000-8000-0000000000c1"
		}
		var want []string
		for i, by := range all {
			is, err := by.Selector()
			if err != nil {
				rt.Fatal(err)
			}
			was, now := is.Matches(labels.Set(before.Labels)), is.Matches(labels.Set(after.Labels))
			if was != now || moves && was {
				want = append(want, fmt.Sprint(i))
			}
		}
		if got := woken(t.Context(), selectingSessions(t, all...), before, after); !slices.Equal(got, want) {
			rt.Fatalf("woken were %v, want %v", got, want)
		}
	})
}

// heartbeat is what the kubelet writes of a node again and again: nothing that a session goes by.
func heartbeat() event.UpdateEvent {
	before := nodeWith("n", "10.0.0.1", "fd00::1")
	before.Labels = map[string]string{}
	for i := range 25 {
		before.Labels[fmt.Sprintf("label-%d", i)] = "value"
	}
	after := before.DeepCopy()
	after.ResourceVersion = "2"
	after.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, LastHeartbeatTime: metav1.Now()}}
	return event.UpdateEvent{ObjectOld: before, ObjectNew: after}
}

func TestAHeartbeatOfANodeWakesNobodyAndAllocatesNothing(t *testing.T) {
	passes, e := nodeMatters(), heartbeat()
	if passes.Update(e) {
		t.Error("a heartbeat of a node, which is no longer Ready, passes")
	}
	if allocations := testing.AllocsPerRun(100, func() { passes.Update(e) }); allocations != 0 {
		t.Errorf("a heartbeat makes %.0f allocations", allocations)
	}
}

func BenchmarkHeartbeatOfANode(b *testing.B) {
	passes, e := nodeMatters(), heartbeat()
	b.ReportAllocs()
	for b.Loop() {
		passes.Update(e)
	}
}
