//go:build !oldest

package integration_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// leaveBehind makes a filter and a session, and takes the objects away together with their
// finalizers while no manager is at work.
func leaveBehind(w *harness.World, edits ...func(*v1alpha1.MirrorSession)) (filter *v1alpha1.MirrorFilter, session *v1alpha1.MirrorSession, left harness.Content) {
	first := w.Start()
	filter, session = w.Pair("left", edits...)
	left = w.Content()
	first.Stop(w)
	for _, o := range []client.Object{session, filter} {
		harness.Change(w, o, func(o client.Object) { o.SetFinalizers(nil) })
		w.Delete(o)
		w.Gone(o)
	}
	return filter, session, left
}

// lists lets the cloud's lists be read anew, after a while. Which list of a kind is the first that
// misses what is left, and which confirms it, depends on what was being read when the clock moved:
// whoever waits for what lists tell lets them be read until they have.
func lists(w *harness.World, filter *v1alpha1.MirrorFilter, session *v1alpha1.MirrorSession) {
	listsAfter(w, time.Minute, filter, session)
}

func listsAfter(w *harness.World, d time.Duration, filter *v1alpha1.MirrorFilter, session *v1alpha1.MirrorSession) {
	w.Clock.Advance(d)
	harness.ReconcileNow(w, filter)
	harness.ReconcileNow(w, session)
}

// ofManager is what events in the manager's namespace are about.
func ofManager() client.Object { return &coordinationv1.Lease{} }

// orphans waits for the metric's numbers, while more is done.
func orphans(t *testing.T, m *harness.Manager, filters, sessions string, meanwhile func()) {
	t.Helper()
	want := "# HELP vpcmirror_cloud_orphans Filters and sessions in the cloud that bear this cluster's mark, though their objects are gone.\n" +
		"# TYPE vpcmirror_cloud_orphans gauge\n" +
		"vpcmirror_cloud_orphans{kind=\"filter\"} " + filters + "\nvpcmirror_cloud_orphans{kind=\"session\"} " + sessions + "\n"
	_ = harness.Poll(t, "the metric of orphans", func() string {
		if err := testutil.GatherAndCompare(m.Metrics, strings.NewReader(want), "vpcmirror_cloud_orphans"); err != nil {
			meanwhile()
			return err.Error()
		}
		return ""
	}, func(differs string) bool { return differs == "" })
}

func TestWhatIsLeftOverInTheCloudIsToldOnceAndStays(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	filter, session, left := leaveBehind(w)
	// However long a loaded machine takes, lists that are read one after the other confirm nothing.
	m := w.Start(harness.WithTiming(lifecycle.Timing{CallDeadline: 2 * time.Second, Lag: 10 * time.Minute, Recheck: time.Hour}))
	liveFilter, live := w.Pair("live")
	harness.Same(t, "the events after lists of one moment", 0, m.Evented("Orphaned"))
	w.Clock.Advance(10 * time.Minute)
	orphans(t, m, "1", "1", func() { lists(w, liveFilter, live) })
	w.EventSays(ofManager(), "Orphaned", "the filter "+filter.Status.ID)
	w.EventSays(ofManager(), "Orphaned", "the session "+session.Status.Sessions[0].ID)
	for range 5 {
		w.Clock.Advance(30 * time.Minute)
		lists(w, liveFilter, live)
	}
	harness.Same(t, "the events", 2, m.Evented("Orphaned"))
	harness.Same(t, "what is left and what is live", 2*len(left.Sessions), len(w.Content().Sessions))
	harness.Same(t, "what is left and what is live", 2*len(left.Filters), len(w.Content().Filters))
	var by []string
	for _, l := range m.Log.Lines(t) {
		if l["msg"] == "Left over in the cloud" {
			by = append(by, operations(w)[fmt.Sprint(l["requestID"])])
		}
	}
	slices.Sort(by)
	harness.Same(t, "the calls by which the log says that", []string{"ShowTrafficMirrorFilter", "ShowTrafficMirrorSession"}, by)
}

func TestWhatIsLeftOverForOverAnHourIsDeletedWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	filter, session, _ := leaveBehind(w)
	m := w.Start(harness.WithOrphansDeleted())
	w.Clock.Advance(2 * time.Hour) // how old it is does not tell since when nobody owns it
	liveFilter, live := w.Pair("live")
	orphans(t, m, "1", "1", func() { listsAfter(w, 10*time.Second, liveFilter, live) })
	w.Clock.Advance(50 * time.Minute) // and what the lists took is within the hour as well
	lists(w, liveFilter, live)
	harness.Same(t, "the sessions within the hour", 2, len(w.Content().Sessions))

	w.Clock.Advance(10 * time.Minute)
	_ = harness.Poll(t, "what is left over is gone", func() int {
		lists(w, liveFilter, live)
		return len(w.Content().Filters) + len(w.Content().Sessions)
	}, func(n int) bool { return n == 2 })
	w.EventSays(ofManager(), "OrphanDeleted", "the session "+session.Status.Sessions[0].ID)
	w.EventSays(ofManager(), "OrphanDeleted", "the filter "+filter.Status.ID)
	orphans(t, m, "0", "0", func() {})
	harness.Same(t, "the session that is left", live.Status.Sessions[0].ID, w.Content().Sessions[0].ID)
	harness.Ready(w, live)
}

func TestWhatIsRetainedOrNamedByAStatusOrForeignIsNotLeftOver(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	retained, retainedSession := w.Pair("retained")
	for _, o := range []client.Object{retainedSession, retained} {
		harness.Change(w, o, func(o client.Object) {
			switch o := o.(type) {
			case *v1alpha1.MirrorSession:
				o.Spec.DeletionPolicy = v1alpha1.DeletionRetain
			case *v1alpha1.MirrorFilter:
				o.Spec.DeletionPolicy = v1alpha1.DeletionRetain
			}
		})
		w.Delete(o)
		w.Gone(o)
	}
	restored := w.Filter("restored")
	w.Create(restored)
	harness.Ready(w, restored)
	first.Stop(w)
	harness.Change(w, restored, func(f *v1alpha1.MirrorFilter) { f.Finalizers = nil })
	w.Delete(restored)
	w.Gone(restored)
	fresh := harness.Restore(w, restored, w.Filter("restored"))
	const foreignID = "0f0f0f0f-0000-4000-8000-00000000000f"
	w.Edit(func(world *state.World) {
		foreign := world.Filters[restored.Status.ID]
		foreign.ID, foreign.Description = foreignID, "[vpcmirror 00000000/"+string(restored.UID)+"]"
		world.Filters[foreignID] = foreign
	})
	m := w.Start(harness.WithOrphansDeleted())
	harness.Because(w, fresh, v1alpha1.ReasonConflict, restored.Status.ID)
	liveFilter, live := w.Pair("live")
	want := w.Content()
	for range 3 {
		lists(w, liveFilter, live)
		w.Clock.Advance(2 * time.Hour)
	}
	orphans(t, m, "0", "0", func() {})
	w.Holds(want)
	harness.Same(t, "the filters", 4, len(want.Filters))
}

func TestWhatWasJustRetainedOrDeletedIsNotTakenForLeftOverByAListOfBefore(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start(harness.WithOrphansDeleted(), harness.WithTiming(lifecycle.DefaultTiming))
	_, session := w.Pair("retained")
	liveFilter, live := w.Pair("live")
	w.Clock.Advance(2 * time.Hour)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	stale := w.Fault(fault.Fault{Kind: fault.Stale, For: fault.Duration(5 * time.Second)})
	w.Delete(session)
	w.Gone(session)
	want := w.Content()
	lists(w, liveFilter, live)
	w.Cloud.Faults.Remove(stale) // as reads have caught up when the next list is read
	lists(w, liveFilter, live)
	orphans(t, m, "0", "0", func() {})
	harness.Same(t, "the events", 0, m.Evented("Orphaned"))
	w.Holds(want)
	harness.Same(t, "what is retained", w.Mark(session).Released(""), want.Sessions[slices.IndexFunc(want.Sessions, func(s state.Session) bool {
		return s.ID == session.Status.Sessions[0].ID
	})].Description)
}

func TestHoweverManyAreRetainedAtOnceEachLosesItsMark(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	var filters []*v1alpha1.MirrorFilter
	for i := range 20 {
		f := w.Filter(fmt.Sprintf("retained-%d", i), func(f *v1alpha1.MirrorFilter) {
			f.Spec.DeletionPolicy, f.Spec.Rules = v1alpha1.DeletionRetain, nil
		})
		w.Create(f)
		filters = append(filters, f)
	}
	for _, f := range filters {
		harness.Ready(w, f)
	}
	first.Stop(w)
	for _, f := range filters {
		w.Delete(f)
	}
	w.Start()
	for _, f := range filters {
		w.Gone(f)
	}
	for _, f := range w.Content().Filters {
		if _, marked := plan.MarkOf(f.Description); marked {
			t.Errorf("the filter %s still bears its mark: %s", f.Name, f.Description)
		}
	}
	harness.Same(t, "the filters that are retained", len(filters), len(w.Content().Filters))
}

func TestASessionInTheWayThatIsLeftOverIsNamedAsThat(t *testing.T) {
	t.Parallel()
	t.Run("with the wanted priority", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		prioritized := func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(1)) }
		_, left, _ := leaveBehind(w, prioritized)
		w.Start()
		w.Create(w.Filter("left"))
		again := w.Session("left", "left", prioritized)
		w.Create(again)
		harness.Because(w, again, v1alpha1.ReasonPriorityTaken, left.Status.Sessions[0].ID, "left over from an object of this cluster that is gone", "--delete-orphans")
	})
	t.Run("with the same source, target and VNI", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		numbered := func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(1)) }
		_, left, _ := leaveBehind(w, numbered)
		w.Start()
		w.Create(w.Filter("left"))
		again := w.Session("left", "left", numbered)
		w.Create(again)
		ready := harness.Ready(w, again)
		for _, words := range []string{left.Status.Sessions[0].ID, "left over from an object of this cluster that is gone", "--delete-orphans"} {
			if message := ready.Status.Conditions[0].Message; !strings.Contains(message, words) {
				t.Errorf("Ready says %q, want %q in it", message, words)
			}
		}
	})
}
