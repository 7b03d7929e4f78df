package lifecycle

import (
	"cmp"
	"errors"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/controllers/fairqueue"
)

// serversAtOnce is how many servers can be slow until they hold up the objects of others.
const serversAtOnce = 16

// Lane is what the objects of one kind share: the queue of their controller, and its
// workers. The objects of one server get so many workers and no more, so that one that does
// not answer holds up nobody else's: those that find no worker free leave theirs at once,
// and come back one by one as others are done, what is urgent first, and then the oldest. One more is
// kept for what is urgent: all others can be waiting for one long list. The zero value is ready,
// without a limit.
type Lane struct {
	Queue

	mu    sync.Mutex
	limit int
	// waiting are those that found none, by server, and asked is by what order they get one; has are
	// those that have one.
	waiting map[string]*fairqueue.Queue[reconcile.Request]
	asked   map[reconcile.Request]claim
	has     map[reconcile.Request]string
	taken   map[string]int
	// refused are those whose present reconcile found no worker: one that they are given before it
	// is done is for the next.
	refused map[reconcile.Request]bool
}

// Precedence is what of an object says which of those that wait gets a worker first.
type Precedence struct {
	// Urgent is true for what somebody has just asked for.
	Urgent bool
	// Created is when the object was made: of two the older one is first.
	Created time.Time
}

// claim is what an object waits for.
type claim struct {
	Precedence
	server string
	came   time.Time
}

// together is how long objects can lie apart that count as having come at the same time: a cache hands
// them out in no order when a process begins.
const together = 10 * time.Second

// precedes reports whether one of two objects that wait gets a worker first: of those that are as urgent
// the older one, else the one with the smaller name.
func (l *Lane) precedes(a, b reconcile.Request) bool {
	x, y := l.asked[a], l.asked[b]
	if x.Urgent != y.Urgent {
		return x.Urgent
	}
	return cmp.Or(x.Created.Compare(y.Created), strings.Compare(a.String(), b.String())) < 0
}

// waitsLonger reports whether one of two objects has waited longer for a worker.
func (l *Lane) waitsLonger(a, b reconcile.Request) bool {
	x, y := l.asked[a], l.asked[b]
	return cmp.Or(x.came.Truncate(together).Compare(y.came.Truncate(together)), x.Created.Compare(y.Created), strings.Compare(a.String(), b.String())) < 0
}

// errNoWorker means that the object is reconciled as soon as its server's share allows it.
var errNoWorker = errors.New("every worker of this server is taken")

// Share lets the objects of one server have so many workers, and returns how many a
// controller needs for that.
func (l *Lane) Share(workers int) (all int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = workers
	return workers * serversAtOnce
}

// Enter takes a worker for an object until Done, or has the object wait. It reports whether the object
// was waiting already.
func (l *Lane) Enter(request reconcile.Request, server string, p Precedence) (waited bool, err error) {
	l.mu.Lock()
	_, waited = l.asked[request]
	wake, entered := l.enter(request, claim{p, server, time.Now()})
	if entered {
		delete(l.refused, request)
	} else {
		l.refused[request] = true
	}
	l.mu.Unlock()
	l.wake(wake)
	if !entered {
		return waited, errNoWorker
	}
	return waited, nil
}

// Done gives the object's worker back, if it has one. It must follow every reconcile, also
// that of an object that is gone.
func (l *Lane) Done(request reconcile.Request) {
	l.mu.Lock()
	var wake *reconcile.Request
	if !l.refused[request] {
		wake = l.leave(request)
	}
	delete(l.refused, request)
	l.mu.Unlock()
	l.wake(wake)
}

func (l *Lane) wake(next *reconcile.Request) {
	if next != nil {
		l.Add(*next)
	}
}

// enter returns whom to wake, because the object had the worker of another server.
func (l *Lane) enter(request reconcile.Request, c claim) (wake *reconcile.Request, entered bool) {
	if l.has == nil {
		l.waiting, l.asked = map[string]*fairqueue.Queue[reconcile.Request]{}, map[reconcile.Request]claim{}
		l.has, l.taken, l.refused = map[reconcile.Request]string{}, map[string]int{}, map[reconcile.Request]bool{}
	}
	if had, ok := l.has[request]; ok {
		if had == c.server {
			return nil, true
		}
		wake = l.leave(request)
	}
	if l.limit > 0 && l.taken[c.server] >= l.room(c.Precedence) {
		l.wait(request, c)
		return wake, false
	}
	l.forget(request)
	l.has[request] = c.server
	l.taken[c.server]++
	return wake, true
}

// room is how many workers of a server may be taken when one more wants one.
func (l *Lane) room(p Precedence) int {
	if p.Urgent {
		return l.limit + 1
	}
	return l.limit
}

// wait puts an object on the list of its server. One that is there keeps its place, unless it matters
// more or less by now.
func (l *Lane) wait(request reconcile.Request, c claim) {
	if was, waits := l.asked[request]; waits {
		if was.server == c.server && was.Precedence == c.Precedence {
			return
		}
		if was.server == c.server {
			c.came = was.came
		}
		l.forget(request)
	}
	l.asked[request] = c
	if l.waiting[c.server] == nil {
		l.waiting[c.server] = fairqueue.New(l.precedes, l.waitsLonger)
	}
	l.waiting[c.server].Push(request)
}

// forget takes an object off the list on which it waits.
func (l *Lane) forget(request reconcile.Request) {
	was, waits := l.asked[request]
	if !waits {
		return
	}
	l.waiting[was.server].Remove(request)
	if l.waiting[was.server].Len() == 0 {
		delete(l.waiting, was.server)
	}
	delete(l.asked, request)
}

// leave gives a worker to the next that waits for it, and returns that one.
func (l *Lane) leave(request reconcile.Request) *reconcile.Request {
	server, ok := l.has[request]
	if !ok {
		return nil
	}
	delete(l.has, request)
	// The one worker beyond the limit is given back, for what is urgent next.
	if waiting := l.waiting[server]; waiting != nil && l.taken[server] <= l.limit {
		next, _ := waiting.Pop()
		if waiting.Len() == 0 {
			delete(l.waiting, server)
		}
		delete(l.asked, next)
		l.has[next] = server
		return &next
	}
	if l.taken[server]--; l.taken[server] == 0 {
		delete(l.taken, server)
	}
	return nil
}
