package crash_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// timing keeps the relations of lifecycle.DefaultTiming (4 s, 5 s, 30 s) in a seventh of the
// time or so. What a process has read itself hides for inventory.Lag what a list says of it,
// so the last look comes later than that.
var timing = lifecycle.Timing{CallDeadline: 500 * time.Millisecond, Lag: 700 * time.Millisecond, Recheck: inventory.Lag + time.Second}

// Durations of the real cloud in that time: 3 s are within a call's deadline, 6 s after it,
// but within the lag, and 5 s are the lag.
var (
	late3  = timing.CallDeadline * 3 / 4
	late6  = timing.CallDeadline + timing.Lag*2/5
	stale5 = timing.Lag
)

// patience is how long a run may take to settle; whatever takes longer does not end.
const patience = 3 * time.Minute

// deadline ends a call to the cloud that gets no answer: timing counts from there. It is
// long, so that the calls of a busy machine get their answers.
const deadline = 2 * time.Second

// Interfaces of the scenarios.
const (
	portA = scenario.WalkthroughSource
	portB = scenario.WalkthroughTest
	portC = "5a1f0c7e-0000-4000-8000-00000000000c"
	portT = scenario.WalkthroughTarget
	portU = "5a1f0c7e-0000-4000-8000-00000000000d"
	portD = "5a1f0c7e-0000-4000-8000-00000000000e"
	portE = "5a1f0c7e-0000-4000-8000-00000000000f"
)

// subject is an object that has to be in a certain state in the end.
type subject struct {
	status.Object
	// reason of Ready in the end; empty for Synced.
	reason string
	// request is to be echoed, see stage.request.
	request string
}

// stage is where a scenario is played: a world, its objects, and the manager at work.
type stage struct {
	*harness.World
	t       testing.TB
	judge   *harness.Judge
	gate    *harness.Gate
	manager *harness.Manager

	live []*subject
	gone []status.Object // that were deleted
	kept []status.Object // of these, whose cloud objects stay nevertheless
	// lagging: what the cloud answers is of before. What was changed outside is seen by a look that comes
	// later, as the next resync is, and not by the one that was asked for right after the change.
	lagging bool
	// outside: something was changed outside, which nothing but a look can tell.
	outside bool
	// also says what else is wrong in the end, empty for nothing.
	also func() string
	// filter and session are what somebody else has made, see harness.World.Terraformed.
	filter  state.Filter
	session state.Session
	// observed: nothing is to be written to the cloud after what its journal had then.
	observed *uint64
}

// newStage is one whose cloud takes so many sources in a session, 0 for what is documented.
func newStage(t testing.TB, limit int) *stage {
	t.Helper()
	w := harness.New(t, sim.WithQuotas(func(q *state.Quotas) {
		q.SessionsPerSource = 10
		q.SourcesPerSession = cmp.Or(limit, q.SourcesPerSession)
	}))
	w.Edit(func(world *state.World) {
		for i, id := range []string{portC, portU, portD, portE} {
			p := world.Ports[scenario.WalkthroughTest]
			p.ID, p.MAC = id, fmt.Sprintf("fa:16:3e:00:00:%02x", i)
			p.Addresses = []netip.Addr{netip.MustParseAddr(fmt.Sprintf("192.168.0.%d", 200+i))}
			world.Ports[id] = p
		}
	})
	s := &stage{World: w, t: t, judge: w.Judge(), also: func() string { return "" }}
	t.Cleanup(s.clear)
	return s
}

// start runs a manager behind a gate of its own.
func (s *stage) start() {
	s.t.Helper()
	s.newGate()
	s.startBehind()
}

func (s *stage) newGate() *harness.Gate {
	s.gate = s.judge.Gate()
	return s.gate
}

func (s *stage) startBehind() {
	s.t.Helper()
	s.manager = s.Start(harness.WithGate(s.gate), harness.WithTiming(timing), harness.WithDeadline(deadline))
}

// clear takes the objects out of the API server, so that no later manager sees them.
func (s *stage) clear() {
	s.manager.Stop(s.World)
	for _, o := range s.live {
		if s.Get(o.Object) == nil {
			harness.Change(s.World, o.Object, func(o status.Object) { o.SetFinalizers(nil) })
			if s.Get(o.Object) == nil && o.GetDeletionTimestamp().IsZero() {
				s.Delete(o.Object)
			}
		}
	}
}

// newFilter and newSession make an object that is to be Ready.
func (s *stage) newFilter(name string, edits ...func(*v1alpha1.MirrorFilter)) *v1alpha1.MirrorFilter {
	f := s.Filter(name, edits...)
	s.Create(f)
	s.live = append(s.live, &subject{Object: f})
	return f
}

func (s *stage) newSession(name, filter string, edits ...func(*v1alpha1.MirrorSession)) *v1alpha1.MirrorSession {
	m := s.Session(name, filter, edits...)
	s.Create(m)
	s.live = append(s.live, &subject{Object: m})
	return m
}

func named[T status.Object](s *stage, name string) T {
	for _, o := range s.live {
		if found, ok := o.Object.(T); ok && found.GetName() == name {
			return found
		}
	}
	s.t.Fatalf("there is no %s on stage", name)
	panic("not reached")
}

func (s *stage) editFilter(name string, edit func(*v1alpha1.MirrorFilter)) {
	harness.Change(s.World, named[*v1alpha1.MirrorFilter](s, name), edit)
}

func (s *stage) editSession(name string, edit func(*v1alpha1.MirrorSession)) {
	harness.Change(s.World, named[*v1alpha1.MirrorSession](s, name), edit)
}

// expect says why an object is not to be Ready.
func (s *stage) expect(o status.Object, reason string) {
	s.subject(o).reason = reason
}

func (s *stage) subject(o status.Object) *subject {
	return s.live[slices.IndexFunc(s.live, func(l *subject) bool { return l.GetUID() == o.GetUID() })]
}

// lookAgain asks for what was asked for once more, where that may have been answered with what was before.
func (s *stage) lookAgain() {
	if s.lagging && s.outside {
		s.request()
	}
}

// request asks for a reconcile of every object.
func (s *stage) request() {
	for _, o := range s.live {
		o.request = s.RequestReconcile(o.Object)
	}
}

// remove deletes an object.
func (s *stage) remove(o status.Object) {
	s.live = slices.DeleteFunc(s.live, func(l *subject) bool { return l.GetUID() == o.GetUID() })
	s.gone = append(s.gone, o)
	if s.Get(o) != nil {
		return // it is gone already
	}
	stays := o.Cloud().Deletion() == v1alpha1.DeletionRetain || o.Cloud().Observes()
	if stays && slices.Contains(o.GetFinalizers(), v1alpha1.Finalizer) {
		s.kept = append(s.kept, o)
	}
	s.Delete(o)
}

// removeAll deletes every object, as somebody may while no manager runs.
func (s *stage) removeAll() {
	for len(s.live) > 0 {
		s.remove(s.live[len(s.live)-1].Object)
	}
}

// age lets what there is be made long ago, and have said all that it says after a while, such as
// that nobody counts: such a status would come at some moment of the play.
func (s *stage) age(t *testing.T) {
	t.Helper()
	s.Clock.Advance(time.Minute)
	s.refresh()
	for _, o := range s.live {
		if !o.Cloud().Suspend { // nothing is handled of one that is suspended
			o.request = s.RequestReconcile(o.Object)
		}
	}
	if _, wrong := s.settle(nil); wrong != "" {
		t.Fatalf("a minute later, before it began: %s", wrong)
	}
	for _, o := range s.live {
		o.request = ""
	}
	s.Clock.Advance(time.Minute)
	s.refresh()
}

// refresh reads every object anew.
func (s *stage) refresh() {
	s.t.Helper()
	for _, o := range s.live {
		if err := s.Get(o.Object); err != nil {
			s.t.Fatalf("reading %s: %v", o.GetName(), err)
		}
	}
}

// wrong says what is not yet as it has to be in the end, empty for nothing.
func (s *stage) wrong() string {
	world := s.Cloud.State.Snapshot()
	for _, o := range s.live {
		if problem := s.wrongAbout(world, o); problem != "" {
			return o.GetName() + ": " + problem
		}
	}
	for _, o := range s.gone {
		if _, gone := s.Latest(o); !gone {
			return o.GetName() + " is not gone"
		}
	}
	if s.Cloud.Effects().Awaited > 0 {
		return "a write is still to take effect"
	}
	leaked, doubled := s.leftovers()
	if left := slices.Concat(leaked, doubled, s.harmed()); len(left) > 0 {
		return left[0]
	}
	if len(s.live) == 0 {
		return "" // everything was deleted meanwhile
	}
	return s.also()
}

func (s *stage) leftovers() (leaked, doubled []string) {
	var known []status.Object
	for _, o := range s.live {
		known = append(known, o.Object)
	}
	return s.Leftovers(known, s.kept)
}

// onlyObserves says that nothing is written to the cloud from now on; managesAgain that it may.
func (s *stage) onlyObserves() { s.observed = new(s.Cloud.Journal.Last()) }
func (s *stage) managesAgain() { s.observed = nil }

// harmed is what was done to what is somebody else's: lost, or written though it is only observed.
func (s *stage) harmed() []string {
	harmed := s.Lost(s.gone)
	if s.observed != nil {
		for _, e := range s.Cloud.Journal.Writes(*s.observed) {
			harmed = append(harmed, "it is only to be observed, and was written: "+harness.Describe(e))
		}
	}
	return harmed
}

func (s *stage) wrongAbout(world *state.World, o *subject) string {
	is, gone := s.Latest(o.Object)
	if gone || is == nil || version(is) < version(o.Object) {
		return fmt.Sprintf("the watch has not seen version %s (gone: %v)", o.GetResourceVersion(), gone)
	}
	ready := meta.FindStatusCondition(is.Common().Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || ready.ObservedGeneration != is.GetGeneration():
		return fmt.Sprintf("generation %d was not reconciled: %+v", is.GetGeneration(), ready)
	case o.request != "" && is.Common().LastHandledReconcileAt != o.request:
		return "the request " + o.request + " is not handled"
	case o.reason != "" && ready.Reason != o.reason, o.reason == "" && !status.IsSynced(is):
		return fmt.Sprintf("it is not ready because of %s: %s", ready.Reason, ready.Message)
	case o.reason == "":
		return cmp.Or(s.Lacks(world, is), s.judge.Outdated(is))
	}
	return ""
}

func version(o client.Object) int {
	n, _ := strconv.Atoi(o.GetResourceVersion()) // the API server's own are numbers
	return n
}

// settle waits until nothing is wrong, or the manager dies, and reports which. What is
// still wrong after a long time is returned.
func (s *stage) settle(died <-chan struct{}) (dead bool, wrong string) {
	s.t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	resync := time.NewTicker(10 * stale5)
	defer resync.Stop()
	for {
		if wrong = s.wrong(); wrong == "" {
			return false, ""
		}
		select {
		case <-died:
			return true, ""
		case <-end:
			return false, wrong
		case <-resync.C:
			s.lookAgain()
		case <-tick.C:
		}
	}
}
