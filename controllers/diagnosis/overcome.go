package diagnosis

import "time"

// longestGap is for how long at most copies that come now and then are waited for.
const longestGap = time.Hour

// denial is what was read that lets no copy of a source come, or of any source where that is empty.
// What it says tells it from the same with other contents.
type denial struct{ reason, source, says string }

// denialSince is what the counts say of a denial since it was read first.
type denialSince struct {
	// last is when a copy was counted last, or the denial was read first.
	last time.Time
	// gap is the longest time in which none was counted, and then one was.
	gap time.Duration
}

// overcome reports whether copies come whatever a denial says: what is read never wins over copies
// that are counted. Copies that come now and then, while what is read stays as it is, overcome it
// between two of them too: it is believed only once none came for longer than twice the longest gap
// so far, so that the verdict does not change with each copy.
func (k *Known) overcome(d denial) bool {
	if k.denials != nil {
		*k.denials = append(*k.denials, d)
	}
	at := k.Movement.lastOf(k, d.source)
	return !at.IsZero() && k.Now.Sub(at) < k.patience(d)
}

// patience is for how long no copy may come before a denial is believed.
func (k *Known) patience(d denial) time.Duration {
	return max(k.CountsDelay, min(2*k.Movement.denials[d].gap, longestGap))
}

// lastOf is when a copy of a source was counted last, or of any source where that is empty.
func (m *Movement) lastOf(k *Known, source string) time.Time {
	if source != "" {
		return m.lastCame(k, source)
	}
	var last time.Time
	for _, id := range k.sources() {
		if at := m.lastCame(k, id); at.After(last) {
			last = at
		}
	}
	return last
}

// believed is when each denial that copies have overcome is believed, unless more come.
func (k *Known) believed() (times []time.Time) {
	for _, d := range k.denied() {
		if last := k.Movement.lastOf(k, d.source); !last.IsZero() {
			times = append(times, last.Add(k.patience(d)))
		}
	}
	return times
}

// denied are all denials, by the way as it was read last.
func (k *Known) denied() []denial {
	if k.Path == nil || k.noCopiesWanted() != "" {
		return nil
	}
	var all []denial
	noting := *k
	noting.denials = &all
	serious(&noting)
	return all
}

// deny notes which denials there are, and the gaps between copies that came nevertheless. While
// nobody has looked, what was known of them stays.
func (m *Movement) deny(k *Known, before map[denial]denialSince, now time.Time) {
	if k.Path == nil {
		m.denials = before
		return
	}
	m.denials = map[denial]denialSince{}
	noting := *k
	noting.Movement = *m
	for _, d := range noting.denied() {
		was, known := before[d]
		if !known {
			was.last = now
		}
		if at := m.lastOf(k, d.source); at.After(was.last) {
			was.last, was.gap = at, max(was.gap, at.Sub(was.last))
		}
		m.denials[d] = was
	}
}
