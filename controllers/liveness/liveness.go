// Package liveness tells which verifiers are alive: each renews a Lease of its own, and
// one that has not done so for its duration is lost. Silence then has a reason other
// than a quiet network.
//
// A renewal is believed by the time at which it was seen here, not by the time it
// carries, so that clocks need not agree.
//
// It may import api.
package liveness

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"vpcmirror.io/operator/api/v1alpha1"
)

// State of a verifier.
type State string

// The states.
const (
	// Unknown: it holds no lease, or nobody watches leases.
	Unknown State = "Unknown"
	// Alive: it has renewed its lease in time.
	Alive State = "Alive"
	// Lost: it has not.
	Lost State = "Lost"
)

// Watcher looks at the leases from time to time. A nil Watcher knows of none.
type Watcher struct {
	// Client reads leases and sessions, from a cache.
	Client client.Client
	// Namespace of the leases.
	Namespace string
	// Clock tells the time.
	Clock func() time.Time
	// Changed gets the sessions that have an entry of a verifier whose state changed.
	Changed chan event.TypedGenericEvent[*v1alpha1.MirrorSession]

	mu     sync.Mutex
	leases map[string]seen // by the name of the lease
}

type seen struct {
	renewed time.Time // as the lease says
	at      time.Time // when that was first seen here
	lasts   time.Duration
	state   State
}

// look is how often the leases are looked at.
const look = 5 * time.Second

// Start looks until ctx ends.
func (w *Watcher) Start(ctx context.Context) error {
	ticks := time.NewTicker(look)
	defer ticks.Stop()
	for {
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// NeedLeaderElection is true: only the leader tells states.
func (w *Watcher) NeedLeaderElection() bool { return true }

// Look takes notice of renewals and of leases that ran out, and wakes the sessions
// concerned.
func (w *Watcher) Look(ctx context.Context) error {
	var list coordinationv1.LeaseList
	if err := w.Client.List(ctx, &list, client.InNamespace(w.Namespace)); err != nil {
		return fmt.Errorf("list the leases of the verifiers: %w", err)
	}
	changed := w.take(list.Items)
	if len(changed) == 0 {
		return nil
	}
	var sessions v1alpha1.MirrorSessionList
	if err := w.Client.List(ctx, &sessions); err != nil {
		return fmt.Errorf("list the sessions of a verifier: %w", err)
	}
	for i := range sessions.Items {
		for _, e := range sessions.Items[i].Status.Verification {
			if changed[v1alpha1.VerifierLeaseName(e.Node)] {
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

// take notes the leases and returns the names of those whose state changed.
func (w *Watcher) take(leases []coordinationv1.Lease) map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, known, changed := w.Clock(), make(map[string]seen, len(leases)), make(map[string]bool)
	for _, l := range leases {
		if l.Spec.RenewTime == nil || l.Spec.LeaseDurationSeconds == nil {
			continue
		}
		was, before := w.leases[l.Name]
		is := was
		if !before || !l.Spec.RenewTime.Time.Equal(was.renewed) {
			is = seen{renewed: l.Spec.RenewTime.Time, at: now}
		}
		is.lasts = time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
		is.state = Alive
		if now.Sub(is.at) > is.lasts {
			is.state = Lost
		}
		known[l.Name] = is
		if was.state != is.state {
			changed[l.Name] = true
		}
	}
	for name := range w.leases {
		if _, still := known[name]; !still {
			changed[name] = true
		}
	}
	w.leases = known
	return changed
}

// Lost says whether a node's verifier has stopped renewing its lease.
func (w *Watcher) Lost(node string) bool { return w.Of(node) == Lost }

// Of returns the state of a node's verifier.
func (w *Watcher) Of(node string) State {
	if w == nil {
		return Unknown
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l, ok := w.leases[v1alpha1.VerifierLeaseName(node)]; ok {
		return l.state
	}
	return Unknown
}
