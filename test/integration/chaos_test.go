package integration_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// misfortune is a random fault that strikes once or twice.
func misfortune(r *rand.Rand) fault.Fault {
	operations := []string{
		"Create*", "Create*", "CreateTrafficMirrorFilterRule", "Update*", "Delete*", "Add*", "Remove*", "List*", "Show*",
	}
	f := fault.Fault{Operation: operations[r.IntN(len(operations))], Times: 1 + r.IntN(2), Skip: r.IntN(3), AfterEffect: r.IntN(2) == 0}
	switch r.IntN(4) {
	case 0:
		f.Kind = fault.Reset
	case 1:
		f.Kind = fault.Empty
	case 2:
		f.Kind = fault.HTML
	default:
		f.Kind, f.Status, f.Code, f.Message = fault.Error, []int{429, 500, 503}[r.IntN(3)], "APIGW.0201", "bad luck"
		f.AfterEffect = f.AfterEffect && f.Status != 429
	}
	return f
}

// Whatever goes wrong on the way, and however often the manager is stopped in the middle
// of something, in the end the cloud has what the specs say, once, and nothing when they
// are gone.
func TestNothingIsMadeTwiceOrLeftBehindWhateverGoesWrong(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			w := harness.New(t, sim.WithQuotas(func(q *state.Quotas) { q.SessionsPerSource = 100 }))
			filter, other := w.Filter("a"), w.Filter("b")
			sessions := []*v1alpha1.MirrorSession{w.Session("a1", "a"), w.Session("a2", "a"), w.Session("b1", "b")}
			objects := []status.Object{filter, other}
			for _, s := range sessions {
				objects = append(objects, s)
			}
			for range 12 {
				w.Fault(misfortune(r))
			}
			judge := w.Judge()
			manager := w.Start()
			for _, o := range objects {
				w.Create(o)
			}
			for range 3 {
				manager = interrupted(w, manager, r)
				harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) {
					f.Spec.Rules = []v1alpha1.FilterRule{harness.Rule(int32(1 + r.IntN(3)))}
				})
				harness.Change(w, sessions[0], func(s *v1alpha1.MirrorSession) {
					s.Spec.PacketLength = new(int32(100 + r.IntN(100)))
					s.Spec.Sources = harness.Sources(harness.ID([]string{scenario.WalkthroughSource, scenario.WalkthroughTest}[r.IntN(2)]))
				})
			}
			manager = interrupted(w, manager, r)
			w.Cloud.Faults.Clear()
			untilReady(w, objects)
			checkAll(t, w, []*v1alpha1.MirrorFilter{filter, other}, sessions)
			for _, o := range objects {
				harness.Poll(t, "the epoch of "+o.GetName()+" is that of what the cloud has", func() string { return judge.Outdated(o) },
					func(wrong string) bool { return wrong == "" })
			}

			for range 8 {
				w.Fault(misfortune(r))
			}
			for _, i := range r.Perm(len(objects)) {
				w.Delete(objects[i])
			}
			interrupted(w, manager, r)
			w.Cloud.Faults.Clear()
			for _, o := range slices.Backward(objects) { // filters go after their sessions
				gone(w, o)
			}
			w.Holds(harness.Content{})
		})
	}
}

// interrupted stops the manager at a random moment and starts another one.
func interrupted(w *harness.World, m *harness.Manager, r *rand.Rand) *harness.Manager {
	asked := w.Cloud.Journal.Last() + uint64(r.IntN(8))
	end := time.After(time.Duration(1+r.IntN(1000)) * time.Millisecond)
	for w.Cloud.Journal.Last() < asked {
		select {
		case <-end:
			asked = 0
		case <-time.After(time.Millisecond):
		}
	}
	m.Stop(w)
	return w.Start()
}

// untilReady waits until every object is Ready, with a clock that does not wait.
func untilReady(w *harness.World, objects []status.Object) {
	for _, o := range objects {
		w.RequestReconcile(o)
		harness.Until(w, o, "Ready", func(o status.Object) bool {
			w.Clock.Advance(time.Second)
			return status.IsSynced(o)
		})
	}
}

// gone waits until the object is gone, with a clock that does not wait.
func gone(w *harness.World, o client.Object) {
	w.Clock.Advance(time.Minute)
	w.RequestReconcile(o)
	w.Gone(o)
}

// checkAll holds the cloud against the statuses and the specs.
func checkAll(t *testing.T, w *harness.World, filters []*v1alpha1.MirrorFilter, sessions []*v1alpha1.MirrorSession) {
	t.Helper()
	world := w.Cloud.State.Snapshot()
	harness.Same(t, "the number of filters", len(filters), len(world.Filters))
	harness.Same(t, "the number of rules", len(filters), len(world.Rules))
	harness.Same(t, "the number of sessions", len(sessions), len(world.Sessions))
	byName := map[string]*v1alpha1.MirrorFilter{}
	for _, f := range filters {
		byName[f.Name] = f
		harness.Same(t, "the rule's priority of "+f.Name, int(f.Spec.Rules[0].Priority), world.Rules[f.Status.Rules[0].ID].Priority)
	}
	vnis, priorities := map[int]bool{}, map[int]bool{}
	for _, s := range sessions {
		got := world.Sessions[s.Status.Sessions[0].ID]
		vnis[got.VNI], priorities[got.Priority] = true, true
		harness.Same(t, "the filter of "+s.Name, byName[s.Spec.FilterRef.Name].Status.ID, got.FilterID)
		harness.Same(t, "the length of "+s.Name, int(*s.Spec.PacketLength), got.PacketLength)
		harness.Same(t, "the sources of "+s.Name, []string{s.Spec.Sources[0].InterfaceID}, got.Sources)
		harness.Same(t, "the VNI of "+s.Name, int(*s.Status.VNI), got.VNI)
		harness.Same(t, "whether it is on, "+s.Name, true, got.Enabled)
	}
	harness.Same(t, "how many VNIs there are", len(sessions), len(vnis))
	harness.Same(t, "how many priorities there are", len(sessions), len(priorities))
}
