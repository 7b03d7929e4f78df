package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// Options of an Agent.
type Options struct {
	// Node is this host's name in the status entries.
	Node string
	// Port is the UDP port of the copies, 4789 by default in the cloud.
	Port uint16
	// Client writes; it may read from the cache.
	Client client.Client
	// Cache tells when sessions and filters change.
	Cache cache.Cache
	// Interfaces returns the interfaces of this host, see LocalInterfaces.
	Interfaces func() ([]Interface, error)
	// Open opens a ring on an interface of this host, see OpenRing.
	Open func(local Interface, port uint16) (*capture.Ring, error)
	// Clock tells the time.
	Clock func() time.Time
	Log   logr.Logger
}

// Agent counts the copies of all sessions whose target is on this host. Make it with
// New and run it with Start.
type Agent struct {
	Options
	wake   chan struct{}
	budget *rate.Limiter

	mu      sync.Mutex
	watches map[int]*running
	tracked map[types.UID]*tracked
	// bases outlive the tracking of a session: where it is tracked again, totals go on.
	bases map[types.UID]report.Base
	// sessions is how many the cluster has.
	sessions int
	rules    *ruleBook
}

// running is a watch and how to end it.
type running struct {
	*watch
	stop context.CancelFunc
	done chan struct{}
}

// tracked is a session that is counted on this host.
type tracked struct {
	session *v1alpha1.MirrorSession
	watch   *running
	base    report.Base
	started time.Time
	// drops is what the ring had dropped when the tracking began.
	drops   uint64
	problem string
	pace    report.Pace
}

const (
	// budgetPerSecond and budgetBurst bound the writes of one host.
	budgetPerSecond = 1
	budgetBurst     = 5
	// lookAround is how often the interfaces of the host are looked at.
	lookAround = 2 * time.Second
	// tick is how often is asked whether an entry is worth a write.
	tick = 500 * time.Millisecond
	// writeTimeout bounds one write.
	writeTimeout = 5 * time.Second
)

// New returns an agent that does nothing yet.
func New(o Options) *Agent {
	return &Agent{
		Options: o,
		wake:    make(chan struct{}, 1),
		budget:  rate.NewLimiter(budgetPerSecond, budgetBurst),
		watches: make(map[int]*running),
		tracked: make(map[types.UID]*tracked),
		bases:   make(map[types.UID]report.Base),
		rules:   newRuleBook(o.Client),
	}
}

// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorfilters;mirrorsessions,verbs=get;list;watch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorsessions/status,verbs=patch

// NeedLeaderElection is false: every host has an agent of its own.
func (a *Agent) NeedLeaderElection() bool { return false }

// Start runs the agent until ctx ends. What was counted last is then written.
func (a *Agent) Start(ctx context.Context) error {
	for _, kind := range []client.Object{&v1alpha1.MirrorSession{}, &v1alpha1.MirrorFilter{}} {
		informer, err := a.Cache.GetInformer(ctx, kind)
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { a.poke() },
			UpdateFunc: func(any, any) { a.poke() },
			DeleteFunc: func(any) { a.poke() },
		}); err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
	}
	around, ticks := time.NewTicker(lookAround), time.NewTicker(tick)
	defer around.Stop()
	defer ticks.Stop()
	defer a.end(context.WithoutCancel(ctx))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
			a.place(ctx)
		case <-around.C:
			a.place(ctx)
		case <-ticks.C:
			a.report(ctx)
		}
	}
}

// poke asks for a new placement; several in a row become one.
func (a *Agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// place brings what is counted in line with the sessions and the interfaces.
func (a *Agent) place(ctx context.Context) {
	var sessions v1alpha1.MirrorSessionList
	if err := a.Client.List(ctx, &sessions); err != nil {
		a.Log.Error(err, "The sessions can't be read; counting goes on as before")
		return
	}
	local, err := a.Interfaces()
	if err != nil {
		a.Log.Error(err, "The interfaces can't be read; counting goes on as before")
		return
	}
	placements := place(sessions.Items, local, func(s *v1alpha1.MirrorSession) ([]match.Rule, bool) { return a.rules.of(ctx, s) })

	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions = len(sessions.Items)
	a.forget(sessions.Items)
	for uid, t := range a.tracked {
		if p, stays := placements[uid]; !stays || p.local.Index != t.watch.local.Index {
			a.leave(ctx, uid, t)
		}
	}
	for uid, p := range placements {
		a.enter(ctx, uid, p)
	}
	a.recount(placements)
}

// forget drops what is known of sessions that no longer exist.
func (a *Agent) forget(sessions []v1alpha1.MirrorSession) {
	alive := make(map[types.UID]bool, len(sessions))
	for i := range sessions {
		alive[sessions[i].UID] = true
	}
	for uid := range a.bases {
		if !alive[uid] {
			delete(a.bases, uid)
			a.rules.forget(uid)
		}
	}
}

// enter begins to count a session, or takes over how it has changed.
func (a *Agent) enter(ctx context.Context, uid types.UID, p placement) {
	t, known := a.tracked[uid]
	if !known {
		w := a.watchOn(ctx, p.local)
		if _, seen := a.bases[uid]; !seen {
			a.bases[uid] = report.BaseOf(p.session, a.Node)
		}
		stats, _ := w.state()
		t = &tracked{watch: w, base: a.bases[uid], started: a.Clock(), drops: stats.Drops}
		a.tracked[uid] = t
		a.Log.Info("Counting a session", "session", client.ObjectKeyFromObject(p.session), "vni", p.count.VNI, "interface", p.local.Name)
	}
	t.session, t.problem = p.session, p.problem
}

// leave ends the counting of a session that is no longer for this host.
func (a *Agent) leave(ctx context.Context, uid types.UID, t *tracked) {
	now := a.Clock()
	entry := a.entry(uid, t, t.watch.tally.Snapshot(), now)
	a.write(ctx, t, entry, now)
	a.bases[uid] = report.Base{Counts: entry.Counts, First: entry.FirstPacketAt, Last: entry.LastPacketAt, LastPacket: entry.LastPacket}
	delete(a.tracked, uid)
	a.Log.Info("No longer counting a session", "session", client.ObjectKeyFromObject(t.session))
}

// watchOn returns the watch of an interface and starts it when there is none.
func (a *Agent) watchOn(ctx context.Context, local Interface) *running {
	if w, ok := a.watches[local.Index]; ok {
		return w
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &running{watch: newWatch(local, a.Port, a.Open, a.Log), stop: cancel, done: make(chan struct{})}
	a.watches[local.Index] = w
	go func() {
		defer close(w.done)
		w.run(ctx)
	}()
	return w
}

// recount tells each watch its sessions and ends those that have none.
func (a *Agent) recount(placements map[types.UID]placement) {
	for index, w := range a.watches {
		lists := sessionsAt(placements, index)
		if len(lists) == 0 {
			w.stop()
			<-w.done
			delete(a.watches, index)
			continue
		}
		_, conflicts, err := w.tally.SetSessions(lists)
		if err != nil {
			a.Log.Error(err, "The sessions of an interface can't be counted as they are", "interface", w.local.Name)
			continue
		}
		for _, c := range conflicts {
			for uid, t := range a.tracked {
				if string(uid) == c.Loser {
					t.problem = fmt.Sprintf("VNI %d from %s is also that of another session, which gets the counts: give one of the two another VNI", c.VNI, c.Source)
				}
			}
		}
	}
}

// report writes the entries that are worth it, within the host's budget, the one that
// waits longest first.
func (a *Agent) report(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Clock()
	interval := report.Interval(a.sessions)
	type due struct {
		*tracked
		entry v1alpha1.Verification
	}
	var waiting []due
	snapshots := make(map[*running]tally.Snapshot, len(a.watches))
	for _, w := range a.watches {
		snapshots[w] = w.tally.Snapshot()
	}
	for uid, t := range a.tracked {
		if entry := a.entry(uid, t, snapshots[t.watch], now); t.pace.Due(now, entry, interval) {
			waiting = append(waiting, due{t, entry})
		}
	}
	slices.SortFunc(waiting, func(x, y due) int { return cmp.Compare(x.pace.Last().UnixNano(), y.pace.Last().UnixNano()) })
	for _, d := range waiting {
		if !a.budget.AllowN(now, 1) {
			return // the others come with the next ticks
		}
		a.write(ctx, d.tracked, d.entry, now)
	}
}

// entry is what is to be told of a session as of a snapshot of its interface's counts.
func (a *Agent) entry(uid types.UID, t *tracked, snapshot tally.Snapshot, now time.Time) v1alpha1.Verification {
	counts, _ := snapshot.Session(string(uid))
	stats, problem := t.watch.state()
	return t.base.Entry(report.Reading{
		Node: a.Node, Interface: t.watch.local.Name, At: now, Started: t.started,
		Counts: counts, Drops: stats.Drops - t.drops, Message: cmp.Or(problem, t.problem),
	})
}

// write stores an entry. A failure is told and tried again with the next tick: the
// counts stay where they are.
func (a *Agent) write(ctx context.Context, t *tracked, entry v1alpha1.Verification, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := report.Write(ctx, a.Client, t.session, entry)
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
		// Not found or another UID: the session is gone, and so is its entry.
		t.pace.Written(now, entry, report.Interval(a.sessions))
	default:
		a.Log.Error(err, "The counts were not written; they are kept and tried again")
	}
}

// end writes what was counted last and ends the captures.
func (a *Agent) end(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Clock()
	for uid, t := range a.tracked {
		if entry := a.entry(uid, t, t.watch.tally.Snapshot(), now); t.pace.Differs(entry) {
			a.write(ctx, t, entry, now)
		}
	}
	for _, w := range a.watches {
		w.stop()
		<-w.done
	}
}
