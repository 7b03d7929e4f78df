package mirrorsession

import (
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// pause is until when something is not read for the way of copies, because it gave no answer to that.
type pause struct {
	until time.Time
	lasts time.Duration
}

// next is the pause after one more read without an answer. One that is not over grows no longer: what
// is read in it, as somebody asks for it, says nothing new.
func (p pause) next(now time.Time, most time.Duration) pause {
	if p.until.After(now) {
		return p
	}
	p.lasts = min(max(2*p.lasts, holdOff), max(most, holdOff))
	p.until = now.Add(p.lasts)
	return p
}

// maxPauses is of how many clients a pause is remembered. Those of clients that are no more are
// forgotten with the others.
const maxPauses = 1024

// heldOff is until when a client's account is not read, zero for no pause.
func (o *observations) heldOff(c cloud.Client) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pauses[c].until
}

// silent notes that a client got no answer at all, and returns until when its account is not read.
func (o *observations) silent(c cloud.Client, now time.Time, most time.Duration) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pauses == nil || len(o.pauses) >= maxPauses {
		o.pauses = map[cloud.Client]pause{}
	}
	o.pauses[c] = o.pauses[c].next(now, most)
	return o.pauses[c].until
}

// answered notes that a client gets answers.
func (o *observations) answered(c cloud.Client) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.pauses, c)
}
