// Package liveness knows which verifiers are alive: each renews a Lease of its own, and
// one that has not done so for the lease's duration is lost. Silence then has a cause
// other than a quiet network.
//
// What counts is when a renewal was observed here, not the time that it carries, so that
// clocks need not agree.
//
// It may import api.
package liveness

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/api/v1alpha1"
)

// State of a verifier.
type State string

// The states.
const (
	// Unknown: it holds no lease, or the lease has not been observed for long enough.
	Unknown State = "Unknown"
	// Alive: it has renewed its lease in time.
	Alive State = "Alive"
	// Lost: it has not.
	Lost State = "Lost"
)

// Watcher polls the leases. A nil Watcher knows of none.
type Watcher struct {
	// Client reads leases, sessions and nodes, from a cache, and deletes leases.
	Client client.Client
	// Namespace of the leases.
	Namespace string
	// Clock returns the time.
	Clock func() time.Time
	// Interval is the time between two polls; zero stands for 5 s.
	Interval time.Duration
	// Changed receives the sessions that have an entry of a verifier whose state changed.
	Changed chan event.TypedGenericEvent[*v1alpha1.MirrorSession]

	mu      sync.Mutex
	leases  map[string]observation // by the name of the lease; nil before the first poll
	cleaned time.Time              // when stale leases were last searched for
}

// observation is what is known of one lease.
type observation struct {
	renewed  time.Time // as the lease says
	at       time.Time // when that renewal was first observed here
	duration time.Duration
	state    State
}

const (
	defaultInterval = 5 * time.Second
	// retention is how long a lease that was deleted is remembered, its verifier being
	// lost, and how long one of a node that is gone is kept.
	retention = 24 * time.Hour
	// cleanupInterval is the time between two attempts to delete stale leases. An attempt
	// is cut short after cleanupTimeout, so that it does not hold up the next poll.
	cleanupInterval = time.Hour
	cleanupTimeout  = 5 * time.Second
)

// Start polls until ctx ends.
func (w *Watcher) Start(ctx context.Context) error {
	ticks := time.NewTicker(cmp.Or(w.Interval, defaultInterval))
	defer ticks.Stop()
	for {
		if err := w.Poll(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// NeedLeaderElection is true: only the leader reports states.
func (w *Watcher) NeedLeaderElection() bool { return true }

// Poll reads the leases once, and requests a reconcile of the sessions that are concerned
// by what has changed. It deletes stale leases from time to time; an error in that is
// logged alone.
func (w *Watcher) Poll(ctx context.Context) error {
	var list coordinationv1.LeaseList
	// There is one for each node, and the cache's own objects are only read here.
	if err := w.Client.List(ctx, &list, client.InNamespace(w.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the leases of the verifiers: %w", err)
	}
	if err := w.requestReconciles(ctx, w.observe(list.Items)); err != nil {
		return err
	}
	if err := w.deleteStale(ctx, list.Items); err != nil && ctx.Err() == nil {
		log.FromContext(ctx).Error(err, "Leases of nodes that are gone stay for now; it is tried again in "+cleanupInterval.String())
	}
	return nil
}

// requestReconciles sends the sessions that have an entry of one of these verifiers. That one is
// alive of which nothing was known, as after the start, concerns those alone that call one lost.
func (w *Watcher) requestReconciles(ctx context.Context, changed map[string]change) error {
	if len(changed) == 0 {
		return nil
	}
	var sessions v1alpha1.MirrorSessionList
	if err := w.Client.List(ctx, &sessions, client.UnsafeDisableDeepCopy); err != nil { // only read, too
		return fmt.Errorf("list the sessions of a verifier: %w", err)
	}
	for i := range sessions.Items {
		for _, e := range sessions.Items[i].Status.Verification {
			is, concerned := changed[v1alpha1.LeaseName(e.Node)]
			if concerned && (is.lost || callsLost(&sessions.Items[i])) {
				select {
				case w.Changed <- event.TypedGenericEvent[*v1alpha1.MirrorSession]{Object: &sessions.Items[i]}:
				case <-ctx.Done():
					return nil
				}
				break
			}
		}
	}
	return nil
}

// callsLost reports whether the status of a session says that a verifier is lost.
func callsLost(s *v1alpha1.MirrorSession) bool {
	observed := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved)
	return observed != nil && observed.Reason == v1alpha1.ReasonVerifierLost ||
		slices.ContainsFunc(s.Status.Findings, func(f v1alpha1.Finding) bool { return f.Reason == v1alpha1.ReasonVerifierLost })
}

// change is what has become of the state of a verifier.
type change struct {
	lost bool // it was lost, or is
}

// observe updates what is known and returns the leases by name whose state changed.
// The first observation of a lease proves nothing yet: its last renewal may be long ago.
func (w *Watcher) observe(leases []coordinationv1.Lease) map[string]change {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, known, changed := w.Clock(), make(map[string]observation, len(leases)), make(map[string]change)
	for _, l := range leases {
		if l.Spec.RenewTime == nil || l.Spec.LeaseDurationSeconds == nil {
			continue
		}
		is, before := w.leases[l.Name]
		switch {
		case !before:
			is = observation{renewed: l.Spec.RenewTime.Time, at: now, state: Unknown}
		case !l.Spec.RenewTime.Time.Equal(is.renewed):
			is = observation{renewed: l.Spec.RenewTime.Time, at: now, state: Alive}
		}
		is.duration = time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
		known[l.Name] = is
	}
	for name, was := range w.leases {
		if _, exists := known[name]; !exists && now.Sub(was.at) < retention {
			known[name] = was
		}
	}
	for name, is := range known {
		if now.Sub(is.at) > is.duration {
			is.state = Lost
			known[name] = is
		}
		if was, before := w.leases[name]; before && was.state != is.state {
			changed[name] = change{lost: was.state == Lost || is.state == Lost}
		}
	}
	w.leases = known
	return changed
}

// Lost reports whether a node's verifier has stopped renewing its lease. While that is
// not known, because the manager has just been started, it is what was reported last; so it is
// where there is no lease: a verifier that was lost is not found again because its lease went.
func (w *Watcher) Lost(node string, reported bool) bool {
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l, ok := w.leases[v1alpha1.LeaseName(node)]
	switch {
	case !ok, l.state == Unknown:
		return reported
	default:
		return l.state == Lost
	}
}

// Overdue reports whether the lease of a node's verifier should have been renewed by now,
// though it still holds: a verifier renews four times while its lease holds, and a poll sees that
// soon after. One that has died shows it so before it is lost.
func (w *Watcher) Overdue(node string) bool {
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l, ok := w.leases[v1alpha1.LeaseName(node)]
	return ok && w.Clock().Sub(l.at) > l.duration*2/5
}

// Holds reports whether a node's verifier holds a lease that is not known to be lost: right after the start of the
// manager that is all that can be told. Where verifiers hold no leases every node may have one.
func (w *Watcher) Holds(node string) bool {
	if w == nil {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l, ok := w.leases[v1alpha1.LeaseName(node)]
	return ok && l.state != Lost
}

// Of returns the state of a node's verifier.
func (w *Watcher) Of(node string) State {
	if w == nil {
		return Unknown
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l, ok := w.leases[v1alpha1.LeaseName(node)]; ok {
		return l.state
	}
	return Unknown
}
