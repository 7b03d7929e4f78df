package report_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

func packets(n int64) v1alpha1.Tallies { return v1alpha1.Tallies{Counts: v1alpha1.Counts{Packets: n}} }

func TestWhatOverlappingRunsReport(t *testing.T) {
	for _, c := range []struct {
		name string
		// play goes on after the first run has reported ten packets.
		play func(w *world, first *run)
		want int64
	}{
		{"a successor that reads only when its predecessor has ended reports no packet again", func(w *world, first *run) {
			second := w.begin()
			w.come(packets(4)) // both see them
			w.end(first, true)
			w.write(second)
		}, 10 + 4},
		{"it adds what came afterwards, and what the predecessor alone has seen", func(w *world, first *run) {
			w.come(packets(7))
			second := w.begin()
			w.write(second)
			w.come(packets(4))
			w.end(first, true)
			w.record(second)
			w.come(packets(3))
			w.write(second)
		}, 10 + 7 + 4 + 3},
		{"it does so too when it has not read before", func(w *world, first *run) {
			w.come(packets(7))
			second := w.begin()
			w.come(packets(4))
			w.end(first, true)
			w.record(second)
			w.come(packets(3))
			w.write(second)
		}, 10 + 7 + 4 + 3},
		{"of what a predecessor that was killed had not reported it reports what it has seen itself", func(w *world, first *run) {
			w.come(packets(7))
			second := w.begin()
			w.come(packets(4))
			w.end(first, false)
			w.come(packets(3))
			w.write(second)
		}, 10 + 4 + 3},
		{"two that go on beside each other report each packet once", func(w *world, first *run) {
			second := w.begin()
			for range 5 {
				w.come(packets(4))
				w.write(second)
				w.come(packets(3))
				w.write(first)
			}
		}, 10 + 5*(4+3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{t: t, now: noon}
			first := w.begin()
			w.come(packets(10))
			w.write(first)
			c.play(w, first)
			w.check()
			if diff := cmp.Diff(packets(c.want).Counts, w.reports().Counts); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
		})
	}
}

// entryOf is an entry that another run has written.
func entryOf(n int64, observed time.Time) *v1alpha1.Verification {
	e := report.Totals{Tallies: packets(n)}.Entry(report.Observation{Node: "node-1", At: observed, Started: noon.Add(-time.Hour)})
	return &e
}

func TestWhatARunReportsAfterAReadThatIsOutOfTheOrdinary(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(l *report.Ledger)
		want int64
	}{
		{"an entry as of a time that is still to come may hold all that was counted", func(l *report.Ledger) {
			l.Record(noon.Add(time.Second), report.Totals{Tallies: packets(4)})
			l.Merge(report.Stored{Own: entryOf(14, noon.Add(time.Hour))})
		}, 14},
		{"so may one that was written before the clock was set back", func(l *report.Ledger) {
			l.Record(noon.Add(time.Minute), report.Totals{Tallies: packets(4)})
			l.Record(noon.Add(time.Second), report.Totals{Tallies: packets(6)})
			l.Merge(report.Stored{Own: entryOf(16, noon.Add(30*time.Second))})
		}, 16},
		{"and one as of before the clock was set back, though it is not after what was recorded", func(l *report.Ledger) {
			l.Record(noon.Add(time.Minute), report.Totals{Tallies: packets(4)})
			l.Record(noon.Add(-time.Minute), report.Totals{Tallies: packets(6)})
			l.Merge(report.Stored{Own: entryOf(16, noon.Add(-2*time.Minute))})
		}, 16},
		{"an entry that was written in the same microsecond, and later, may hold what was recorded", func(l *report.Ledger) {
			l.Record(noon.Add(time.Second), report.Totals{Tallies: packets(4)})
			l.Record(noon.Add(2*time.Second), report.Totals{Tallies: packets(6)})
			l.Merge(report.Stored{Own: entryOf(16, noon.Add(time.Second+999*time.Nanosecond))})
		}, 16},
		{"an entry that somebody removed is reported again", func(l *report.Ledger) {
			l.Merge(report.Stored{Own: entryOf(10, noon)})
			l.Reported()
			l.Record(noon.Add(time.Second), report.Totals{Tallies: packets(4)})
			l.Merge(report.Stored{})
		}, 14},
		{"a status that somebody emptied makes no totals of nothing", func(l *report.Ledger) {
			l.Merge(report.Stored{Own: entryOf(10, noon), Retired: packets(100), Others: packets(50)})
			l.Reported()
			l.Record(noon.Add(time.Second), report.Totals{Tallies: packets(4)})
			l.Merge(report.Stored{})
		}, 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := report.NewLedger(noon)
			c.play(l)
			if diff := cmp.Diff(packets(c.want).Counts, l.Totals().Counts); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALedgerKeepsTheFirstAndTheLastPacketOfAllRuns(t *testing.T) {
	before := entryOf(10, noon)
	before.FirstPacketAt, before.LastPacketAt, before.LastPacket = at(-time.Hour), at(-time.Minute), "the one before"
	l := report.NewLedger(noon)
	l.Merge(report.Stored{Own: before})
	reported := func() v1alpha1.Verification {
		e := l.Totals().Entry(report.Observation{Node: "node-1", At: noon, Started: l.Started()})
		e.LastPacket = l.Totals().LastPacket(4789)
		return e
	}
	want := *before
	want.StartedAt = at(0)
	expectEntry(t, want, reported())

	l.Close(report.Totals{Tallies: packets(1), First: noon.Add(time.Second), Last: noon.Add(time.Second)})
	l.Record(noon.Add(3*time.Second), report.Totals{Tallies: packets(2), First: noon.Add(2 * time.Second), Last: noon.Add(2 * time.Second)})
	want.InEpoch = &v1alpha1.Counts{Packets: 3} // the one before knew no epoch
	want.Packets, want.LastPacketAt, want.LastPacket = 13, at(2*time.Second), ""
	expectEntry(t, want, reported())
}

func TestTheStartMovesUntilThereMayBeAnEntry(t *testing.T) {
	l := report.NewLedger(noon)
	var got []time.Time
	for _, move := range []func(){
		func() { l.MoveStart(noon.Add(-time.Second)) },
		func() { l.MoveStart(noon.Add(time.Second)) },
		func() { l.Reported(); l.MoveStart(noon.Add(2 * time.Second)) },
	} {
		move()
		got = append(got, l.Started())
	}
	if diff := cmp.Diff([]time.Time{noon, noon.Add(time.Second), noon.Add(time.Second)}, got); diff != "" {
		t.Errorf("starts (-want +got):\n%s", diff)
	}
}

func TestWhatASessionHasStoredOfANode(t *testing.T) {
	entry := func(node string, n int64) v1alpha1.Verification {
		return v1alpha1.Verification{Node: node, Counts: packets(n).Counts, ObservedAt: metav1.NewMicroTime(noon)}
	}
	s := &v1alpha1.MirrorSession{}
	if diff := cmp.Diff(report.Stored{}, report.StoredIn(s, "node-1")); diff != "" {
		t.Errorf("before anybody has written (-want +got):\n%s", diff)
	}
	s.Status.Verification = []v1alpha1.Verification{entry("node-0", 1), entry("node-1", 2), entry("node-2", 4)}
	s.Status.Traffic = &v1alpha1.Traffic{Retired: &v1alpha1.Retired{Counts: packets(8).Counts}}
	want := report.Stored{Own: new(entry("node-1", 2)), Others: packets(1 + 4), Retired: packets(8)}
	if diff := cmp.Diff(want, report.StoredIn(s, "node-1")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestALongRunStillKnowsWhatItHadCountedLately(t *testing.T) {
	l := report.NewLedger(noon)
	now, n := noon, int64(0)
	count := func() {
		now = now.Add(time.Second)
		n++
		l.Record(now, report.Totals{Tallies: packets(n)})
	}
	for range 1000 {
		count()
	}
	theirs := entryOf(n+7, now.Add(-time.Millisecond)) // with what the other run alone has seen
	for range 100 {
		count()
	}
	l.Merge(report.Stored{Own: theirs})
	if diff := cmp.Diff(packets(n+7).Counts, l.Totals().Counts); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
}

// behind is a load balancer with members on nodes.
func behind(nodes ...string) *v1alpha1.ResolvedTarget {
	t := &v1alpha1.ResolvedTarget{LoadBalancerID: "lb"}
	for _, node := range nodes {
		t.Members = append(t.Members, v1alpha1.TargetMember{NodeName: node})
	}
	return t
}

// It is the rule of config/policy/verifier_writes.yaml.
func TestATargetIsElsewhereWhenItIsKnownToBeOnOtherNodes(t *testing.T) {
	for name, c := range map[string]struct {
		named string
		found *v1alpha1.ResolvedTarget
		want  bool
	}{
		"not found yet":                        {"b", nil, false},
		"on no node that anybody knows":        {"", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{}}, false},
		"here":                                 {"", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{NodeName: "a"}}, false},
		"here by the spec":                     {"a", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{}}, false},
		"about to move here":                   {"a", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{NodeName: "b"}}, false},
		"about to leave":                       {"b", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{NodeName: "a"}}, false},
		"on another node":                      {"", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{NodeName: "b"}}, true},
		"on another node by the spec":          {"b", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{}}, true},
		"behind a load balancer":               {"", behind("b", "a"), false},
		"behind one on other nodes alone":      {"", behind("b", "c"), true},
		"maybe behind one, on no known node":   {"", behind("b", ""), false},
		"behind one without members":           {"", behind(), false},
		"on another node and about to move on": {"c", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{NodeName: "b"}}, true},
	} {
		s := &v1alpha1.MirrorSession{}
		s.Spec.Target.NodeName, s.Status.Target = c.named, c.found
		if got := s.TargetElsewhere("a"); got != c.want {
			t.Errorf("%s: it is %t", name, got)
		}
	}
}
