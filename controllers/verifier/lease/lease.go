// Package lease keeps the Lease of the node's verifier renewed, so that the manager does
// not take a verifier that is gone for a network that is quiet.
//
// It may import api.
package lease

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycoordinationv1 "k8s.io/client-go/applyconfigurations/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// Interval is the time between two renewals.
	Interval = 10 * time.Second
	// Duration is how long a renewal holds: three may fail before the verifier counts
	// as lost.
	Duration = 40 * time.Second
)

// Renewer renews one Lease until its context ends. The client's scheme must know the kind. The Lease then runs out by itself,
// so that a pod that is replaced in time is never reported as lost.
type Renewer struct {
	Client    client.Client
	Namespace string
	Node      string
	Clock     func() time.Time
	Log       logr.Logger
}

// NeedLeaderElection is false: every node has a Lease of its own.
func (r *Renewer) NeedLeaderElection() bool { return false }

// Start renews until ctx ends. It logs the first failure in a row, and the first renewal
// after it.
func (r *Renewer) Start(ctx context.Context) error {
	ticks := time.NewTicker(Interval)
	defer ticks.Stop()
	r.keep(ctx, ticks.C)
	return nil
}

// keep renews at once and at each tick.
func (r *Renewer) keep(ctx context.Context, ticks <-chan time.Time) {
	failing := false
	for {
		err := r.Renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			r.Log.Error(err, "The lease of this verifier is not renewed; it is tried every "+Interval.String())
		case err == nil && failing:
			r.Log.Info("The lease of this verifier is renewed again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
	}
}

// Renew stores the Lease as held now, whether it is there or not.
func (r *Renewer) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, Interval/2)
	defer cancel()
	name := v1alpha1.LeaseName(r.Node)
	apply := applycoordinationv1.Lease(name, r.Namespace).
		WithLabels(map[string]string{"app.kubernetes.io/name": "vpcmirror", "app.kubernetes.io/component": "verifier"}).
		WithSpec(applycoordinationv1.LeaseSpec().
			WithHolderIdentity(r.Node).
			WithLeaseDurationSeconds(int32(Duration / time.Second)).
			WithRenewTime(metav1.NewMicroTime(r.Clock())))
	if err := r.Client.Apply(ctx, apply, client.FieldOwner(v1alpha1.VerifierName(r.Node)), client.ForceOwnership); err != nil {
		return fmt.Errorf("renew the lease %s/%s: %w", r.Namespace, name, err)
	}
	return nil
}
