package huawei

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
				if _, err := l.wait(t.Context(), admission{whose: limited{account: here}, patience: patience}); err != nil {
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
				if waited, err := l.wait(t.Context(), admission{whose: limited{account: account}, patience: patience}); err != nil || waited != 0 {
					t.Errorf("the first call to %s waited %s: %v", account.Region, waited, err)
				}
			}
			if waited, err := l.wait(t.Context(), admission{whose: limited{account: here}, patience: patience}); err != nil || waited != time.Second {
				t.Errorf("the second call waited %s (%v), want a second", waited, err)
			}
		})
	})
	t.Run("refuses at once when the wait would be too long, and reserves nothing then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiters(0.25, 1)
			start := time.Now()
			_, _ = l.wait(t.Context(), admission{whose: limited{account: here}, patience: patience})
			for range 3 {
				_, err := l.wait(t.Context(), admission{whose: limited{account: here}, patience: patience})
				busy, ok := errors.AsType[*busyError](err)
				if !ok || busy.delay != 4*time.Second {
					t.Fatalf("got %v, want a refusal with a delay of 4s", err)
				}
			}
			if got := time.Since(start); got != 0 {
				t.Errorf("the refusals took %s, want none", got)
			}
			<-time.After(4 * time.Second) // the bubble's clock
			if waited, err := l.wait(t.Context(), admission{whose: limited{account: here}, patience: patience}); err != nil || waited != 0 {
				t.Errorf("after that delay the call waited %s: %v", waited, err)
			}
		})
	})
	t.Run("does not wait past the context's deadline, nor after its end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiters(1, 1)
			_, _ = l.wait(t.Context(), admission{whose: limited{account: here}, patience: patience})
			short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if _, err := l.wait(short, admission{whose: limited{account: here}, patience: patience}); err == nil {
				t.Error("a call was let through after its deadline")
			}
			ended, stop := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, stop)
			start := time.Now()
			if _, err := l.wait(ended, admission{whose: limited{account: here}, patience: patience}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the context's error", err)
			}
			if got := time.Since(start); got != 300*time.Millisecond {
				t.Errorf("it came back after %s, want 300ms", got)
			}
			if waited, err := l.wait(t.Context(), admission{whose: limited{account: here}, patience: patience}); err != nil || waited != 700*time.Millisecond {
				t.Errorf("the next call waited %s (%v), want what the ended one had reserved", waited, err)
			}
		})
	})
	t.Run("is dropped when idle, without giving anyone more calls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiters(1, 1)
			_, _ = l.wait(t.Context(), admission{whose: limited{account: here}, patience: patience})
			for i := range sweepAt * 2 {
				_, _ = l.wait(t.Context(), admission{whose: limited{account: cloud.Account{Region: fmt.Sprint(i)}}, patience: patience})
			}
			if waited, _ := l.wait(t.Context(), admission{whose: limited{account: here}, patience: patience}); waited != time.Second {
				t.Errorf("a limiter in use was dropped: the second call waited %s", waited)
			}
			<-time.After(time.Minute) // the bubble's clock
			_, _ = l.wait(t.Context(), admission{whose: limited{account: cloud.Account{Region: "new"}}, patience: patience})
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
		if _, err := l.wait(t.Context(), admission{whose: madeUp.limited(), patience: time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.wait(t.Context(), admission{whose: madeUp.limited(), patience: time.Second}); err == nil {
		t.Error("a key that was not accepted may ask as often as it likes")
	}
	if _, err := l.wait(t.Context(), admission{whose: honest.limited(), patience: time.Second}); err != nil {
		t.Errorf("the first call of another key: %v", err)
	}
	honest.proven.Store(true)
	for range 2 {
		if _, err := l.wait(t.Context(), admission{whose: honest.limited(), patience: time.Second}); err != nil {
			t.Errorf("a call of a key that was accepted: %v", err)
		}
	}
	if _, err := l.wait(t.Context(), admission{whose: honest.limited(), patience: time.Second}); err == nil {
		t.Error("keys that were accepted share no limit")
	}
}

// pending lets so many calls wait for the limiter, one after the other, and returns the order in which
// they pass.
func pending(t *testing.T, l *limiters, calls []admission) (order []int) {
	t.Helper()
	passed := make(chan int, len(calls))
	for n, a := range calls {
		go func() {
			if _, err := l.wait(t.Context(), a); err == nil {
				passed <- n
			}
		}()
		synctest.Wait()
	}
	for range calls {
		order = append(order, <-passed)
	}
	return order
}

func TestWritesPassBeforeReadsAndAnEditBeforeWhatComesAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiters(1, 1)
		edit := cloud.WithUrgency(t.Context(), cloud.Edited)
		of := func(ctx context.Context, k kind) admission {
			return admission{whose: limited{account: here}, rank: rankOf(ctx, k), patience: time.Minute}
		}
		if _, err := l.wait(t.Context(), of(t.Context(), read)); err != nil {
			t.Fatal(err)
		}
		order := pending(t, l, []admission{
			of(t.Context(), read), of(t.Context(), write), of(edit, read), of(edit, write),
			of(edit, write), of(edit, write), of(edit, write),
		})
		// Every fourth is the one that has waited longest.
		if want := []int{3, 4, 5, 0, 6, 2, 1}; !slices.Equal(order, want) {
			t.Errorf("they pass in the order %v, want %v", order, want)
		}
	})
}

func TestWhoHasWaitedInVainUsesUpNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiters(1, 1)
		edit := cloud.WithUrgency(t.Context(), cloud.Edited)
		a := admission{whose: limited{account: here}, rank: rankOf(t.Context(), read), patience: 2 * time.Second}
		_, _ = l.wait(t.Context(), a)
		refused := make(chan error, 1)
		go func() {
			_, err := l.wait(t.Context(), a)
			refused <- err
		}()
		synctest.Wait()
		urgent := a
		urgent.rank, urgent.patience = rankOf(edit, write), time.Minute
		for range 3 {
			go func() { _, _ = l.wait(t.Context(), urgent) }()
		}
		synctest.Wait()
		if busy, ok := errors.AsType[*busyError](<-refused); !ok || busy.delay <= 0 {
			t.Errorf("who was overtaken for longer than it can wait gets %v", busy)
		}
		<-time.After(time.Hour)
		l.mu.Lock()
		defer l.mu.Unlock()
		if of := l.byID[limited{account: here}]; of.queue.Len() != 0 || of.TokensAt(time.Now()) != 1 {
			t.Errorf("%d wait after an hour, and %v calls can be made", of.queue.Len(), of.TokensAt(time.Now()))
		}
	})
}

func TestOneThrottledCallHoldsAllOfTheAccountThatAskTheSameServer(t *testing.T) {
	const patience = 2 * time.Second
	one := admission{whose: limited{account: here}, endpoint: "vpc", patience: patience}
	otherServer, otherAccount := one, one
	otherServer.endpoint = "ecs"
	otherAccount.whose = limited{account: cloud.Account{ProjectID: "q"}}
	for name, c := range map[string]struct {
		said []time.Duration // by each throttled answer, one after the other
		want time.Duration
	}{
		"for as long as the cloud says":                     {[]time.Duration{20 * time.Second}, 20 * time.Second},
		"but no deletion waits for an hour":                 {[]time.Duration{time.Hour}, longestHold},
		"for a while where it does not say":                 {[]time.Duration{0}, firstHold},
		"ever longer while it goes on":                      {[]time.Duration{0, 0, 0}, 4 * firstHold},
		"but not for ever":                                  {[]time.Duration{0, 0, 0, 0, 0, 0, 0, 0, 0}, longestHold},
		"for as long as it says, whatever was said earlier": {[]time.Duration{time.Minute, 5 * time.Second}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiters(1e6, 1e6)
				for n, said := range c.said {
					l.hold(one.whose, one.endpoint, said, time.Now())
					if n < len(c.said)-1 {
						<-time.After(time.Hour)
					}
				}
				if c.want > patience {
					_, err := l.wait(t.Context(), one)
					if busy, ok := errors.AsType[*busyError](err); !ok || !busy.held || busy.delay != c.want {
						t.Errorf("a call gets %v, want that it is held for %s", err, c.want)
					}
				} else if waited, err := l.wait(t.Context(), one); err != nil || waited != c.want {
					t.Errorf("a call waits %s (%v), want %s", waited, err, c.want)
				}
				for what, other := range map[string]admission{"of another server": otherServer, "of another account": otherAccount} {
					if waited, err := l.wait(t.Context(), other); err != nil || waited != 0 {
						t.Errorf("a call %s waits %s (%v)", what, waited, err)
					}
				}
				<-time.After(c.want)
				if waited, err := l.wait(t.Context(), one); err != nil || waited != 0 {
					t.Errorf("a call after that waits %s (%v)", waited, err)
				}
				l.answered(one.whose, one.endpoint, time.Now())
				l.hold(one.whose, one.endpoint, 0, time.Now())
				if waited, err := l.wait(t.Context(), one); err != nil || waited != firstHold {
					t.Errorf("throttled anew after an answer, a call waits %s (%v)", waited, err)
				}
			})
		})
	}
}

func TestACallThatWaitsWhenAnotherIsThrottledIsHeldToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiters(1, 1)
		a := admission{whose: limited{account: here}, endpoint: "vpc", patience: time.Minute}
		_, _ = l.wait(t.Context(), a)
		passed := make(chan time.Duration, 1)
		go func() {
			waited, _ := l.wait(t.Context(), a)
			passed <- waited
		}()
		synctest.Wait()
		l.hold(a.whose, a.endpoint, 10*time.Second, time.Now())
		if waited := <-passed; waited < 10*time.Second {
			t.Errorf("it passed after %s", waited)
		}
	})
}
