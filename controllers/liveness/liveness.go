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
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/api/v1alpha1"
)

// State of a verifier.
type State string

// The states.
const (
	// Unknown: it holds no lease, or nobody has watched it for long enough.
	Unknown State = "Unknown"
	// Alive: it has renewed its lease in time.
	Alive State = "Alive"
	// Lost: it has not.
	Lost State = "Lost"
)

// Watcher looks at the leases from time to time. A nil Watcher knows of none.
type Watcher struct {
	// Client reads leases, sessions and nodes, from a cache, and deletes leases.
	Client client.Client
	// Namespace of the leases.
	Namespace string
	// Clock tells the time.
	Clock func() time.Time
	// Every is how often the leases are looked at; zero stands for 5 s.
	Every time.Duration
	// Changed gets the sessions that have an entry of a verifier whose state changed.
	Changed chan event.TypedGenericEvent[*v1alpha1.MirrorSession]

	mu     sync.Mutex
	leases map[string]seen // by the name of the lease; nil before the first look
	tidied time.Time       // when old leases were last looked for
}

type seen struct {
	renewed time.Time // as the lease says
	at      time.Time // when that was first seen here
	lasts   time.Duration
	state   State
}

const (
	// look is how often the leases are looked at.
	look = 5 * time.Second
	// memory is how long a lease that was deleted is remembered, its verifier being lost,
	// and how long one of a node that is gone is kept.
	memory = 24 * time.Hour
	// tidying is the time between two attempts to delete what is not needed any more, and
	// tidyTimeout bounds one: looking comes first.
	tidying     = time.Hour
	tidyTimeout = 5 * time.Second
)

// Start looks until ctx ends.
func (w *Watcher) Start(ctx context.Context) error {
	ticks := time.NewTicker(cmp.Or(w.Every, look))
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
	if err := w.wake(ctx, w.take(list.Items)); err != nil {
		return err
	}
	if err := w.tidy(ctx, list.Items); err != nil && ctx.Err() == nil {
		log.FromContext(ctx).Error(err, "Leases of nodes that are gone stay for now; it is tried again in "+tidying.String())
	}
	return nil
}

// wake has the sessions looked at that have an entry of one of these verifiers.
func (w *Watcher) wake(ctx context.Context, changed map[string]bool) error {
	if len(changed) == 0 {
		return nil
	}
	var sessions v1alpha1.MirrorSessionList
	if err := w.Client.List(ctx, &sessions); err != nil {
		return fmt.Errorf("list the sessions of a verifier: %w", err)
	}
	for i := range sessions.Items {
		for _, e := range sessions.Items[i].Status.Verification {
			if changed[v1alpha1.VerifierName(e.Node)] {
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

// take notes the leases and returns the names of those whose state changed. A lease seen
// for the first time says nothing yet: it may be an old one.
func (w *Watcher) take(leases []coordinationv1.Lease) map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, known, changed := w.Clock(), make(map[string]seen, len(leases)), make(map[string]bool)
	for _, l := range leases {
		if l.Spec.RenewTime == nil || l.Spec.LeaseDurationSeconds == nil {
			continue
		}
		is, before := w.leases[l.Name]
		switch {
		case !before:
			is = seen{renewed: l.Spec.RenewTime.Time, at: now, state: Unknown}
		case !l.Spec.RenewTime.Time.Equal(is.renewed):
			is = seen{renewed: l.Spec.RenewTime.Time, at: now, state: Alive}
		}
		is.lasts = time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
		known[l.Name] = is
	}
	for name, was := range w.leases {
		if _, there := known[name]; !there && now.Sub(was.at) < memory {
			known[name] = was
		}
	}
	for name, is := range known {
		if now.Sub(is.at) > is.lasts {
			is.state = Lost
			known[name] = is
		}
		if was, before := w.leases[name]; before && was.state != is.state {
			changed[name] = true
		}
	}
	w.leases = known
	return changed
}

// Lost says whether a node's verifier has stopped renewing its lease. While that is not
// known, because the manager has just been started, it is what was said last.
func (w *Watcher) Lost(node string, said bool) bool {
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l, ok := w.leases[v1alpha1.VerifierName(node)]
	switch {
	case w.leases == nil, ok && l.state == Unknown:
		return said
	default:
		return ok && l.state == Lost
	}
}

// Of returns the state of a node's verifier.
func (w *Watcher) Of(node string) State {
	if w == nil {
		return Unknown
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l, ok := w.leases[v1alpha1.VerifierName(node)]; ok {
		return l.state
	}
	return Unknown
}
