package agent

import (
	"context"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/klog/v2"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/consumer"
	"vpcmirror.io/operator/controllers/verifier/report"
)

// tracked is a session that is counted on this host, or was and has counts that are not
// written yet.
type tracked struct {
	session *v1alpha1.MirrorSession
	// target is the interface, in the cloud, whose copies are counted.
	target string

	// capturer counts the session's copies, under id, by its rules (judged) or as long as
	// these are not known. It is nil once the session is not counted here any more.
	capturer *capturer
	id       string
	judged   bool
	// drops is how many frames the capturer's rings had dropped when it began to count the
	// session.
	drops uint64
	// lastInterface and leftAt say of a session that is not counted any more on which
	// interface, and until when, it was.
	lastInterface string
	leftAt        time.Time

	// problem is what keeps the session from being counted as it should, and logged the one
	// that was logged last.
	problem, logged string
	// shared says which other sessions claim the copies, and loggedShared what was logged of
	// that last. concealed is whether one of them is in another namespace.
	shared, loggedShared string
	concealed            bool

	// consumer is what is told of who takes the copies, basis from where on they are followed,
	// nil while they are not.
	consumer consumer.Standing
	basis    *basis

	// past is for metrics alone.
	past   past
	ledger *report.Ledger
	// asOf is the latest version of the session by which the ledger's epoch is right.
	asOf string
	pace report.Pace
	// failures is the number of failed calls in a row, and retryAt when the next one may be.
	failures int
	retryAt  time.Time
}

// observe records what has been counted and returns the other things that an entry holds.
// s is a snapshot of the session's capturer, nil when it has none.
func (t *tracked) observe(node string, s *snapshot) report.Observation {
	o := report.Observation{Node: node, Interface: t.lastInterface, At: t.leftAt, Message: t.problem, Shared: t.shared, Concealed: t.concealed, Ended: t.ended()}
	var counted report.Totals
	if t.capturer != nil {
		t.ledger.MoveStart(s.since) // nothing that came while the ring was being opened was seen
		counts, _ := s.Session(t.id)
		counted = report.Counted(counts, t.dropped(s), t.judged)
		o.Interface, o.At = t.capturer.local.Name, s.at
		o.ForeignSender, o.Imbalance = counts.ForeignSender, s.off
		if s.problem != "" {
			o.Message = s.problem
		} else {
			o.Consumer = t.toldConsumer()
		}
		if o.Message == "" {
			o.Message = s.shortage
		}
	}
	t.ledger.Record(o.At, counted)
	o.Started = t.ledger.Started()
	return o
}

// begins reports whether another epoch than the one that is counted in has begun by what was
// read of the session. The cache can be behind what was read past it: what is older says
// nothing.
func (t *tracked) begins(s *v1alpha1.MirrorSession) bool {
	return s.Status.Epoch != t.ledger.Epoch() && t.isNews(s)
}

func (t *tracked) isNews(s *v1alpha1.MirrorSession) bool {
	order, err := resourceversion.CompareResourceVersion(s.ResourceVersion, t.asOf)
	return err != nil || order > 0 // an error: nothing was read yet
}

// enter goes over to the session's epoch. What was counted up to now, by the snapshot of the
// capturer, is not of it.
func (t *tracked) enter(node string, s *v1alpha1.MirrorSession, now *snapshot) {
	if t.begins(s) {
		t.observe(node, now)
		t.ledger.SetEpoch(s.Status.Epoch)
	}
	if t.isNews(s) {
		t.asOf = s.ResourceVersion
	}
}

// entry records what has been counted and returns what is to be reported, without the line
// of the last packet.
func (t *tracked) entry(node string, s *snapshot) v1alpha1.Verification {
	o := t.observe(node, s)
	return t.ledger.Totals().Entry(o)
}

// dropped is how many frames were dropped since the capturer began to count the session. A
// snapshot may be older than that.
func (t *tracked) dropped(s *snapshot) uint64 {
	return s.stats.Drops - min(t.drops, s.stats.Drops)
}

// ended reports whether the session is counted on another host now, or on none: its target
// is another interface. One that is only missing here may come back.
func (t *tracked) ended() bool {
	target := t.session.Status.Target
	return t.capturer == nil && target != nil && target.ID() != t.target
}

// leave ends the counting by the present capturer. What its tally has counted is added
// when the tally gets its next list of sessions, see recount.
func (t *tracked) leave() {
	t.ledger.Close(report.Totals{Tallies: v1alpha1.Tallies{Counts: v1alpha1.Counts{Dropped: int64(t.dropped(new(t.capturer.snapshot())))}}})
	t.lastInterface, t.capturer, t.shared = t.capturer.local.Name, nil, ""
	t.forgetConsumer()
}

// track begins to count a session with a capturer, or goes on with what has changed of it.
func (a *Agent) track(ctx context.Context, now *assignment, c *capturer) {
	t := a.tracked[now.session.UID]
	if t == nil {
		t = &tracked{ledger: report.NewLedger(a.Clock())}
		a.tracked[now.session.UID] = t
	}
	t.session, t.target = now.session, now.session.Status.Target.ID()
	if t.capturer != c {
		if t.capturer != nil {
			t.leave()
		}
		t.capturer, t.drops = c, c.snapshot().stats.Drops
		a.log(ctx, t).Info("Counting a session", "vni", now.count.VNI, "interface", c.local.Name)
	}
	t.id, t.judged, t.problem = now.count.ID, now.judged, now.problem
	t.shared, t.concealed = now.shared, now.count.Concealed
	t.ledger.List(now.sources, now.rules)
	if a.entryIsGone(t) {
		t.pace = report.Pace{}
	}
}

// entryIsGone reports whether an entry that was written is no longer in the status, and
// this for so long that it can't be the cache that is behind. It is then written again.
func (a *Agent) entryIsGone(t *tracked) bool {
	last := t.pace.Last()
	return !last.IsZero() && a.Clock().Sub(last) > report.Level && report.Own(t.session, a.Node) == nil
}

// untrack forgets the sessions that no longer exist, and ends the counting of those whose
// target is not here any more: it returns these with their capturers. Their last counts are
// written with the next flush.
func (a *Agent) untrack(ctx context.Context, assigned map[types.UID]*assignment, alive map[types.UID]*v1alpha1.MirrorSession) map[*tracked]*capturer {
	left := make(map[*tracked]*capturer)
	for uid, t := range a.tracked {
		now := alive[uid]
		switch {
		case now == nil:
			delete(a.tracked, uid)
			a.log(ctx, t).Info("No longer counting a session: it was deleted")
		case assigned[uid] == nil && t.capturer != nil:
			left[t] = t.capturer
			t.leave()
			t.session, t.problem = now, ""
			if resolved(now) {
				t.problem = targetIsGone
			}
			a.log(ctx, t).Info("No longer counting a session; its last counts are written")
		}
	}
	return left
}

// targetIsGone is the message of an entry whose session is not counted here any more.
const targetIsGone = "no interface of this host has the target's address or MAC any more"

// trackInherited takes over the entries that an earlier run has left of sessions whose
// target has moved to another host since: nobody else would end them. Should the target's
// interface only be missing here for a while, a new entry goes on beside traffic.retired.
func (a *Agent) trackInherited(alive map[types.UID]*v1alpha1.MirrorSession, local []Interface) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for uid, s := range alive {
		own, target := report.Own(s, a.Node), s.Status.Target
		if own == nil || own.Ended || a.tracked[uid] != nil || target == nil || slices.Contains(target.Nodes(), a.Node) {
			continue
		}
		if _, here := findTarget(target, local); here {
			continue
		}
		start := own.ObservedAt.Time
		if own.StartedAt != nil {
			start = own.StartedAt.Time
		}
		ledger := report.NewLedger(start)
		ledger.List(listSources(s), own.Rules) // the filter is not asked any more
		ledger.SetEpoch(s.Status.Epoch)
		a.tracked[uid] = &tracked{
			session: s, lastInterface: own.Interface, leftAt: own.ObservedAt.Time, problem: targetIsGone, ledger: ledger, asOf: s.ResourceVersion,
		}
	}
}

// begin gives what is done now, to the sessions of this host or to the entry of one, an ID that is in each line about
// it, as the manager's lines have that of a reconcile.
func (a *Agent) begin(ctx context.Context) context.Context {
	return logr.NewContext(ctx, a.Log.WithValues("reconcileID", uuid.NewUUID()))
}

// log is for what is told of a session: its key is that of the manager's lines.
func (a *Agent) log(ctx context.Context, t *tracked) logr.Logger {
	return logr.FromContextOrDiscard(ctx).WithValues("MirrorSession", klog.KObj(t.session))
}
