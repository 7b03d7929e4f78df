package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/consumer"
)

// Options of an Agent. All are needed.
type Options struct {
	// Node is this host's name in the status entries.
	Node string
	// Port is the UDP port of the copies, 4789 by default in the cloud.
	Port uint16
	// Client writes, and reads from the cache.
	Client client.Client
	// Reader asks the API server itself for what is stored of a session's counts: a cache
	// may be behind it.
	Reader client.Reader
	// Cache says when sessions and filters change.
	Cache cache.Cache
	// Interfaces returns the interfaces of this host, see LocalInterfaces.
	Interfaces func() ([]Interface, error)
	// Open opens a ring on an interface of this host, see OpenRing.
	Open func(local Interface, port uint16) (*capture.Ring, error)
	// Observe says what on this host could take the copies, see consumer.Observe.
	Observe func(port uint16) *consumer.Observation
	// Clock returns the time.
	Clock func() time.Time
	Log   logr.Logger
}

// Agent counts the copies of all sessions whose target is on this host. Make it with
// New and run it with Start.
type Agent struct {
	Options
	requested chan struct{} // holds at most one request to reconcile
	assigned  chan struct{} // closed once the sessions of this host are counted
	// rules and lastFailure belong to the goroutine that reconciles.
	rules       *ruleCache
	lastFailure string

	mu        sync.Mutex // guards what follows; never held while something is waited for
	budget    *rate.Limiter
	capturers map[interfaceKey]*capturer
	tracked   map[types.UID]*tracked
	// sessions is how many the cluster has.
	sessions int
	writes   writes
	// observed is the last observation of the host, nil before the first.
	observed *observation
	// finalSnapshots are the counts at the end, nil before.
	finalSnapshots map[*capturer]*snapshot
}

// writes counts what became of the writes to the API server.
type writes struct{ stored, gone, failed uint64 }

const (
	// budgetPerSecond and budgetBurst bound the writes of one host.
	budgetPerSecond = v1alpha1.NodeReportsPerSecond
	budgetBurst     = 5
	// resyncInterval is how often the interfaces of the host are compared with the sessions
	// although nobody said that anything has changed.
	resyncInterval = 2 * time.Second
	// minAssignInterval is the least time between a reconcile that was requested and the
	// next one: in a large cluster there is always some session that changes.
	minAssignInterval = 200 * time.Millisecond
	// tick is how often the agent asks whether an entry is worth a write. Counts are
	// recorded as often.
	tick = 500 * time.Millisecond
	// callTimeout bounds one call to the API server.
	callTimeout = 5 * time.Second
	// readyWait is how long a question whether the agent is ready may wait for the answer,
	// below the timeout of the pod's probe.
	readyWait = 2 * time.Second
	// endTimeout bounds the last writes, below the grace period of a pod.
	endTimeout = 8 * time.Second
)

// New returns an agent that does nothing yet.
func New(o Options) *Agent {
	return &Agent{
		Options:   o,
		requested: make(chan struct{}, 1),
		assigned:  make(chan struct{}),
		budget:    rate.NewLimiter(budgetPerSecond, budgetBurst),
		capturers: make(map[interfaceKey]*capturer),
		tracked:   make(map[types.UID]*tracked),
		rules:     newRuleCache(o.Client),
	}
}

// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorsessions,verbs=get;list;watch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorfilters,verbs=list;watch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorsessions/status,verbs=patch

// NeedLeaderElection is false: every host has an agent of its own.
func (a *Agent) NeedLeaderElection() bool { return false }

// Ready is nil once the sessions are known and those of this host are counted. It waits
// up to 2 s for that, so that a start that goes as usual is no failure in any log. It is
// a healthz.Checker.
func (a *Agent) Ready(request *http.Request) error {
	ctx, cancel := context.WithTimeout(request.Context(), readyWait)
	defer cancel()
	select {
	case <-a.assigned:
		return nil
	case <-ctx.Done():
		return errors.New("the sessions have not been read from the API server yet")
	}
}

// Start runs the agent until ctx ends. What was counted last is then written.
func (a *Agent) Start(ctx context.Context) error {
	unwatch, err := a.watch(ctx)
	defer unwatch()
	if err != nil {
		return err
	}
	var others sync.WaitGroup
	others.Go(func() { a.flushUntilDone(ctx) })
	others.Go(func() { a.observeUntilDone(ctx) })
	a.reconcileUntilDone(ctx)
	others.Wait()
	a.end(context.WithoutCancel(ctx))
	return nil
}

// watch requests a reconcile whenever a session or a filter changes in what matters here.
func (a *Agent) watch(ctx context.Context) (unwatch func(), err error) {
	var undo []func() error
	unwatch = func() {
		for _, f := range undo {
			if err := f(); err != nil {
				a.Log.Error(err, "A watch was not ended properly")
			}
		}
	}
	for _, kind := range []client.Object{&v1alpha1.MirrorSession{}, &v1alpha1.MirrorFilter{}} {
		informer, err := a.Cache.GetInformer(ctx, kind)
		if err != nil {
			return unwatch, fmt.Errorf("watch %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { a.requestReconcile() },
			UpdateFunc: func(before, after any) {
				if matters(before, after) {
					a.requestReconcile()
				}
			},
			DeleteFunc: func(any) { a.requestReconcile() },
		})
		if err != nil {
			return unwatch, fmt.Errorf("watch %T: %w", kind, err)
		}
		undo = append(undo, func() error { return informer.RemoveEventHandler(registration) })
	}
	return unwatch, nil
}

// matters is true for the updates of what a session is counted by. It is false for those that come
// again and again: the verifiers' own entries, and what the manager says of them and of the cloud.
func matters(before, after any) bool {
	was, ok1 := before.(*v1alpha1.MirrorSession)
	is, ok2 := after.(*v1alpha1.MirrorSession)
	if !ok1 || !ok2 {
		return true
	}
	counted := func(s *v1alpha1.MirrorSession) v1alpha1.MirrorSessionStatus {
		return v1alpha1.MirrorSessionStatus{
			CommonStatus: v1alpha1.CommonStatus{ObservedGeneration: s.Status.ObservedGeneration},
			VNI:          s.Status.VNI, Sessions: s.Status.Sessions, Sources: s.Status.Sources, Target: s.Status.Target, Epoch: s.Status.Epoch,
		}
	}
	return was.UID != is.UID || was.Generation != is.Generation || !equality.Semantic.DeepEqual(counted(was), counted(is))
}

// requestReconcile asks for a reconcile; several requests in a row become one.
func (a *Agent) requestReconcile() {
	select {
	case a.requested <- struct{}{}:
	default:
	}
}

// reconcileUntilDone reconciles until ctx ends.
func (a *Agent) reconcileUntilDone(ctx context.Context) {
	resync := time.NewTicker(resyncInterval)
	defer resync.Stop()
	a.reconcile(ctx)
	rested := time.NewTimer(minAssignInterval)
	defer rested.Stop()
	var requested chan struct{} // nil while requests have to wait
	for {
		select {
		case <-ctx.Done():
			return
		case <-rested.C:
			requested = a.requested
		case <-resync.C:
			a.reconcile(ctx)
		case <-requested:
			a.reconcile(ctx)
			requested = nil
			rested.Reset(minAssignInterval)
		}
	}
}

// flushUntilDone writes the entries that are worth it until ctx ends.
func (a *Agent) flushUntilDone(ctx context.Context) {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			a.flushDue(ctx)
		}
	}
}

// end ends the captures and writes what was counted last. All other goroutines have ended:
// no capturer comes or goes any more.
func (a *Agent) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	for _, c := range a.capturers {
		c.drain(ctx)
	}
	a.mu.Lock()
	a.finalSnapshots = a.snapshots()
	a.mu.Unlock()
	for _, c := range a.capturers {
		c.stop()
	}
	a.flushLast(ctx)
}
