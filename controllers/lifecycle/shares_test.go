package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// queueOf gives a lane a queue, and returns what is in that.
func queueOf(l *Lane) (woken func() []string) {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	if err := l.Source().Start(context.Background(), queue); err != nil {
		panic(err)
	}
	return func() (all []string) {
		for queue.Len() > 0 {
			r, _ := queue.Get()
			queue.Done(r)
			all = append(all, r.Name)
		}
		return all
	}
}

func request(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}

func TestTheObjectsOfOneServerGetTheirShareOfWorkersAndNoMore(t *testing.T) {
	var l Lane
	woken := queueOf(&l)
	same(t, "all workers", 2*serversAtOnce, l.Share(2))
	enter := func(name, server string) bool {
		if _, err := l.Enter(request(name), server, false); err != nil {
			l.Done(request(name))
			return false
		}
		return true
	}
	same(t, "two of one server", []bool{true, true}, []bool{enter("a", "slow"), enter("b", "slow")})
	same(t, "more of it", []bool{false, false, false}, []bool{enter("c", "slow"), enter("d", "slow"), enter("c", "slow")})
	same(t, "another server's", true, enter("e", "honest"))
	same(t, "who was woken", nil, woken())
	l.Done(request("a"))
	same(t, "who was woken", []string{"c"}, woken())
	same(t, "one that comes before it", false, enter("f", "slow"))
	same(t, "it itself", true, enter("c", "slow"))
	t.Run("one that is gone when it is woken makes room for the next", func(t *testing.T) {
		l.Done(request("b"))
		same(t, "who was woken", []string{"d"}, woken())
		l.Done(request("d")) // it did not enter
		same(t, "who was woken", []string{"f"}, woken())
	})
	t.Run("one that leads to another server now makes room too", func(t *testing.T) {
		same(t, "one that waits", false, enter("g", "slow"))
		same(t, "f", true, enter("f", "honest"))
		same(t, "who was woken", []string{"g"}, woken())
	})
	t.Run("and nothing is kept when all are done", func(t *testing.T) {
		for _, name := range []string{"c", "e", "f", "g"} {
			l.Done(request(name))
		}
		same(t, "what is kept", []int{0, 0, 0, 0, 0}, []int{len(l.waiting), len(l.lines), len(l.has), len(l.taken), len(l.refused)})
	})
}

// What a reconcile does after it found no worker takes a while.
func TestAWorkerThatIsGivenToOneThatHasJustFoundNoneIsKeptForItsNextReconcile(t *testing.T) {
	var l Lane
	woken := queueOf(&l)
	l.Share(1)
	enter := func(name string) error {
		_, err := l.Enter(request(name), "slow", false)
		return err
	}
	same(t, "the first", nil, enter("a"))
	same(t, "the second", errNoWorker, enter("b"), cmpopts.EquateErrors())
	l.Done(request("a"))
	l.Done(request("b")) // of the reconcile that found none
	same(t, "one that comes before it is back", errNoWorker, enter("c"), cmpopts.EquateErrors())
	l.Done(request("c"))
	same(t, "who was woken", []string{"b"}, woken())
	same(t, "the second, woken", nil, enter("b"))
	l.Done(request("b"))
	same(t, "who was woken", []string{"c"}, woken())
	l.Done(request("c")) // it is gone
	same(t, "what is kept", []int{0, 0, 0, 0, 0}, []int{len(l.waiting), len(l.lines), len(l.has), len(l.taken), len(l.refused)})
}

// Thousands can wait in a resync.
func TestTheNextWorkerIsForWhatSomebodyWaitsFor(t *testing.T) {
	var l Lane
	woken := queueOf(&l)
	l.Share(1)
	enter := func(name string, urgent bool) (waited bool) {
		waited, _ = l.Enter(request(name), "s", urgent)
		if name != "first" {
			l.Done(request(name))
		}
		return waited
	}
	waited := []bool{enter("first", false), enter("a", false), enter("b", false), enter("edit", true), enter("c", false), enter("second edit", true), enter("b", true), enter("a", false)}
	same(t, "who was waiting already", []bool{false, false, false, false, false, false, true, true}, waited)
	var order []string
	for next := "first"; next != ""; {
		l.Done(request(next))
		next = strings.Join(woken(), " ")
		order = append(order, next)
	}
	same(t, "the order", []string{"edit", "second edit", "b", "a", "c", ""}, order)
}

func TestWithoutALimitNobodyWaits(t *testing.T) {
	var l Lane
	for i := range 100 {
		if _, err := l.Enter(request(fmt.Sprint(i)), "s", false); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever comes and goes: no server has more than its share, nobody waits while a worker is
// free, and who was woken is in the queue or at work.
func TestNobodyWaitsForAWorkerThatIsFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Lane
		woken := queueOf(&l)
		l.Share(rapid.IntRange(1, 3).Draw(t, "limit"))
		names, servers := []string{"a", "b", "c", "d", "e", "f"}, []string{"s", "t"}
		working, queued := map[string]bool{}, map[string]bool{} // the former whether with a worker or not
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			if working[name] { // a queue hands an object out once at a time
				l.Done(request(name))
				delete(working, name)
			} else {
				delete(queued, name)
				_, err := l.Enter(request(name), rapid.SampledFrom(servers).Draw(t, "server"), rapid.Bool().Draw(t, "urgent"))
				if err != nil && !errors.Is(err, errNoWorker) {
					t.Fatal(err)
				}
				working[name] = true
			}
			for _, name := range woken() {
				queued[name] = true
			}
			for _, server := range servers {
				has := 0
				for r, s := range l.has {
					if s == server {
						has++
					}
					if !working[r.Name] && !queued[r.Name] {
						t.Fatalf("%s has a worker and nobody knows", r.Name)
					}
					if l.refused[r] && !queued[r.Name] {
						t.Fatalf("%s has a worker, but is at work without one, and is not woken", r.Name)
					}
				}
				if has != l.taken[server] || has > l.limit || has < l.limit && l.lines[server] != nil {
					t.Fatalf("%d of %d workers of %s are taken (%d), and some wait: %v", has, l.limit, server, l.taken[server], l.lines[server])
				}
			}
			wait := 0
			for _, of := range l.lines {
				wait += of.urgent.Len() + of.others.Len()
			}
			if wait != len(l.waiting) {
				t.Fatalf("%d stand in lines, %d wait", wait, len(l.waiting))
			}
			for r := range l.waiting {
				if _, has := l.has[r]; has {
					t.Fatal("one waits that has a worker")
				}
			}
		}
	})
}
