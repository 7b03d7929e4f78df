package tally

// NewWithoutFastPath makes a tally that walks every frame.
func NewWithoutFastPath(port uint16) *Tally {
	t := New(port)
	t.walkAll = true
	return t
}

// FastStreams is the number of streams of which a frame went the fast way.
func (t *Tally) FastStreams() (n int) {
	for _, l := range t.allLanes() {
		if l.last > 0 {
			n++
		}
	}
	return n
}

func (t *Tally) allLanes() (all []*lane) {
	for i := range t.table.slots {
		if key, ok := t.table.slots[i].key.In4(); ok {
			if l, ok := t.table.lanes.Find(key); ok {
				all = append(all, l)
			}
		}
	}
	return all
}
