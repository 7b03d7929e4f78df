package tally

import (
	"maps"
	"slices"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Tally counts what one interface receives. All its methods may be called from
// any goroutine; Count by one at a time.
type Tally struct {
	port uint16

	configure sync.Mutex // one SetSessions at a time

	mu      sync.Mutex // held for a block, a snapshot or the swap of the table
	table   *table
	frames  Frames
	last    int64 // when the last frame came
	marks   Marks
	removed uint64
	unknown topStreams
	begin   position // of the block being counted
	at      position // of the frame being walked
	touched []*whole // whose frames of this block are still to be copied
	lanes   []*lane  // that are still to be emptied

	walkAll bool // for tests: there is no fast path
}

// New makes a tally without sessions for datagrams to the given UDP port.
func New(port uint16) *Tally {
	return &Tally{port: port, table: newTable(0), touched: make([]*whole, 0, 64)}
}

// SetSessions replaces the list of sessions. Those whose ID was listed before with the same
// rules keep their totals, and those of the sources that stay, whatever else changed. It
// returns the last counts of the others: of those that are listed no more, and of those with
// other rules, which begin anew. An error names the session; nothing has changed then.
//
// Each session counts as if it were listed alone: a stream that several claim
// is counted for each of them.
func (t *Tally) SetSessions(sessions []Session) (removed []SessionCounts, err error) {
	t.configure.Lock()
	defer t.configure.Unlock()
	before := t.table // only SetSessions replaces it
	next, err := build(sessions, before)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.table = next
	senders := t.foreignSenders()
	for _, id := range slices.Sorted(maps.Keys(before.sessions)) {
		old, now := before.sessions[id], next.sessions[id]
		if now != nil && now.whole == old.whole {
			now.takeLeave(old)
			continue
		}
		counts := old.snapshot(senders)
		removed = append(removed, counts)
		t.removed += counts.Frames + counts.ProbeFrames
	}
	return removed, nil
}

// maxBlock is more than a block has places, and so little that in a hundred years at full speed no position
// comes twice.
const maxBlock = 1 << 24

// Count counts all frames of a block. It does not keep any of their bytes.
func (t *Tally) Count(block *capture.Block) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin += maxBlock
	quick, last := uint64(0), 0
	var f capture.Frame
	for {
		data, length, plain, ok := block.Step()
		if !ok {
			break
		}
		last = block.Place()
		if plain && !t.walkAll && t.quick(block, data, length) {
			quick++
			continue
		}
		block.Frame(&f)
		t.at = t.begin + position(last)
		t.frame(&f)
	}
	t.frames.Read += quick
	t.frames.Attributed += quick
	if last > 0 {
		t.last = block.TimeAt(last)
	}
	for _, l := range t.lanes {
		t.empty(l, block)
	}
	t.lanes = t.lanes[:0]
	for _, w := range t.touched {
		w.keep(t.begin, block)
	}
	t.touched = t.touched[:0]
}

// frame walks a frame.
func (t *Tally) frame(f *capture.Frame) {
	t.frames.Read++
	if f.OtherHost {
		t.frames.OtherHost++
		return
	}
	var outer vxlan.Outer
	class := vxlan.Walk(f.Data, f.Length, t.port, &outer)
	if class != vxlan.Stream {
		t.other(class, &outer)
		t.joinedToOther(f, class, &outer)
		return
	}
	if outer.FirstFragment {
		t.marks.FirstFragments++
	}
	if outer.Reserved {
		t.marks.Reserved++
	}
	if f.SuperFrame() {
		t.superFrame(f, &outer)
		return
	}
	s := t.table.find(outer.Key)
	if s == nil {
		t.miss(&outer, 1, 1)
		return
	}
	var inner vxlan.Inner
	vxlan.WalkInner(f.Data[outer.InnerOffset:outer.InnerEnd], &inner)
	t.attribute(s, t.refer(f), &outer, &inner, counted{frames: 1, packets: 1, bytes: uint64(outer.InnerLength)})
}

// other counts a frame that is no stream's.
func (t *Tally) other(class vxlan.Class, outer *vxlan.Outer) {
	switch class {
	case vxlan.NotVXLAN:
		t.frames.NotVXLAN++
		return
	case vxlan.Fragment:
		t.frames.OuterFragment++
		return
	case vxlan.BadHeader:
		t.frames.BadHeader++
	case vxlan.GPE:
		t.frames.GPE++
	case vxlan.Malformed:
		t.frames.Malformed++
	case vxlan.Cut:
		t.frames.Cut++
	case vxlan.Stream:
		return
	}
	t.unreadable(class, outer)
}

// unreadable counts a datagram for the sessions whose source it is from.
func (t *Tally) unreadable(class vxlan.Class, outer *vxlan.Outer) {
	if !outer.HasSource() {
		return
	}
	for _, s := range t.table.addresses[outer.Key.Source()] {
		if class != vxlan.GPE || outer.Key.VNI() == s.config.VNI {
			s.whole.unreadable++
		}
	}
}

// miss counts packets of a stream that belongs to no session. frames is 0 for
// what follows the first packet of a super-frame.
func (t *Tally) miss(outer *vxlan.Outer, frames, packets uint64) {
	t.unknown.add(outer.Key, packets)
	known := t.table.vnis[outer.Key.VNI()]
	for _, s := range known {
		s.whole.foreign += packets
	}
	switch {
	case len(known) > 0:
		t.frames.ForeignSource += frames
	case len(t.table.addresses[outer.Key.Source()]) > 0:
		t.frames.ForeignVNI += frames
	default:
		t.frames.UnknownStream += frames
	}
}

// counted is what is added at once: frames is 0 for what follows the first packet of a
// super-frame. truncated are those of the packets that the mirror cut.
type counted struct{ frames, packets, bytes, truncated uint64 }

// attribute counts packets of a stream for every session that claims it, each by its own
// rules.
func (t *Tally) attribute(s *stream, f frameRef, outer *vxlan.Outer, inner *vxlan.Inner, n counted) {
	t.frames.Attributed += n.frames
	if len(s.claims) > 1 {
		t.marks.SharedFrames += n.frames
		t.marks.SharedClaims += n.frames * uint64(len(s.claims))
	}
	if s.probed && t.probe(s, &f, outer, inner, n) {
		return
	}
	if inner.Truncated(outer.InnerEnd-outer.InnerOffset, outer.InnerLength) {
		n.truncated = n.packets
	}
	for i := range s.claims {
		by := &s.claims[i]
		t.packets(by, &f, by.session.rules.Check(&by.source, inner), n)
	}
	if s.strangers {
		t.foreign(s, outer.Key.VNI(), n.packets)
	}
}

// foreign counts packets of a stream for the sessions with its VNI that don't claim it.
func (t *Tally) foreign(s *stream, vni uint32, packets uint64) {
	for _, with := range t.table.vnis[vni] {
		with.whole.foreign += packets
	}
	for i := range s.claims {
		s.claims[i].session.whole.foreign -= packets
	}
}

// packets counts packets of a claim with one outcome.
func (t *Tally) packets(by *claim, f *frameRef, result match.Result, n counted) {
	c := by.counts
	c.frames += n.frames
	c.arrived += n.packets
	c.arrivedBytes += n.bytes
	c.truncated += n.truncated
	if result.Verdict == match.Accepted {
		c.acceptedBytes += n.bytes
	}
	c.verdicts[result.Verdict] += n.packets
	c.directions[result.Direction] += n.packets
	if c.firstSeen == 0 {
		c.firstSeen = f.time
	}
	c.lastSeen = f.time
	c.lastAt = f.at
	s, w := by.session, by.session.whole
	t.touch(w)
	if s.config.Concealed {
		w.last = frameRef{}
		return
	}
	if result.Rule >= 0 {
		s.perRule[result.Rule] += n.packets
	}
	w.last = *f
	if result.Verdict == match.Unexpected {
		w.lastUnexpected = w.last
	}
}

// touch notes that frames of this block are to be copied for a session.
func (t *Tally) touch(w *whole) {
	if !w.touched {
		w.touched = true
		t.touched = append(t.touched, w)
	}
}

// Read is how many frames were read so far, as in a snapshot.
func (t *Tally) Read() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.frames.Read
}

// Snapshot returns a copy of all counts, between two blocks.
func (t *Tally) Snapshot() Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Snapshot{Frames: t.frames, LastFrame: moment(t.last), Marks: t.marks, Removed: t.removed, Unknown: t.unknown.list()}
	senders := t.foreignSenders()
	for _, id := range slices.Sorted(maps.Keys(t.table.sessions)) {
		s.Sessions = append(s.Sessions, t.table.sessions[id].snapshot(senders))
	}
	return s
}

// counts is what is counted for a source of a session. It outlives changes of the session's
// configuration.
type counts struct {
	frames, arrived, arrivedBytes uint64
	acceptedBytes, truncated      uint64
	verdicts                      [match.Verdicts]uint64
	directions                    [3]uint64
	firstSeen, lastSeen           int64
	lastAt                        position // of the frame at lastSeen
}

// add makes c the sum of both.
func (c *counts) add(other *counts) {
	c.frames += other.frames
	c.arrived += other.arrived
	c.arrivedBytes += other.arrivedBytes
	c.acceptedBytes += other.acceptedBytes
	c.truncated += other.truncated
	for i, n := range other.verdicts {
		c.verdicts[i] += n
	}
	for i, n := range other.directions {
		c.directions[i] += n
	}
	if c.firstSeen == 0 || other.firstSeen != 0 && other.firstSeen < c.firstSeen {
		c.firstSeen = other.firstSeen
	}
	c.lastSeen = max(c.lastSeen, other.lastSeen)
}

// whole is what is counted for a session as a whole. It too outlives changes of the
// session's configuration.
type whole struct {
	foreign, unreadable uint64
	gone                counts // of sources that are listed no more
	probeFrames         uint64 // of probes, which are in no other count
	probes              []ProbeCounts

	// last and lastUnexpected refer to frames of the block being counted. Their
	// bytes are copied once per block, not once per packet.
	touched                      bool
	last, lastUnexpected         frameRef
	lastCopy, lastUnexpectedCopy frameRef
}

// frameRef is a frame of the current block, or a copy of one. One without data is only known by its
// position yet. Of a datagram that the kernel joined
// behind others data are the headers that they share, and own is its own part: those
// before it are other sessions' perhaps.
type frameRef struct {
	at        position
	data, own []byte
	length    int
	time      int64
}

// refer refers to a frame, of which no more is kept than what is captured of a plain one.
func (t *Tally) refer(f *capture.Frame) frameRef {
	return newFrameRef(f, t.at)
}

func newFrameRef(f *capture.Frame, at position) frameRef {
	return frameRef{at: at, data: f.Data[:min(len(f.Data), capture.SnapLength)], length: f.Length, time: f.Time}
}

// find finds what is known by its position in the block that begins there.
func (r *frameRef) find(begin position, block *capture.Block) {
	if r.at == 0 || r.data != nil {
		return
	}
	var f capture.Frame
	block.FrameAt(int(r.at-begin), &f)
	*r = newFrameRef(&f, r.at)
}

// keep copies what refers to the block, which is about to be released. Where the last packet
// was concealed nothing is left of the one before.
func (w *whole) keep(begin position, block *capture.Block) {
	w.last.find(begin, block)
	w.lastCopy.copyFrom(&w.last)
	if w.lastUnexpected.at != 0 {
		w.lastUnexpected.find(begin, block)
		w.lastUnexpectedCopy.copyFrom(&w.lastUnexpected)
	}
	w.last, w.lastUnexpected, w.touched = frameRef{}, frameRef{}, false
}

func (r *frameRef) copyFrom(from *frameRef) {
	r.data = append(append(r.data[:0], from.data...), from.own...)
	r.length, r.time = from.length, from.time
}

func (r *frameRef) packet() *Packet {
	if len(r.data) == 0 {
		return nil
	}
	return &Packet{Data: slices.Clone(r.data), Length: r.length, Time: moment(r.time)}
}

// moment converts the kernel's time; 0 is no time.
func moment(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds).UTC()
}
