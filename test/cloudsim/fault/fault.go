// Package fault makes the simulated cloud misbehave in ways that real clouds do, on demand.
//
// It may import nothing of ours.
package fault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Kind is what goes wrong.
type Kind string

// The kinds of faults.
const (
	// Error answers with Status, Code and Message in the gateway's JSON.
	Error Kind = "error"
	// HTML answers with an HTML page, as a proxy in front of the API would; Status is 502 unless set.
	HTML Kind = "html"
	// Empty answers with Status (200 unless set) and no body.
	Empty Kind = "empty"
	// Slow lets the request take effect and holds the answer back for Delay.
	Slow Kind = "slow"
	// Reset closes the connection with a TCP reset instead of answering.
	Reset Kind = "reset"
	// Stale answers reads with the state of For ago.
	Stale Kind = "stale"
	// Accepted answers a write as if it had taken effect, which it does after EffectIn.
	Accepted Kind = "accepted"
)

// Fault is one thing that goes wrong, for the requests that it matches.
type Fault struct {
	// ID is given by Set.Add.
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`

	// Method matches one HTTP method; empty matches all.
	Method string `json:"method,omitempty"`
	// Path matches the URL's path, in the manner of path.Match (a * does not cross a slash); empty matches all.
	Path string `json:"path,omitempty"`
	// Operation matches the SDK's name of the call, in the manner of path.Match, such as Create*; empty matches all.
	Operation string `json:"operation,omitempty"`
	// AccessKey matches one key; empty matches all.
	AccessKey string `json:"access_key,omitempty"`

	// Skip lets so many matching requests through first.
	Skip int `json:"skip,omitempty"`
	// Times is how often the fault strikes; 0 means until it is removed.
	Times int `json:"times,omitempty"`
	// AfterEffect lets the request take effect before the fault hides its answer.
	AfterEffect bool `json:"after_effect,omitempty"`
	// EffectIn lets a write take effect so long after it arrived, whatever its answer says; such a fault strikes writes alone.
	EffectIn Duration `json:"effect_in,omitempty"`

	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// RetryAfter is sent as the header of that name, in seconds or as a date.
	RetryAfter string `json:"retry_after,omitempty"`

	Delay Duration `json:"delay,omitempty"`
	For   Duration `json:"for,omitempty"`

	// Struck counts how often it struck.
	Struck int `json:"struck"`
}

// Duration is a time.Duration that is written like "1.5s" in JSON.
type Duration time.Duration

// MarshalJSON writes the duration as text.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads text such as "1.5s", or a number of seconds.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		seconds, err := strconv.ParseFloat(string(data), 64)
		if err != nil {
			return fmt.Errorf("duration %s is neither text like \"1.5s\" nor a number of seconds", data)
		}
		*d = Duration(seconds * float64(time.Second))
		return nil
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("duration %q is not of the form 1.5s", text)
	}
	*d = Duration(parsed)
	return nil
}

// Throttle answers times requests with 429 as the gateway does. retryAfter may be empty, as it is in the real cloud.
func Throttle(times int, retryAfter string) Fault {
	return Fault{
		Kind: Error, Times: times, Status: http.StatusTooManyRequests, Code: "APIGW.0308", RetryAfter: retryAfter,
		Message: "The throttling threshold has been reached: policy user over ratelimit,limit:5,time:1 minute",
	}
}

// NotPublished answers as a region does that lacks the calls of that name, such as ListPorts.
func NotPublished(operation string) Fault {
	return Fault{
		Kind: Error, Operation: operation, Status: http.StatusNotFound, Code: "APIGW.0101",
		Message: "The API does not exist or has not been published in the environment",
	}
}

// Unavailable answers times requests with a 5xx status of the gateway.
func Unavailable(times, status int) Fault {
	return Fault{Kind: Error, Times: times, Status: status, Code: "APIGW.0201", Message: "Backend unavailable"}
}

// Forbidden answers as the policy engine does when an action is not granted.
func Forbidden(operation string) Fault {
	return Fault{Kind: Error, Operation: operation, Status: http.StatusForbidden, Code: "VPC.0010", Message: "Policy doesn't allow the action to be performed."}
}

// ResetAfterEffect closes the connection of times requests of the operation, once they took effect.
func ResetAfterEffect(operation string, times int) Fault {
	return Fault{Kind: Reset, Operation: operation, Times: times, AfterEffect: true}
}

// Late lets times writes of the operation take effect so long after they arrived, with the answer of another kind of fault.
func Late(kind Kind, operation string, times int, in time.Duration) Fault {
	return Fault{Kind: kind, Operation: operation, Times: times, EffectIn: Duration(in)}
}

// Validate says what is wrong with a fault, naming the field.
func (f Fault) Validate() error {
	switch f.Kind {
	case Error:
		if f.Status < 400 || f.Status > 599 {
			return fmt.Errorf("status: %d is not an error, give one of 400-599", f.Status)
		}
	case HTML, Empty, Reset:
	case Slow:
		if f.Delay <= 0 {
			return fmt.Errorf("delay: a fault of kind slow needs one, such as \"5s\"")
		}
	case Stale:
		if f.For <= 0 {
			return fmt.Errorf("for: a fault of kind stale needs one, such as \"30s\"")
		}
	case Accepted:
		if f.EffectIn <= 0 {
			return fmt.Errorf("effect_in: a fault of kind accepted needs one, such as \"6s\"")
		}
	default:
		return fmt.Errorf("kind: %q is none of error, html, empty, slow, reset, stale, accepted", f.Kind)
	}
	if err := f.validateEffect(); err != nil {
		return err
	}
	return f.validateMatch()
}

// validateEffect checks when a write takes effect.
func (f Fault) validateEffect() error {
	switch {
	case f.EffectIn < 0:
		return fmt.Errorf("effect_in: %s is negative", time.Duration(f.EffectIn))
	case f.EffectIn > 0 && f.AfterEffect:
		return fmt.Errorf("effect_in and after_effect exclude each other: an effect comes before the answer or later")
	case f.EffectIn > 0 && f.Kind == Stale:
		return fmt.Errorf("effect_in: a fault of kind stale is about reads, and only writes have an effect")
	}
	return nil
}

// validateMatch checks the fields that all kinds have.
func (f Fault) validateMatch() error {
	if f.Status != 0 && (f.Status < 100 || f.Status > 599) {
		return fmt.Errorf("status: %d is not an HTTP status", f.Status)
	}
	for field, pattern := range map[string]string{"path": f.Path, "operation": f.Operation} {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("%s: the pattern %q is malformed: %w", field, pattern, err)
		}
	}
	if f.Skip < 0 || f.Times < 0 {
		return fmt.Errorf("skip and times must not be negative")
	}
	return nil
}

// Request is what faults are matched against.
type Request struct{ Method, Path, Operation, AccessKey string }

func (f *Fault) matches(r Request) bool {
	return (f.Method == "" || f.Method == r.Method) &&
		(f.AccessKey == "" || f.AccessKey == r.AccessKey) &&
		matchPattern(f.Path, r.Path) && matchPattern(f.Operation, r.Operation) &&
		(f.Kind != Stale || r.Method == http.MethodGet) &&
		(f.EffectIn == 0 || r.Method != http.MethodGet)
}

func matchPattern(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}

// Set holds the faults that are switched on. The zero value is ready, and safe for concurrent use.
type Set struct {
	mu      sync.Mutex
	created int
	faults  []*Fault
	watch   func(staleness time.Duration)
}

// Watch calls f now and after each change with the longest staleness asked for.
func (s *Set) Watch(f func(staleness time.Duration)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = f
	s.notify()
}

func (s *Set) notify() {
	if s.watch == nil {
		return
	}
	var longest time.Duration
	for _, f := range s.faults {
		if f.Kind == Stale {
			longest = max(longest, time.Duration(f.For))
		}
	}
	s.watch(longest)
}

// Add switches a fault on and returns its ID. The faults that were added first are tried first.
func (s *Set) Add(f Fault) (string, error) {
	if err := f.Validate(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created++
	f.ID, f.Struck = "fault-"+strconv.Itoa(s.created), 0
	s.faults = append(s.faults, &f)
	s.notify()
	return f.ID, nil
}

// Remove switches one off and reports whether it was on.
func (s *Set) Remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return f.ID == id })
	s.notify()
	return len(s.faults) < before
}

// Clear switches all off.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	s.notify()
}

// List returns the faults that are on.
func (s *Set) List() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Fault, 0, len(s.faults))
	for _, f := range s.faults {
		out = append(out, *f)
	}
	return out
}

// Strike returns the first fault that hits the request, and counts it. A fault that has struck Times often is spent.
func (s *Set) Strike(r Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if !f.matches(r) || f.Times > 0 && f.Struck >= f.Times {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		f.Struck++
		return *f, true
	}
	return Fault{}, false
}
