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
	bytes                [2]uint64    // by verdict, Accepted or Unexpected
	packets              [2][2]uint64 // by direction, Ingress or Egress, and verdict
}

// position is where a frame is among all that were read: one that came later has a larger one.
type position uint64

// makeLanes makes a lane for each stream that the fast path knows.
func (t *table) makeLanes() {
	for i := range t.slots {
		at := &t.slots[i]
		key, ok := at.key.In4()
		if !ok || len(at.claims) != 1 || at.strangers || at.probed {
			continue
		}
		by := &at.claims[0]
		if mac := by.source.UsualMAC(); mac != 0 && !by.session.config.Concealed {
			t.lanes.Add(key, &lane{
				mac: mac, rules: by.session.rules, perRule: by.session.perRule, counts: by.counts, whole: by.session.whole,
			})
		}
	}
}

// quick counts a frame of the block if it is of those that the fast path knows.
func (t *Tally) quick(block *capture.Block, data []byte, length int) bool {
	u := vxlan.AsUsual(data, length, t.port)
	if u == nil {
		return false
	}
	l, ok := t.table.lanes.Find(u.Key())
	if !ok {
		return false
	}
	d := match.DirectionByMAC(l.mac, u)
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
	verdict, rule := l.rules.CheckUsual(d, u)
	if verdict == match.Unexpected {
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
		for verdict, n := range l.packets[i] {
			c.frames += n
			c.arrived += n
			c.verdicts[verdict] += n
			c.directions[direction] += n
		}
	}
	c.arrivedBytes += l.bytes[match.Accepted] + l.bytes[match.Unexpected]
	c.acceptedBytes += l.bytes[match.Accepted]
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
