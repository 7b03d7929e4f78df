package tally_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// judged is what a session's copies are, as both the tally and the judge tell it.
type judged struct {
	Verdicts [match.Verdicts]uint64
	Rules    []uint64
}

// byJudge adds up what a judge says of frames.
func byJudge(t failer, s tally.Session, f []capture.Frame) judged {
	t.Helper()
	j, err := tally.NewJudge(s, vxlan.Port)
	if err != nil {
		t.Fatalf("%v", err)
	}
	out := judged{Rules: make([]uint64, len(s.Rules))}
	for i := range f {
		j.Frame(&f[i], func(c *tally.Copy) {
			out.Verdicts[c.Result.Verdict] += c.Packets
			if c.Result.Rule >= 0 {
				out.Rules[c.Result.Rule] += c.Packets
			}
		})
	}
	return out
}

func byTally(t failer, s tally.Session, f frames) judged {
	t.Helper()
	counts := newPaths(t)
	if _, err := counts.SetSessions([]tally.Session{s}); err != nil {
		t.Fatalf("%v", err)
	}
	counts.Count(&f)
	got, _ := ptr(counts.Snapshot()).Session(s.ID)
	return judged{
		Verdicts: [match.Verdicts]uint64{got.Accepted, got.Unexpected, got.Undecidable, got.NotIP, got.Malformed, got.DirectionUnknown},
		Rules:    perRule(got),
	}
}

func TestAJudgeSaysOfEachPacketWhatTheTallyCountsItAs(t *testing.T) {
	t.Run("any frames", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			f := frames(rapid.SliceOfN(rapid.Custom(anyFrame), 1, 20).Draw(t, "frames"))
			if diff := cmp.Diff(byTally(t, walkthrough(1), f), byJudge(t, walkthrough(1), f)); diff != "" {
				t.Errorf("(-tally +judge):\n%s", diff)
			}
		})
	})
	t.Run("all of the corpus", func(t *testing.T) {
		for _, e := range frametest.Corpus() {
			f := frames{{Data: e.Frame, Length: len(e.Frame), Time: 1}}
			if diff := cmp.Diff(byTally(t, walkthrough(1), f), byJudge(t, walkthrough(1), f)); diff != "" {
				t.Errorf("%s (-tally +judge):\n%s", e.Name, diff)
			}
		}
	})
}

func FuzzAJudgeSaysOfJoinedDatagramsWhatTheTallyCountsThemAs(f *testing.F) {
	inner := frametest.Inner("0123456789").Bytes()
	one := append(frametest.VXLANHeader(1), inner...)
	f.Add(append(append(append([]byte{}, one...), frametest.VXLANHeader(2)...), inner...), len(one), atUDP, 400)
	f.Add(one, 20, atPayload+8+34, 192)
	f.Fuzz(func(t *testing.T, payload []byte, size, start, captured int) {
		if len(payload) > 4000 || size < 0 || size > 0xffff || start < 0 || start > 0xffff || captured < 0 {
			t.Skip()
		}
		joined := frames{joinedFrame(payload, size, start, captured)}
		if diff := cmp.Diff(byTally(t, walkthrough(1), joined), byJudge(t, walkthrough(1), joined)); diff != "" {
			t.Errorf("(-tally +judge):\n%s", diff)
		}
	})
}

func TestACopyIsHandedOutWithItsOwnBytes(t *testing.T) {
	one, two := frametest.Inner("of one").Bytes(), frametest.Inner("of two").Bytes()
	datagram := func(vni uint32, inner []byte) []byte { return append(frametest.VXLANHeader(vni), inner...) }
	payload := append(append(datagram(1, one), datagram(2, one)...), datagram(1, two)...)
	f := joinedFrame(payload, 8+len(one), atUDP, capture.JoinedSnapLength)
	type handed struct {
		Shared, Own string
		Length      int
		Joined      bool
	}
	j, err := tally.NewJudge(walkthrough(1), vxlan.Port)
	if err != nil {
		t.Fatal(err)
	}
	var got []handed
	j.Frame(&f, func(c *tally.Copy) { got = append(got, handed{string(c.Shared), string(c.Own), c.Length, c.Joined}) })
	head := string(f.Data[:atPayload])
	want := []handed{
		{head, string(datagram(1, one)), atPayload + 8 + len(one), true},
		{head, string(datagram(1, two)), atPayload + 8 + len(two), true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
