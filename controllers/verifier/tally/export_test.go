package tally

// NewWithoutFastPath makes a tally that walks every frame.
func NewWithoutFastPath(port uint16) *Tally {
	t := New(port)
	t.walkAll = true
	return t
}

// FastStreams is the number of streams of which a frame went the fast way.
func (t *Tally) FastStreams() (n int) {
	for _, at := range t.table.lanes.slots {
		if at.lane != nil && at.lane.last > 0 {
			n++
		}
	}
	return n
}
