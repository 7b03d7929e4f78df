package agent

import (
	"context"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/consumer"
	"vpcmirror.io/operator/controllers/verifier/report"
)

const (
	// observeInterval is how often the host is asked what takes the copies, while there are
	// sessions to be judged by that and copies come, or what was seen last is not told yet.
	observeInterval = 5 * time.Second
	// enough are so many copies that what the kernel did with them can be told; where fewer have
	// come between two observations it is waited for more, for longestWait at most.
	enough      = 4
	longestWait = time.Minute
)

// observation is what the host told, and the books of that moment.
type observation struct {
	*consumer.Observation
	// made is when it had been made, by the agent's clock.
	made time.Time
	// read are the frames that each capturer had read when the host was asked.
	read map[*capturer]uint64
	// frames are those that each capturer had read when counting began after it, nil before.
	frames map[*capturer]uint64
}

// basis is from where on the copies of a session are followed.
type basis struct {
	*observation
	place    consumer.Place
	capturer *capturer
	id       string
	// of are the frames of the session that had been counted.
	of uint64
}

// observeUntilDone asks the host now and then what takes the copies.
func (a *Agent) observeUntilDone(ctx context.Context) {
	interval, settled := time.NewTicker(observeInterval), time.NewTimer(0)
	defer interval.Stop()
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-interval.C:
			if a.nothingToObserve() {
				continue
			}
			a.observeConsumers()
			settled.Reset(consumer.Settle)
		case <-settled.C:
			if !a.followCopies() {
				settled.Reset(consumer.Settle)
			}
		}
	}
}

// nothingToObserve reports whether another observation would say what the last one does: no copy has come
// since, every session is followed from it, and what is told of it is what was seen last. Who takes the
// copies may still change, so that serves for longestWait alone.
func (a *Agent) nothingToObserve() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.observed
	if o == nil || len(o.read) != len(a.capturers) || a.Clock().Sub(o.made) >= longestWait {
		return false
	}
	for _, c := range a.capturers { // without their snapshots: this is what an idle host does all the time
		if before, known := o.read[c]; !known || c.tally.Read() != before || !c.captures() {
			return false
		}
	}
	for _, t := range a.tracked {
		if t.capturer == nil {
			continue // its copies don't come here any more
		}
		followed := t.basis != nil && t.basis.observation == o && t.basis.place == t.place(a.Node, a.Port)
		if !followed || !t.consumer.Settled() {
			return false
		}
	}
	return true
}

// observeConsumers observes the host and judges each session that has a basis by what has come
// since. What is counted is read before the host is asked, so that the kernel's counters have
// grown by all of it.
func (a *Agent) observeConsumers() {
	a.mu.Lock()
	snapshots := a.snapshots()
	a.mu.Unlock()
	if len(snapshots) == 0 {
		return
	}
	read := make(map[*capturer]uint64, len(snapshots))
	for c, s := range snapshots {
		read[c] = s.Frames.Read
	}
	now := &observation{Observation: a.Observe(a.Port), read: read}
	a.mu.Lock()
	defer a.mu.Unlock()
	now.made = a.Clock()
	for _, t := range a.tracked {
		before, _ := t.consumer.Verdict()
		t.judgeConsumer(a.Node, a.Port, now, snapshots)
		if after, _ := t.consumer.Verdict(); after.Status != before.Status || after.Reason != before.Reason {
			a.tellNews() // the texts, which have numbers, go with the next write
		}
	}
	a.observed = now
}

// followCopies makes the last observation the basis of those sessions that have none. It is
// false while frames may still be uncounted that had come when the host was observed.
func (a *Agent) followCopies() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.observed
	if o == nil || o.frames != nil {
		return true
	}
	snapshots, frames := a.snapshots(), make(map[*capturer]uint64)
	for c, s := range snapshots {
		if s.at.Before(o.made) {
			return false
		}
		frames[c] = s.Frames.Read
	}
	o.frames = frames
	for _, t := range a.tracked {
		if s := snapshots[t.capturer]; t.basis == nil && t.observable(s) {
			counts, _ := s.Session(t.id)
			t.basis = &basis{observation: o, place: t.place(a.Node, a.Port), capturer: t.capturer, id: t.id, of: counts.Frames + counts.ProbeFrames}
		}
	}
	return true
}

// observable reports whether the copies of a session can be followed; s is the snapshot of its
// capturer.
func (t *tracked) observable(s *snapshot) bool {
	return t.capturer != nil && s != nil && s.ready && s.problem == ""
}

// place is where the copies of a session arrive. They go to the primary address of the
// target's interface.
func (t *tracked) place(node string, port uint16) consumer.Place {
	p := consumer.Place{
		Node: node, Interface: t.capturer.local.Name, Index: t.capturer.local.Index, Port: port, VNI: uint32(*t.session.Status.VNI),
	}
	for _, r := range t.session.Status.Target.Receivers() {
		if at, here := find(r, []Interface{t.capturer.local}); here && at.key() == t.capturer.local.key() {
			if all := addresses(r.Addresses); len(all) > 0 {
				p.Address = all[0]
			}
			break
		}
	}
	return p
}

// judgeConsumer says what takes the copies of a session, by those that have come since its
// basis. While they can't be followed nothing is said, nor about a place where they went before.
func (t *tracked) judgeConsumer(node string, port uint16, now *observation, snapshots map[*capturer]*snapshot) {
	s, b := snapshots[t.capturer], t.basis
	if !t.observable(s) {
		t.forgetConsumer()
		return
	}
	place := t.place(node, port)
	if b != nil && b.place != place {
		t.forgetConsumer()
		return
	}
	if b == nil || b.frames == nil {
		return
	}
	counts, _ := s.Session(t.id)
	if b.capturer != t.capturer || b.id != t.id || counts.Frames+counts.ProbeFrames < b.of {
		t.basis = nil // they were counted under another name, or from nothing on, meanwhile
		return
	}
	arrived := consumer.Arrived{Session: counts.Frames + counts.ProbeFrames - b.of}
	for c, s := range snapshots {
		arrived.Others += s.Frames.Read - min(b.frames[c], s.Frames.Read)
	}
	arrived.Others -= min(arrived.Session, arrived.Others)
	t.consumer = t.consumer.Next(now.made, consumer.Judge(place, b.Observation, now.Observation, arrived))
	if arrived.Session >= enough || now.made.Sub(b.made) >= longestWait {
		t.basis = nil
	}
}

func (t *tracked) forgetConsumer() { t.consumer, t.basis = consumer.Standing{}, nil }

// inheritConsumer goes on with what an earlier run has told of the place, so that a pod that is
// replaced takes back nothing. It is told until this run knows better.
func (t *tracked) inheritConsumer(own *v1alpha1.Verification, s *snapshot, now time.Time) {
	_, told := t.consumer.Verdict()
	if told || !t.pace.Last().IsZero() || own == nil || own.Consumer == nil || own.Epoch != t.ledger.Epoch() ||
		!t.observable(s) || own.Interface != v1alpha1.FitASCII(t.capturer.local.Name, report.MaxInterface) {
		return
	}
	c := own.Consumer
	t.consumer = consumer.Stands(now, consumer.Verdict{Status: c.Status, Reason: c.Reason, Message: c.Message, Remedy: c.Remedy, Partial: c.Partial})
}

// toldConsumer is what an entry says of it, nil for nothing yet.
func (t *tracked) toldConsumer() *v1alpha1.Consumer {
	v, told := t.consumer.Verdict()
	if !told {
		return nil
	}
	return &v1alpha1.Consumer{Status: v.Status, Reason: v.Reason, Message: v.Message, Remedy: v.Remedy, Partial: v.Partial}
}
