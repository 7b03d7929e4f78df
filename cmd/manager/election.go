package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"vpcmirror.io/operator/controllers/fence"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// leaseName is the lease of which one manager is the holder.
const leaseName = "vpcmirror-manager"

// leading is what an election needs: the lease, and the fence that its renewals open. Both
// are nil without an election, when there is one manager alone.
type leading struct {
	lock  resourcelock.Interface
	fence func() error
}

// election prepares the election of one manager out of several. A call to the cloud that
// the fence lets through ends before the holder gives the lease up, and that is before
// anybody else can get it: a deposed leader does not write beside its successor.
func (o *options) election(config *rest.Config) (leading, error) {
	if !o.leaderElect {
		return leading{}, nil
	}
	if o.namespace == "" {
		return leading{}, errors.New("this is no pod: name the namespace of the lease with --leader-election-namespace")
	}
	host, err := os.Hostname()
	if err != nil {
		return leading{}, fmt.Errorf("find the name of this host, which names the holder of the lease: %w", err)
	}
	identity := resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, o.namespace, leaseName, identity, config, o.renewDeadline)
	if err != nil {
		return leading{}, fmt.Errorf("prepare the lease: %w", err)
	}
	f := fence.New(o.renewDeadline-o.callDeadline, time.Now)
	return leading{lock: contested{f.Lock(lock)}, fence: f.Check}, nil
}

// contested is a lease for which several managers ask at a time. That another one was faster is how an
// election goes, and client-go would log it as an error of this one.
type contested struct{ resourcelock.Interface }

// Create takes a lease that nobody has had.
func (c contested) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := c.Interface.Create(ctx, record)
	if apierrors.IsAlreadyExists(err) {
		return lostError{err}
	}
	return err
}

// Update takes, renews or gives up the lease.
func (c contested) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := c.Interface.Update(ctx, record)
	if apierrors.IsConflict(err) {
		return lostError{err}
	}
	return err
}

// lostError is why this manager has not got the lease: another one was faster.
type lostError struct{ error }

// Unwrap returns what the API server said.
func (e lostError) Unwrap() error { return e.error }

// Expected is true, see startup.Expected.
func (e lostError) Expected() bool { return true }

// timing is how long the cloud may take.
func (o *options) timing() lifecycle.Timing {
	t := lifecycle.DefaultTiming
	t.CallDeadline = o.callDeadline
	return t
}
