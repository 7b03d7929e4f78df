package mirrorsession

import (
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// pause is until when an account is not read for the way of copies, because it gave no answer to
// that: each of its sessions would ask again.
type pause struct {
	until time.Time
	lasts time.Duration
}

// next is the pause after one more read without an answer.
func (p pause) next(now time.Time, most time.Duration) pause {
	p.lasts = min(max(2*p.lasts, holdOff), max(most, holdOff))
	p.until = now.Add(p.lasts)
	return p
}

// heldOff is until when an account is not read, zero for no pause.
func (o *observations) heldOff(a cloud.Account) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pauses[a].until
}

// answered notes whether an account gave every answer, and returns until when it is not read.
func (o *observations) answered(a cloud.Account, now time.Time, most time.Duration, all bool) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if all {
		delete(o.pauses, a)
		return time.Time{}
	}
	if o.pauses == nil {
		o.pauses = map[cloud.Account]pause{}
	}
	o.pauses[a] = o.pauses[a].next(now, most)
	return o.pauses[a].until
}
