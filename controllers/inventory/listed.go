package inventory

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// Listed is what one account has of a kind of object: what a list showed, and what this process has
// noted since. Objects are found by what they have, so that a look at one of them costs no walk over
// all. It is shared: nobody changes what it returns, and several goroutines may ask it.
type Listed[T any] struct {
	id   func(T) string
	keys func(T) []key

	mu    sync.Mutex
	items map[string]*T // by ID; an item is replaced and never changed
	by    map[key][]*T
	all   []T // the items by ID, made when it is asked for; nil once they changed
}

// key is what objects are found by: something that they have, and its value.
type key struct {
	has    property
	number int
	text   string
}

type property uint8

const (
	hasMark property = iota
	hasSource
	hasTarget
	hasPriority
	hasVNI
)

func newListed[T any](id func(T) string, keys func(T) []key, size int) *Listed[T] {
	return &Listed[T]{id: id, keys: keys, items: make(map[string]*T, size), by: make(map[key][]*T, 2*size)}
}

// All returns every object by its ID: the same slice until one changes.
func (l *Listed[T]) All() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all != nil {
		return l.all
	}
	l.all = make([]T, 0, len(l.items))
	for _, id := range slices.Sorted(maps.Keys(l.items)) {
		l.all = append(l.all, *l.items[id])
	}
	return l.all
}

// Len is how many objects there are.
func (l *Listed[T]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.items)
}

// ByID returns the object that has an ID.
func (l *Listed[T]) ByID(id string) (one T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := l.items[id]; found != nil {
		return *found, true
	}
	return one, false
}

// Shared returns the object that has an ID, nil for none. Nobody changes it: whoever keeps it holds
// that one object alone, once for all.
func (l *Listed[T]) Shared(id string) *T { return l.item(id) }

// Marked returns those whose descriptions end with the mark of the Kubernetes object with that UID,
// of whatever cluster and part, by their IDs.
func (l *Listed[T]) Marked(uid string) []T { return l.with(key{has: hasMark, text: uid}) }

// with returns those that have something, by their IDs.
func (l *Listed[T]) with(k key) []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.by[k]
	if len(found) == 0 {
		return nil
	}
	out := make([]T, 0, len(found))
	for _, one := range found {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b T) int { return strings.Compare(l.id(a), l.id(b)) })
	return out
}

// put adds an object, or replaces the one with its ID.
func (l *Listed[T]) put(item *T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeLocked(l.id(*item))
	l.items[l.id(*item)], l.all = item, nil
	for _, k := range l.keys(*item) {
		l.by[k] = append(l.by[k], item)
	}
}

func (l *Listed[T]) remove(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeLocked(id)
}

func (l *Listed[T]) removeLocked(id string) {
	was := l.items[id]
	if was == nil {
		return
	}
	delete(l.items, id)
	l.all = nil
	for _, k := range l.keys(*was) {
		if l.by[k] = slices.DeleteFunc(l.by[k], func(one *T) bool { return one == was }); len(l.by[k]) == 0 {
			delete(l.by, k)
		}
	}
}

// item is the object as it is kept, nil for none.
func (l *Listed[T]) item(id string) *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.items[id]
}

// each calls visit with every object, in no order.
func (l *Listed[T]) each(visit func(*T)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.items {
		visit(one)
	}
}

// Sessions are the sessions of an account. It answers what a choice of numbers asks, see
// plan.Sessions.
type Sessions struct{ *Listed[cloud.Session] }

// From returns the sessions that copy from an interface.
func (s Sessions) From(sourceID string) []cloud.Session {
	return s.with(key{has: hasSource, text: sourceID})
}

// To returns the sessions that copy to an interface, or to what else a target can be.
func (s Sessions) To(targetID string) []cloud.Session {
	return s.with(key{has: hasTarget, text: targetID})
}

// WithPriority returns the sessions that have a priority.
func (s Sessions) WithPriority(priority int) []cloud.Session {
	return s.with(key{has: hasPriority, number: priority})
}

// WithVNI returns the sessions that copy to an interface with a VNI.
func (s Sessions) WithVNI(targetID string, vni int) []cloud.Session {
	return s.with(key{has: hasVNI, text: targetID, number: vni})
}

func keysOfFilter(f cloud.Filter) []key { return keysOfMark(nil, f.Description) }

// keysOfSession has each key once.
func keysOfSession(s cloud.Session) []key {
	keys := make([]key, 0, len(s.Sources)+4)
	for _, id := range s.Sources {
		keys = append(keys, key{has: hasSource, text: id})
	}
	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.text, b.text) })
	keys = append(slices.Compact(keys), key{has: hasTarget, text: s.TargetID}, key{has: hasPriority, number: s.Priority}, key{has: hasVNI, text: s.TargetID, number: s.VNI})
	return keysOfMark(keys, s.Description)
}

func keysOfMark(keys []key, description string) []key {
	if mark, ok := plan.MarkOf(description); ok {
		keys = append(keys, key{has: hasMark, text: mark.UID})
	}
	return keys
}
