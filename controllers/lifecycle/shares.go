package lifecycle

import (
	"errors"
	"slices"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// serversAtOnce is how many servers can be slow until they hold up the objects of others.
const serversAtOnce = 16

// Lane is what the objects of one kind share: the queue of their controller, and its
// workers. The objects of one server get so many workers and no more, so that one that does
// not answer holds up nobody else's: those that find no worker free leave theirs at once,
// and come back one by one as others are done. The zero value is ready, without a limit.
type Lane struct {
	Queue

	mu    sync.Mutex
	limit int
	// waiting are those that found none, the oldest first; has are those that have one.
	waiting map[string][]reconcile.Request
	has     map[reconcile.Request]string
	taken   map[string]int
	// refused are those whose present reconcile found no worker: one that they are given before it
	// is done is for the next.
	refused map[reconcile.Request]bool
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

// Enter takes a worker for an object until Done, or has the object wait.
func (l *Lane) Enter(request reconcile.Request, server string) error {
	l.mu.Lock()
	wake, entered := l.enter(request, server)
	if entered {
		delete(l.refused, request)
	} else {
		l.refused[request] = true
	}
	l.mu.Unlock()
	l.wake(wake)
	if !entered {
		return errNoWorker
	}
	return nil
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
func (l *Lane) enter(request reconcile.Request, server string) (wake *reconcile.Request, entered bool) {
	if l.has == nil {
		l.waiting, l.has, l.taken = map[string][]reconcile.Request{}, map[reconcile.Request]string{}, map[string]int{}
		l.refused = map[reconcile.Request]bool{}
	}
	if had, ok := l.has[request]; ok {
		if had == server {
			return nil, true
		}
		wake = l.leave(request)
	}
	l.forget(request, server)
	if l.limit > 0 && l.taken[server] >= l.limit {
		if !slices.Contains(l.waiting[server], request) {
			l.waiting[server] = append(l.waiting[server], request)
		}
		return wake, false
	}
	l.forget(request, "")
	l.has[request] = server
	l.taken[server]++
	return wake, true
}

// forget takes an object off the lists on which it waits, except that of one server.
func (l *Lane) forget(request reconcile.Request, except string) {
	for server, all := range l.waiting {
		if server == except {
			continue
		}
		if l.waiting[server] = slices.DeleteFunc(all, func(r reconcile.Request) bool { return r == request }); len(l.waiting[server]) == 0 {
			delete(l.waiting, server)
		}
	}
}

// leave gives a worker to the next that waits for it, and returns that one.
func (l *Lane) leave(request reconcile.Request) *reconcile.Request {
	server, ok := l.has[request]
	if !ok {
		return nil
	}
	delete(l.has, request)
	if waiting := l.waiting[server]; len(waiting) > 0 {
		next := waiting[0]
		if l.waiting[server] = waiting[1:]; len(waiting) == 1 {
			delete(l.waiting, server)
		}
		l.has[next] = server
		return &next
	}
	if l.taken[server]--; l.taken[server] == 0 {
		delete(l.taken, server)
	}
	return nil
}
