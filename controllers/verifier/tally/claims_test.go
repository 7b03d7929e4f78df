package tally_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// named is the walkthrough's session under another ID.
func named(id string, vni uint32, edits ...func(*tally.Session)) tally.Session {
	s := walkthrough(vni)
	s.ID = id
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

func conceal(s *tally.Session) { s.Concealed = true }

func TestAStreamThatSeveralSessionsClaimIsCountedForEachByItsOwnRulesAndIsOneFrameInTheBooks(t *testing.T) {
	refuses := func(s *tally.Session) { s.Rules = nil }
	counts := newTally(t, named("a", 1), named("b", 1, refuses), named("c", 1), named("other", 2))
	counts.Count(block(good, good, copyFrom(frametest.SourceAddr, 2)))
	got := snapshot(t, counts)
	verdicts := map[string][3]uint64{}
	for _, s := range got.Sessions {
		verdicts[s.ID] = [3]uint64{s.Frames, s.Accepted, s.Unexpected}
	}
	want := map[string][3]uint64{"a": {2, 2, 0}, "b": {2, 0, 2}, "c": {2, 2, 0}, "other": {1, 1, 0}}
	if diff := cmp.Diff(want, verdicts); diff != "" {
		t.Errorf("frames, accepted and unexpected packets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tally.Frames{Read: 3, Attributed: 3}, got.Frames); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tally.Marks{SharedFrames: 2, SharedClaims: 6}, got.Marks); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
}

func TestAStreamIsForeignToTheSessionsWithItsVNIThatDoNotClaimIt(t *testing.T) {
	from := func(a netip.Addr) func(*tally.Session) {
		return func(s *tally.Session) { s.Sources[0].OuterAddrs = []netip.Addr{a} }
	}
	counts := newTally(t, named("claims", 1), named("claims too", 1), named("does not", 1, from(frametest.TargetAddr)), named("other", 2))
	counts.Count(block(good, good, good, copyFrom(frametest.TargetAddr, 1), foreign))
	got := map[string][2]uint64{}
	s := snapshot(t, counts)
	for _, c := range s.Sessions {
		got[c.ID] = [2]uint64{c.Arrived, c.ForeignSource}
	}
	want := map[string][2]uint64{"claims": {3, 2}, "claims too": {3, 2}, "does not": {1, 4}, "other": {0, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arrived and foreign (-want +got):\n%s", diff)
	}
	if s.Frames.Attributed != 4 || s.Frames.ForeignSource != 1 {
		t.Errorf("%+v", s.Frames)
	}
}

func TestOfWhatComesWhileASessionIsConcealedOnlyNumbersAreKept(t *testing.T) {
	counts := newTally(t, walkthrough(1))
	counts.Count(block(good))
	set(t, counts, named("walkthrough", 1, conceal))
	counts.Count(block(good, good))
	got := snapshot(t, counts).Sessions[0]
	if got.Accepted != 3 || !got.LastSeen.Equal(at(2)) || got.Last != nil || !slices.Equal(perRule(got), []uint64{1}) {
		t.Errorf("while it is concealed: %+v", got)
	}
	set(t, counts, walkthrough(1))
	if got := snapshot(t, counts).Sessions[0]; got.Last != nil {
		t.Errorf("afterwards: %+v", got.Last)
	}
	counts.Count(block(good))
	if got := snapshot(t, counts).Sessions[0]; got.Last == nil || !slices.Equal(perRule(got), []uint64{2}) {
		t.Errorf("with the next packet: %+v", got)
	}
}

// anySessions are some of which several may claim a stream, in full or in part.
func anySessions(t *rapid.T) (out []tally.Session) {
	for i := range rapid.IntRange(0, 4).Draw(t, "sessions") {
		s := named(fmt.Sprint(i), rapid.Uint32Range(1, 2).Draw(t, "VNI of the session"))
		s.Concealed = rapid.Bool().Draw(t, "concealed")
		if rapid.Bool().Draw(t, "without rules") {
			s.Rules = []v1alpha1.Rule{}
		}
		s.Sources = nil
		for n := range rapid.IntRange(0, 2).Draw(t, "sources") {
			source := walkthrough(1).Sources[0]
			source.ID = fmt.Sprint(n)
			source.OuterAddrs = rapid.SliceOfN(rapid.SampledFrom([]netip.Addr{frametest.SourceAddr, frametest.ClientAddr}), 0, 3).Draw(t, "addresses")
			s.Sources = append(s.Sources, source)
		}
		out = append(out, s)
	}
	return out
}

// Whatever other sessions are listed, and whenever they come and go.
func TestEachSessionCountsWhatItWouldCountAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		together, alone := newPaths(t), map[string]*paths{}
		list := func(to *paths, sessions ...tally.Session) {
			if _, err := to.SetSessions(sessions); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 3).Draw(t, "blocks") {
			sessions := anySessions(t)
			b := frames(rapid.SliceOfN(rapid.Custom(anyFrame), 0, 20).Draw(t, "frames"))
			list(together, sessions...)
			together.Count(new(slices.Clone(b)))
			for id, a := range alone {
				if !slices.ContainsFunc(sessions, func(s tally.Session) bool { return s.ID == id }) {
					list(a)
				}
			}
			for _, s := range sessions {
				if alone[s.ID] == nil {
					alone[s.ID] = newPaths(t)
				}
				list(alone[s.ID], s)
				alone[s.ID].Count(new(slices.Clone(b)))
			}
			all := together.Snapshot()
			if err := all.Check(); err != nil {
				t.Fatal(err)
			}
			for _, s := range sessions {
				with, _ := all.Session(s.ID)
				without, _ := new(alone[s.ID].Snapshot()).Session(s.ID)
				// Who is foreign to all depends on who else is listed.
				if diff := cmp.Diff(without, with, cmpopts.IgnoreFields(tally.SessionCounts{}, "ForeignSender")); diff != "" {
					t.Fatalf("session %s (-alone +together):\n%s", s.ID, diff)
				}
			}
		}
	})
}

func TestCountingForSeveralClaimantsAllocatesNothing(t *testing.T) {
	countingAllocatesNothing(t, newTally(t, named("a", 1), named("b", 1), named("c", 1, conceal)), block(good, foreign))
}
