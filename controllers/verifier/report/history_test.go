package report

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
)

// However much is recorded, a history stays small, and what it says was counted by some
// time is never less than what was. It is exact for the latest moments.
func TestAHistoryErrsInOneDirectionOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Unix(1e9, 0)
		var h history
		h.add(begin, v1alpha1.Tallies{})
		counted := []int64{0} // by second
		for range rapid.IntRange(1, 500).Draw(t, "seconds") {
			n := counted[len(counted)-1] + rapid.Int64Range(0, 2).Draw(t, "packets")
			h.add(begin.Add(time.Duration(len(counted))*time.Second), packets(n))
			counted = append(counted, n)
		}
		if len(h) > maxMoments {
			t.Fatalf("%d moments are kept", len(h))
		}
		now := counted[len(counted)-1]
		for second, exact := range counted {
			// A microsecond before, so that the moment is surely not earlier.
			got := h.asOf(begin.Add(time.Duration(second)*time.Second-time.Microsecond), packets(now)).Packets
			recent := now-exact < maxMoments-1 // each packet more is a moment at most
			if got < exact || got > now || (recent && got != exact) {
				t.Fatalf("after %d s %d packets were counted, and now %d; the history says %d", second, exact, now, got)
			}
		}
		if got := h.asOf(begin.Add(-time.Hour), packets(now)); got.Packets != 0 {
			t.Fatalf("before the begin %d packets are said to have been counted", got.Packets)
		}
	})
}

func packets(n int64) v1alpha1.Tallies { return v1alpha1.Tallies{Counts: v1alpha1.Counts{Packets: n}} }

// tallies have n packets everywhere, with so many sources and rules.
func tallies(n int64, sources, rules int) v1alpha1.Tallies {
	out := packets(n)
	for i := range sources {
		out.Sources = append(out.Sources, v1alpha1.SourceCounts{InterfaceID: string(rune('a' + i)), Packets: n, Bytes: 2 * n, Unexpected: 3 * n, Truncated: 4 * n})
	}
	for i := range rules {
		out.Rules = append(out.Rules, v1alpha1.RuleCounts{Direction: v1alpha1.DirectionIngress, Priority: int32(i), Packets: n})
	}
	return out
}

func TestAHistoryOfManySourcesAndRulesStaysSmall(t *testing.T) {
	const second = time.Second
	begin := time.Unix(1e9, 0)
	for _, c := range []struct{ sources, rules int }{{0, 0}, {1, 1}, {10, 20}, {16, 20}} {
		var h history
		numbers := 0
		for n := range int64(1000) {
			h.add(begin.Add(time.Duration(n)*second), tallies(n, c.sources, c.rules))
		}
		for _, m := range h {
			numbers += 8 + len(m.rest)
		}
		if len(h) < fewMoments || numbers > 4800 {
			t.Errorf("with %d sources and %d rules %d moments of %d numbers are kept", c.sources, c.rules, len(h), numbers)
		}
		got := h.asOf(begin.Add(970*second-time.Microsecond), tallies(999, c.sources, c.rules))
		if want := tallies(970, c.sources, c.rules); !got.Equal(want) {
			t.Errorf("after 970 s the history says %+v", got)
		}
	}
}

func TestAHistoryGoesOnWithOtherSourcesAndRules(t *testing.T) {
	begin := time.Unix(1e9, 0)
	var h history
	h.add(begin, v1alpha1.Tallies{})
	before, after := tallies(5, 2, 1), tallies(7, 3, 2)
	after.Sources = after.Sources[1:] // b and c instead of a and b
	h.relist(v1alpha1.Tallies{}, tallies(0, 2, 1))
	h.add(begin.Add(time.Second), before)
	listed := tallies(0, 3, 2)
	listed.Sources = listed.Sources[1:]
	h.relist(tallies(0, 2, 1), listed)
	h.add(begin.Add(2*time.Second), after)
	want := only(before, listed)
	if got := h.asOf(begin.Add(time.Second-time.Microsecond), after); !got.Equal(want) || want.Sources[0].Packets != 5 || want.Sources[1].Packets != 0 {
		t.Errorf("the history says %+v, want %+v", got, want)
	}
	if got := h.asOf(begin.Add(-time.Second), after); !got.Equal(only(v1alpha1.Tallies{}, listed)) {
		t.Errorf("before the begin it says %+v", got)
	}
}
