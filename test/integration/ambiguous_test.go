package integration_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/integration/harness"
)

// oneOfEach fails the test unless the cloud has one filter and one session: those of the
// statuses.
func oneOfEach(w *harness.World, t *testing.T, filter *v1alpha1.MirrorFilter, session *v1alpha1.MirrorSession) {
	t.Helper()
	c := w.Content()
	if len(c.Filters) != 1 || len(c.Sessions) != 1 || len(c.Rules) != 1 {
		t.Fatalf("the cloud has %d filters, %d rules and %d sessions, want one of each", len(c.Filters), len(c.Rules), len(c.Sessions))
	}
	harness.Same(t, "the filter", filter.Status.ID, c.Filters[0].ID)
	harness.Same(t, "the session", session.Status.Sessions[0].ID, c.Sessions[0].ID)
}

func TestACreateWhoseAnswerIsLostIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"CreateTrafficMirrorFilter", "CreateTrafficMirrorFilterRule", "CreateTrafficMirrorSession"} {
		for name, lost := range map[string]fault.Fault{
			"by a reset":            fault.ResetAfterEffect(operation, 1),
			"by a 500":              {Kind: fault.Error, Operation: operation, Times: 1, Status: 500, Code: "VPC.2502", Message: "internal", AfterEffect: true},
			"by a page of a proxy":  {Kind: fault.HTML, Operation: operation, Times: 1, AfterEffect: true},
			"by an empty answer":    {Kind: fault.Empty, Operation: operation, Times: 1, AfterEffect: true},
			"by the call's own end": {Kind: fault.Slow, Operation: operation, Times: 1, Delay: fault.Duration(time.Minute)},
		} {
			t.Run(operation+" "+name, func(t *testing.T) {
				t.Parallel()
				w := harness.New(t)
				w.Fault(lost)
				w.Start(harness.WithDeadline(500 * time.Millisecond))
				filter, session := w.Pair("lost")
				oneOfEach(w, t, filter, session)
			})
		}
	}
}

func TestACreateWhoseAnswerIsLostIsNotRepeatedWhileReadsLagBehind(t *testing.T) {
	t.Parallel()
	// The second reconcile comes about a second after the first.
	stale := fault.Fault{Kind: fault.Stale, For: fault.Duration(1500 * time.Millisecond)}
	noRules := func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = nil }
	t.Run("a filter", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Fault(fault.ResetAfterEffect("CreateTrafficMirrorFilter", 1))
		w.Fault(stale)
		w.Start(harness.WithTiming(lifecycle.DefaultTiming))
		filter := w.Filter("lagging", noRules)
		w.Create(filter)
		harness.Ready(w, filter)
		harness.Same(t, "the filters", 1, len(w.Content().Filters))
	})
	t.Run("a session", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start(harness.WithTiming(lifecycle.DefaultTiming))
		filter := w.Filter("lagging", noRules)
		w.Create(filter)
		harness.Ready(w, filter)
		w.Fault(fault.ResetAfterEffect("CreateTrafficMirrorSession", 1))
		w.Fault(stale)
		session := w.Session("lagging", "lagging")
		w.Create(session)
		harness.Ready(w, session)
		harness.Same(t, "the sessions", 1, len(w.Content().Sessions))
	})
}

func TestACreateThatHadNoEffectIsRepeated(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Fault(fault.Fault{Kind: fault.Reset, Operation: "CreateTrafficMirrorFilter", Times: 1})
	w.Start(harness.WithTiming(lifecycle.DefaultTiming)) // long enough for what follows on a busy machine
	filter := w.Filter("repeated")
	w.Create(filter)
	creates := func() int { return harness.Count(w.Cloud.Journal.Since(0))["CreateTrafficMirrorFilter"] }
	harness.WasBecause(w, filter, v1alpha1.ReasonCloudUnavailable, "create the filter", "no answer from")
	harness.ReconcileNow(w, filter)
	harness.Same(t, "the creates while reads may lag behind", 1, creates())
	w.Clock.Advance(time.Minute)
	harness.ReconcileNow(w, filter)
	harness.Ready(w, filter)
	harness.Same(t, "the creates in the end", 2, creates())
}

// brokenStatus fails that many writes of statuses that hold an identity of the cloud.
type brokenStatus struct {
	client.Client
	left *atomic.Int32
}

var errBroken = errors.New("the API server is away")

func (b brokenStatus) Status() client.SubResourceWriter {
	return brokenWriter{b.Client.Status(), b.left}
}

type brokenWriter struct {
	client.SubResourceWriter
	left *atomic.Int32
}

func (b brokenWriter) Apply(ctx context.Context, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	text, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	written, _ := text["status"].(map[string]any)
	if (written["id"] != nil || written["sessions"] != nil) && b.left.Add(-1) >= 0 {
		return errBroken
	}
	return b.SubResourceWriter.Apply(ctx, o, opts...)
}

func TestAnIDThatCouldNotBeStoredIsFoundAgain(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	left := &atomic.Int32{}
	left.Store(2)
	w.Start(harness.WithClient(func(c client.Client) client.Client { return brokenStatus{c, left} }))
	filter := w.Filter("unstored")
	w.Create(filter)
	harness.Ready(w, filter)
	left.Store(2)
	session := w.Session("unstored", "unstored")
	w.Create(session)
	harness.Ready(w, session)
	if left.Load() >= 0 {
		t.Fatalf("no write of a status failed")
	}
	oneOfEach(w, t, filter, session)
	w.EventSays(filter, "Found", filter.Status.ID)
	w.EventSays(session, "Found", session.Status.Sessions[0].ID)
}

func TestAnObjectIsFoundByItsMarkWhenItsStatusIsLost(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	filter, session := w.Pair("restored")
	first.Stop(w)
	// As after a restore from a backup that has no statuses.
	for _, o := range []status.Object{filter, session} {
		before := o.DeepCopyObject().(client.Object) // a copy has its original's type
		switch o := o.(type) {
		case *v1alpha1.MirrorFilter:
			o.Status = v1alpha1.MirrorFilterStatus{CommonStatus: v1alpha1.CommonStatus{ObservedGeneration: -1}}
		case *v1alpha1.MirrorSession:
			o.Status = v1alpha1.MirrorSessionStatus{CommonStatus: v1alpha1.CommonStatus{ObservedGeneration: -1}}
		}
		if err := w.Cluster.Client.Status().Patch(t.Context(), o, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	asked, want := w.Cloud.Journal.Last(), w.Content()
	w.Start()
	harness.Ready(w, filter)
	harness.Ready(w, session)
	oneOfEach(w, t, filter, session)
	w.Holds(want)
	harness.Same(t, "what was written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(asked)))
}
