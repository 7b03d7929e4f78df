package credentials

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
)

// mint issues keys that last for so long, numbered, unless it is told to fail.
type mint struct {
	lasts  atomic.Int64 // nanoseconds
	takes  atomic.Int64 // nanoseconds
	failed atomic.Pointer[error]

	issued  atomic.Int64
	asked   atomic.Int64
	running atomic.Int64
	atOnce  atomic.Int64
}

func newMint(lasts, takes time.Duration) *mint {
	m := &mint{}
	m.lasts.Store(int64(lasts))
	m.takes.Store(int64(takes))
	return m
}

func (m *mint) issue(ctx context.Context) (cloud.Keys, error) {
	m.asked.Add(1)
	if n := m.running.Add(1); n > m.atOnce.Load() {
		m.atOnce.Store(n)
	}
	defer m.running.Add(-1)
	if takes := time.Duration(m.takes.Load()); takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return cloud.Keys{}, ctx.Err()
		}
	}
	if failed := m.failed.Load(); failed != nil {
		return cloud.Keys{}, *failed
	}
	n := m.issued.Add(1)
	return cloud.Keys{AccessKey: fmt.Sprint("ak", n), SecretKey: fmt.Sprint("sk", n), SecurityToken: fmt.Sprint("token", n), Expires: time.Now().Add(time.Duration(m.lasts.Load()))}, nil
}

// pass lets the bubble's time pass: nobody waits.
func pass(d time.Duration) { <-time.After(d) }

// access is the access key in force, or why there is none.
func access(t *testing.T, k *Keeper) string {
	t.Helper()
	keys, err := k.Keys(t.Context())
	if err != nil {
		return err.Error()
	}
	return keys.AccessKey
}

func TestKeysAreRenewedAfterTwoThirdsOfTheirTimeThoughNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(time.Hour, 0)
		k := NewKeeper("the mint", m.issue, nil)
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = k.Run(ctx) }()
		var seen []int64
		for range 4 {
			synctest.Wait()
			seen = append(seen, m.issued.Load())
			pass(40*time.Minute + time.Second)
		}
		stop()
		synctest.Wait()
		if diff := cmp.Diff([]int64{1, 2, 3, 4}, seen); diff != "" {
			t.Errorf("how many keys were issued (-want +got):\n%s", diff)
		}
	})
}

func TestWhileRenewingFailsTheOldKeysAreUsedToTheirEndAndTheIssuerIsAskedEverLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(time.Hour, 0)
		var heard []Renewal
		k := NewKeeper("the mint", m.issue, func(r Renewal) { heard = append(heard, r) })
		got := []string{access(t, k)}
		m.failed.Store(new(errors.New("it can't be reached")))
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = k.Run(ctx) }()
		pass(59*time.Minute + 59*time.Second)
		got = append(got, access(t, k))
		pass(2 * time.Second)
		got = append(got, access(t, k))
		// 1, 2, 4 ... 32 seconds, then one a minute, for 20 minutes.
		if n := m.asked.Load(); n < 20 || n > 28 {
			t.Errorf("it was asked %d times, want about 26", n)
		}
		synctest.Wait()
		if last := heard[len(heard)-1]; last.Err == nil || time.Until(last.Again) > time.Minute {
			t.Errorf("heard at last %+v", last)
		}
		m.failed.Store(nil)
		pass(time.Minute + time.Second)
		got = append(got, access(t, k))
		stop()
		synctest.Wait()
		want := []string{"ak1", "ak1", "the mint gives no keys: it can't be reached; it is asked again by itself", "ak2"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the keys in force (-want +got):\n%s", diff)
		}
	})
}

func TestHoweverManyAskOneAttemptIsMadeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(time.Hour, time.Second)
		k := NewKeeper("the mint", m.issue, nil)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { access(t, k) })
		}
		all.Wait()
		if m.asked.Load() != 1 || m.atOnce.Load() != 1 {
			t.Errorf("asked %d times, %d at once; want 1 and 1", m.asked.Load(), m.atOnce.Load())
		}
	})
}

func TestAnIssuerThatHangsHoldsNobodyWhoHasKeysAndIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(time.Hour, 0)
		k := NewKeeper("the mint", m.issue, nil)
		access(t, k)
		m.takes.Store(int64(24 * time.Hour))
		pass(41 * time.Minute)
		began := time.Now()
		got := access(t, k)
		held := time.Since(began)
		pass(20 * time.Minute)
		began = time.Now()
		late := access(t, k)
		if got != "ak1" || held != 0 || !strings.Contains(late, "takes too long") || time.Since(began) > issueDeadline {
			t.Errorf("got %q after %s, then %q after %s", got, held, late, time.Since(began))
		}
		pass(issueDeadline)
	})
}

func TestKeysThatHaveExpiredAlreadyAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(-time.Second, 0)
		k := NewKeeper("the mint", m.issue, nil)
		want := "the mint gives no keys: the keys that it gives have expired already: compare its clock with that of this machine; it is asked again by itself"
		if diff := cmp.Diff([]string{want, want}, []string{access(t, k), access(t, k)}); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if m.asked.Load() != 1 {
			t.Errorf("it was asked %d times at once, want once", m.asked.Load())
		}
	})
}

func TestKeysThatAsGoodAsNeverEndAreNotAskedForAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(math.MaxInt64, 0)
		k := NewKeeper("the mint", m.issue, nil)
		for range 100 {
			access(t, k)
			pass(time.Minute)
		}
		if n := m.asked.Load(); n != 1 {
			t.Errorf("it was asked %d times in 100 minutes, want once", n)
		}
	})
}

func TestKeysThatTheCloudRefusesAreRenewedWithoutAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(time.Hour, 0)
		k := NewKeeper("the mint", m.issue, nil)
		began := time.Now()
		for time.Since(began) < 10*time.Second {
			keys, err := k.Keys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			k.Refused(keys)
			pass(10 * time.Millisecond)
		}
		synctest.Wait()
		if n := m.asked.Load(); n < 5 || n > 12 {
			t.Errorf("it was asked %d times in 10 seconds, want about 10", n)
		}
	})
}

// Whatever the issuer does and whenever somebody asks: what is given is in force and belongs together, and the
// issuer is asked by one at a time.
func TestWhatAKeeperGivesIsInForceAndBelongsTogether(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [3]int64 {
			return [3]int64{rapid.Int64Range(-5, 300).Draw(t, "lasts"), rapid.Int64Range(0, 12).Draw(t, "takes"), rapid.Int64Range(0, 400).Draw(t, "passes")}
		}), 1, 20).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			m := &mint{}
			k := NewKeeper("the mint", m.issue, nil)
			for _, s := range steps {
				m.lasts.Store(s[0] * int64(time.Second))
				m.takes.Store(s[1] * int64(time.Second))
				if m.failed.Store(nil); s[2]%5 == 0 {
					m.failed.Store(new(errors.New("away")))
				}
				keys, err := k.Keys(t.Context())
				if err == nil && (!time.Now().Before(keys.Expires) || keys.AccessKey[2:] != keys.SecretKey[2:] || keys.AccessKey[2:] != keys.SecurityToken[5:]) {
					rt.Fatalf("got %s %s %s that end at %s, at %s", keys.AccessKey, keys.SecretKey, keys.SecurityToken, keys.Expires, time.Now())
				}
				pass(time.Duration(s[2]) * time.Second)
			}
			if m.atOnce.Load() > 1 {
				rt.Fatalf("%d attempts at once", m.atOnce.Load())
			}
			pass(issueDeadline) // for the last one
		})
	})
}
