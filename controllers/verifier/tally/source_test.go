package tally_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// withSources is the walkthrough's session with such sources, each with the addresses that it
// is said to have.
func withSources(ids map[string][]netip.Addr) tally.Session {
	s := walkthrough(1)
	s.Sources = nil
	for _, id := range []string{"a", "b", "c"} {
		if addrs, ok := ids[id]; ok {
			s.Sources = append(s.Sources, tally.Source{ID: id, OuterAddrs: addrs, MAC: frametest.SourceMAC, Addrs: []netip.Addr{frametest.SourceAddr}})
		}
	}
	return s
}

// bySource are accepted and truncated packets by source.
func bySource(s tally.SessionCounts) map[string][2]uint64 {
	out := map[string][2]uint64{}
	for _, source := range s.Sources {
		out[source.ID] = [2]uint64{source.Accepted, source.Truncated}
	}
	return out
}

func expectSources(t *testing.T, what string, of *paths, arrived uint64, want map[string][2]uint64) {
	t.Helper()
	s := snapshot(t, of).Sessions[0]
	if diff := cmp.Diff(want, bySource(s)); diff != "" || s.Arrived != arrived {
		t.Errorf("%s: %d packets, want %d; accepted and truncated by source (-want +got):\n%s", what, s.Arrived, arrived, diff)
	}
}

var (
	addrA, addrA2 = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	addrB         = netip.MustParseAddr("10.0.0.3")
)

func TestEachSourceHasCountsOfItsOwnAsLongAsItIsOne(t *testing.T) {
	both := map[string][]netip.Addr{"a": {addrA, addrA2}, "b": {addrB}}
	counts := newTally(t, withSources(both))
	expectSources(t, "before the first packet", counts, 0, map[string][2]uint64{"a": {}, "b": {}})

	cut := frametest.Copy(1, frametest.Inner("12345\n").Bytes()[:58])
	cut.Source = addrB
	counts.Count(block(copyFrom(addrA, 1), copyFrom(addrA2, 1), cut.Bytes()))
	expectSources(t, "by any of its addresses", counts, 3, map[string][2]uint64{"a": {2, 0}, "b": {1, 1}})

	moved := withSources(map[string][]netip.Addr{"a": {addrB}, "b": {addrA}})
	moved.VNI = 5
	set(t, counts, moved)
	counts.Count(block(copyFrom(addrB, 5)))
	expectSources(t, "with other addresses and another VNI", counts, 4, map[string][2]uint64{"a": {3, 0}, "b": {1, 1}})

	set(t, counts, withSources(map[string][]netip.Addr{"a": {addrA}, "c": {}}))
	expectSources(t, "without a source, whose packets stay in the total", counts, 4, map[string][2]uint64{"a": {3, 0}, "c": {}})
	set(t, counts, withSources(both))
	expectSources(t, "with a source that comes back", counts, 4, map[string][2]uint64{"a": {3, 0}, "b": {}})
}

func TestWhatCameFromASourceWhileItsSessionWasConcealedIsInTheTotalAlone(t *testing.T) {
	of := map[string][]netip.Addr{"a": {addrA}, "b": {addrB}}
	concealed := withSources(of)
	concealed.Concealed = true
	counts := newTally(t, withSources(of))
	counts.Count(block(copyFrom(addrA, 1)))
	seen := snapshot(t, counts).Sessions[0].Sources[0].LastSeen
	set(t, counts, concealed)
	counts.Count(block(copyFrom(addrA, 1), copyFrom(addrA, 1), copyFrom(addrB, 1)))
	expectSources(t, "meanwhile", counts, 4, map[string][2]uint64{"a": {1, 0}, "b": {}})
	if got := snapshot(t, counts).Sessions[0].Sources[0].LastSeen; !got.Equal(seen) {
		t.Errorf("the source is said to have been seen at %s", got)
	}
	set(t, counts, withSources(of))
	counts.Count(block(copyFrom(addrA, 1)))
	expectSources(t, "afterwards", counts, 5, map[string][2]uint64{"a": {2, 0}, "b": {}})
	set(t, counts, withSources(nil))
	expectSources(t, "without any source", counts, 5, map[string][2]uint64{})
}

func TestTheForeignSenderIsTheOneThatSentTheMostOfWhatNoSessionClaims(t *testing.T) {
	sender := func(counts *paths) (out []string) {
		for _, s := range snapshot(t, counts).Sessions {
			out = append(out, s.ForeignSender.String())
		}
		return out
	}
	one := named("one", 1)
	two := named("two", 2, func(s *tally.Session) { s.Sources[0].OuterAddrs = []netip.Addr{addrB} })
	counts := newTally(t, one, two)
	steps := []struct {
		what string
		do   func()
		want []string
	}{
		{"nobody", func() {}, []string{"invalid IP", "invalid IP"}},
		{"another session's source with its own VNI is none", func() { counts.Count(block(copyFrom(addrB, 2), copyFrom(addrB, 2))) }, []string{"invalid IP", "invalid IP"}},
		{"the larger of two", func() {
			counts.Count(block(copyFrom(addrA, 1), copyFrom(addrA2, 1), copyFrom(addrA2, 1), copyFrom(addrA, 7), copyFrom(addrA, 7)))
		}, []string{addrA2.String(), "invalid IP"}},
		{"not one that a session claims since", func() {
			set(t, counts, named("one", 1, func(s *tally.Session) { s.Sources[0].OuterAddrs = []netip.Addr{addrA2} }), two)
		}, []string{addrA.String(), "invalid IP"}},
		{"nobody while the session is concealed", func() { set(t, counts, named("one", 1, conceal), two) }, []string{"invalid IP", "invalid IP"}},
	}
	for _, step := range steps {
		step.do()
		if diff := cmp.Diff(step.want, sender(counts)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
}

// In the bounded table a newcomer inherits the count of whom it drives out: it did not send
// these.
func TestAFloodOfForeignSendersHidesNoneThatIsLarge(t *testing.T) {
	counts := newTally(t, walkthrough(1))
	const others, large = 63, 100
	n := 0
	flood := func(senders int) {
		var all [][]byte
		for range senders {
			all = append(all, copyFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 1))
			n++
		}
		counts.Count(block(all...))
	}
	flood(others)
	counts.Count(block(slices.Repeat([][]byte{copyFrom(addrA, 1)}, large)...))
	flood(others*(large-1) + 1) // now each has as many to its name, and one has more
	s := snapshot(t, counts)
	if s.Unknown[0].Source == addrA || s.Unknown[0].Arrived != large+1 {
		t.Errorf("the flood was not as meant: %+v", s.Unknown[:2])
	}
	if got := s.Sessions[0].ForeignSender; got != addrA {
		t.Errorf("the foreign sender is %s", got)
	}
}

// Whatever changes, and however often: a source that stays never falls, and a session's total
// is what came from all that were its sources.
func TestCountsBySourceNeverFallAndAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addrs := []netip.Addr{addrA, addrA2, addrB}
		counts := newPaths(t)
		var arrived uint64 // of the session's
		shown, listed := map[string]uint64{}, map[string][]netip.Addr{}
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			was := listed
			listed = map[string][]netip.Addr{}
			for _, id := range []string{"a", "b", "c"} {
				if rapid.Bool().Draw(t, "listed") {
					listed[id] = rapid.SliceOfN(rapid.SampledFrom(addrs), 0, 2).Draw(t, "addresses")
				}
			}
			s := withSources(listed)
			s.Concealed = rapid.Bool().Draw(t, "concealed")
			if removed, err := counts.SetSessions([]tally.Session{s}); err != nil || removed != nil {
				t.Fatal(removed, err)
			}
			for id := range was {
				if _, still := listed[id]; !still {
					delete(shown, id)
				}
			}
			for range rapid.IntRange(0, 5).Draw(t, "packets") {
				from := rapid.SampledFrom(addrs).Draw(t, "from")
				counts.Count(block(copyFrom(from, 1)))
				for _, id := range []string{"a", "b", "c"} {
					if slices.Contains(listed[id], from) { // the first that has it
						arrived++
						if !s.Concealed {
							shown[id]++
						}
						break
					}
				}
			}
			got, want := map[string]uint64{}, map[string]uint64{}
			snap := counts.Snapshot()
			if err := snap.Check(); err != nil {
				t.Fatal(err)
			}
			for _, source := range snap.Sessions[0].Sources {
				got[source.ID] = source.Arrived
			}
			for id := range listed {
				want[id] = shown[id]
			}
			if diff := cmp.Diff(want, got); diff != "" || snap.Sessions[0].Arrived != arrived {
				t.Fatalf("%d packets, want %d; by source (-want +got):\n%s", snap.Sessions[0].Arrived, arrived, diff)
			}
		}
	})
}
