package agent

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/consumer"
	"vpcmirror.io/operator/controllers/verifier/memory"
	"vpcmirror.io/operator/controllers/verifier/nodecache"
	"vpcmirror.io/operator/controllers/verifier/probe"
	"vpcmirror.io/operator/controllers/verifier/report"
)

// Options of an Agent. All are needed that don't say otherwise.
type Options struct {
	// Node is this host's name in the status entries.
	Node string
	// Port is the UDP port of the copies, 4789 by default in the cloud.
	Port uint16
	// Client writes.
	Client client.Client
	// Reader asks the API server itself for what is stored of a session's counts: a cache
	// may be behind it.
	Reader client.Reader
	// Cache says when sessions and filters change. It needs to keep of them no more than
	// nodecache.Keep does.
	Cache cache.Cache
	// Interfaces returns the interfaces of this host, see LocalInterfaces.
	Interfaces func() ([]Interface, error)
	// WatchInterfaces says when these change, see the function of this name; nil where nobody does,
	// so that they are read again and again.
	WatchInterfaces func() (*InterfaceEvents, error)
	// Open opens a ring on an interface of this host, see OpenRing.
	Open func(local Interface, port uint16) (*capture.Ring, error)
	// Observe says what on this host could take the copies, see consumer.Observe.
	Observe func(port uint16) *consumer.Observation
	// Memory says how much memory the process uses and may use, see memory.Reader; nil where nobody
	// asks.
	Memory func() memory.Usage
	// SendProbe sends the packets of a probe for one source, see probe.Send.
	SendProbe func(ctx context.Context, order v1alpha1.ProbeSend, source v1alpha1.ResolvedInterface) (probe.Sent, error)
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
	index     *nodecache.Index

	interfacesChanged chan struct{} // holds at most one request to read the interfaces
	interfacesWatched atomic.Bool   // the kernel says when that is needed
	// The rest up to mu belongs to the goroutine that reconciles. local are the interfaces by which
	// it did last, and again is when it has to once more although nothing changes, zero for never.
	rules       *ruleCache
	lastFailure string
	local       []Interface
	again       time.Time

	// news holds at most one word that an entry may have changed, and budget belongs to the
	// goroutine that flushes.
	news   chan struct{}
	budget *report.Budget
	// probeNews holds at most one word that a probe may have something to do.
	probeNews chan struct{}

	mu        sync.Mutex // guards what follows; never held while something is waited for
	capturers map[interfaceKey]*capturer
	tracked   map[types.UID]*tracked
	// probes are what this host does of the sessions' probes, and probedAt is when it sent for one last.
	probes   map[types.UID]*probing
	probedAt map[types.UID]time.Time
	writes   writes
	// reconciles is how often the sessions of this host were assigned.
	reconciles uint64
	// scarcity is how scarce memory is.
	scarcity memory.Verdict
	// observed is the last observation of the host, nil before the first.
	observed *observation
	// finalSnapshots are the counts at the end, nil before.
	finalSnapshots map[*capturer]*snapshot
}

// writes counts what became of the writes to the API server.
type writes struct{ stored, gone, failed uint64 }

const (
	// minAssignInterval is the least time between a reconcile that was requested, or a look at the
	// interfaces, and the next one.
	minAssignInterval = 200 * time.Millisecond
	// tick is how often the agent asks whether an entry is worth a write while something changes.
	// Counts are recorded as often.
	tick = 500 * time.Millisecond
	// minFlushInterval is how often it asks while entries wait for the budget.
	minFlushInterval = 250 * time.Millisecond
	// flushesAtOnce is how many entries are written at the same time: the API server takes its time
	// for each, and those of 300 sessions would wait for one another.
	flushesAtOnce = 4
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
	index := nodecache.NewIndex(o.Node)
	return &Agent{
		Options: o,
		index:   index,

		interfacesChanged: make(chan struct{}, 1),

		requested: make(chan struct{}, 1),
		assigned:  make(chan struct{}),
		news:      make(chan struct{}, 1),
		budget:    report.NewBudget(),
		capturers: make(map[interfaceKey]*capturer),
		tracked:   make(map[types.UID]*tracked),
		probes:    make(map[types.UID]*probing),
		probedAt:  make(map[types.UID]time.Time),
		probeNews: make(chan struct{}, 1),
		rules:     newRuleCache(index.Filter),
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
	var others sync.WaitGroup
	others.Go(func() { a.watchMemory(ctx) }) // the sessions may be too many already while they are read
	defer others.Wait()
	synced, unwatch, err := a.watch(ctx)
	defer unwatch()
	if err != nil {
		return err
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil // the end came first
	}
	others.Go(func() { a.watchInterfaces(ctx) })
	others.Go(func() { a.flushUntilDone(ctx) })
	others.Go(func() { a.observeUntilDone(ctx) })
	others.Go(func() { a.probeUntilDone(ctx) })
	a.reconcileUntilDone(ctx)
	others.Wait()
	a.end(context.WithoutCancel(ctx))
	return nil
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
	a.reconcile(ctx)
	rested, next := time.NewTimer(minAssignInterval), time.NewTimer(a.nextLook())
	defer rested.Stop()
	defer next.Stop()
	var requested, changed chan struct{} // nil while requests have to wait
	for {
		select {
		case <-ctx.Done():
			return
		case <-rested.C:
			requested, changed = a.requested, a.interfacesChanged
			continue
		case <-next.C:
			a.lookAtInterfaces(ctx)
		case <-changed:
			a.lookAtInterfaces(ctx)
		case <-requested:
			a.reconcile(ctx)
		}
		requested, changed = nil, nil
		rested.Reset(minAssignInterval)
		next.Reset(a.nextLook())
	}
}

// nextLook is how long nothing has to be looked at unless something says that it has changed.
func (a *Agent) nextLook() time.Duration {
	interval := unwatchedInterval
	if a.interfacesWatched.Load() {
		interval = interfacesInterval
	}
	if !a.again.IsZero() {
		interval = min(interval, a.again.Sub(a.Clock()))
	}
	return interval
}

// lookAtInterfaces reconciles if the interfaces of this host are others than they were, or it has
// to be done once more.
func (a *Agent) lookAtInterfaces(ctx context.Context) {
	again := !a.again.IsZero() && !a.Clock().Before(a.again)
	if local, err := a.Interfaces(); err == nil && !again && reflect.DeepEqual(local, a.local) {
		return
	}
	a.reconcile(ctx)
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
