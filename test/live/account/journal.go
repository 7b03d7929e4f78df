package account

import (
	"encoding/json"
	"io"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"vpcmirror.io/operator/test/live/compare"
)

// Journal writes one line of JSON for each request: when, which call, status, code, message and time. Bodies and headers
// are never in it, and secrets are blotted out of all that is.
type Journal struct {
	// Out gets the lines.
	Out io.Writer
	// Side is the name of the account in each line.
	Side string

	mu sync.Mutex
}

// entry is one line.
type entry struct {
	Time         time.Time `json:"time"`
	Side         string    `json:"side"`
	Case         string    `json:"case,omitempty"`
	Step         string    `json:"step,omitempty"`
	Method       string    `json:"method"`
	Path         string    `json:"path"`
	Query        string    `json:"query,omitempty"`
	Status       int       `json:"status"`
	Code         string    `json:"code,omitempty"`
	Message      string    `json:"message,omitempty"`
	RequestID    string    `json:"request_id,omitempty"`
	Milliseconds float64   `json:"milliseconds"`
	Error        string    `json:"error,omitempty"`
}

func (j *Journal) add(scrub Scrubber, r Request, a Answer) {
	if j == nil || j.Out == nil {
		return
	}
	line := entry{
		Time: time.Now().UTC(), Side: j.Side, Case: r.Case, Step: r.Step, Method: r.Method, Path: scrub.Text(r.Path),
		Query: scrub.Text(r.Query.Encode()), Status: a.Status, Milliseconds: float64(a.Took.Microseconds()) / 1000,
	}
	if a.Header != nil {
		line.RequestID = a.Header.Get("X-Request-Id")
	}
	if a.Status >= 400 {
		code, message := compare.ErrorOf(a.Body)
		line.Code, line.Message = scrub.Text(code), scrub.Text(message)
	}
	if a.Err != nil {
		line.Error = scrub.Text(a.Err.Error())
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	data, err := json.Marshal(line)
	if err != nil {
		return // it holds nothing that can't be encoded
	}
	_, _ = j.Out.Write(append(data, '\n')) // a journal that can't be written must not stop the cleaning up
}

// Scrubber blots texts out.
type Scrubber struct{ secrets []string }

// NewScrubber blots out these texts, and every signature. Those of less than four characters would blot out half of
// everything, and are passed over.
func NewScrubber(secrets ...string) Scrubber {
	var s Scrubber
	for _, secret := range secrets {
		if len(secret) >= 4 {
			s.secrets = append(s.secrets, secret)
		}
	}
	sort.Slice(s.secrets, func(i, j int) bool { return len(s.secrets[i]) > len(s.secrets[j]) })
	return s
}

var signatures = regexp.MustCompile(`(?i)(signature=)[0-9a-f]+`)

// Text returns the text without what must not be seen.
func (s Scrubber) Text(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return signatures.ReplaceAllString(text, "${1}***")
}
