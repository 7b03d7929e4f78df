package integration_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// failing answers an operation with a 503 so many times; 0 means until it is removed.
func failing(operation string, times int) fault.Fault {
	return fault.Fault{
		Kind: fault.Error, Operation: operation, Times: times, Status: http.StatusServiceUnavailable,
		Code: "APIGW.0201", Message: "Backend unavailable",
	}
}

func TestALongRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	throttle := fault.Throttle(1, "3")
	throttle.Operation = "CreateTrafficMirrorFilter"
	w.Fault(throttle)
	w.Start()
	filter := w.Filter("throttled")
	w.Create(filter)
	harness.Ready(w, filter)
	harness.WasBecause(w, filter, v1alpha1.ReasonThrottled, "CreateTrafficMirrorFilter: 429 APIGW.0308", "threshold")
	var creates []journal.Entry
	for _, e := range w.Cloud.Journal.Since(0) {
		if e.Operation == "CreateTrafficMirrorFilter" {
			creates = append(creates, e)
		}
	}
	if len(creates) != 2 || creates[1].Time.Sub(creates[0].Time) < 3*time.Second {
		t.Errorf("the creates were asked for as %v, want two with at least 3 s between them", creates)
	}
}

func TestFaultsOfTheCloudAreRetriedUntilTheyEnd(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault.Fault{
		"a 429 without Retry-After": {Kind: fault.Error, Status: 429, Code: "APIGW.0308", Message: "throttled"},
		"a 400 about a duplicate":   {Kind: fault.Error, Status: 400, Code: "VPC.9901", Message: "Invalid input for priority. It already exists."},
		"a 503":                     failing("", 0),
		"a page of a proxy":         {Kind: fault.HTML},
		"an empty 200":              {Kind: fault.Empty},
		"a reset":                   {Kind: fault.Reset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			f.Times = 1
			for _, operation := range []string{"ListTrafficMirror*", "CreateTrafficMirrorFilter", "CreateTrafficMirrorFilterRule", "ShowPort", "CreateTrafficMirrorSession"} {
				f.Operation = operation
				w.Fault(f)
			}
			w.Start()
			filter, session := w.Filter("faulty"), w.Session("faulty", "faulty")
			w.Create(filter)
			w.Create(session)
			harness.Until(w, session, "Ready", func(s *v1alpha1.MirrorSession) bool {
				w.Clock.Advance(time.Second) // there is no need to wait for reads to catch up
				return status.IsSynced(s)
			})
			oneOfEach(w, t, harness.Ready(w, filter), session)
		})
	}
}

func TestAFaultThatStaysWritesTheStatusOnce(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Fault(failing("CreateTrafficMirrorFilter", 0))
	m := w.Start()
	filter := w.Filter("failing")
	w.Create(filter)
	harness.Poll(t, "three creates", func() int {
		w.Clock.Advance(time.Second) // there is no need to wait for reads to catch up
		return harness.Count(w.Cloud.Journal.Since(0))["CreateTrafficMirrorFilter"]
	}, func(n int) bool { return n >= 3 })
	harness.Because(w, filter, v1alpha1.ReasonCloudUnavailable, "create the filter: CreateTrafficMirrorFilter: 503")
	var statuses int
	for _, r := range m.Writes() {
		if strings.HasSuffix(r, "/status") {
			statuses++
		}
	}
	// One for the Secret, one for the account before the first attempt, one for the failure.
	harness.Same(t, "writes of the status", 3, statuses)
}

func TestAUsedUpQuotaIsWaitedForAndHealsWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	w := harness.New(t, sim.WithQuotas(func(q *state.Quotas) { q.Sessions = 1 }))
	w.Start()
	_, first := w.Pair("first")
	second := w.Session("second", "first")
	w.Create(second)
	harness.Because(w, second, v1alpha1.ReasonQuotaExceeded, "409 VPC.9905", "traffic_mirror_session")
	w.Delete(first) // which wakes it
	harness.Ready(w, second)
}

func TestARefusedPermissionStallsAndIsProbedOnRequest(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	denied := w.Fault(fault.Forbidden("CreateTrafficMirrorFilter"))
	w.Start()
	filter := w.Filter("denied")
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonPermissionDenied, "403 VPC.0010", "Policy doesn't allow")
	w.EventSays(filter, v1alpha1.ReasonPermissionDenied, "Policy doesn't allow")
	w.Cloud.Faults.Remove(denied)
	harness.ReconcileNow(w, filter)
	harness.Ready(w, filter)
}

func TestARegionWithoutMirroringIsSaid(t *testing.T) {
	t.Parallel()
	w := harness.New(t, sim.WithoutOperations("*TrafficMirror*"))
	w.Start()
	filter := w.Filter("nowhere")
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonUnsupported, "does not have this call")
}

func TestAnInterfaceWhoseFlavorCanNotBeMirroredIsSaid(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Edit(func(world *state.World) {
		p := world.Ports[scenario.WalkthroughSource]
		p.Flavor = "s6.large.2"
		world.Ports[p.ID] = p
	})
	w.Start()
	w.Create(w.Filter("flavor"))
	session := w.Session("flavor", "flavor")
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonUnsupported, "Flavor s6.large.2", scenario.WalkthroughSource)
}

func TestAListThatFailsIsNeverTakenForAnEmptyOne(t *testing.T) {
	t.Parallel()
	t.Run("nothing is created while an earlier creation can't be looked for", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		broken := w.Fault(failing("ListTrafficMirrorFilters", 0))
		w.Start()
		filter := w.Filter("unknown")
		w.Create(filter)
		harness.Because(w, filter, v1alpha1.ReasonCloudUnavailable, "look for an earlier creation of the filter", "503")
		harness.Same(t, "what was written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(0)))
		w.Cloud.Faults.Remove(broken)
		harness.Ready(w, filter)
	})
	t.Run("a finalizer stays while it is not known what there is to delete", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		lost := w.Fault(fault.Fault{Kind: fault.Reset, Operation: "CreateTrafficMirrorFilter", AfterEffect: true})
		broken := w.Fault(fault.Fault{Kind: fault.Empty, Operation: "ListTrafficMirrorFilters", Skip: 1})
		w.Start()
		filter := w.Filter("unknown")
		w.Create(filter)
		harness.Because(w, filter, v1alpha1.ReasonCloudUnavailable, "look for an earlier creation")
		w.Delete(filter)
		w.Cloud.Faults.Remove(lost)
		asked := w.Cloud.Journal.Last()
		harness.ReconcileNow(w, filter)
		if n := len(w.Cloud.Journal.Since(asked)); n == 0 {
			t.Error("it was reconciled without another list")
		}
		if err := w.Get(filter); err != nil || !slices.Contains(filter.Finalizers, v1alpha1.Finalizer) {
			t.Fatalf("the filter is %v with the finalizers %v, want %s among them", err, filter.Finalizers, v1alpha1.Finalizer)
		}
		w.Cloud.Faults.Remove(broken)
		w.RequestReconcile(filter)
		w.Gone(filter)
		w.Holds(harness.Content{})
	})
	t.Run("a session that a failed list did not show is not made anew", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		first := w.Start()
		_, session := w.Pair("unknown")
		first.Stop(w)
		want := w.Content()
		w.Fault(failing("ListTrafficMirrorSessions", 2))
		w.Fault(failing("ShowTrafficMirrorSession", 2))
		second := w.Start()
		second.Reconciled(w, session)
		harness.Ready(w, session)
		w.Holds(want)
	})
}

func TestA404ThatIsNotAboutTheObjectNeverLetsItGo(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"APIGW.0101", "SomethingElse.1"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			filter, session := w.Pair("held")
			f := fault.NotPublished("DeleteTrafficMirror*")
			f.Code = code
			missing := w.Fault(f)
			w.Delete(session)
			harness.Until(w, session, "a refused delete", func(s *v1alpha1.MirrorSession) bool {
				return strings.Contains(s.Status.Conditions[0].Message, "DeleteTrafficMirrorSession: 404")
			})
			harness.Same(t, "the finalizers", []string{v1alpha1.Finalizer, v1alpha1.CredentialsFinalizer}, session.Finalizers)
			w.Cloud.Faults.Remove(missing)
			w.RequestReconcile(session)
			w.Gone(session)
			w.Delete(filter)
			w.Gone(filter)
			w.Holds(harness.Content{})
		})
	}
}

func TestADeletionThatOnlySeemedToWorkIsRepeated(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("seeming")
	w.Fault(fault.Fault{Kind: fault.Empty, Operation: "DeleteTrafficMirrorSession", Times: 1})
	w.Fault(fault.Fault{Kind: fault.Empty, Operation: "DeleteTrafficMirrorFilter", Times: 1})
	w.Delete(session)
	w.Gone(session)
	w.Delete(filter)
	w.Gone(filter)
	w.Holds(harness.Content{})
}
