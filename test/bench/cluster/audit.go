package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// policy has the API server log what a user asks of it, when it is answered.
const policy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - {level: Metadata, users: [%s]}
  - {level: None}
`

// Audit is the API server's log of what one user asked for.
type Audit struct {
	path string
	at   int64 // what was read so far
}

// Requests counts requests by verb and resource.
type Requests map[string]int

// Next returns what was asked for since the last call, leases and watches apart.
func (a *Audit) Next() (Requests, error) {
	file, err := os.Open(a.path)
	if errors.Is(err, os.ErrNotExist) {
		return Requests{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(a.at, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	found := Requests{}
	for lines := bufio.NewReaderSize(file, 1<<20); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return found, nil // the rest of a line that is being written is read at the next call
		}
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		a.at += int64(len(line))
		if err := found.add(line); err != nil {
			return nil, err
		}
	}
}

func (r Requests) add(line []byte) error {
	var e struct {
		Verb      string `json:"verb"`
		URI       string `json:"requestURI"`
		ObjectRef struct {
			Resource    string `json:"resource"`
			Subresource string `json:"subresource"`
		} `json:"objectRef"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("a line of the audit log is no event: %w", err)
	}
	what := e.ObjectRef.Resource
	switch {
	case what == "leases" || e.Verb == "watch":
		return nil
	case what == "":
		what, _, _ = strings.Cut(e.URI, "?")
	case e.ObjectRef.Subresource != "":
		what += "/" + e.ObjectRef.Subresource
	}
	r[e.Verb+" "+what]++
	return nil
}

// Split counts those that read and those that write.
func (r Requests) Split() (reads, writes int) {
	for what, n := range r {
		switch verb, _, _ := strings.Cut(what, " "); verb {
		case "get", "list":
			reads += n
		default:
			writes += n
		}
	}
	return reads, writes
}

// Describe names counts, the largest first.
func Describe[N int | uint64](counts map[string]N) string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return int(counts[b]) - int(counts[a]) })
	var parts []string
	for _, k := range keys {
		if counts[k] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[k], k))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
