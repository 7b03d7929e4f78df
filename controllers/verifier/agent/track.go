package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// tracked is a session that is counted on this host, or was and has counts that are
// not written yet.
type tracked struct {
	session *v1alpha1.MirrorSession
	// watch is nil when the session has left.
	watch *watch
	// id and judged are how the watch's tally counts it.
	id     string
	judged bool
	// drops is what the ring had dropped when the counting on this watch began.
	drops uint64
	// problem is what keeps the session from being counted as it should, and logged
	// the one that the log has.
	problem, logged string

	// stored is what earlier runs had counted, as of storedAt; nil until it is read.
	stored   *report.Totals
	storedAt time.Time
	// target is the interface, in the cloud, whose copies are counted.
	target string
	// told is what the entry at the API server tells, or the most that it can tell after
	// a write without an answer.
	told report.Totals
	// doubt is what the manager had retired when a first entry was written without an
	// answer, nil otherwise: as long as it is the same, that write had no effect.
	doubt *v1alpha1.Counts
	// run is what this run has counted before watch and id became what they are.
	run     report.Totals
	started time.Time
	// wasOn and leftAt say of a session that has left where and until when it was
	// counted.
	wasOn  string
	leftAt time.Time

	pace report.Pace
	// failures in a row, and when is tried again.
	failures int
	retryAt  time.Time
}

// entry is what is to be told of a session, without the line of its last packet, and
// its totals.
func (t *tracked) entry(node string, l *look) (v1alpha1.Verification, report.Totals) {
	if t.watch != nil && t.pace.Last().IsZero() && l.since.After(t.started) {
		t.started = l.since // nothing that came while the ring was being opened was seen
	}
	totals := t.run
	if t.stored != nil {
		totals = t.stored.Plus(totals)
	}
	sight := report.Sight{Node: node, Interface: t.wasOn, At: t.leftAt, Started: t.started, Message: t.problem, Ended: t.ended()}
	if t.watch != nil {
		counts, _ := l.Session(t.id)
		totals = totals.Plus(report.Counted(counts, l.stats.Drops-t.drops, t.judged))
		sight.Interface, sight.At = t.watch.local.Name, l.at
		if l.problem != "" {
			sight.Message = l.problem
		}
	}
	return totals.Entry(sight), totals
}

// ended says that the target is another interface now: what this host has counted is
// then complete. An interface that is only missing here may come back.
func (t *tracked) ended() bool {
	target := t.session.Status.Target
	return t.watch == nil && target != nil && target.InterfaceID != t.target
}

// place brings what is counted in line with the sessions and the interfaces.
func (a *Agent) place(ctx context.Context) {
	var sessions v1alpha1.MirrorSessionList
	// Nothing here changes an object, so the cache's own are good enough.
	if err := a.Client.List(ctx, &sessions, client.UnsafeDisableDeepCopy); err != nil {
		a.trouble(ctx, err, "The sessions can't be read; counting goes on as before")
		return
	}
	local, err := a.Interfaces()
	if err != nil {
		a.trouble(ctx, err, "The interfaces of this host can't be read; counting goes on as before")
		return
	}
	a.lastTrouble = ""
	alive := make(map[types.UID]*v1alpha1.MirrorSession, len(sessions.Items))
	for i := range sessions.Items {
		alive[sessions.Items[i].UID] = &sessions.Items[i]
	}
	a.rules.keep(alive)
	placements := place(sessions.Items, local, func(s *v1alpha1.MirrorSession) ([]match.Rule, bool, error) { return a.rules.of(ctx, s) })

	// Their last frames may still be in the ring.
	for _, w := range a.losing(placements) {
		w.settle(ctx)
	}
	a.inherit(alive, local)
	for _, w := range a.take(placements, alive) {
		w.stop()
		w.log.Info("No longer capturing: no session needs it")
	}
	select {
	case <-a.placed:
	default:
		close(a.placed) // by this goroutine alone
		a.Log.Info("The sessions are known, and those whose target is on this host are counted", "sessions", len(alive), "here", len(placements))
	}
}

// trouble logs what is in the way, once until it is another or gone.
func (a *Agent) trouble(ctx context.Context, err error, message string) {
	if ctx.Err() == nil && a.lastTrouble != err.Error() {
		a.lastTrouble = err.Error()
		a.Log.Error(err, message)
	}
}

// losing returns the watches from which a session goes away, or on which one is judged
// from now on: what was copied before must not be judged by the rules of afterwards.
func (a *Agent) losing(placements []placement) []*watch {
	a.mu.Lock()
	defer a.mu.Unlock()
	stays := make(map[types.UID]*placement, len(placements))
	for i := range placements {
		stays[placements[i].session.UID] = &placements[i]
	}
	out := make(map[*watch]bool) // each waits, so each once
	for uid, t := range a.tracked {
		p := stays[uid]
		if t.watch != nil && (p == nil || p.local.spot() != t.watch.local.spot() || (p.judged && !t.judged)) {
			out[t.watch] = true
		}
	}
	return slices.Collect(maps.Keys(out))
}

// take makes the placements so, and returns the watches that no session needs.
func (a *Agent) take(placements []placement, alive map[types.UID]*v1alpha1.MirrorSession) (idle []*watch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions = len(alive)
	left, fresh := a.departed(placements, alive), map[spot]*watch{}
	lists := make(map[spot][]tally.Session)
	for i := range placements {
		p := &placements[i]
		at := p.local.spot()
		if a.watches[at] == nil {
			fresh[at] = a.newWatch(p.local)
			a.watches[at] = fresh[at]
		}
		lists[at] = append(lists[at], p.count)
		a.enter(p, a.watches[at])
	}
	for at, w := range a.watches {
		a.recount(w, lists[at])
		if len(lists[at]) == 0 {
			delete(a.watches, at)
			idle = append(idle, w)
		}
	}
	for t, w := range left {
		t.leftAt = w.look().at
	}
	for _, w := range fresh {
		go w.run() // now that it knows its sessions
	}
	for _, t := range a.tracked {
		if t.problem != t.logged {
			a.log(t).Info("What keeps a session from being counted as it should has changed", "problem", t.problem, "before", t.logged)
			t.logged = t.problem
		}
	}
	return idle
}

func (a *Agent) newWatch(local Interface) *watch {
	return &watch{
		local: local, port: a.Port, open: a.Open, clock: a.Clock, tally: tally.New(a.Port), latest: a.Clock(),
		log: a.Log.WithValues("interface", local.Name), quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// departed forgets the sessions that no longer exist and makes those leave that are no
// longer for this host. Their last counts are written with the next delivery.
func (a *Agent) departed(placements []placement, alive map[types.UID]*v1alpha1.MirrorSession) map[*tracked]*watch {
	here := make(map[types.UID]bool, len(placements))
	for i := range placements {
		here[placements[i].session.UID] = true
	}
	left := make(map[*tracked]*watch)
	for uid, t := range a.tracked {
		now := alive[uid]
		switch {
		case now == nil:
			delete(a.tracked, uid)
			a.log(t).Info("No longer counting a session: it was deleted")
		case !here[uid] && t.watch != nil:
			left[t] = t.watch
			t.leave()
			t.session, t.problem = now, ""
			if resolved(now) {
				t.problem = departed
			}
			a.log(t).Info("No longer counting a session; its last counts are written")
		}
	}
	return left
}

// inherit takes over the entries that an earlier run has left of sessions whose target
// has gone to another host since: nobody else would end them. Should the target's
// interface only be missing here for a while, a new entry goes on beside traffic.retired.
func (a *Agent) inherit(alive map[types.UID]*v1alpha1.MirrorSession, local []Interface) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for uid, s := range alive {
		own, target := report.Own(s, a.Node), s.Status.Target
		if own == nil || own.Ended || a.tracked[uid] != nil || target == nil || target.NodeName == a.Node {
			continue
		}
		if _, here := find(*target, local); here {
			continue
		}
		t := &tracked{session: s, started: a.Clock(), wasOn: own.Interface, leftAt: own.ObservedAt.Time, problem: departed}
		if own.StartedAt != nil {
			t.started = own.StartedAt.Time
		}
		a.tracked[uid] = t
	}
}

// departed is what an entry says that has ended.
const departed = "no interface of this host has the target's address or MAC any more"

// leave ends the counting of a session on its watch. What the tally has counted for it
// comes with the tally's next list, see recount.
func (t *tracked) leave() {
	drops := t.watch.look().stats.Drops - t.drops
	t.run = t.run.Plus(report.Counted(tally.SessionCounts{}, drops, t.judged))
	t.wasOn, t.watch = t.watch.local.Name, nil
}

// enter begins to count a session, or takes over how it has changed.
func (a *Agent) enter(p *placement, w *watch) {
	t := a.tracked[p.session.UID]
	if t == nil {
		t = &tracked{started: a.Clock()}
		a.tracked[p.session.UID] = t
	}
	t.session, t.target = p.session, p.session.Status.Target.InterfaceID
	if t.watch != w {
		if t.watch != nil {
			t.leave()
		}
		t.watch, t.drops = w, w.look().stats.Drops
		a.log(t).Info("Counting a session", "vni", p.count.VNI, "interface", w.local.Name)
	}
	t.id, t.judged, t.problem = p.count.ID, p.judged, p.problem
	if a.missed(t) {
		t.pace = report.Pace{}
	}
}

// learn takes over what the API server has of this node, and of what was retired.
func (t *tracked) learn(node string, l *look, own *v1alpha1.Verification, retired v1alpha1.Counts) {
	doubt := t.doubt
	t.doubt = nil
	if t.stored == nil {
		t.stored = new(report.Totals)
		if own != nil {
			*t.stored, t.storedAt = report.TotalsOf(*own), own.ObservedAt.Time
		}
	}
	if own == nil {
		if doubt != nil && *doubt == retired {
			t.told = report.Totals{}
		}
		// The manager has added what it told to traffic.retired: told again it would
		// count twice.
		rest := t.stored.Minus(t.told)
		t.stored, t.told = &rest, report.Totals{}
		return
	}
	t.told = report.TotalsOf(*own)
	switch {
	case own.StartedAt != nil && own.StartedAt.Time.Equal(t.started.Truncate(time.Microsecond)):
		// What this run has written itself.
	case own.ObservedAt.After(t.storedAt):
		// Another run has written after this one had read, as a pod that ends while its
		// successor runs already. Both saw the same packets: the higher counts hold.
		_, totals := t.entry(node, l)
		raised := t.stored.Plus(totals.Missing(report.TotalsOf(*own)))
		t.stored, t.storedAt = &raised, own.ObservedAt.Time
	}
}

// nothing says of a session that has left that there is nothing to be told of it: the
// manager has added its entry to traffic.retired already.
func (t *tracked) nothing(own *v1alpha1.Verification, entry v1alpha1.Verification) bool {
	return t.watch == nil && own == nil && entry.Counts == v1alpha1.Counts{}
}

// missed says whether the entry is gone from the status, and for so long that the cache
// can't just be behind. It is then written anew.
func (a *Agent) missed(t *tracked) bool {
	last := t.pace.Last()
	return !last.IsZero() && a.Clock().Sub(last) > report.Level && report.Own(t.session, a.Node) == nil
}

// recount tells a watch its sessions, and keeps what it had counted for those that it
// has no longer.
func (a *Agent) recount(w *watch, list []tally.Session) {
	retired, conflicts, err := w.tally.SetSessions(list)
	if err != nil {
		// Each session was checked before, so this is a bug. Nothing is lost by it:
		// the counts so far are kept, and the status says that no more come.
		w.log.Error(err, "The sessions of an interface can't be counted")
		retired, _, _ = w.tally.SetSessions(nil) // an empty list is always good
		for _, s := range list {
			if t, _ := a.counted(s.ID); t != nil {
				t.problem = "the session can't be counted: " + err.Error()
			}
		}
	}
	for i := range retired {
		if t, judged := a.counted(retired[i].ID); t != nil {
			t.run = t.run.Plus(report.Counted(retired[i], 0, judged))
		}
	}
	for _, c := range conflicts {
		loser, _ := a.counted(c.Loser)
		winner, _ := a.counted(c.Winner)
		if loser == nil || winner == nil || loser.problem != "" {
			continue
		}
		loser.problem = fmt.Sprintf("VNI %d from %s is also that of %s, which is older and gets the counts: give one of the two another VNI",
			c.VNI, c.Source, nameFor(loser.session, winner.session))
	}
}

// counted finds the session that a tally calls by this ID.
func (a *Agent) counted(id string) (t *tracked, judged bool) {
	uid, found := strings.CutSuffix(id, unjudged)
	return a.tracked[types.UID(uid)], !found
}

// nameFor names a session to the readers of another: what is in other namespaces is
// not theirs to know.
func nameFor(reader, s *v1alpha1.MirrorSession) string {
	if reader.Namespace != s.Namespace {
		return "a MirrorSession in another namespace"
	}
	return fmt.Sprintf("the MirrorSession %q", s.Name)
}
