// Package journal records what was asked of the simulated cloud, so that a test can say "the second reconcile wrote
// nothing". It never holds a secret: headers are not kept, and no call of this API carries a secret in its body.
//
// It may import nothing of ours.
package journal

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Entry is one request and its answer.
type Entry struct {
	// Sequence counts from 1 without gaps, in the order in which the answers were ready.
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Query    string    `json:"query,omitempty"`
	// Operation is the SDK's name of the call, such as CreateTrafficMirrorFilter; empty for unknown paths.
	Operation string `json:"operation,omitempty"`
	AccessKey string `json:"access_key,omitempty"`
	// Body is the request's, cut to MaxBody bytes.
	Body      string `json:"body,omitempty"`
	Status    int    `json:"status"` // 0: the connection was reset instead of an answer
	ErrorCode string `json:"error_code,omitempty"`
	RequestID string `json:"request_id"`
	// Fault is the ID of the fault that shaped the answer.
	Fault string `json:"fault,omitempty"`
	// Effect is set where the fault let the request take effect later than it was answered.
	Effect *Effect `json:"effect,omitempty"`
}

// Effect is what a request did later than it was answered.
type Effect struct {
	// Due is when it was to come.
	Due time.Time `json:"due"`
	// Came is when it did; nil before.
	Came *time.Time `json:"came,omitempty"`
	// Status and ErrorCode are what the request would have been answered then: an error means that it changed nothing.
	Status    int    `json:"status,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
}

// Write reports whether the request asked for a change.
func (e Entry) Write() bool { return e.Method != http.MethodGet && e.Method != http.MethodHead }

// MaxBody is how much of a request's body is kept, in bytes.
const MaxBody = 16 << 10

// DefaultCapacity is how many entries are kept; older ones are dropped.
const DefaultCapacity = 10000

// Journal keeps the last entries. The zero value is ready, and safe for concurrent use.
type Journal struct {
	mu      sync.Mutex
	last    uint64
	entries []Entry
	count   map[string]uint64 // of all entries ever, by operation
}

// Add records an entry, numbers it and returns the number.
func (j *Journal) Add(e Entry) uint64 {
	if len(e.Body) > MaxBody {
		e.Body = e.Body[:MaxBody]
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	e.Sequence = j.last
	if j.count == nil {
		j.count = map[string]uint64{}
	}
	j.count[e.Operation]++
	if len(j.entries) >= DefaultCapacity {
		j.entries = slices.Delete(j.entries, 0, DefaultCapacity/10)
	}
	j.entries = append(j.entries, e)
	return e.Sequence
}

// Took records the late effect of an entry that is still kept.
func (j *Journal) Took(sequence uint64, effect Effect) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.entries {
		if j.entries[i].Sequence == sequence {
			j.entries[i].Effect = &effect
		}
	}
}

// Last is the number of the latest entry: what Since takes to see only later ones.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Count returns how often each operation was asked for since the beginning, entries that are no longer kept included.
func (j *Journal) Count() map[string]uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.count)
}

// Since returns the entries after the given number, oldest first.
func (j *Journal) Since(sequence uint64) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Entry
	for _, e := range j.entries {
		if e.Sequence > sequence {
			out = append(out, e)
		}
	}
	return out
}

// Writes returns the entries after the given number that asked for a change, refused ones included.
func (j *Journal) Writes(since uint64) []Entry {
	return slices.DeleteFunc(j.Since(since), func(e Entry) bool { return !e.Write() })
}

// Clear forgets all entries; numbering goes on.
func (j *Journal) Clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = nil
}
