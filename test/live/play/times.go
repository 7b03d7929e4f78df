package play

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Times are how long calls took, by what they do, and how long changes took to be seen. They are told and decide nothing.
type Times struct {
	calls  map[string][]time.Duration
	waited map[string][]Wait
}

// Wait is how long it took until a read showed a change.
type Wait struct {
	Step  string        `json:"step"`
	After time.Duration `json:"after_ns"`
	Looks string        `json:"looks"`
}

// Took adds a call.
func (t *Times) Took(method, path string, d time.Duration) {
	if t.calls == nil {
		t.calls = map[string][]time.Duration{}
	}
	name := callName(method, path)
	t.calls[name] = append(t.calls[name], d)
}

// Waited adds a wait.
func (t *Times) Waited(step string, d time.Duration, looks string) {
	if t.waited == nil {
		t.waited = map[string][]Wait{}
	}
	t.waited[step] = append(t.waited[step], Wait{step, d, looks})
}

// Latency sums up the calls of one name.
type Latency struct {
	Call   string        `json:"call"`
	Count  int           `json:"count"`
	Median time.Duration `json:"median_ns"`
	P95    time.Duration `json:"p95_ns"`
	Max    time.Duration `json:"max_ns"`
}

// Latencies sums up all calls, by name.
func (t *Times) Latencies() []Latency {
	var out []Latency
	for _, name := range slices.Sorted(maps.Keys(t.calls)) {
		all := slices.Sorted(slices.Values(t.calls[name]))
		at := func(percent int) time.Duration { return all[(len(all)-1)*percent/100] }
		out = append(out, Latency{Call: name, Count: len(all), Median: at(50), P95: at(95), Max: at(100)})
	}
	return out
}

// Waits lists the longest wait of each step.
func (t *Times) Waits() []Wait {
	var out []Wait
	for _, name := range slices.Sorted(maps.Keys(t.waited)) {
		out = append(out, slices.MaxFunc(t.waited[name], func(a, b Wait) int { return cmp.Compare(a.After, b.After) }))
	}
	return out
}

// callName names a call by what it does and to which kind.
func callName(method, path string) string {
	kind := string(kindOf(path))
	if kind == "" {
		parts := strings.Split(strings.Trim(path, "/"), "/")
		kind = parts[len(parts)-1]
		if strings.ContainsAny(kind, "0123456789") && len(parts) > 1 {
			kind = parts[len(parts)-2] + "/ID"
		}
		return method + " " + kind
	}
	switch {
	case strings.HasSuffix(path, "-sources"):
		return method + " " + kind + path[strings.LastIndex(path, "/"):]
	case method == http.MethodGet && !strings.HasSuffix(path, kind):
		return method + " " + kind + "/ID"
	}
	return method + " " + kind
}
