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
