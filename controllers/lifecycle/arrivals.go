package lifecycle

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// arrivals are when what each object asks for came to this process, and when it was last tried. An
// answer of the cloud that began after that serves it, however much later its turn comes: so one
// list serves all objects that came before it.
type arrivals struct {
	mu   sync.Mutex
	byID *lru.Cache // an arrival by UID
}

// arrival is what an object asks for, and when that came.
type arrival struct {
	name       types.NamespacedName
	generation int64
	request    string
	came       time.Time
	// awaited is true while somebody waits for what the object asks for: it was asked of this process,
	// and has neither been done, nor is it known that more than time has to pass before it can be.
	awaited bool
	// tried is when a look at the object ended last that could not bring it in line, and that other
	// answers may help, zero for never.
	tried time.Time
	// gone is true once the object's end was seen. A UID never comes again, but whoever read the object
	// before that may note it afterwards.
	gone bool
}

// newArrivals remember those of both kinds. An object that is forgotten counts as having come when
// it is looked at next, which costs a call.
func newArrivals() *arrivals { return &arrivals{byID: lru.New(2 * remembered)} }

// note takes in what an object asks for at the time now, unless that came before.
func (a *arrivals) note(o client.Object, now time.Time) arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.of(o.GetUID())
	if was.gone {
		return arrival{generation: o.GetGeneration(), came: now}
	}
	request := o.GetAnnotations()[v1alpha1.ReconcileRequestedAnnotation]
	if o.GetGeneration() < was.generation || o.GetGeneration() == was.generation && request == was.request {
		return was // or an event of before what was read
	}
	is := arrival{name: client.ObjectKeyFromObject(o), generation: o.GetGeneration(), request: request, came: now, tried: was.tried}
	if object, ok := o.(status.Object); ok {
		is.awaited = object.Common().ObservedGeneration != o.GetGeneration() || ReconcileRequested(object)
	}
	a.byID.Add(o.GetUID(), is)
	return is
}

// end notes how a look at an object has ended, of which is was known when it began: whether other answers
// than those of before may bring it in line, and whether somebody still waits for it. What waits for
// something that is watched, or for its turn, needs no other answers.
func (a *arrivals) end(uid types.UID, is arrival, err error, now time.Time) {
	p := Diagnose(err)
	if err != nil && p == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.of(uid)
	if known.generation == is.generation && known.request == is.request {
		known.awaited = known.awaited && err != nil && !p.Stalled && p.Within == 0
	}
	if err != nil && !queued(err) && (p.Stalled || p.Retry || p.After != 0 || p.Within != 0) {
		known.tried = now
	}
	if known != (arrival{}) {
		a.byID.Add(uid, known)
	}
}

// awaits reports whether somebody waits for what an object asks for.
func (a *arrivals) awaits(uid types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of(uid).awaited
}

// Named returns what an object is called of which only the UID is known, and whether this process knows
// it. The cache may be behind, and very many objects may be more than are remembered.
func (s *Services) Named(uid types.UID) (types.NamespacedName, bool) {
	s.arrivals.mu.Lock()
	defer s.arrivals.mu.Unlock()
	name := s.arrivals.of(uid).name
	return name, name != types.NamespacedName{}
}

// of is what is known of an object. The caller holds the mutex.
func (a *arrivals) of(uid types.UID) arrival {
	found, _ := a.byID.Get(uid)
	is, _ := found.(arrival)
	return is
}

func (a *arrivals) forget(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.byID.Add(uid, arrival{gone: true})
}

// Arrivals passes every event of an object, and notes when what the object asks for came.
func (s *Services) Arrivals() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool {
			s.arrivals.note(e.Object, s.Clock())
			return true
		},
		UpdateFunc: func(e event.UpdateEvent) bool {
			if was := e.ObjectOld.GetUID(); was != e.ObjectNew.GetUID() {
				s.arrivals.forget(was) // it was deleted and made anew while nobody watched
			}
			s.arrivals.note(e.ObjectNew, s.Clock())
			return true
		},
		DeleteFunc: func(e event.DeleteEvent) bool {
			s.arrivals.forget(e.Object.GetUID())
			return true
		},
	}
}

// retryAge is how old an answer may be at most that serves an object which was tried before and
// is not in line.
const retryAge = 30 * time.Second

// freshSince is when the answers must have begun that serve an object which is not in line: after
// what it asks for came, and after it was last tried, because the same answers would end the same.
func freshSince(is arrival, now time.Time, resync time.Duration) time.Time {
	since := later(is.came, now.Add(-resync))
	if is.tried.IsZero() {
		return since
	}
	return later(since, later(is.tried, now.Add(-retryAge)))
}
