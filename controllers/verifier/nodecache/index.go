package nodecache

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Index has all sessions and filters that were put into it. Make it with [NewIndex]. All methods
// may be called from any goroutine.
type Index struct {
	keep func(any) (any, error)

	mu       sync.Mutex
	sessions map[types.NamespacedName]*Session
	filters  map[types.NamespacedName]*Filter
	at       map[string][]*Session // by place
	entered  map[*Session]struct{} // those that have an entry of this node, or a probe that it sends packets of

	// What concerns the node: what arrives at its places, what has its entry, what is followed, and
	// the filters that were asked for since the last Concerning.
	here     map[string]struct{}
	followed map[types.NamespacedName]struct{}
	asked    map[types.NamespacedName]struct{}
}

// NewIndex returns the empty index of a node.
func NewIndex(node string) *Index {
	return &Index{
		keep:     Keep(node),
		sessions: make(map[types.NamespacedName]*Session),
		filters:  make(map[types.NamespacedName]*Filter),
		at:       make(map[string][]*Session),
		entered:  make(map[*Session]struct{}),
		asked:    make(map[types.NamespacedName]struct{}),
	}
}

// Put stores an object in place of the one with its name, whether Keep was applied to it or not, and
// reports whether that changes anything by which this node counts.
func (x *Index) Put(object any) (matters bool, err error) {
	kept, err := x.keep(object)
	if err != nil {
		return false, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch o := kept.(type) {
	case *Session:
		was := x.sessions[o.key]
		matters = x.differs(was, o) && (x.concerns(was) || x.concerns(o))
		x.remove(was)
		x.add(o)
	case *Filter:
		was := x.filters[o.key]
		if was != nil && was.uid == o.uid && was.content == o.content {
			o.object = was.object
		} else {
			_, matters = x.asked[o.key]
		}
		x.filters[o.key] = o
	default:
		return false, unknownKind(object)
	}
	return matters, nil
}

// Delete removes an object, and reports whether that changes anything by which this node counts.
func (x *Index) Delete(object any) (matters bool, err error) {
	if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	kept, err := x.keep(object)
	if err != nil {
		return false, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch o := kept.(type) {
	case *Session:
		was := x.sessions[o.key]
		matters = x.concerns(was)
		x.remove(was)
	case *Filter:
		_, matters = x.asked[o.key]
		delete(x.filters, o.key)
	default:
		return false, unknownKind(object)
	}
	return matters, nil
}

// errKind is an object that an index can't hold.
var errKind = errors.New("neither a session nor a filter")

func unknownKind(object any) error { return fmt.Errorf("index a %T: %w", object, errKind) }

// differs reports whether more has changed than what comes again and again: entries, and what the
// manager says of them and of the cloud. The node's own entry that is gone is written again.
func (x *Index) differs(was, is *Session) bool {
	return was == nil || was.uid != is.uid || was.counted != is.counted || (was.own != nil && is.own == nil)
}

func (x *Index) concerns(s *Session) bool {
	if s == nil {
		return false
	}
	if _, followed := x.followed[s.key]; followed || s.own != nil || s.sends {
		return true
	}
	return slices.ContainsFunc(s.places, func(place string) bool { _, here := x.here[place]; return here })
}

func (x *Index) add(s *Session) {
	x.sessions[s.key] = s
	for _, place := range s.places {
		x.at[place] = append(x.at[place], s)
	}
	if s.own != nil || s.sends {
		x.entered[s] = struct{}{}
	}
}

func (x *Index) remove(s *Session) {
	if s == nil {
		return
	}
	delete(x.sessions, s.key)
	delete(x.entered, s)
	for _, place := range s.places {
		rest := slices.DeleteFunc(x.at[place], func(other *Session) bool { return other == s })
		if x.at[place] = rest; len(rest) == 0 {
			delete(x.at, place)
		}
	}
}

// Concerning returns the sessions whose target may be at one of these places, by the keys of
// [Places], those that have an entry of this node, or a probe for which it is to send, and those that are followed, whatever became of
// them. Until the next call what Put and Delete report is about these places and sessions, and about
// the filters that are asked for from now on. The objects belong to the index: nobody may change them.
func (x *Index) Concerning(here map[string]struct{}, followed []types.NamespacedName) ([]*v1alpha1.MirrorSession, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.here, x.followed = here, make(map[types.NamespacedName]struct{}, len(followed))
	clear(x.asked)
	found := maps.Clone(x.entered)
	for place := range here {
		for _, s := range x.at[place] {
			found[s] = struct{}{}
		}
	}
	for _, key := range followed {
		x.followed[key] = struct{}{}
		if s := x.sessions[key]; s != nil {
			found[s] = struct{}{}
		}
	}
	out := make([]*v1alpha1.MirrorSession, 0, len(found))
	for s := range found {
		object, err := s.made()
		if err != nil {
			return nil, err
		}
		out = append(out, object)
	}
	return out, nil
}

// Filter returns a filter, nil where there is none. The object belongs to the index, and is the
// same one as long as nothing has changed by which packets are judged.
func (x *Index) Filter(key types.NamespacedName) (*v1alpha1.MirrorFilter, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked[key] = struct{}{}
	f := x.filters[key]
	if f == nil {
		return nil, nil
	}
	return f.made()
}

// Has reports whether there is a session with this name and UID.
func (x *Index) Has(key types.NamespacedName, uid types.UID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.sessions[key]
	return s != nil && s.uid == uid
}

// Sessions is how many sessions there are.
func (x *Index) Sessions() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.sessions)
}
