package lifecycle

import (
	linked "container/list"
	"errors"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// serversAtOnce is how many servers can be slow until they hold up the objects of others.
const serversAtOnce = 16

// Lane is what the objects of one kind share: the queue of their controller, and its
// workers. The objects of one server get so many workers and no more, so that one that does
// not answer holds up nobody else's: those that find no worker free leave theirs at once,
// and come back one by one as others are done; those first that somebody waits for. The zero
// value is ready, without a limit.
type Lane struct {
	Queue

	mu    sync.Mutex
	limit int
	// lines are those who found none, by server, and waiting is where each stands; has are those
	// that have one.
	lines   map[string]*line
	waiting map[reconcile.Request]*place
	has     map[reconcile.Request]string
	taken   map[string]int
	// refused are those whose present reconcile found no worker: one that they are given before it
	// is done is for the next.
	refused map[reconcile.Request]bool
}

// line are those who wait for a worker of one server, the oldest first.
type line struct{ urgent, others linked.List }

// place is where in a line one stands.
type place struct {
	server string
	in     *linked.List
	at     *linked.Element
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

// Enter takes a worker for an object until Done, or has the object wait; urgent is one that somebody
// waits for. It reports whether the object was waiting already.
func (l *Lane) Enter(request reconcile.Request, server string, urgent bool) (waited bool, err error) {
	l.mu.Lock()
	_, waited = l.waiting[request]
	wake, entered := l.enter(request, server, urgent)
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
func (l *Lane) enter(request reconcile.Request, server string, urgent bool) (wake *reconcile.Request, entered bool) {
	if l.has == nil {
		l.lines, l.waiting = map[string]*line{}, map[reconcile.Request]*place{}
		l.has, l.taken, l.refused = map[reconcile.Request]string{}, map[string]int{}, map[reconcile.Request]bool{}
	}
	if had, ok := l.has[request]; ok {
		if had == server {
			return nil, true
		}
		wake = l.leave(request)
	}
	if l.limit > 0 && l.taken[server] >= l.limit {
		l.wait(request, server, urgent)
		return wake, false
	}
	l.forget(request)
	l.has[request] = server
	l.taken[server]++
	return wake, true
}

// wait puts an object at the end of a line, unless it stands there already.
func (l *Lane) wait(request reconcile.Request, server string, urgent bool) {
	if at := l.waiting[request]; at != nil {
		if at.server == server && (!urgent || at.in == &l.lines[server].urgent) {
			return
		}
		l.forget(request)
	}
	of := l.lines[server]
	if of == nil {
		of = &line{}
		l.lines[server] = of
	}
	in := &of.others
	if urgent {
		in = &of.urgent
	}
	l.waiting[request] = &place{server, in, in.PushBack(request)}
}

// forget takes an object off the line in which it waits.
func (l *Lane) forget(request reconcile.Request) {
	at := l.waiting[request]
	if at == nil {
		return
	}
	at.in.Remove(at.at)
	delete(l.waiting, request)
	if of := l.lines[at.server]; of.urgent.Len()+of.others.Len() == 0 {
		delete(l.lines, at.server)
	}
}

// leave gives a worker to the next that waits for it, and returns that one.
func (l *Lane) leave(request reconcile.Request) *reconcile.Request {
	server, ok := l.has[request]
	if !ok {
		return nil
	}
	delete(l.has, request)
	if of := l.lines[server]; of != nil {
		first := of.urgent.Front()
		if first == nil {
			first = of.others.Front()
		}
		next := first.Value.(reconcile.Request) // nothing else is stored
		l.forget(next)
		l.has[next] = server
		return &next
	}
	if l.taken[server]--; l.taken[server] == 0 {
		delete(l.taken, server)
	}
	return nil
}
