package liveness

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

const node = "ecs-target"

// step is one poll: what the lease says by its own clock, and what is then known.
type step struct {
	after   time.Duration // since the step before
	renewed time.Duration // as the lease says; its clock need not agree with ours
	none    bool          // there is no lease
	want    State
	changed bool
}

func TestWhatIsKnownOfALease(t *testing.T) {
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, steps := range map[string][]step{
		"one that is renewed in time is alive": {
			{0, 0, false, Unknown, false},
			{10 * time.Second, 10 * time.Second, false, Alive, true},
			{40 * time.Second, 20 * time.Second, false, Alive, false},
			{40 * time.Second, 30 * time.Second, false, Alive, false},
		},
		"one that is not renewed for longer than it holds is lost, and found again": {
			{0, 0, false, Unknown, false},
			{5 * time.Second, 10 * time.Second, false, Alive, true},
			{40 * time.Second, 10 * time.Second, false, Alive, false},
			{time.Second, 10 * time.Second, false, Lost, true},
			{time.Hour, 10 * time.Second, false, Lost, false},
			{5 * time.Second, 20 * time.Second, false, Alive, true},
		},
		"one of which only the end is seen is lost after its time, whatever it says": {
			{0, -time.Hour, false, Unknown, false},
			{40 * time.Second, -time.Hour, false, Unknown, false},
			{time.Second, -time.Hour, false, Lost, true},
		},
		"a clock that is ahead or behind makes no difference": {
			{0, 24 * time.Hour, false, Unknown, false},
			{5 * time.Second, -24 * time.Hour, false, Alive, true},
			{41 * time.Second, -24 * time.Hour, false, Lost, true},
		},
		"one that was deleted is lost after its time, and forgotten a day later": {
			{0, 0, false, Unknown, false},
			{5 * time.Second, 10 * time.Second, false, Alive, true},
			{5 * time.Second, 0, true, Alive, false},
			{36 * time.Second, 0, true, Lost, true},
			{24 * time.Hour, 0, true, Unknown, false},
		},
		"one that was never there is not known": {{0, 0, true, Unknown, false}},
	} {
		t.Run(name, func(t *testing.T) {
			now := start
			w := &Watcher{Clock: func() time.Time { return now }}
			for i, s := range steps {
				now = now.Add(s.after)
				var leases []coordinationv1.Lease
				if !s.none {
					leases = []coordinationv1.Lease{lease(node, start.Add(s.renewed))}
				}
				want := map[string]bool{}
				if s.changed {
					want[v1alpha1.LeaseName(node)] = true
				}
				got := map[string]bool{}
				for name := range w.observe(leases) {
					got[name] = true
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("step %d: changed (-want +got):\n%s", i, diff)
				}
				if got := w.Of(node); got != s.want {
					t.Errorf("step %d: it is %s, want %s", i, got, s.want)
				}
			}
		})
	}
}

func lease(node string, renewed time.Time) coordinationv1.Lease {
	return coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.LeaseName(node)},
		Spec:       coordinationv1.LeaseSpec{RenewTime: new(metav1.NewMicroTime(renewed)), LeaseDurationSeconds: new(int32(40))},
	}
}

func TestWhatWasReportedLastStandsUntilMoreIsKnown(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	fresh := func() *Watcher { return &Watcher{Clock: func() time.Time { return now }} }
	seen := fresh()
	seen.observe([]coordinationv1.Lease{lease(node, now)})
	alive := fresh()
	alive.observe([]coordinationv1.Lease{lease(node, now)})
	alive.observe([]coordinationv1.Lease{lease(node, now.Add(1))})
	lost := fresh()
	lost.observe([]coordinationv1.Lease{lease(node, now)})
	now = now.Add(41 * time.Second)
	lost.observe([]coordinationv1.Lease{lease(node, now.Add(-41*time.Second))})
	other := fresh()
	other.observe(nil)
	for name, c := range map[string]struct {
		watcher *Watcher
		want    [2]bool // when alive was reported before, and when lost was
	}{
		"before the first poll":             {fresh(), [2]bool{false, true}},
		"a lease of unknown age":            {seen, [2]bool{false, true}},
		"a lease that was renewed":          {alive, [2]bool{false, false}},
		"a lease that ran out":              {lost, [2]bool{true, true}},
		"no lease":                          {other, [2]bool{false, true}},
		"no watcher at all":                 {nil, [2]bool{false, false}},
		"a lease without a time of renewal": {blank(fresh()), [2]bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := [2]bool{c.watcher.Lost(node, false), c.watcher.Lost(node, true)}; got != c.want {
				t.Errorf("lost is %v, want %v", got, c.want)
			}
		})
	}
}

func blank(w *Watcher) *Watcher {
	w.observe([]coordinationv1.Lease{{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.LeaseName(node)}}})
	return w
}

func TestARenewalIsOverdueWhenOneAndAPollHaveBeenMissed(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	w := &Watcher{Clock: func() time.Time { return now }}
	overdue := func(want bool, after time.Duration) {
		t.Helper()
		now = now.Add(after)
		if got := w.Overdue(node); got != want {
			t.Errorf("at %s it is overdue: %t, want %t", now.Format(time.TimeOnly), got, want)
		}
	}
	overdue(false, time.Hour) // there is no lease
	w.observe([]coordinationv1.Lease{lease(node, now)})
	overdue(false, 16*time.Second)
	overdue(true, time.Second)
	w.observe([]coordinationv1.Lease{lease(node, now)})
	overdue(false, 15*time.Second) // renewed every 10 s, and looked at every 5 s
	overdue(true, 10*time.Second)
	if (*Watcher)(nil).Overdue(node) {
		t.Error("where no leases are held one is overdue")
	}
}

func TestLeasesOfManyNodesDoNotMix(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	w := &Watcher{Clock: func() time.Time { return now }}
	var first, second []coordinationv1.Lease
	for i := range 100 {
		first = append(first, lease(fmt.Sprint("node-", i), now))
		if i%2 == 0 {
			second = append(second, lease(fmt.Sprint("node-", i), now.Add(time.Second)))
			continue
		}
		second = append(second, first[i])
	}
	w.observe(first)
	now = now.Add(41 * time.Second)
	if n := len(w.observe(second)); n != 100 {
		t.Errorf("%d changed, want all", n)
	}
	for i := range 100 {
		want := Alive
		if i%2 == 1 {
			want = Lost
		}
		if got := w.Of(fmt.Sprint("node-", i)); got != want {
			t.Errorf("node-%d is %s, want %s", i, got, want)
		}
	}
}
