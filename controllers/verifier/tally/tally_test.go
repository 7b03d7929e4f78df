package tally_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// frames is a block of frames in memory.
type frames []capture.Frame

func (f *frames) Next(out *capture.Frame) bool {
	if len(*f) == 0 {
		return false
	}
	*out = (*f)[0]
	*f = (*f)[1:]
	return true
}

// block makes a block of frames, a second apart.
func block(packets ...[]byte) *frames {
	var f frames
	for i, p := range packets {
		f = append(f, capture.Frame{Data: p, Length: len(p), Time: int64(i+1) * 1e9})
	}
	return &f
}

func newTally(t *testing.T, sessions ...tally.Session) *tally.Tally {
	t.Helper()
	out := tally.New(vxlan.Port)
	set(t, out, sessions...)
	return out
}

func set(t *testing.T, to *tally.Tally, sessions ...tally.Session) (removed []tally.SessionCounts) {
	t.Helper()
	removed, err := to.SetSessions(sessions)
	if err != nil {
		t.Fatal(err)
	}
	return removed
}

func snapshot(t *testing.T, of *tally.Tally) tally.Snapshot {
	t.Helper()
	s := of.Snapshot()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

// copyFrom is a copy with the walkthrough's packet, from any source.
func copyFrom(source netip.Addr, vni uint32) []byte {
	p := frametest.Copy(vni, frametest.Inner("12345\n").Bytes())
	p.Source = source
	return p.Bytes()
}

var (
	good    = copyFrom(frametest.SourceAddr, 1)
	foreign = copyFrom(frametest.ClientAddr, 1)
)

func at(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

func TestEachPacketIsCountedUnderItsVerdict(t *testing.T) {
	inner := func(f func(*frametest.Packet)) []byte {
		p := frametest.Inner("12345\n")
		f(&p)
		return frametest.Copy(1, p.Bytes()).Bytes()
	}
	whole := frametest.Inner("12345\n").Bytes()
	unexpected := inner(func(p *frametest.Packet) { p.DestinationPort = 22 })
	counts := newTally(t, walkthrough(1))
	counts.Count(block(
		good, good,
		unexpected,
		frametest.Copy(1, whole[:36]).Bytes(),
		frametest.Copy(1, frametest.ARP()).Bytes(),
		frametest.Copy(1, append(append([]byte(nil), whole[:14]...), 0x65)).Bytes(),
		inner(func(p *frametest.Packet) { p.DestinationMAC, p.Destination = [6]byte{}, frametest.TargetAddr }),
		inner(func(p *frametest.Packet) { p.SourceMAC, p.DestinationMAC = p.DestinationMAC, p.SourceMAC }),
	))
	got, _ := ptr(snapshot(t, counts)).Session("walkthrough")
	size := uint64(len(whole))
	last := inner(func(p *frametest.Packet) { p.SourceMAC, p.DestinationMAC = p.DestinationMAC, p.SourceMAC })
	packets := tally.PacketCounts{
		Arrived: 8, ArrivedBytes: 5*size + 36 + 60 + 15, AcceptedBytes: 2 * size,
		Accepted: 2, Unexpected: 2, Undecidable: 1, NotIP: 1, Malformed: 1, DirectionUnknown: 1, Truncated: 1,
	}
	want := tally.SessionCounts{
		ID: "walkthrough", VNI: 1, Frames: 8, PacketCounts: packets, Ingress: 4, Egress: 1,
		Sources:   []tally.SourceCounts{{ID: "source", PacketCounts: packets, LastSeen: at(8)}},
		Rules:     []tally.RuleCounts{{Direction: v1alpha1.DirectionIngress, Priority: 1, Accept: true, Packets: 2}},
		FirstSeen: at(1), LastSeen: at(8),
		Last:           &tally.Packet{Data: last, Length: len(last), Time: at(8)},
		LastUnexpected: &tally.Packet{Data: last, Length: len(last), Time: at(8)},
	}
	if diff := cmp.Diff(want, got, addresses); diff != "" {
		t.Error(diff)
	}
}

// addresses compares them as they are.
var addresses = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// perRule are the packets of each rule.
func perRule(s tally.SessionCounts) (out []uint64) {
	for _, r := range s.Rules {
		out = append(out, r.Packets)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func TestEachFrameIsInOneClass(t *testing.T) {
	edit := func(at int, b byte) []byte {
		f := slices.Clone(good)
		f[at] = b
		return f
	}
	later := frametest.Copy(1, []byte("x"))
	later.FragmentOffset = 3
	gpe := edit(42, 0x0c)
	gpe[45] = 1
	other := block(good)
	(*other)[0].OtherHost = true
	cut := block(good)
	(*cut)[0].Data = good[:40]
	counts := newTally(t, walkthrough(1))
	counts.Count(block(
		good, foreign, copyFrom(frametest.SourceAddr, 2), copyFrom(frametest.TargetAddr, 2), frametest.ARP(), later.Bytes(),
		edit(42, 0), gpe, edit(14, 0x44), edit(42, 0x88),
	))
	counts.Count(other)
	counts.Count(cut)
	got := snapshot(t, counts)
	want := tally.Frames{
		Read: 12, Attributed: 2, ForeignSource: 1, ForeignVNI: 1, UnknownStream: 1, NotVXLAN: 1, OuterFragment: 1,
		BadHeader: 1, GPE: 1, Malformed: 1, Cut: 1, OtherHost: 1,
	}
	if diff := cmp.Diff(want, got.Frames); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(tally.Marks{Reserved: 1}, got.Marks); diff != "" {
		t.Error(diff)
	}
	unknown := []tally.UnknownStream{
		{Source: frametest.ClientAddr, VNI: 1, Arrived: 1},
		{Source: frametest.TargetAddr, VNI: 2, Arrived: 1},
		{Source: frametest.SourceAddr, VNI: 2, Arrived: 1},
	}
	if diff := cmp.Diff(unknown, got.Unknown, addresses); diff != "" {
		t.Error(diff)
	}
	if got.Sessions[0].ForeignSource != 1 {
		t.Errorf("%+v", got.Sessions[0])
	}
}

func TestASessionKeepsItsTotalsWhateverChangesButItsRules(t *testing.T) {
	counts := newTally(t, walkthrough(1))
	counts.Count(block(good, good, good))

	moved := walkthrough(9)
	moved.Sources[0].OuterAddrs = []netip.Addr{frametest.ClientAddr}
	if removed := set(t, counts, moved); removed != nil {
		t.Errorf("removed %+v", removed)
	}
	counts.Count(block(good, copyFrom(frametest.ClientAddr, 9)))
	got := snapshot(t, counts)
	s := got.Sessions[0]
	if s.Arrived != 4 || s.Accepted != 4 || got.Frames.UnknownStream != 1 || !slices.Equal(perRule(s), []uint64{4}) || s.VNI != 9 {
		t.Errorf("%+v %+v", got.Frames, s)
	}

	removed := set(t, counts)
	if len(removed) != 1 || removed[0].Arrived != 4 {
		t.Errorf("removed %+v", removed)
	}
	if got := snapshot(t, counts); got.Removed != 4 || got.Sessions != nil || got.Frames.Attributed != 4 {
		t.Errorf("%+v", got)
	}
	set(t, counts, walkthrough(1))
	if s := snapshot(t, counts).Sessions[0]; s.Arrived != 0 {
		t.Errorf("a session that was gone came back with %d packets", s.Arrived)
	}
}

func TestWithOtherRulesASessionBeginsAnewAndItsCountsAreHandedOutWithTheRulesTheyBelongTo(t *testing.T) {
	before := walkthrough(1)
	after := walkthrough(1)
	after.Rules = append([]v1alpha1.Rule{{Direction: v1alpha1.DirectionIngress, Priority: 0, Protocol: v1alpha1.ProtocolUDP}}, after.Rules...)
	counts := newTally(t, before)
	counts.Count(block(good, good, good))
	want := snapshot(t, counts).Sessions
	if diff := cmp.Diff(want, set(t, counts, after), addresses); diff != "" {
		t.Errorf("handed out (-want +got):\n%s", diff)
	}
	counts.Count(block(good))
	got := snapshot(t, counts)
	s := got.Sessions[0]
	if s.Arrived != 1 || s.Sources[0].Arrived != 1 || !slices.Equal(perRule(s), []uint64{0, 1}) || s.Rules[1].Priority != 1 || got.Removed != 3 {
		t.Errorf("it begins anew with %+v", s)
	}
	if removed := set(t, counts, after); removed != nil {
		t.Errorf("the same rules once more: %+v", removed)
	}
}

func TestTheSameRulesKeepTheirCounts(t *testing.T) {
	counts := newTally(t, walkthrough(1))
	counts.Count(block(good))
	moved := walkthrough(1)
	moved.Sources = append(moved.Sources, tally.Source{OuterAddrs: []netip.Addr{frametest.ClientAddr}})
	set(t, counts, moved)
	counts.Count(block(good, foreign))
	if s := snapshot(t, counts).Sessions[0]; !slices.Equal(perRule(s), []uint64{2}) || s.Arrived != 3 || s.DirectionUnknown != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAListThatCannotBeLeavesEverythingAsItWas(t *testing.T) {
	counts := newTally(t, walkthrough(1))
	wrong := walkthrough(1)
	wrong.ID, wrong.Rules = "wrong", []v1alpha1.Rule{{}}
	for want, sessions := range map[string][]tally.Session{
		"session walkthrough: VNI 16777216 is more than 16777215": {walkthrough(1 << 24)},
		"session walkthrough is listed twice":                     {walkthrough(1), walkthrough(2)},
		"session wrong: rule 0: direction":                        {walkthrough(1), wrong},
	} {
		if _, err := counts.SetSessions(sessions); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	counts.Count(block(good))
	if s := snapshot(t, counts).Sessions[0]; s.Accepted != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTheLastPacketOutlivesItsBlock(t *testing.T) {
	counts := newTally(t, walkthrough(1))
	data := slices.Clone(good)
	counts.Count(block(data))
	clear(data) // the kernel reuses the block
	if s := snapshot(t, counts).Sessions[0]; string(s.Last.Data) != string(good) {
		t.Errorf("%x", s.Last.Data)
	}
}

func TestAFloodOfUnknownStreamsIsBoundedAndTheLargestIsKept(t *testing.T) {
	counts := newTally(t, walkthrough(1))
	var flood [][]byte
	loud := copyFrom(frametest.TargetAddr, 5)
	for i := range 5000 {
		flood = append(flood, copyFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 6))
		if i%20 == 0 {
			flood = append(flood, loud)
		}
	}
	counts.Count(block(flood...))
	got := snapshot(t, counts)
	if len(got.Unknown) != 64 {
		t.Errorf("%d streams are kept", len(got.Unknown))
	}
	top := got.Unknown[0]
	if top.Source != frametest.TargetAddr || top.Arrived < 250 || top.Arrived-top.Error > 250 {
		t.Errorf("%+v", top)
	}
	if got.Frames.UnknownStream != 5250 {
		t.Errorf("%+v", got.Frames)
	}
}

func TestOnlyTheExactStreamIsASessions(t *testing.T) {
	var sessions []tally.Session
	for i := range 10 {
		s := walkthrough(uint32(i % 5))
		s.ID = string(rune('a' + i))
		s.Sources[0].OuterAddrs = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), netip.AddrFrom16([16]byte{15: byte(i)})}
		sessions = append(sessions, s)
	}
	counts := newTally(t, sessions...)
	var all [][]byte
	for vni := range uint32(8) {
		for last := range byte(30) {
			all = append(all, copyFrom(netip.AddrFrom4([4]byte{10, 0, 0, last}), vni))
		}
	}
	counts.Count(block(all...))
	got := snapshot(t, counts)
	// 10 keys are sessions'; the other 20 sources have 5 known VNIs, and each
	// session's source 4 that are another's; 3 VNIs are nobody's.
	want := tally.Frames{Read: 240, Attributed: 10, ForeignSource: 20*5 + 10*4, ForeignVNI: 10 * 3, UnknownStream: 20 * 3}
	if diff := cmp.Diff(want, got.Frames); diff != "" {
		t.Error(diff)
	}
	for _, s := range got.Sessions {
		if s.Arrived != 1 {
			t.Errorf("%+v", s)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	counts := newTally(t, walkthrough(1))
	all := *block(good, foreign, copyFrom(frametest.TargetAddr, 5), frametest.ARP())
	counts.Count(ptr(all)) // the first copy of a last packet needs memory
	var b frames
	if n := testing.AllocsPerRun(100, func() {
		b = all
		counts.Count(&b)
	}); n > 0 {
		t.Errorf("%v allocations for a block", n)
	}
}

func TestSnapshotsAndNewSessionsDoNotDisturbTheCounting(t *testing.T) {
	counts := newTally(t, walkthrough(1))
	other := walkthrough(2)
	other.ID = "other"
	var work sync.WaitGroup
	stop := make(chan struct{})
	work.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			sessions := []tally.Session{walkthrough(1), other}[:1+i%2]
			if _, err := counts.SetSessions(sessions); err != nil {
				t.Error(err)
			}
		}
	})
	work.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			s := counts.Snapshot()
			if err := s.Check(); err != nil {
				t.Error(err)
			}
		}
	})
	for range 2000 {
		counts.Count(block(good, good, foreign))
	}
	close(stop)
	work.Wait()
	if s, _ := ptr(snapshot(t, counts)).Session("walkthrough"); s.Accepted != 4000 || s.ForeignSource != 2000 {
		t.Errorf("%+v", s)
	}
}

// Whatever arrives, and however it is described, the books balance.
func TestTheBooksBalance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := tally.New(vxlan.Port)
		read := 0
		for range rapid.IntRange(1, 3).Draw(t, "blocks") {
			sessions := anySessions(t)
			if _, err := counts.SetSessions(sessions); err != nil {
				t.Fatal(err)
			}
			b := rapid.SliceOfN(rapid.Custom(anyFrame), 0, 20).Draw(t, "frames")
			read += len(b)
			counts.Count(ptr(frames(b)))
		}
		s := counts.Snapshot()
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if s.Frames.Read != uint64(read) {
			t.Fatalf("%d frames were read of %d", s.Frames.Read, read)
		}
	})
}

func anyFrame(t *rapid.T) capture.Frame {
	source := rapid.SampledFrom([]netip.Addr{frametest.SourceAddr, frametest.ClientAddr}).Draw(t, "source")
	data := copyFrom(source, rapid.Uint32Range(0, 3).Draw(t, "VNI"))
	for range rapid.IntRange(0, 3).Draw(t, "replaced bytes") {
		data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
	}
	f := capture.Frame{
		Data: data[:rapid.IntRange(0, len(data)).Draw(t, "captured")], Length: len(data),
		OtherHost: rapid.IntRange(0, 9).Draw(t, "other host") == 0,
	}
	if rapid.Bool().Draw(t, "super-frame") {
		f.SegmentType = rapid.SampledFrom([]capture.SegmentType{0, 1, 3, 4, 5, 77}).Draw(t, "type")
		f.SegmentSize = rapid.IntRange(0, 100).Draw(t, "size")
	}
	return f
}

func BenchmarkCount(b *testing.B) {
	for _, claimants := range []int{1, 2, 8} {
		b.Run(fmt.Sprintf("claimants=%d", claimants), func(b *testing.B) {
			sessions := make([]tally.Session, claimants)
			for i := range sessions {
				sessions[i] = walkthrough(1)
				sessions[i].ID = strconv.Itoa(i)
			}
			counts := tally.New(vxlan.Port)
			if _, err := counts.SetSessions(sessions); err != nil {
				b.Fatal(err)
			}
			all, work := make(frames, 1000), new(frames)
			for i := range all {
				all[i] = capture.Frame{Data: good, Length: len(good), Time: 1}
			}
			b.ReportAllocs()
			for b.Loop() {
				*work = all
				counts.Count(work)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/packet")
		})
	}
}
