package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/credentials"
	"vpcmirror.io/operator/controllers/status"
)

// NamespaceWatch lets the objects of a namespace be reconciled when the operator's own
// credentials begin or cease to serve it. Namespaces are neither listed nor watched: those
// with objects that name no Secret are read one by one.
type NamespaceWatch struct {
	*Services
	Namespaces *credentials.Namespaces
	// Interval is the time between two looks; 30 s when zero.
	Interval time.Duration
}

const namespacesInterval = 30 * time.Second

// Start looks until ctx ends.
func (w *NamespaceWatch) Start(ctx context.Context) error {
	if w.Namespaces.None() {
		return nil
	}
	ticks := time.NewTicker(cmp.Or(w.Interval, namespacesInterval))
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "Whether the operator's own credentials still serve every namespace is not known; it is looked at again",
				"after", cmp.Or(w.Interval, namespacesInterval).String())
		}
	}
}

// NeedLeaderElection is true: only the leader reconciles.
func (w *NamespaceWatch) NeedLeaderElection() bool { return true }

// look asks once for each namespace.
func (w *NamespaceWatch) look(ctx context.Context) error {
	users := map[string][]func(){}
	for _, kind := range []struct {
		list  client.ObjectList
		queue *Queue
	}{{&v1alpha1.MirrorFilterList{}, &w.Filters.Queue}, {&v1alpha1.MirrorSessionList{}, &w.Sessions.Queue}} {
		// The cache's own objects are only read here, and there may be many.
		if err := w.Client.List(ctx, kind.list, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("find the objects that name no Secret: %w", err)
		}
		err := meta.EachListItem(kind.list, func(item runtime.Object) error {
			if o, ok := item.(status.Object); ok && secretOf(o) == "" {
				request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)}
				users[o.GetNamespace()] = append(users[o.GetNamespace()], func() { kind.queue.Add(request) })
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("find the objects that name no Secret: %w", err)
		}
	}
	names := make(map[string]bool, len(users))
	for name := range users {
		names[name] = true
	}
	changed, err := w.Namespaces.Changed(ctx, names)
	if err != nil {
		return err
	}
	for name := range changed {
		for _, reconcileSoon := range users[name] {
			reconcileSoon()
		}
	}
	return nil
}
