package prometheus_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/test/prometheus"
)

// folder has what is installed for Prometheus.
const folder = "../../config/prometheus"

// promtool runs it and fails the test with all that it said where it finds something.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	c := exec.CommandContext(within(t), prometheus.Need(t, "promtool"), args...)
	c.Stdin = strings.NewReader(stdin)
	if said, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

func alerts(t *testing.T) []prometheus.Rule {
	t.Helper()
	all, err := prometheus.Alerts()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there is no alert")
	}
	return all
}

func TestPromtoolFindsNothingWrongWithTheAlerts(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", "--lint=all", "--lint-fatal", filepath.Join(folder, "rules.yaml"))
}

func TestEveryAlertFiresWhenItIsToAndOnlyThen(t *testing.T) {
	t.Parallel()
	promtool(t, "", "test", "rules", filepath.Join(folder, "rules_test.yaml"))
}

func TestEveryAlertHasACaseThatFiresAndOneThatDoesNot(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(folder, "rules_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			AlertRuleTest []struct {
				AlertName string `json:"alertname"`
				ExpAlerts []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.AlertRuleTest {
			fires[c.AlertName] = fires[c.AlertName] || len(c.ExpAlerts) > 0
			quiet[c.AlertName] = quiet[c.AlertName] || len(c.ExpAlerts) == 0
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !quiet[a.Alert] {
			t.Errorf("rules_test.yaml: %s has a case that fires: %v, and one that does not: %v", a.Alert, fires[a.Alert], quiet[a.Alert])
		}
	}
}

// runbooks is the path in the project at which the alerts' links lead.
const runbooks = "config/prometheus/runbooks/"

func TestEveryAlertSaysHowBadItIsAndWhatToDo(t *testing.T) {
	t.Parallel()
	for _, a := range alerts(t) {
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: its severity is %q, want critical or warning", a.Alert, s)
		}
		for _, name := range []string{"summary", "description"} {
			if text := a.Annotations[name]; !strings.HasSuffix(text, ".") || strings.Contains(text, "\n") {
				t.Errorf("%s: its %s is no sentence: %q", a.Alert, name, text)
			}
		}
		if want := runbooks + a.Alert + ".md"; a.Annotations["runbook_url"] != want {
			t.Errorf("%s: its runbook_url is %q, want %q", a.Alert, a.Annotations["runbook_url"], want)
		}
		if a.For == "" {
			t.Errorf("%s fires at once: say with `for` how long what heals by itself takes", a.Alert)
		}
	}
}

// chapters are what each runbook has, in this order.
var chapters = []string{"## Who is hurt", "## Look", "## Mend", "## When to call somebody", "## What heals by itself"}

func TestEveryAlertHasARunbookAndEveryRunbookAnAlert(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, a := range alerts(t) {
		want = append(want, a.Alert+".md")
	}
	files, err := filepath.Glob(filepath.Join(folder, "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if name == "README.md" {
			continue
		}
		got = append(got, name)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for line := range strings.Lines(string(content)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "## ") {
				found = append(found, line)
			}
		}
		if diff := cmp.Diff(chapters, found); diff != "" {
			t.Errorf("the chapters of %s (-want +got):\n%s", name, diff)
		}
		if !strings.Contains(string(content), "kubectl ") {
			t.Errorf("%s names no command of kubectl", name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the runbooks (-the alerts' +those that are there):\n%s", diff)
	}
}

func TestAnHourIsAMinuteWhereATestIsInAHurry(t *testing.T) {
	t.Parallel()
	r := prometheus.Rule{For: "1h", Expr: `sum(rate(a[10m])) / sum(rate(b[2h])) > 0.25 or sum_over_time((c)[20m:1m]) > 5`}
	prometheus.Hasten(60)(&r)
	want := prometheus.Rule{For: "1m", Expr: fmt.Sprintf(`sum(rate(a[%s])) / sum(rate(b[%s])) > 0.25 or sum_over_time((c)[%s]) > 5`, "10s", "2m", "20s:1s")}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
