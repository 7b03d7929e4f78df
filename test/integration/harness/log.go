package harness

import (
	"encoding/json"
	"strings"
	"testing"
)

// Line is one line of a log, by its keys.
type Line map[string]any

// Lines are the lines of the log so far.
func (b *text) Lines(t testing.TB) []Line {
	t.Helper()
	var all []Line
	for text := range strings.Lines(b.String()) {
		var l Line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("a line of the log is no JSON: %s", text)
		}
		all = append(all, l)
	}
	return all
}
