package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"

	"vpcmirror.io/operator/api/v1alpha1"
)

// journal takes the lines of a log from several goroutines.
type journal struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.Write(p)
}

func (j *journal) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for text := range strings.Lines(j.all.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func TestARunFromStartToEndLogsNoErrorAndNamesInEachLineAboutASessionWhatWasDoneThen(t *testing.T) {
	w, j := newWorld(t), &journal{}
	w.log = logr.FromSlogHandler(slog.NewJSONHandler(j, nil))
	h, end := w.run()
	w.until("the agent is ready", func() bool { return h.Ready(asked(t.Context())) == nil })
	w.filter("web")
	s := w.session("web", "web")
	w.untilReported(s, "there is a first entry", func(e v1alpha1.Verification) bool { return e.Message == "" })
	w.send(good(1)...)
	w.untilReported(s, "the packet is reported", func(e v1alpha1.Verification) bool { return e.Packets == 1 })
	if err := w.admin.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	w.until("it is counted no more", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.tracked) == 0
	})
	end()

	var about []string
	for _, l := range j.lines(t) {
		if l["level"] == "ERROR" {
			t.Errorf("it logs an error: %v", l)
		}
		if l["MirrorSession"] == nil {
			continue
		}
		about = append(about, fmt.Sprint(l["msg"]))
		if id, _ := l["reconcileID"].(string); id == "" {
			t.Errorf("a line about a session does not name what was done then: %v", l)
		}
	}
	if want := []string{"Counting a session", "No longer counting a session: it was deleted"}; fmt.Sprint(about) != fmt.Sprint(want) {
		t.Errorf("the lines about the session are %q, want %q", about, want)
	}
}
