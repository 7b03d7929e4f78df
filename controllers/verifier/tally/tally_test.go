package tally_test

import (
	"net/netip"
	"slices"
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

// block makes a block of frames, a second apart.
func block(packets ...[]byte) *frames {
	var f frames
	for i, p := range packets {
		f = append(f, capture.Frame{Data: p, Length: len(p), Time: int64(i+1) * 1e9})
	}
	return &f
}

func newTally(t *testing.T, sessions ...tally.Session) *paths {
	t.Helper()
	out := newPaths(t)
	set(t, out, sessions...)
	return out
}

func set(t *testing.T, to *paths, sessions ...tally.Session) (removed []tally.SessionCounts) {
	t.Helper()
	removed, err := to.SetSessions(sessions)
	if err != nil {
		t.Fatal(err)
	}
	return removed
}

func snapshot(t *testing.T, of *paths) tally.Snapshot {
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
	// refusedCopy is one that the walkthrough's filter should not have copied.
	refusedCopy = func() []byte {
		p := frametest.Inner("x")
		p.DestinationPort = 22
		return frametest.Copy(1, p.Bytes()).Bytes()
	}()
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
	countingAllocatesNothing(t, newTally(t, walkthrough(1)), block(good, foreign, copyFrom(frametest.TargetAddr, 5), frametest.ARP()))
}

func countingAllocatesNothing(t *testing.T, counts *paths, frames *frames) {
	t.Helper()
	full := *frames.ring()
	for _, path := range []*tally.Tally{counts.fast, counts.walk} {
		count := func() {
			block := full
			path.Count(&block)
		}
		for range 2 { // the first copy of a last packet needs memory
			count()
		}
		if n := testing.AllocsPerRun(100, count); n > 0 {
			t.Errorf("%v allocations for a block", n)
		}
	}
}

func TestSnapshotsAndNewSessionsDoNotDisturbTheCounting(t *testing.T) {
	for name, counts := range map[string]*tally.Tally{"fast": tally.New(vxlan.Port), "walk": tally.NewWithoutFastPath(vxlan.Port)} {
		t.Run(name, func(t *testing.T) { disturb(t, counts) })
	}
}

func disturb(t *testing.T, counts *tally.Tally) {
	t.Helper()
	list := []tally.Session{walkthrough(1), named("other", 2)}
	if _, err := counts.SetSessions(list[:1]); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	stop := make(chan struct{})
	work.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := counts.SetSessions(list[:1+i%2]); err != nil {
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
		counts.Count(block(good, good, foreign).ring())
	}
	close(stop)
	work.Wait()
	if s, _ := ptr(counts.Snapshot()).Session("walkthrough"); s.Accepted != 4000 || s.ForeignSource != 2000 {
		t.Errorf("%+v", s)
	}
}

// Whatever arrives, and however it is described, the books balance.
func TestTheBooksBalance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := newPaths(t)
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
	p := frametest.Copy(rapid.Uint32Range(0, 3).Draw(t, "VNI"), anyInner(t))
	p.Source = source
	data := p.Bytes()
	if rapid.Bool().Draw(t, "reserved bits") {
		copy(data[frametest.AtVXLAN:], []byte{0xff, 0x01, 0xd1, 0xf2, 0, 0})
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 3}).Draw(t, "replaced bytes") {
		data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
	}
	f := capture.Frame{
		Data: data, Length: len(data) + rapid.SampledFrom([]int{0, 0, 4}).Draw(t, "padding"), Time: rapid.Int64Range(0, 9).Draw(t, "time"),
		OtherHost: rapid.IntRange(0, 9).Draw(t, "other host") == 0,
	}
	if rapid.IntRange(0, 3).Draw(t, "cut by the capture") == 0 {
		f.Data = data[:rapid.IntRange(0, len(data)).Draw(t, "captured")]
	}
	if rapid.IntRange(0, 3).Draw(t, "super-frame") == 0 {
		f.SegmentType = rapid.SampledFrom([]capture.SegmentType{0, 1, 3, 4, 5, 77}).Draw(t, "type")
		f.SegmentSize = rapid.IntRange(0, 100).Draw(t, "size")
	}
	return f
}

// anyInner is the walkthrough's packet in any direction, or one that its filter refuses, cut perhaps.
func anyInner(t *rapid.T) []byte {
	p := frametest.Inner("12345\n")
	p.Protocol = rapid.SampledFrom([]uint8{6, 6, 17, 1}).Draw(t, "protocol")
	p.DestinationPort = rapid.SampledFrom([]uint16{1234, 1234, 22}).Draw(t, "port")
	macs := rapid.SampledFrom([][6]byte{frametest.SourceMAC, frametest.ClientMAC})
	if rapid.IntRange(0, 3).Draw(t, "other MACs") == 0 {
		p.SourceMAC, p.DestinationMAC = macs.Draw(t, "from"), macs.Draw(t, "to")
	}
	b := p.Bytes()
	if rapid.IntRange(0, 3).Draw(t, "cut by the mirror") == 0 {
		b = b[:rapid.IntRange(0, len(b)).Draw(t, "length")]
	}
	return b
}

// All but the first of a source, when its time is noted.
func TestTheCommonestCopiesGoTheFastWay(t *testing.T) {
	counting := slices.Clone(good)
	copy(counting[frametest.AtVXLAN:], []byte{0xff, 0x01, 0xd1, 0xf2})
	for name, frame := range map[string][]byte{"plain": good, "with reserved bits": counting, "unexpected": refusedCopy} {
		counts := newTally(t, walkthrough(1))
		counts.Count(block(frame))
		first := counts.fast.FastStreams()
		counts.Count(block(frame))
		if second := counts.fast.FastStreams(); first != 0 || second != 1 || counts.walk.FastStreams() != 0 {
			t.Errorf("%s: on the fast way after the first block %d, after the second %d", name, first, second)
		}
		snapshot(t, counts)
	}
}

// Of every frame, whatever is before and behind it in the block and in the one before.
func FuzzTheFastPathCountsWhatTheWalkCounts(f *testing.F) {
	for _, e := range frametest.Corpus() {
		for _, captured := range []int{len(e.Frame), 88, 87, 40} {
			f.Add(e.Frame, uint16(captured), uint16(0), uint8(0), uint16(0), false)
		}
		f.Add(e.Frame, uint16(len(e.Frame)), uint16(9), uint8(5), uint16(60), false)
		f.Add(e.Frame, uint16(len(e.Frame)), uint16(9), uint8(1), uint16(20), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, captured, missing uint16, segments uint8, size uint16, otherHost bool) {
		if len(data) > 4096 {
			return
		}
		it := capture.Frame{
			Data: data[:min(int(captured), len(data))], Length: len(data) + int(missing), Time: 2, OtherHost: otherHost,
			SegmentType: capture.SegmentType(segments &^ 0x80), SegmentSize: int(size),
		}
		usual, refused, other := (*block(good))[0], (*block(refusedCopy))[0], (*block(copyFrom(frametest.SourceAddr, 2)))[0]
		counts := newTally(t, walkthrough(1), named("other", 2), named("shared", 2))
		for _, b := range []frames{{it}, {it, usual, it}, {usual, it, refused, usual}, {refused, it, usual, other, it}, {usual}} {
			counts.Count(&b)
			snapshot(t, counts)
		}
	})
}
