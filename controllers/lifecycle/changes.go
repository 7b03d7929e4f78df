package lifecycle

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"vpcmirror.io/operator/api/v1alpha1"
)

// FilterChanges are what this process saw change of each filter, for the sessions that use it. The
// zero value is ready.
type FilterChanges struct {
	mu      sync.Mutex
	filters *lru.Cache // []filterChange by UID, none of which is changed
	last    int64
}

// filterChange has a number that grows from one to the next.
type filterChange struct {
	number int64
	v1alpha1.Change
}

// maxFilterChanges is how many are kept of a filter: more than a session's status shows.
const maxFilterChanges = 10

// Add notes changes of a filter, before the status is stored that wakes the sessions.
func (f *FilterChanges) Add(uid types.UID, changes []v1alpha1.Change) {
	if len(changes) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(f.of(uid))
	for _, c := range changes {
		f.last++
		all = append(all, filterChange{f.last, c})
	}
	f.filters.Add(uid, all[max(len(all)-maxFilterChanges, 0):])
}

// Since returns those of a filter after the number, and the number up to which that is.
func (f *FilterChanges) Since(uid types.UID, number int64) (changes []v1alpha1.Change, upTo int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.of(uid) {
		if c.number > number {
			changes = append(changes, c.Change)
		}
	}
	return changes, f.last
}

// of is for who holds the mutex.
func (f *FilterChanges) of(uid types.UID) []filterChange {
	if f.filters == nil {
		f.filters = lru.New(remembered)
	}
	found, _ := f.filters.Get(uid)
	changes, _ := found.([]filterChange)
	return changes
}
