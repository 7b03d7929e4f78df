package integration_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// lived lets a filter and a session go through all that a log tells of: they are made, wait, are edited,
// drift, fail, are mended and go.
func lived(t *testing.T, w *harness.World) (*v1alpha1.MirrorFilter, *v1alpha1.MirrorSession) {
	t.Helper()
	filter, session := w.Filter("f"), w.Session("s", "f")
	w.Create(session) // which waits for its filter
	harness.WasBecause(w, session, v1alpha1.ReasonFilterNotFound)
	w.Create(filter)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = append(f.Spec.Rules, harness.Rule(2)) })
	harness.Ready(w, filter)
	w.EditSession(session.Status.Sessions[0].ID, func(s *state.Session) { s.PacketLength = 96 })
	harness.ReconcileNow(w, session)
	refused := w.Fault(fault.Fault{Kind: fault.Error, Operation: "UpdateTrafficMirrorSession", Status: 403, Code: "VPC.2702", Message: "frozen"})
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Description = "edited" })
	harness.Because(w, session, v1alpha1.ReasonPermissionDenied)
	w.Cloud.Faults.Remove(refused)
	harness.Ready(w, harness.ReconcileNow(w, session))
	w.Delete(filter)
	harness.Because(w, filter, v1alpha1.ReasonFilterInUse)
	w.Delete(session)
	w.Gone(session)
	w.Gone(filter)
	return filter, session
}

// about reports whether a line is about an object.
func about(l harness.Line, o client.Object) bool {
	object, ok := l[kindOf(o)].(map[string]any)
	return ok && object["name"] == o.GetName()
}

func kindOf(o client.Object) string {
	if _, ok := o.(*v1alpha1.MirrorFilter); ok {
		return "MirrorFilter"
	}
	return "MirrorSession"
}

// operations are the calls that the cloud has answered, by their IDs.
func operations(w *harness.World) map[string]string {
	all := map[string]string{}
	for _, e := range w.Cloud.Journal.Since(0) {
		all[e.RequestID] = e.Operation
	}
	return all
}

// frameworks are the lines of controller-runtime about a reconcile, which knows nothing of the cloud.
var frameworks = regexp.MustCompile("^(Reconciling|Reconcile (done.*|successful)|Reconciler error)$")

func TestEachLineAboutAnObjectNamesItsReconcileAndTheCallToTheCloudThatLedToIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start()
	filter, session := lived(t, w)
	m.EventsSent(w)
	m.Stop(w)

	asked := operations(w)
	lines := m.Log.Lines(t)
	for _, o := range []client.Object{filter, session} {
		var called []string // in this reconcile
		reconcile := map[any][]string{}
		for _, l := range lines {
			if !about(l, o) {
				continue
			}
			id := l["reconcileID"]
			if id == nil {
				t.Errorf("a line about %s names no reconcile: %v", o.GetName(), l)
				continue
			}
			called = reconcile[id]
			request, _ := l["requestID"].(string)
			if l["msg"] == "Called the cloud" {
				if asked[request] != l["op"] {
					t.Errorf("a line says that the call %s was a %s, and it was a %q", request, l["op"], asked[request])
				}
				reconcile[id] = append(called, request)
				continue
			}
			switch {
			case frameworks.MatchString(fmt.Sprint(l["msg"])):
			case len(called) == 0 && request != "":
				t.Errorf("a line names a call of another reconcile: %v", l)
			case len(called) > 0 && !slices.Contains(called, request):
				t.Errorf("the reconcile has asked the cloud (%v), and a line does not name that: %v", called, l)
			}
		}
	}

	logged := map[string]int{}
	for _, l := range lines {
		if l["msg"] == "Called the cloud" {
			logged[fmt.Sprint(l["op"])]++
		}
	}
	harness.Same(t, "the calls to the cloud, and those that were logged", harness.Count(w.Cloud.Journal.Since(0)), logged)
}

func TestWhatAnEventSaysIsInTheLogWithTheCallThatDidIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start()
	filter, session := lived(t, w)
	m.EventsSent(w)
	m.Stop(w)
	operation := operations(w)
	type told struct{ Reason, By string }
	var got []told
	for _, l := range m.Log.Lines(t) {
		if reason, ok := l["reason"].(string); ok && (about(l, filter) || about(l, session)) && l["level"] == "INFO" {
			request, _ := l["requestID"].(string)
			got = append(got, told{reason, operation[request]})
		}
	}
	for _, want := range []told{
		{v1alpha1.ReasonFilterNotFound, "ListTrafficMirrorSessions"}, // what is in the cloud is looked at all the same
		{v1alpha1.ReasonFilterInUse, ""},                             // for which the cloud need not be asked
		{"Created", "CreateTrafficMirrorFilter"},
		{"Created", "CreateTrafficMirrorSession"},
		{v1alpha1.ReasonPermissionDenied, "UpdateTrafficMirrorSession"},
		{"Deleted", "ShowTrafficMirrorSession"}, // which has said that it is gone
		{"Deleted", "ShowTrafficMirrorFilter"},
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no line tells of %+v; these are told: %+v", want, got)
		}
	}
	for _, o := range []client.Object{filter, session} {
		for _, reason := range []string{"Created", "Updating", "DriftCorrected", "Deleted", v1alpha1.ReasonSynced, v1alpha1.ReasonPermissionDenied, v1alpha1.ReasonFilterInUse} {
			for _, note := range w.Events(o, reason) {
				if !slices.ContainsFunc(m.Log.Lines(t), func(l harness.Line) bool {
					return about(l, o) && l["reason"] == reason && (l["msg"] == note || l["message"] == note)
				}) {
					t.Errorf("the log does not say what the event %s of %s does: %s", reason, o.GetName(), note)
				}
			}
		}
	}
}
