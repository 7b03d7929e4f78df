//go:build !oldest

package integration_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// notFoundOnce is a cloud that says of an object that is there that it does not exist, once.
func notFoundOnce(operation string) fault.Fault {
	return fault.Fault{Kind: fault.Error, Operation: operation, Times: 1, Status: 404, Code: "VPC.9904", Message: "could not be found"}
}

func TestOneWrongNotFoundMakesNoSecondObject(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("there")
	want := w.Content()
	w.Clock.Advance(time.Minute)
	w.Fault(notFoundOnce("ShowTrafficMirrorFilter"))
	harness.ReconcileNow(w, filter)
	harness.Ready(w, filter)
	w.Fault(notFoundOnce("ShowTrafficMirrorSession"))
	harness.ReconcileNow(w, session)
	harness.Ready(w, session)
	w.Holds(want)
	w.Delete(session)
	w.Delete(filter)
	w.Gone(session)
	w.Gone(filter)
	w.Holds(harness.Content{})
}

func TestADriftThatWasNotMendedDoesNotBecomeWhatIsWanted(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("allocated", func(s *v1alpha1.MirrorSession) { s.Spec.VNI = nil })
	want := w.Content()
	w.EditSession(session.Status.Sessions[0].ID, func(s *state.Session) { s.VNI, s.Priority = 4711, 17 })
	w.Fault(failing("UpdateTrafficMirrorSession", 1))
	harness.ReconcileNow(w, session)
	harness.Ready(w, session)
	w.Holds(want)
}
