package scale

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// callTime is how long the cloud takes to answer.
const callTime = 20 * time.Millisecond

// cloudProcess is the simulated cloud, as a process.
type cloudProcess struct {
	url string
}

// stats is what it says of itself.
type stats struct {
	Filters    int    `json:"filters"`
	Rules      int    `json:"rules"`
	Sessions   int    `json:"sessions"`
	Ports      int    `json:"ports"`
	Requests   uint64 `json:"requests"`
	Operations calls  `json:"operations"`
}

// calls counts requests by operation.
type calls map[string]uint64

// since is what was asked for after before.
func (c calls) since(before calls) calls {
	out := calls{}
	for operation, n := range c {
		if n > before[operation] {
			out[operation] = n - before[operation]
		}
	}
	return out
}

func (c calls) sum() (all int) {
	for _, n := range c {
		all += int(n)
	}
	return all
}

// only is the part with operations that begin so.
func (c calls) only(prefixes ...string) calls {
	out := calls{}
	for operation, n := range c {
		for _, prefix := range prefixes {
			if strings.HasPrefix(operation, prefix) {
				out[operation] = n
			}
		}
	}
	return out
}

// write is an entry of its journal.
type write struct {
	Time      time.Time `json:"time"` // when it was answered
	Operation string    `json:"operation"`
	Body      string    `json:"body"`
}

// writes are those after an entry.
func (c *cloudProcess) writes(ctx context.Context, since uint64) ([]write, error) {
	var answer struct {
		Entries []write `json:"entries"`
	}
	err := c.control(ctx, http.MethodGet, fmt.Sprintf("journal?writes=true&since=%d", since), "", &answer)
	return answer.Entries, err
}

func (c *cloudProcess) stats(ctx context.Context) (stats, error) {
	var s stats
	err := c.control(ctx, http.MethodGet, "stats", "", &s)
	return s, err
}

// slow has each answer take its time.
func (c *cloudProcess) slow(ctx context.Context) error {
	return c.control(ctx, http.MethodPost, "faults", fmt.Sprintf(`{"kind":"slow","delay":"%s"}`, callTime), nil)
}

func (c *cloudProcess) control(ctx context.Context, method, path, body string, out any) error {
	content, err := ask(ctx, method, c.url+"/_sim/"+path, body)
	if err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("read what the simulated cloud says of its %s: %w", path, err)
	}
	return nil
}

// ask sends a request and returns the answer's body.
func ask(ctx context.Context, method, url, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask a program of the benchmark: %w", err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: %s: %s", method, url, answer.Status, bytes.TrimSpace(content))
	}
	return content, nil
}
