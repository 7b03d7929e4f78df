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
)

// Options of an Agent. All are needed.
type Options struct {
	// Node is this host's name in the status entries.
	Node string
	// Port is the UDP port of the copies, 4789 by default in the cloud.
	Port uint16
	// Client writes, and reads from the cache.
	Client client.Client
	// Reader asks the API server itself for what an earlier run had counted: a cache
	// may be behind it.
	Reader client.Reader
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
	placed chan struct{} // closed once the sessions of this host are counted
	// rules and lastTrouble belong to the goroutine that places.
	rules       *ruleBook
	lastTrouble string

	mu      sync.Mutex // guards what follows; never held while something is waited for
	budget  *rate.Limiter
	watches map[spot]*watch
	tracked map[types.UID]*tracked
	// sessions is how many the cluster has.
	sessions int
	writes   writes
	// lastLooks are the counts at the end, nil before.
	lastLooks map[*watch]*look
}

// writes counts what became of the writes to the API server.
type writes struct{ stored, gone, failed uint64 }

const (
	// budgetPerSecond and budgetBurst bound the writes of one host.
	budgetPerSecond = 1
	budgetBurst     = 5
	// lookAround is how often the interfaces of the host are looked at.
	lookAround = 2 * time.Second
	// breath is the least time between two placements: in a large cluster there is
	// always some session that changes.
	breath = 200 * time.Millisecond
	// tick is how often is asked whether an entry is worth a write.
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
		Options: o,
		wake:    make(chan struct{}, 1),
		placed:  make(chan struct{}),
		budget:  rate.NewLimiter(budgetPerSecond, budgetBurst),
		watches: make(map[spot]*watch),
		tracked: make(map[types.UID]*tracked),
		rules:   newRuleBook(o.Client),
	}
}

// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorfilters;mirrorsessions,verbs=get;list;watch
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
	case <-a.placed:
		return nil
	case <-ctx.Done():
		return errors.New("the sessions have not been read from the API server yet")
	}
}

// Start runs the agent until ctx ends. What was counted last is then written.
func (a *Agent) Start(ctx context.Context) error {
	unwatch, err := a.follow(ctx)
	defer unwatch()
	if err != nil {
		return err
	}
	var delivering sync.WaitGroup
	delivering.Go(func() { a.deliverAll(ctx) })
	a.placeAll(ctx)
	delivering.Wait()
	a.end(context.WithoutCancel(ctx))
	return nil
}

// follow wakes the agent when a session or a filter changes in what it looks at.
func (a *Agent) follow(ctx context.Context) (unwatch func(), err error) {
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
			AddFunc: func(any) { a.poke() },
			UpdateFunc: func(before, after any) {
				if matters(before, after) {
					a.poke()
				}
			},
			DeleteFunc: func(any) { a.poke() },
		})
		if err != nil {
			return unwatch, fmt.Errorf("watch %T: %w", kind, err)
		}
		undo = append(undo, func() error { return informer.RemoveEventHandler(registration) })
	}
	return unwatch, nil
}

// matters is false for the updates that come again and again: the verifiers' own
// entries, and the manager's sums of them.
func matters(before, after any) bool {
	was, ok1 := before.(*v1alpha1.MirrorSession)
	is, ok2 := after.(*v1alpha1.MirrorSession)
	if !ok1 || !ok2 {
		return true
	}
	told := func(s *v1alpha1.MirrorSession) v1alpha1.MirrorSessionStatus {
		status := s.Status
		status.Verification, status.Traffic, status.Conditions = nil, nil, nil
		return status
	}
	return was.UID != is.UID || was.Generation != is.Generation || !equality.Semantic.DeepEqual(told(was), told(is))
}

// poke asks for a new placement; several in a row become one.
func (a *Agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// placeAll places until ctx ends.
func (a *Agent) placeAll(ctx context.Context) {
	around := time.NewTicker(lookAround)
	defer around.Stop()
	a.place(ctx)
	rested := time.NewTimer(breath)
	defer rested.Stop()
	var wake chan struct{} // nil while resting
	for {
		select {
		case <-ctx.Done():
			return
		case <-rested.C:
			wake = a.wake
		case <-around.C:
			a.place(ctx)
		case <-wake:
			a.place(ctx)
			wake = nil
			rested.Reset(breath)
		}
	}
}

// deliverAll delivers until ctx ends.
func (a *Agent) deliverAll(ctx context.Context) {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			a.deliver(ctx)
		}
	}
}

// end ends the captures and writes what was counted last.
func (a *Agent) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	a.mu.Lock()
	for _, w := range a.watches {
		w.settle(ctx)
	}
	a.lastLooks = a.looks()
	for _, w := range a.watches {
		w.stop()
	}
	a.mu.Unlock()
	a.deliverLast(ctx)
}
