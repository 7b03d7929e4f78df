package huawei

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

var here = cloud.Account{Region: "cn-north-4", ProjectID: "p", Endpoint: "https://vpc"}

func TestTheLimiterOfAnAccount(t *testing.T) {
	const patience = 2 * time.Second
	t.Run("lets a burst pass at once and then so many calls a second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiters(5, 10)
			start := time.Now()
			for i := range 15 {
				if _, err := l.wait(t.Context(), limited{account: here}, patience); err != nil {
					t.Fatal(err)
				}
				want := time.Duration(max(0, i-9)*200) * time.Millisecond
				if got := time.Since(start); got != want {
					t.Errorf("call %d was let through after %s, want %s", i+1, got, want)
				}
			}
		})
	})
	t.Run("is another one for another region, and the same for two clients", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiters(1, 1)
			elsewhere := here
			elsewhere.Region = "cn-south-1"
			for _, account := range []cloud.Account{here, elsewhere} {
				if waited, err := l.wait(t.Context(), limited{account: account}, patience); err != nil || waited != 0 {
					t.Errorf("the first call to %s waited %s: %v", account.Region, waited, err)
				}
			}
			if waited, err := l.wait(t.Context(), limited{account: here}, patience); err != nil || waited != time.Second {
				t.Errorf("the second call waited %s (%v), want a second", waited, err)
			}
		})
	})
	t.Run("refuses at once when the wait would be too long, and reserves nothing then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiters(0.25, 1)
			start := time.Now()
			_, _ = l.wait(t.Context(), limited{account: here}, patience)
			for range 3 {
				_, err := l.wait(t.Context(), limited{account: here}, patience)
				busy, ok := errors.AsType[*busyError](err)
				if !ok || busy.delay != 4*time.Second {
					t.Fatalf("got %v, want a refusal with a delay of 4s", err)
				}
			}
			if got := time.Since(start); got != 0 {
				t.Errorf("the refusals took %s, want none", got)
			}
			<-time.After(4 * time.Second) // the bubble's clock
			if waited, err := l.wait(t.Context(), limited{account: here}, patience); err != nil || waited != 0 {
				t.Errorf("after that delay the call waited %s: %v", waited, err)
			}
		})
	})
	t.Run("does not wait past the context's deadline, nor after its end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiters(1, 1)
			_, _ = l.wait(t.Context(), limited{account: here}, patience)
			short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if _, err := l.wait(short, limited{account: here}, patience); err == nil {
				t.Error("a call was let through after its deadline")
			}
			ended, stop := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, stop)
			start := time.Now()
			if _, err := l.wait(ended, limited{account: here}, patience); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the context's error", err)
			}
			if got := time.Since(start); got != 300*time.Millisecond {
				t.Errorf("it came back after %s, want 300ms", got)
			}
			if waited, err := l.wait(t.Context(), limited{account: here}, patience); err != nil || waited != 700*time.Millisecond {
				t.Errorf("the next call waited %s (%v), want what the ended one had reserved", waited, err)
			}
		})
	})
	t.Run("is dropped when idle, without giving anyone more calls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiters(1, 1)
			_, _ = l.wait(t.Context(), limited{account: here}, patience)
			for i := range sweepAt * 2 {
				_, _ = l.wait(t.Context(), limited{account: cloud.Account{Region: fmt.Sprint(i)}}, patience)
			}
			if waited, _ := l.wait(t.Context(), limited{account: here}, patience); waited != time.Second {
				t.Errorf("a limiter in use was dropped: the second call waited %s", waited)
			}
			<-time.After(time.Minute) // the bubble's clock
			_, _ = l.wait(t.Context(), limited{account: cloud.Account{Region: "new"}}, patience)
			if len(l.byID) != 1 {
				t.Errorf("%d limiters are kept after a minute of rest, want the new one", len(l.byID))
			}
		})
	})
}

func TestAKeyThatTheCloudHasNotAcceptedUsesUpNothingOfItsAccountsCalls(t *testing.T) {
	l := newLimiters(0.001, 2)
	account := cloud.Account{ProjectID: "victim"}
	madeUp, honest := &caller{account: account, proven: new(atomic.Bool)}, &caller{account: account, proven: new(atomic.Bool)}
	for range 2 {
		if _, err := l.wait(t.Context(), madeUp.limited(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.wait(t.Context(), madeUp.limited(), time.Second); err == nil {
		t.Error("a key that was not accepted may ask as often as it likes")
	}
	if _, err := l.wait(t.Context(), honest.limited(), time.Second); err != nil {
		t.Errorf("the first call of another key: %v", err)
	}
	honest.proven.Store(true)
	for range 2 {
		if _, err := l.wait(t.Context(), honest.limited(), time.Second); err != nil {
			t.Errorf("a call of a key that was accepted: %v", err)
		}
	}
	if _, err := l.wait(t.Context(), honest.limited(), time.Second); err == nil {
		t.Error("keys that were accepted share no limit")
	}
}
