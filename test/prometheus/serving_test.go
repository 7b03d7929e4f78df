package prometheus_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	prom "github.com/prometheus/client_golang/prometheus"

	"vpcmirror.io/operator/test/integration/harness"
	"vpcmirror.io/operator/test/prometheus"
)

func TestAMirrorThatIsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("has the metrics that are listed", func(t *testing.T) { whatIsServedIsListed(t, w) })
	t.Run("has data for every query of a dashboard that does not say otherwise", func(t *testing.T) {
		prometheus.Need(t, "prometheus")
		everyQueryGivesDataOrSaysThatItDoesNot(t, w)
	})
	t.Run("has no series any more once it is deleted", func(t *testing.T) { noSeriesStay(t, w) })
}

func noSeriesStay(t *testing.T, w *world) {
	t.Helper()
	of := func() (all []string) {
		for _, registry := range []prom.Gatherer{w.manager.Metrics, w.verifier} {
			for line := range strings.Lines(scraped(t, registry)) {
				if strings.Contains(line, `session="web"`) {
					all = append(all, line)
				}
			}
		}
		return all
	}
	if n := len(of()); n < 20 {
		t.Fatalf("it has %d series before", n)
	}
	w.Delete(w.session)
	w.Gone(w.session)
	harness.Poll(t, "neither manager nor verifier tells of it", of, func(all []string) bool { return len(all) == 0 })
}

func whatIsServedIsListed(t *testing.T, w *world) {
	t.Helper()
	listed := metrics(t)
	for program, registry := range map[string]prom.Gatherer{"manager": w.manager.Metrics, "verifier": w.verifier} {
		promtool(t, scraped(t, registry), "check", "metrics")
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, family := range families {
			m, is := listed[family.GetName()]
			if !is {
				t.Errorf("the %s serves %s, which METRICS.md does not list", program, family.GetName())
				continue
			}
			seen[m.Name] = true
			got := prometheus.Metric{Name: family.GetName(), Type: typeNames[family.GetType().String()], ServedBy: program, Help: family.GetHelp()}
			for _, label := range family.GetMetric()[0].GetLabel() {
				got.Labels = append(got.Labels, label.GetName())
			}
			slices.Sort(m.Labels)
			slices.Sort(got.Labels)
			if diff := cmp.Diff(m, got); diff != "" {
				t.Errorf("%s (-METRICS.md +the %s):\n%s", m.Name, program, diff)
			}
		}
		for name, m := range listed {
			if m.ServedBy == program && !seen[name] && !slices.Contains(sometimes, name) {
				t.Errorf("METRICS.md lists %s, which the %s does not serve", name, program)
			}
		}
	}
}

// typeNames are those of Prometheus' text.
var typeNames = map[string]string{"COUNTER": "counter", "GAUGE": "gauge", "HISTOGRAM": "histogram"}

// sometimes are those that the session of this test does not have (findings, silenceAfter, several sources), and those of
// temporary keys.
var sometimes = []string{
	"vpcmirror_session_finding", "vpcmirror_session_silence_after_seconds", "vpcmirror_session_source_packets_total",
	"vpcmirror_session_source_truncated_packets_total", "vpcmirror_session_source_last_packet_timestamp_seconds",
	"vpcmirror_own_credentials_expiry_timestamp_seconds", "vpcmirror_own_credentials_renewals_total",
}
