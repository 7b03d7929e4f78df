package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// report becomes the table at the end of `make e2e`.
type report struct {
	path  string
	rows  []row
	began time.Time
}

type row struct {
	sentence string
	outcome  string
	took     time.Duration
	checked  []string
}

// newReport writes bin/e2e/report.txt when the test ends, also when it fails.
func newReport(t *testing.T) *report {
	t.Helper()
	folder := filepath.Join(root, "bin/e2e")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &report{path: filepath.Join(folder, "report.txt"), began: time.Now()}
	t.Cleanup(func() {
		text := r.String()
		t.Log("\n" + text)
		if err := os.WriteFile(r.path, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	})
	return r
}

// String is the table: scenario, what was checked, seconds.
func (r *report) String() string {
	var b strings.Builder
	for _, row := range r.rows {
		fmt.Fprintf(&b, "%-4s %6.1f s  %s\n", row.outcome, row.took.Seconds(), row.sentence)
		for _, line := range row.checked {
			fmt.Fprintf(&b, "                 %s\n", line)
		}
	}
	fmt.Fprintf(&b, "%d scenarios in %s, the cluster's start included\n", len(r.rows), time.Since(r.began).Round(time.Second))
	return b.String()
}

func (w *world) begin(t *testing.T, sentence string) {
	t.Helper()
	w.report.rows = append(w.report.rows, row{sentence: sentence})
	began := time.Now()
	t.Cleanup(func() { w.end(t, time.Since(began)) }) // the last of the test's: its own cleaning up counts
}

// checked notes a fact that was seen, for the table.
func (w *world) checked(t *testing.T, format string, args ...any) {
	t.Helper()
	last := &w.report.rows[len(w.report.rows)-1]
	last.checked = append(last.checked, fmt.Sprintf(format, args...))
	t.Logf(format, args...)
}

func (w *world) end(t *testing.T, took time.Duration) {
	t.Helper()
	last := &w.report.rows[len(w.report.rows)-1]
	last.took = took
	switch {
	case t.Skipped():
		last.outcome = "skip"
	case t.Failed():
		last.outcome = "FAIL"
	default:
		last.outcome = "ok"
	}
}

// explainFailure shows what one would look at first, while it is still there.
func (w *world) explainFailure(t *testing.T) {
	t.Helper()
	if !t.Failed() {
		return
	}
	for _, args := range [][]string{
		{"get", "pods", "-n", system, "-o", "wide"},
		{"get", "mirf,mirs", "-A", "-o", "wide"},
		{"get", "mirs", "-A", "-o", "yaml"},
		{"logs", "-n", system, "-l", "app.kubernetes.io/component=manager", "--prefix", "--tail=30"},
		{"logs", "-n", system, "-l", "app.kubernetes.io/component=verifier", "--prefix", "--tail=15"},
	} {
		said, err := w.tryKubectl(t, 10*time.Second, args...)
		t.Logf("$ kubectl %s\n%s", strings.Join(args, " "), said)
		if err != nil {
			t.Log(err)
		}
	}
}
