package fence_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"vpcmirror.io/operator/controllers/fence"
)

// lock is a lease whose API server answers as told.
type lock struct {
	resourcelock.Interface
	answer func() error
}

func (l *lock) Identity() string                                                { return "us" }
func (l *lock) Create(context.Context, resourcelock.LeaderElectionRecord) error { return l.answer() }
func (l *lock) Update(context.Context, resourcelock.LeaderElectionRecord) error { return l.answer() }

func TestAFence(t *testing.T) {
	const open = 6 * time.Second
	held := resourcelock.LeaderElectionRecord{HolderIdentity: "us"}
	at := func(d time.Duration) func() error { return func() error { <-time.After(d); return nil } }
	refused := func() error { return errors.New("conflict") }
	for name, c := range map[string]struct {
		play func(ctx context.Context, l *lock, with resourcelock.Interface)
		open bool
	}{
		"is closed before there is a lease": {func(context.Context, *lock, resourcelock.Interface) {}, false},
		"opens when the lease is made": {func(ctx context.Context, _ *lock, with resourcelock.Interface) {
			_ = with.Create(ctx, held)
			<-time.After(open - 1)
		}, true},
		"opens when the lease is taken": {func(ctx context.Context, _ *lock, with resourcelock.Interface) { _ = with.Update(ctx, held) }, true},
		"closes when no renewal comes": {func(ctx context.Context, _ *lock, with resourcelock.Interface) {
			_ = with.Update(ctx, held)
			<-time.After(open)
		}, false},
		"counts from before the renewal, because others count from what they saw": {func(ctx context.Context, l *lock, with resourcelock.Interface) {
			l.answer = at(open)
			_ = with.Update(ctx, held)
		}, false},
		"stays open by the last renewal when one fails": {func(ctx context.Context, l *lock, with resourcelock.Interface) {
			_ = with.Update(ctx, held)
			<-time.After(open / 2)
			l.answer = refused
			_ = with.Update(ctx, held)
			<-time.After(open/2 - 1)
		}, true},
		"is not opened by a renewal that fails": {func(ctx context.Context, l *lock, with resourcelock.Interface) {
			_ = with.Update(ctx, held)
			<-time.After(open / 2)
			l.answer = refused
			_ = with.Update(ctx, held)
			<-time.After(open / 2)
		}, false},
		"closes when the lease is given up, whether that is heard or not": {func(ctx context.Context, l *lock, with resourcelock.Interface) {
			_ = with.Update(ctx, held)
			l.answer = refused
			_ = with.Update(ctx, resourcelock.LeaderElectionRecord{})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := fence.New(open, time.Now)
				l := &lock{answer: at(0)}
				c.play(t.Context(), l, f.Lock(l))
				if err := f.Check(); (err == nil) != c.open || err != nil && !errors.Is(err, fence.ErrClosed) {
					t.Errorf("the fence says %v, want open: %v", err, c.open)
				}
			})
		})
	}
}

func TestAFenceClosesWhenTheMachineSleeps(t *testing.T) {
	// The monotonic clock stands still in sleep: times without a reading of it stand for that.
	now := time.Now().Round(0)
	f := fence.New(6*time.Second, func() time.Time { return now })
	l := &lock{answer: func() error { return nil }}
	if err := f.Lock(l).Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: "us"}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if err := f.Check(); !errors.Is(err, fence.ErrClosed) {
		t.Errorf("the fence says %v, want it closed", err)
	}
}
