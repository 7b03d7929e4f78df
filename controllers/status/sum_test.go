package status_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

func sourceCounts(id string, packets int64, last *metav1.MicroTime) v1alpha1.SourceCounts {
	return v1alpha1.SourceCounts{InterfaceID: id, Packets: packets, Bytes: 100 * packets, LastPacketAt: last}
}

func rule(priority int32, packets int64) v1alpha1.RuleCounts {
	return v1alpha1.RuleCounts{Direction: v1alpha1.DirectionIngress, Priority: priority, Packets: packets}
}

func total(packets int64) v1alpha1.Counts { return v1alpha1.Counts{Packets: packets} }

func TestTheSumBySourceByRuleAndInTheEpoch(t *testing.T) {
	s1 := v1alpha1.ResolvedInterface{InterfaceID: "s1", Addresses: []string{"10.0.0.1", "10.0.0.9"}}
	s2 := v1alpha1.ResolvedInterface{InterfaceID: "s2"}
	shown := func(id, address string, packets int64, last *metav1.MicroTime) v1alpha1.SourceCounts {
		s := sourceCounts(id, packets, last)
		s.Address = address
		return s
	}
	for name, c := range map[string]struct {
		have v1alpha1.MirrorSessionStatus
		want *v1alpha1.Traffic
	}{
		"names a source of which nothing was counted": {
			v1alpha1.MirrorSessionStatus{
				Epoch: 1, Sources: []v1alpha1.ResolvedInterface{s2, s1},
				Verification: []v1alpha1.Verification{{Node: "a", Epoch: 1, Sources: []v1alpha1.SourceCounts{sourceCounts("s1", 3, micro(0))}}},
			},
			&v1alpha1.Traffic{InEpoch: &v1alpha1.Counts{}, Sources: []v1alpha1.SourceCounts{shown("s2", "", 0, nil), shown("s1", "10.0.0.1", 3, micro(0))}},
		},
		"adds up entries and what is retired, and names no source that is none any more": {
			v1alpha1.MirrorSessionStatus{
				Epoch: 2, Sources: []v1alpha1.ResolvedInterface{s1},
				Verification: []v1alpha1.Verification{
					{Node: "a", Counts: total(8), Sources: []v1alpha1.SourceCounts{sourceCounts("gone", 5, nil), sourceCounts("s1", 3, micro(time.Second))}},
					{Node: "b", Counts: total(4), Ended: true, Sources: []v1alpha1.SourceCounts{sourceCounts("s1", 4, micro(0))}},
				},
				Traffic: &v1alpha1.Traffic{Since: second(0), Retired: &v1alpha1.Retired{
					Counts: total(20), Sources: []v1alpha1.SourceCounts{sourceCounts("gone", 13, nil), sourceCounts("s1", 7, micro(2*time.Second))},
				}},
			},
			&v1alpha1.Traffic{
				Counts: total(32), Since: second(0), Sources: []v1alpha1.SourceCounts{shown("s1", "10.0.0.1", 14, micro(2*time.Second))},
				Retired: &v1alpha1.Retired{Counts: total(20), Sources: []v1alpha1.SourceCounts{sourceCounts("s1", 7, micro(2*time.Second))}},
			},
		},
		"has of the epoch what is of the present one, and of no entry that has ended": {
			v1alpha1.MirrorSessionStatus{
				Epoch: 5,
				Verification: []v1alpha1.Verification{
					{Node: "before", Counts: total(9), Epoch: 4, InEpoch: new(total(9)), Rules: []v1alpha1.RuleCounts{rule(1, 9)}},
					{Node: "now", Counts: total(9), Epoch: 5, InEpoch: new(total(2)), Rules: []v1alpha1.RuleCounts{rule(2, 2)}},
					{Node: "too", Counts: total(9), Epoch: 5, InEpoch: new(total(3)), Rules: []v1alpha1.RuleCounts{rule(1, 1), rule(2, 2)}},
					{Node: "ended", Counts: total(9), Epoch: 5, InEpoch: new(total(4)), Rules: []v1alpha1.RuleCounts{rule(1, 4)}, Ended: true},
					{Node: "ahead", Counts: total(9), Epoch: 6, InEpoch: new(total(1)), Rules: []v1alpha1.RuleCounts{rule(1, 1)}},
				},
			},
			&v1alpha1.Traffic{Counts: total(45), InEpoch: new(total(5)), Rules: []v1alpha1.RuleCounts{rule(1, 1), rule(2, 4)}},
		},
		"has nothing of an epoch before there is one": {
			v1alpha1.MirrorSessionStatus{Verification: []v1alpha1.Verification{{Node: "a", Counts: total(2), InEpoch: new(total(2)), Rules: []v1alpha1.RuleCounts{rule(1, 2)}}}},
			&v1alpha1.Traffic{Counts: total(2)},
		},
		"says since when before any verifier has reported": {
			v1alpha1.MirrorSessionStatus{Epoch: 1, Traffic: &v1alpha1.Traffic{Since: second(0)}}, &v1alpha1.Traffic{Since: second(0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := status.SumTraffic(&c.have, noon.Add(time.Hour))
			same(t, "the sum", c.want, got)
			c.have.Traffic = got
			same(t, "the sum once more", c.want, status.SumTraffic(&c.have, noon.Add(2*time.Hour)))
		})
	}
}

func TestNoPacketWasSeenLaterThanNow(t *testing.T) {
	now := noon.Add(1500 * time.Millisecond)
	entry := v1alpha1.Verification{
		Node: "ahead", Counts: total(1), FirstPacketAt: micro(time.Hour), LastPacketAt: micro(2 * time.Hour),
		Sources: []v1alpha1.SourceCounts{sourceCounts("s", 1, micro(2*time.Hour))},
	}
	st := &v1alpha1.MirrorSessionStatus{Sources: []v1alpha1.ResolvedInterface{{InterfaceID: "s"}}, Verification: []v1alpha1.Verification{entry}}
	want := &v1alpha1.Traffic{
		Counts: total(1), FirstPacketAt: second(time.Second), LastPacketAt: second(time.Second),
		Sources: []v1alpha1.SourceCounts{sourceCounts("s", 1, micro(1500*time.Millisecond))},
	}
	look := func(what string, after time.Duration) {
		t.Helper()
		st.Traffic = status.SumTraffic(st, now.Add(after))
		same(t, what, want, st.Traffic)
	}
	look("what was told first", 0)
	look("what was told before, at another look", time.Minute)
	st.Traffic.LastPacketAt = second(2 * time.Hour) // as before there was this bound
	want.LastPacketAt = second(2*time.Minute + time.Second)
	look("what an earlier version had stored", 2*time.Minute)
	look("that, at another look", 3*time.Minute)

	entry.Packets, entry.Sources[0].Packets, entry.Sources[0].Bytes = 2, 2, 200
	st.Verification[0] = entry
	want.Packets, want.LastPacketAt = 2, second(4*time.Minute+time.Second)
	want.Sources[0] = sourceCounts("s", 2, micro(4*time.Minute+1500*time.Millisecond))
	look("one packet more", 4*time.Minute)
	want.Sources[0].LastPacketAt = micro(2 * time.Hour) // of a source some packets count in no number of its own
	look("when the manager's clock has come there", 3*time.Hour)
}

// books is a session whose verifiers count, end and go, while sources come and go: what was
// counted is known.
type books struct {
	status  v1alpha1.MirrorSessionStatus
	all     int64
	source  map[string]int64
	inEpoch map[string]int64
	now     time.Time
}

func (b *books) entry(node string) *v1alpha1.Verification {
	for i := range b.status.Verification {
		if b.status.Verification[i].Node == node {
			return &b.status.Verification[i]
		}
	}
	b.status.Verification = append(b.status.Verification, v1alpha1.Verification{Node: node, Epoch: b.status.Epoch, InEpoch: &v1alpha1.Counts{}})
	b.inEpoch[node] = 0
	return &b.status.Verification[len(b.status.Verification)-1]
}

// count is what the verifier of a node does of packets of a source.
func (b *books) count(node, source string, packets int64) {
	e := b.entry(node)
	if e.Ended {
		return
	}
	if e.Epoch != b.status.Epoch {
		e.Epoch, e.InEpoch, b.inEpoch[node] = b.status.Epoch, &v1alpha1.Counts{}, 0
	}
	e.Packets, e.InEpoch.Packets = e.Packets+packets, e.InEpoch.Packets+packets
	e.LastPacketAt = new(metav1.NewMicroTime(b.now))
	b.all, b.inEpoch[node] = b.all+packets, b.inEpoch[node]+packets
	var kept []v1alpha1.SourceCounts
	for _, s := range e.Sources { // a verifier forgets a source that is none any more
		if _, present := b.source[s.InterfaceID]; present && s.InterfaceID != source {
			kept = append(kept, s)
		} else if s.InterfaceID == source {
			packets += s.Packets
			b.source[source] -= s.Packets
		}
	}
	b.source[source] += packets
	e.Sources = append(kept, v1alpha1.SourceCounts{InterfaceID: source, Packets: packets})
}

func TestTotalsNeverFallAndNothingIsCountedTwiceHoweverEntriesGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := books{source: map[string]int64{}, inEpoch: map[string]int64{}, now: noon}
		b.status.Epoch = 1
		add := func(id string) {
			b.source[id] = 0
			b.status.Sources = append(b.status.Sources, v1alpha1.ResolvedInterface{InterfaceID: id})
		}
		add("s0")
		names := 1
		t.Repeat(map[string]func(*rapid.T){
			"count": func(t *rapid.T) {
				source := rapid.SampledFrom(b.status.Sources).Draw(t, "source").InterfaceID
				b.count(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "node"), source, rapid.Int64Range(0, 9).Draw(t, "packets"))
			},
			"another source": func(t *rapid.T) {
				if names > 4 {
					t.Skip("enough")
				}
				add(fmt.Sprintf("s%d", names))
				names++
			},
			"a source goes": func(t *rapid.T) {
				if len(b.status.Sources) < 2 {
					t.Skip("the last one")
				}
				delete(b.source, b.status.Sources[0].InterfaceID)
				b.status.Sources = b.status.Sources[1:]
			},
			"another epoch": func(*rapid.T) { b.status.Epoch++ },
			"an entry ends": func(t *rapid.T) {
				if len(b.status.Verification) == 0 {
					t.Skip("none")
				}
				i := rapid.IntRange(0, len(b.status.Verification)-1).Draw(t, "which")
				b.status.Traffic = status.Retire(&b.status, i, b.now)
				delete(b.inEpoch, b.status.Verification[i].Node)
				b.status.Verification = append(b.status.Verification[:i:i], b.status.Verification[i+1:]...)
			},
			"a look": func(*rapid.T) { b.status.Traffic = status.SumTraffic(&b.status, b.now) },
			"": func(t *rapid.T) {
				b.now = b.now.Add(time.Second)
				got := status.SumTraffic(&b.status, b.now)
				if got == nil {
					got = &v1alpha1.Traffic{}
				}
				want := v1alpha1.Traffic{Counts: total(b.all)}
				var epoch int64
				for _, e := range b.status.Verification {
					if e.Epoch == b.status.Epoch {
						epoch += b.inEpoch[e.Node]
					}
				}
				if got.InEpoch != nil && got.InEpoch.Packets != epoch || got.InEpoch == nil && epoch > 0 {
					t.Fatalf("in the epoch are %v, counted were %d", got.InEpoch, epoch)
				}
				if b.all > 0 && got.Counts != want.Counts {
					t.Fatalf("the sum is %+v, counted were %d", got.Counts, b.all)
				}
				for _, s := range got.Sources {
					if s.Packets != b.source[s.InterfaceID] {
						t.Fatalf("of %s are %d, counted were %d", s.InterfaceID, s.Packets, b.source[s.InterfaceID])
					}
				}
			},
		})
	})
}
