package agent

import "vpcmirror.io/operator/controllers/verifier/capture"

// books hold the frames that were read from a ring against those that the kernel says it
// delivered. Frames that are still in the ring are not missing, so it takes two readings of the
// kernel's counters: what had come by the first must have been read by the second.
type books struct {
	due   uint64 // what had been delivered by the first reading
	turns int    // blocks that were read since
	// off is by how many frames the books were off at the last check: more were read than
	// were delivered (above 0), or some were never found (below).
	off int64
}

// mayCheck reports whether a check would tell something: the ring was found empty, or has been
// read round once, with a block that was begun before.
func (b *books) mayCheck(idle bool, blocks int) bool {
	if idle {
		return true
	}
	b.turns++
	return b.turns > blocks
}

// check is called with the second reading, which is the first one of the next check.
func (b *books) check(s capture.Stats) {
	switch {
	case s.Read > s.Delivered():
		b.off = int64(s.Read - s.Delivered())
	case s.Read < b.due:
		b.off = -int64(b.due - s.Read)
	default:
		b.off = 0
	}
	b.due, b.turns = s.Delivered(), 0
}
