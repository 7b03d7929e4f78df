package agent

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/nodecache"
	"vpcmirror.io/operator/controllers/verifier/probe"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

const (
	// probeTick is how often the arrivals of a probe are looked at while it goes on.
	probeTick = 200 * time.Millisecond
	// probeLinger is for how long the copies of a probe are still counted apart after its end.
	probeLinger = 30 * time.Second
	// probeInterval is the least time between two probes of a session by this host, whatever a status asks for. It is
	// somewhat less than the minute that the manager keeps to, by another clock.
	probeInterval = 50 * time.Second
	// probeMaxAge is how long after its claim a packet may still be sent.
	probeMaxAge = 10 * time.Second
	// probeStale is how long after the manager let it be sent a probe may be, by the clocks of two hosts.
	probeStale = 5 * time.Minute
	// probesAtOnce is for how many sources packets are sent at the same time.
	probesAtOnce = 16
)

// probing is what this host does of a session's probe.
type probing struct {
	session *v1alpha1.MirrorSession
	// probe is the one that goes on, or did last, and patterns are those of its packets.
	probe    *v1alpha1.Probe
	patterns []probe.Pattern
	// until is when its copies are looked for no longer, zero while it goes on.
	until time.Time

	// claimed says that nothing is to be sent any more: it was, or this run may not.
	claimed bool
	// sent is what was sent, and inherited what an earlier run of this host has reported.
	sent      []v1alpha1.ProbeSent
	inherited *v1alpha1.ProbeReport
	written   *v1alpha1.ProbeReport

	// writing is held while the report is written: who sends and who watches both do that.
	writing sync.Mutex
	// retryAt is when the next write may be after one that failed.
	retryAt time.Time
}

// noteProbes takes in which probes go on of the sessions that concern this host. Those that are over are remembered
// for a while: copies may still be under way.
func (a *Agent) noteProbes(sessions []*v1alpha1.MirrorSession) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, alive := a.Clock(), make(map[types.UID]bool, len(sessions))
	for _, s := range sessions {
		alive[s.UID] = true
		p, is := a.probes[s.UID], s.Status.Probe
		switch {
		case is.Active() && (p == nil || p.probe.ID != is.ID):
			a.probes[s.UID] = &probing{session: s, probe: is, patterns: probe.PatternsOf(is)}
		case is.Active():
			p.session, p.probe, p.until = s, is, time.Time{}
		case p != nil && p.until.IsZero():
			p.session, p.until = s, now.Add(probeLinger)
		}
	}
	for uid, p := range a.probes {
		if !alive[uid] || !p.until.IsZero() && !now.Before(p.until) {
			delete(a.probes, uid)
		}
	}
}

// withProbes adds to the sessions that are counted the probes whose packets may be copied by them: their own, and those
// of other sessions with the same source, as each packet is copied by the first session that accepts it.
func (a *Agent) withProbes(assignments []assignment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.probes) == 0 {
		return
	}
	for i := range assignments {
		now := &assignments[i]
		for uid, p := range a.probes {
			for _, pattern := range p.patterns {
				if uid == now.session.UID || slices.ContainsFunc(now.sources, func(s v1alpha1.SourceCounts) bool { return s.InterfaceID == pattern.Source }) {
					now.count.Probes = append(now.count.Probes, pattern)
				}
			}
		}
		slices.SortFunc(now.count.Probes, func(x, y probe.Pattern) int { return int(int64(x.Nonce) - int64(y.Nonce)) })
	}
}

// probesEnd is when the first of the probes that are over is forgotten, zero for none; a.mu is held.
func (a *Agent) probesEnd() (first time.Time) {
	for _, p := range a.probes {
		first = earlier(first, p.until)
	}
	return first
}

// tellProbes says that probes may have something to do.
func (a *Agent) tellProbes() {
	select {
	case a.probeNews <- struct{}{}:
	default:
	}
}

// probeUntilDone does what probes ask of this host until ctx ends. While there is none it sleeps.
func (a *Agent) probeUntilDone(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.probeNews:
		case <-next.C:
		}
		if a.probeOnce(ctx, &sending) {
			next.Reset(probeTick)
		}
	}
}

// probeOnce does what is to be done now, and reports whether there may be more without any news.
func (a *Agent) probeOnce(ctx context.Context, sending *sync.WaitGroup) (more bool) {
	for _, p := range a.activeProbes() {
		more = true
		if a.mayClaim(p) {
			sending.Go(func() { a.sendProbe(ctx, p) })
		}
		a.reportProbe(ctx, p)
	}
	return more
}

func (a *Agent) activeProbes() (out []*probing) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.probes {
		if p.until.IsZero() {
			out = append(out, p)
		}
	}
	return out
}

// mayClaim reports whether this host is to begin to send now, once for each probe.
func (a *Agent) mayClaim(p *probing) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.claimed || p.probe.SendingAt == nil || !nodecache.Sends(p.probe, a.Node) {
		return false
	}
	p.claimed = true
	return true
}

// sendProbe stores that this host sends, and sends. Who is stopped in between sends nothing: who comes after it finds
// the claim.
func (a *Agent) sendProbe(ctx context.Context, p *probing) {
	log := a.Log.WithValues("MirrorSession", klog.KObj(p.session), "probe", p.probe.ID)
	if wait := a.probeRest(p.session.UID); wait > 0 {
		log.Info("A probe is not sent: the last one of the session was sent too short a time ago", "wait", wait)
		return
	}
	live, err := a.claim(ctx, p)
	if err != nil || live == nil {
		log.Info("A probe is not sent: it is over, was sent by an earlier run, or its claim could not be stored", "error", err)
		return
	}
	sent := a.sendAll(ctx, live, log)
	a.mu.Lock()
	p.sent = sent
	a.mu.Unlock()
	a.tellProbes()
}

// probeRest is for how long this host may not send for a session. Nothing is kept of sessions that were not probed lately.
func (a *Agent) probeRest(uid types.UID) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now() // the monotonic clock
	for other, at := range a.probedAt {
		if now.Sub(at) >= probeInterval {
			delete(a.probedAt, other)
		}
	}
	if at, lately := a.probedAt[uid]; lately {
		return probeInterval - now.Sub(at)
	}
	a.probedAt[uid] = now
	return 0
}

// claim stores that this host sends, and returns the session as it was then; nil where it is not to.
func (a *Agent) claim(ctx context.Context, p *probing) (*v1alpha1.MirrorSession, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	for {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		live, err := report.Read(call, a.Reader, p.session)
		var mine v1alpha1.ProbeReport
		if err == nil {
			stored := report.OwnProbe(live, a.Node, p.probe.ID)
			if !maySend(live, p.probe.ID, stored, a.Clock()) {
				cancel()
				return nil, nil
			}
			mine = a.composeProbe(p, stored)
			mine.Claimed = true
			err = report.WriteProbe(call, a.Client, live, mine)
		}
		cancel()
		switch {
		case err == nil:
			a.mu.Lock()
			p.written = &mine
			a.mu.Unlock()
			return live, nil
		case !errors.Is(err, report.ErrChanged):
			return nil, err // whether it is stored or not: nothing is sent
		}
	}
}

// maySend reports whether there is still to be sent for a probe, by the session as it is and what this host has stored
// of the probe. What nobody was there to send in time is not sent later: who asked for it has long looked away.
func maySend(live *v1alpha1.MirrorSession, id string, stored *v1alpha1.ProbeReport, now time.Time) bool {
	is := live.Status.Probe
	switch {
	case live.Spec.Suspend, live.DeletionTimestamp != nil, stored != nil && stored.Claimed:
		return false
	case !is.Active(), is.ID != id, is.SendingAt == nil:
		return false
	}
	return now.Sub(is.SendingAt.Time) < probeStale
}

// sendAll sends what the session's probe asks of this host.
func (a *Agent) sendAll(ctx context.Context, live *v1alpha1.MirrorSession, log logr.Logger) []v1alpha1.ProbeSent {
	began := time.Now()
	var mu sync.Mutex
	var sends sync.WaitGroup
	var out []v1alpha1.ProbeSent
	free := make(chan struct{}, probesAtOnce)
	seen := map[string]bool{}
	for _, order := range live.Status.Probe.Sends {
		i := slices.IndexFunc(live.Status.Sources, func(r v1alpha1.ResolvedInterface) bool { return r.InterfaceID == order.InterfaceID })
		if order.Node != a.Node || i < 0 || seen[order.InterfaceID] {
			continue
		}
		seen[order.InterfaceID] = true
		free <- struct{}{}
		sends.Go(func() {
			defer func() { <-free }()
			sent := v1alpha1.ProbeSent{InterfaceID: sourceID(order.InterfaceID), Message: "it took too long until it was this source's turn"}
			if time.Since(began) < probeMaxAge {
				done, err := a.SendProbe(ctx, order, live.Status.Sources[i])
				sent.Packets, sent.Message = int32(done.Packets), ""
				if done.Packets > 0 {
					sent.At = new(metav1.NewMicroTime(done.At.Truncate(time.Microsecond)))
				}
				if err != nil {
					sent.Message = v1alpha1.FitASCII(err.Error(), maxProbeMessage)
				}
				log.Info("Sent the packets of a probe", "source", order.InterfaceID, "kind", order.Kind, "from", order.From, "to", order.To, "packets", done.Packets, "error", err)
			}
			mu.Lock()
			out = append(out, sent)
			mu.Unlock()
		})
	}
	sends.Wait()
	return out
}

// maxProbeMessage is the bound of a message in a report.
const maxProbeMessage = 128

// reportProbe writes what this host did of a probe where that is news.
func (a *Agent) reportProbe(ctx context.Context, p *probing) {
	p.writing.Lock()
	defer p.writing.Unlock()
	if !a.probeDiffers(p) {
		return
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	live, err := report.Read(call, a.Reader, p.session)
	if err == nil {
		if !live.Status.Probe.Active() || live.Status.Probe.ID != p.probe.ID {
			return // nobody reads it any more
		}
		mine := a.composeProbe(p, report.OwnProbe(live, a.Node, p.probe.ID))
		if err = report.WriteProbe(call, a.Client, live, mine); err == nil {
			a.mu.Lock()
			p.written = &mine
			a.mu.Unlock()
		}
	}
	if err != nil && !errors.Is(err, report.ErrChanged) && !errors.Is(err, report.ErrGone) && ctx.Err() == nil {
		a.mu.Lock()
		p.retryAt = a.Clock().Add(time.Second)
		a.mu.Unlock()
		a.Log.Error(err, "What was done of a probe could not be stored; it is tried again", "MirrorSession", klog.KObj(p.session))
	}
}

func (a *Agent) probeDiffers(p *probing) bool {
	if a.Clock().Before(p.retryAt) {
		return false
	}
	mine := a.composeProbe(p, nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.written == nil {
		return mine.Watching || mine.Claimed || len(mine.Sent) > 0 || len(mine.Arrived) > 0
	}
	return !equality.Semantic.DeepEqual(mine, *p.written)
}

// composeProbe is the report of this host: what was done by this run, and by those before, of which stored is.
func (a *Agent) composeProbe(p *probing, stored *v1alpha1.ProbeReport) v1alpha1.ProbeReport {
	a.mu.Lock()
	defer a.mu.Unlock()
	if stored != nil && p.written == nil && p.inherited == nil {
		p.inherited = stored.DeepCopy()
	}
	out := v1alpha1.ProbeReport{Node: a.Node, Probe: p.probe.ID, Sent: p.sent}
	if before := p.inherited; before != nil {
		out.Claimed = before.Claimed
		if len(out.Sent) == 0 {
			out.Sent = before.Sent
		}
		p.claimed = p.claimed || before.Claimed
	}
	if p.written != nil {
		out.Claimed = out.Claimed || p.written.Claimed
		out.Arrived = p.written.Arrived // as long as the session is not counted here
	}
	t := a.tracked[p.session.UID]
	if t == nil || t.capturer == nil || !slices.Contains(p.probe.Watchers, a.Node) {
		return out
	}
	out.Watching = t.capturer.captures() && t.capturer.looksFor(t.id, p.patterns)
	counts, _ := new(t.capturer.tally.Snapshot()).Session(t.id)
	out.Arrived = arrivals(p, counts.Probes)
	return out
}

// looksFor reports whether the tally knows the packets of a probe; the agent's mu is held.
func (c *capturer) looksFor(id string, patterns []probe.Pattern) bool {
	i := slices.IndexFunc(c.list, func(s tally.Session) bool { return s.ID == id })
	return i >= 0 && !slices.ContainsFunc(patterns, func(p probe.Pattern) bool { return !slices.Contains(c.list[i].Probes, p) })
}

// arrivals are the copies that came of a probe, the sources in their order: what this run has counted, and what one
// before it has.
func arrivals(p *probing, counted []tally.ProbeCounts) (out []v1alpha1.ProbeCopies) {
	var before []v1alpha1.ProbeCopies
	if p.inherited != nil {
		before = p.inherited.Arrived
	}
	for _, pattern := range p.patterns {
		id := sourceID(pattern.Source)
		c := v1alpha1.ProbeCopies{InterfaceID: id}
		if i := slices.IndexFunc(before, func(b v1alpha1.ProbeCopies) bool { return b.InterfaceID == id }); i >= 0 {
			c = before[i]
		}
		if i := slices.IndexFunc(counted, func(n tally.ProbeCounts) bool { return n.Pattern == pattern }); i >= 0 {
			c.Packets = min(c.Packets+int64(counted[i].Packets), v1alpha1.MaxCount)
			if c.At.IsZero() {
				c.At = metav1.NewMicroTime(counted[i].FirstSeen.Truncate(time.Microsecond))
			}
		}
		if c.Packets > 0 {
			out = append(out, c)
		}
	}
	return out
}
