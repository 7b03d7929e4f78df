package integration_test

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestASecondReconcileOfUnchangedObjectsWritesNothingAnywhere(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	filter, session := w.Pair("steady")
	first.Reconciled(w, filter, session)
	first.Stop(w)
	asked, versions := w.Cloud.Journal.Last(), []string{filter.ResourceVersion, session.ResourceVersion}

	second := w.Start(harness.WithResync(200 * time.Millisecond))
	harness.Poll(t, "three resyncs", func() int {
		return harness.Count(w.Cloud.Journal.Since(asked))["ListTrafficMirrorSessions"]
	}, func(n int) bool { return n >= 4 })
	second.Stop(w)

	harness.Same(t, "what was written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(asked)))
	harness.Same(t, "what was written to the API server", []string{}, second.Writes())
	if err := w.Get(filter); err != nil {
		t.Fatal(err)
	}
	if err := w.Get(session); err != nil {
		t.Fatal(err)
	}
	harness.Same(t, "the resource versions", versions, []string{filter.ResourceVersion, session.ResourceVersion})
}

func TestARequestedReconcileIsEchoedAndWritesNothingElse(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start(harness.WithTiming(lifecycle.DefaultTiming)) // the look after a start comes later
	filter, session := w.Pair("requested")
	m.EventsSent(w)
	asked, written := w.Cloud.Journal.Last(), len(m.Writes())

	beforeFilter, beforeSession := filter.DeepCopy(), session.DeepCopy()
	harness.ReconcileNow(w, filter)
	harness.ReconcileNow(w, session)

	harness.Same(t, "what was written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(asked)))
	prefix := "/apis/vpcmirror.io/v1alpha1/namespaces/" + w.Namespace
	harness.Same(t, "what was written to the API server", []string{
		"PATCH " + prefix + "/mirrorfilters/requested/status", "PATCH " + prefix + "/mirrorsessions/requested/status",
	}, m.Writes()[written:])
	beforeFilter.Status.LastHandledReconcileAt = filter.Status.LastHandledReconcileAt
	harness.Same(t, "the filter's status", beforeFilter.Status, filter.Status)
	beforeSession.Status.LastHandledReconcileAt = session.Status.LastHandledReconcileAt
	harness.Same(t, "the session's status", beforeSession.Status, session.Status)

	asked = w.Cloud.Journal.Last()
	harness.ReconcileNow(w, session)
	harness.Same(t, "a requested reconcile reads the objects themselves, not a list, and the way anew", with(wayReads,
		map[string]int{"ShowTrafficMirrorSession": 1, "ShowPort": 2, "ListTrafficMirrorFilters": 1, "ListTrafficMirrorSessions": 1},
	), harness.Count(w.Cloud.Journal.Since(asked)))
}

func TestReconcilingManyObjectsReadsEachListAndEachInterfaceOnce(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	var objects []client.Object
	for _, name := range []string{"a", "b", "c"} {
		filter, session := w.Pair(name)
		objects = append(objects, filter, session)
	}
	first.Stop(w)

	asked := w.Cloud.Journal.Last()
	second := w.Start(harness.WithTiming(lifecycle.DefaultTiming)) // the look after a start comes later
	second.Reconciled(w, objects...)
	second.Stop(w)
	harness.Same(t, "what three filters and three sessions read", with(wayReads, map[string]int{
		"ListTrafficMirrorFilters": 1, "ListTrafficMirrorSessions": 1, "ShowPort": 2,
	}), harness.Count(w.Cloud.Journal.Since(asked)))
}
