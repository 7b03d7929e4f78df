package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writeSource makes a folder with one file.
func writeSource(t *testing.T, name, content string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestAMetricIsReadHoweverItIsDeclared(t *testing.T) {
	t.Parallel()
	const source = `package p

var (
	of = []string{"namespace", "session"}
	a  = family("vpcmirror_a", "What a is.", of, "type")
	b  = prometheus.NewDesc("vpcmirror_b_total", "What "+
		"b is.", []string{"account"}, nil)
	c = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "vpcmirror_c_seconds", Help: "What c is."}, []string{"op"})
	d = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "vpcmirror_d", Help: "What d is.", ConstLabels: prometheus.Labels{"version": v}}, one)
	e = forget("vpcmirror", "no metric")
)
`
	folder := writeSource(t, "p.go", source)
	got, err := readMetrics(folder)
	if err != nil {
		t.Fatal(err)
	}
	want := []metric{
		{name: "vpcmirror_a", kind: "gauge", help: "What a is.", labels: []string{"namespace", "session", "type"}, folder: folder},
		{name: "vpcmirror_b_total", kind: "counter", help: "What b is.", labels: []string{"account"}, folder: folder},
		{name: "vpcmirror_c_seconds", kind: "histogram", help: "What c is.", labels: []string{"op"}, folder: folder},
		{name: "vpcmirror_d", kind: "gauge", help: "What d is.", labels: []string{"version"}, folder: folder},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(metric{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestALabelThatNothingBoundsIsRefused(t *testing.T) {
	t.Parallel()
	folder := writeSource(t, "p.go", "package p\n\nvar a = family(\"vpcmirror_a\", \"What a is.\", \"payload\")\n")
	_, err := readMetrics(folder)
	const want = "vpcmirror_a has the label payload: say in metricLabels of hack/reference what it means and what bounds its values"
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %q", err, want)
	}
}

func TestTheMeaningOfAnAlertIsTheFirstSentenceOfItsRunbook(t *testing.T) {
	t.Parallel()
	folder := writeSource(t, "A.md", "# A\n\nIt is\nbad. It is worse.\n\n## Look\n")
	got, err := firstSentence(filepath.Join(folder, "A.md"), "A")
	if got != "It is bad." || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := firstSentence(filepath.Join(folder, "B.md"), "B"); err == nil {
		t.Error("a runbook that is not there has a meaning")
	}
	if _, err := firstSentence(filepath.Join(folder, "A.md"), "B"); err == nil {
		t.Error("a runbook of another alert has a meaning for this one")
	}
}
