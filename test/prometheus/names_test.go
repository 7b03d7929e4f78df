package prometheus_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/test/prometheus"
)

func metrics(t *testing.T) map[string]prometheus.Metric {
	t.Helper()
	all, err := prometheus.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 30 {
		t.Fatalf("METRICS.md lists %d metrics: its table was not read", len(all))
	}
	return all
}

// asked is a query with the place where it stands.
type asked struct{ where, query string }

// all that anybody asks Prometheus.
func everyQuery(t *testing.T) (all []asked) {
	t.Helper()
	for _, a := range alerts(t) {
		all = append(all, asked{a.Alert, a.Expr})
	}
	queries, err := prometheus.Queries()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		all = append(all, asked{q.String(), q.Expr})
	}
	return all
}

func TestAlertsAndDashboardsAskForSeriesThatAreThere(t *testing.T) {
	t.Parallel()
	listed := metrics(t)
	for _, q := range everyQuery(t) {
		for _, problem := range prometheus.Unknown(listed, q.query) {
			t.Errorf("%s: %s: %s", q.where, problem, q.query)
		}
	}
}

func TestWhatNoMetricHasIsFoundInAQuery(t *testing.T) {
	t.Parallel()
	listed := map[string]prometheus.Metric{
		"vpcmirror_calls_total":  {Name: "vpcmirror_calls_total", Type: "counter", Labels: []string{"account"}},
		"vpcmirror_time_seconds": {Name: "vpcmirror_time_seconds", Type: "histogram", Labels: []string{"account"}},
	}
	for query, want := range map[string][]string{
		`sum by (account) (rate(vpcmirror_calls_total{account="a"}[5m]))`:                      nil,
		`histogram_quantile(0.9, sum by (le, node) (rate(vpcmirror_time_seconds_bucket[5m])))`: nil,
		`vpcmirror_call_total`:                     {"there is no metric vpcmirror_call_total"},
		`vpcmirror_calls_total{acount!~"a|b"}`:     {"vpcmirror_calls_total has no label acount"},
		`sum by (project) (vpcmirror_calls_total)`: {"it groups by project, which no series of it has"},
		`sum by (le) (vpcmirror_time_seconds_sum) / on (account) sum(vpcmirror_calls_total_sum)`: {"there is no metric vpcmirror_calls_total_sum", "it groups by le, which no series of it has"},
	} {
		if diff := cmp.Diff(want, prometheus.Unknown(listed, query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

// constants are the texts of the API's constants whose names begin so.
func constants(t *testing.T, prefix string) (all []string) {
	t.Helper()
	files, err := filepath.Glob("../../api/v1alpha1/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, is := n.(*ast.ValueSpec)
			if !is || len(spec.Values) != len(spec.Names) || !strings.HasPrefix(spec.Names[0].Name, prefix) {
				return true
			}
			if literal, is := spec.Values[0].(*ast.BasicLit); is {
				if value, err := strconv.Unquote(literal.Value); err == nil {
					all = append(all, value)
				}
			}
			return true
		})
	}
	return all
}

// A misspelt reason makes an alert that never fires, and no linter of Prometheus can know.
func TestAlertsAndDashboardsAskForValuesThatThereCanBe(t *testing.T) {
	t.Parallel()
	classes := []cloud.Class{
		cloud.ClassNotFound, cloud.ClassUnsupported, cloud.ClassInvalid, cloud.ClassConflict, cloud.ClassQuota, cloud.ClassAuthentication,
		cloud.ClassPermission, cloud.ClassThrottled, cloud.ClassServer,
	}
	results := []string{"OK", "Other", "NotSent", "Failed"} // the last of renewals
	for _, c := range classes {
		results = append(results, string(c))
	}
	known := map[string][]string{
		"reason": constants(t, "Reason"), "type": constants(t, "Condition"), "status": {"True", "False", "Unknown"}, "ready": {"True", "False", "Unknown"},
		"result": results, "severity": constants(t, "Severity"), "kind": {"MirrorSession", "MirrorFilter", "session", "filter"},
		"verdict": {"accepted", "unexpected", "undecidable", "not-ip", "malformed", "direction-unknown", "foreign-source", "unreadable"},
		"outcome": {"delivered", "dropped", "stored", "gone", "failed"}, "class": {"attributed"},
		"account": {"unproven"}, "node": {""}, "detail": {"all", "troubled", "off"},
	}
	for _, q := range everyQuery(t) {
		for _, s := range prometheus.Selectors(q.query) {
			for label, values := range s.Labels {
				for _, value := range values {
					if strings.HasPrefix(value, "$") {
						continue
					}
					if !slices.Contains(known[label], value) {
						t.Errorf("%s: %s is never %q, it is one of %v", q.where, label, value, known[label])
					}
				}
			}
		}
	}
}

// used is a label that a text of an alert or a dashboard puts in.
var used = regexp.MustCompile(`\$labels\.(\w+)|\{\{\s*(\w+)\s*\}\}`)

func TestTextsShowLabelsThatTheirQueryLeaves(t *testing.T) {
	t.Parallel()
	for _, a := range alerts(t) {
		left := prometheus.Groupings(a.Expr)
		for _, text := range a.Annotations {
			for _, found := range used.FindAllStringSubmatch(text, -1) {
				if label := found[1]; label != "" && !slices.Contains(left, label) {
					t.Errorf("%s shows the label %s, which its query does not leave", a.Alert, label)
				}
			}
		}
	}
	dashboards, err := prometheus.Dashboards()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dashboards {
		for _, p := range d.AllPanels() {
			for _, target := range p.Targets {
				left := prometheus.Groupings(target.Expr)
				for _, found := range used.FindAllStringSubmatch(target.LegendFormat, -1) {
					if !slices.Contains(left, found[2]) {
						t.Errorf("%s, panel %q: its legend shows %s, which its query does not leave", d.File, p.Title, found[2])
					}
				}
			}
		}
	}
}
