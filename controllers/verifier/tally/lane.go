package tally

import (
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// The fast path counts the frames of which there are by far the most: a [vxlan.Usual] copy, of a stream
// that one session claims, of a packet of which the MACs tell the direction. It counts what the walk
// would count, into a lane of the stream, which is emptied at the end of each block; whatever it does not
// know at once it leaves to the walk.

// lane is a stream on the fast path. Between two blocks it holds no counts.
type lane struct {
	mac     uint64 // of the source, see [match.Source.UsualMAC]
	rules   *match.Rules
	perRule []uint64 // the session's
	counts  *counts  // of the source
	whole   *whole

	// last is where the last frame is, lastUnexpected the last that the filter should not have copied.
	last, lastUnexpected position
	truncated            uint64
	bytes                [2]uint64    // of unexpected packets, and of accepted ones
	packets              [2][2]uint64 // by direction, from Ingress on, and then as bytes
}

// position is where a frame is among all that were read: one that came later has a larger one.
type position uint64

// laneTable finds lanes, as [table] does streams.
type laneTable struct {
	slots []laneSlot // open addressing, at most half full
	shift int
}

// laneSlot is empty where there is no lane.
type laneSlot struct {
	key  vxlan.Key4
	lane *lane
}

// find returns the lane of a stream, nil where it has none.
func (t *laneTable) find(key vxlan.Key4) *lane {
	return t.lookup(key).lane
}

// lookup is [table.lookup].
func (t *laneTable) lookup(key vxlan.Key4) *laneSlot {
	for i := key.Hash() >> t.shift; ; i++ {
		at := &t.slots[i&uint64(len(t.slots)-1)]
		if at.key == key || at.lane == nil {
			return at
		}
	}
}

// newLaneTable has a lane for each stream of a table that the fast path knows.
func newLaneTable(of *table) *laneTable {
	t := &laneTable{slots: make([]laneSlot, len(of.slots)), shift: of.shift}
	for i := range of.slots {
		at := &of.slots[i]
		key, ok := at.key.In4()
		if !ok || len(at.claims) != 1 || at.strangers {
			continue
		}
		by := &at.claims[0]
		if mac := by.source.UsualMAC(); mac != 0 && !by.session.config.Concealed {
			*t.lookup(key) = laneSlot{key, &lane{
				mac: mac, rules: by.session.rules, perRule: by.session.perRule, counts: by.counts, whole: by.session.whole,
			}}
		}
	}
	return t
}

// quick counts a frame of the block if it is of those that the fast path knows.
func (t *Tally) quick(block *capture.Block, data []byte, length int) bool {
	u := vxlan.AsUsual(data, length, t.port)
	if u == nil {
		return false
	}
	l := t.table.lanes.find(u.Key())
	if l == nil {
		return false
	}
	d := match.UsualDirection(l.mac, u)
	if d == match.Unknown {
		return false
	}
	at := t.begin + position(block.Place())
	if l.last < t.begin {
		// The walk notes when the first packet of a source comes.
		if l.counts.firstSeen == 0 {
			return false
		}
		t.lanes = append(t.lanes, l)
	}
	l.last = at
	accepted, rule := l.rules.CheckUsual(d, u)
	verdict := 0
	if accepted {
		verdict = 1
	} else {
		l.lastUnexpected = at
	}
	if rule >= 0 {
		l.perRule[rule]++
	}
	l.packets[d-match.Ingress][verdict]++
	l.bytes[verdict] += uint64(u.InnerLength())
	if u.Truncated() {
		l.truncated++
	}
	if u.Reserved() {
		t.marks.Reserved++
	}
	return true
}

// empty adds what a lane counted to the totals.
func (t *Tally) empty(l *lane, block *capture.Block) {
	c := l.counts
	for i, direction := range []match.Direction{match.Ingress, match.Egress} {
		unexpected, accepted := l.packets[i][0], l.packets[i][1]
		c.frames += unexpected + accepted
		c.arrived += unexpected + accepted
		c.verdicts[match.Unexpected] += unexpected
		c.verdicts[match.Accepted] += accepted
		c.directions[direction] += unexpected + accepted
	}
	c.arrivedBytes += l.bytes[0] + l.bytes[1]
	c.acceptedBytes += l.bytes[1]
	c.truncated += l.truncated
	if l.last > c.lastAt {
		c.lastAt, c.lastSeen = l.last, block.TimeAt(int(l.last-t.begin))
	}
	t.touch(l.whole)
	if l.last > l.whole.last.at {
		l.whole.last = frameRef{at: l.last}
	}
	if l.lastUnexpected > max(l.whole.lastUnexpected.at, t.begin) {
		l.whole.lastUnexpected = frameRef{at: l.lastUnexpected}
	}
	l.truncated, l.bytes, l.packets = 0, [2]uint64{}, [2][2]uint64{}
}
