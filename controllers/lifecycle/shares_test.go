package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

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

// entered is the error with which an object enters.
func entered(l *Lane, r reconcile.Request, server string, p Precedence) error {
	_, err := l.Enter(r, server, p)
	return err
}

func TestTheObjectsOfOneServerGetTheirShareOfWorkersAndNoMore(t *testing.T) {
	var l Lane
	woken := queueOf(&l)
	same(t, "all workers", 2*serversAtOnce, l.Share(2))
	enter := func(name, server string) bool {
		if _, err := l.Enter(request(name), server, Precedence{}); err != nil {
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
		same(t, "what is kept", []int{0, 0, 0, 0}, []int{len(l.waiting), len(l.has), len(l.taken), len(l.refused)})
		same(t, "what is kept of what they asked for", 0, len(l.asked))
	})
}

// What is observed goes on without a worker where that takes longer.
func TestOneThatWaitsAlreadyIsToldSo(t *testing.T) {
	var l Lane
	queueOf(&l)
	l.Share(1)
	var waited []bool
	for _, name := range []string{"first", "a", "b", "a", "b", "first"} {
		was, _ := l.Enter(request(name), "s", Precedence{})
		waited = append(waited, was)
	}
	same(t, "who was waiting already", []bool{false, false, false, true, true, false}, waited)
}

// However a cache hands the objects out, they get their workers by their age, and what is urgent first.
func TestWorkersAreGivenByAgeHoweverTheObjectsCome(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) { // whose time stands still
			var l Lane
			woken := queueOf(&l)
			defer func() { l.of.ShutDown() }()
			l.Share(1)
			same(t, "the first", nil, entered(&l, request("first"), "s", Precedence{}))
			same(t, "one that is urgent", nil, entered(&l, request("urgent"), "s", Precedence{Urgent: true}))
			names := []string{"a", "b", "c", "d", "e", "f"} // the oldest first
			for _, n := range rand.Perm(len(names)) {
				p := Precedence{Urgent: n > 3, Created: time.Now().Add(time.Duration(n) * time.Second)}
				same(t, "another", errNoWorker, entered(&l, request(names[n]), "s", p), cmpopts.EquateErrors())
				l.Done(request(names[n]))
			}
			l.Done(request("urgent"))
			same(t, "who was woken", nil, woken())
			var order []string
			for last := "first"; last != ""; {
				l.Done(request(last))
				last = ""
				for _, name := range woken() {
					last, order = name, append(order, name)
				}
			}
			same(t, "the order", []string{"e", "f", "a", "b", "c", "d"}, order)
		})
	}
}

// What a reconcile does after it found no worker takes a while.
func TestAWorkerThatIsGivenToOneThatHasJustFoundNoneIsKeptForItsNextReconcile(t *testing.T) {
	var l Lane
	woken := queueOf(&l)
	l.Share(1)
	same(t, "the first", nil, entered(&l, request("a"), "slow", Precedence{}))
	same(t, "the second", errNoWorker, entered(&l, request("b"), "slow", Precedence{}), cmpopts.EquateErrors())
	l.Done(request("a"))
	l.Done(request("b")) // of the reconcile that found none
	same(t, "one that comes before it is back", errNoWorker, entered(&l, request("c"), "slow", Precedence{}), cmpopts.EquateErrors())
	l.Done(request("c"))
	same(t, "who was woken", []string{"b"}, woken())
	same(t, "the second, woken", nil, entered(&l, request("b"), "slow", Precedence{}))
	l.Done(request("b"))
	same(t, "who was woken", []string{"c"}, woken())
	l.Done(request("c")) // it is gone
	same(t, "what is kept", []int{0, 0, 0, 0}, []int{len(l.waiting), len(l.has), len(l.taken), len(l.refused)})
}

func TestWithoutALimitNobodyWaits(t *testing.T) {
	var l Lane
	for i := range 100 {
		if _, err := l.Enter(request(fmt.Sprint(i)), "s", Precedence{}); err != nil {
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
				_, err := l.Enter(request(name), rapid.SampledFrom(servers).Draw(t, "server"), Precedence{Urgent: rapid.Bool().Draw(t, "urgent")})
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
				wait := 0
				if l.waiting[server] != nil {
					wait = l.waiting[server].Len()
				}
				if has != l.taken[server] || has > l.limit+1 || has < l.limit && wait > 0 {
					t.Fatalf("%d of %d workers of %s are taken (%d), %d wait", has, l.limit, server, l.taken[server], wait)
				}
			}
			for r, c := range l.asked {
				if _, has := l.has[r]; has || !l.waiting[c.server].Has(r) {
					t.Fatal("one waits that has a worker, or is on no list")
				}
			}
		}
	})
}

// Four routine looks wait for one long list: somebody's edit must find a worker all the same.
func TestAnEditFindsAWorkerWhileRoutineLooksWaitForAList(t *testing.T) {
	l := &Lane{}
	l.Share(4)
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := entered(l, request(name), "s", Precedence{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := entered(l, request("edited"), "s", Precedence{Urgent: true}); err != nil {
		t.Errorf("an edit waits: %v", err)
	}
}
