package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/test/prometheus"
)

// monitored are the chart's values with which it makes what the Prometheus operator and Grafana look for.
// Only how often is scraped differs from what is shipped.
var monitored = []string{
	"--set", "monitoring.serviceMonitor.enabled=true,monitoring.serviceMonitor.interval=1s,monitoring.serviceMonitor.scrapeTimeout=1s",
	"--set", "monitoring.podMonitor.enabled=true,monitoring.podMonitor.interval=1s,monitoring.podMonitor.scrapeTimeout=1s",
	"--set", "monitoring.rules.enabled=true,monitoring.dashboards.enabled=true",
}

// hastened is by how much the durations of the alerts are divided: 5 minutes are 5 seconds.
const hastened = 60

// scraped is how many places the monitors select: two managers and the verifiers of three nodes.
const scraped = 5

// makeOperatorKinds lets the chart's objects for the Prometheus operator be made.
func (w *world) makeOperatorKinds(t *testing.T) {
	t.Helper()
	w.kubectl(t, "apply", "-f", "testdata/operator_definitions.yaml")
	w.kubectl(t, "wait", "--for=condition=Established", "--timeout=170s",
		"crd/servicemonitors.monitoring.coreos.com", "crd/podmonitors.monitoring.coreos.com", "crd/prometheusrules.monitoring.coreos.com")
}

// monitoring is a Prometheus that scrapes the product, and what dashboards ask it.
type monitoring struct {
	w       *world
	server  *prometheus.Server
	queries []prometheus.Query
	// gave are the queries that have given data.
	gave map[prometheus.Query]bool
}

// startPrometheus starts one beside the control plane. It does what the chart's monitors in the cluster say, and has the
// chart's alerts.
func (w *world) startPrometheus(t *testing.T) *monitoring {
	t.Helper()
	prometheus.Need(t, "prometheus")
	rules, err := prometheus.Rules(prometheus.Hasten(hastened))
	if err != nil {
		t.Fatal(err)
	}
	config := prometheus.Config{Namespace: w.ControlNamespace(), Interval: time.Second, Rules: rules}
	found := prometheus.Files(w.discover(t))
	for _, m := range w.monitors(t) {
		config.Jobs = append(config.Jobs, m.Job(found))
	}
	queries, err := prometheus.Queries()
	if err != nil {
		t.Fatal(err)
	}
	server := prometheus.Start(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := server.AwaitTargets(ctx, scraped); err != nil {
		t.Fatal(err)
	}
	return &monitoring{w: w, server: server, queries: queries, gave: map[prometheus.Query]bool{}}
}

// monitors are those that the cluster has.
func (w *world) monitors(t *testing.T) []prometheus.Monitor {
	t.Helper()
	var all []prometheus.Monitor
	for _, kind := range []string{"ServiceMonitor", "PodMonitor"} {
		for _, object := range w.operatorObjects(t, kind) {
			content, err := yaml.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			found, err := prometheus.ParseMonitors(content)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, found...)
		}
	}
	if len(all) != 2 {
		t.Fatalf("the chart is to make a ServiceMonitor and a PodMonitor, the cluster has %+v", all)
	}
	return all
}

// operatorObjects are the cluster's of a kind of the Prometheus operator, as they were applied.
func (w *world) operatorObjects(t *testing.T, kind string) []map[string]any {
	t.Helper()
	var list unstructured.UnstructuredList
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: kind + "List"})
	if err := w.api.List(t.Context(), &list); err != nil {
		t.Fatalf("reading what the cluster has of %s: %v", kind, err)
	}
	var all []map[string]any
	for _, item := range list.Items {
		all = append(all, map[string]any{
			"apiVersion": item.GetAPIVersion(), "kind": item.GetKind(), "spec": item.Object["spec"],
			"metadata": map[string]any{"name": item.GetName(), "namespace": item.GetNamespace()},
		})
	}
	return all
}

// checkShipped: what the cluster has of the chart are the alerts and the dashboards that are tested here.
func (w *world) checkShipped(t *testing.T) {
	t.Helper()
	shipped, err := prometheus.Alerts()
	if err != nil {
		t.Fatal(err)
	}
	var made []prometheus.Rule
	for _, object := range w.operatorObjects(t, "PrometheusRule") {
		content, err := json.Marshal(object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		var file prometheus.RuleFile
		if err := json.Unmarshal(content, &file); err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Groups {
			made = append(made, group.Rules...)
		}
	}
	if diff := cmp.Diff(shipped, made); diff != "" {
		t.Errorf("the alerts of the PrometheusRule in the cluster differ from config/prometheus/rules.yaml (-file +cluster):\n%s", diff)
	}
	var dashboards corev1.ConfigMapList
	if err := w.api.List(t.Context(), &dashboards, client.InNamespace(system), client.MatchingLabels{"grafana_dashboard": "1"}); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, c := range dashboards.Items {
		for file, content := range c.Data {
			found[file] = strings.TrimSpace(content)
		}
	}
	files, err := filepath.Glob(filepath.Join(root, "config/chart/prometheus/dashboards/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want[filepath.Base(file)] = strings.TrimSpace(string(content))
	}
	if diff := cmp.Diff(want, found); diff != "" || len(want) == 0 {
		t.Errorf("the dashboards in the ConfigMaps of the cluster differ from the files (-files +cluster):\n%s", diff)
	}
	w.checked(t, "the chart's %d alerts and %d dashboards are in the cluster as a PrometheusRule and as ConfigMaps", len(made), len(found))
}

// fires waits until the alert fires with these labels, and notes how long after the breaking that was.
func (m *monitoring) fires(t *testing.T, alert string, labels map[string]string, broken time.Time) prometheus.Alert {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	fired, err := m.server.AwaitFiring(ctx, alert, labels)
	if err != nil {
		t.Fatal(err)
	}
	m.w.checked(t, "%s fires %.0f s after it was broken: %s", alert, time.Since(broken).Seconds(), fired.Annotations["summary"])
	return fired
}

// ends waits until the alert neither fires nor is pending with these labels.
func (m *monitoring) ends(t *testing.T, alert string, labels map[string]string, mended time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := m.server.AwaitEnd(ctx, alert, labels); err != nil {
		t.Fatal(err)
	}
	m.w.checked(t, "%s ends %.0f s after it was mended", alert, time.Since(mended).Seconds())
}

func (p pair) labels() map[string]string {
	return map[string]string{"namespace": p.namespace, "session": p.key().Name}
}

// allIsWell: no alert fires or is about to, and the dashboards show what is to be seen then.
func (m *monitoring) allIsWell(t *testing.T) {
	t.Helper()
	until(t, patience, "no alert is pending or fires", func(ctx context.Context) error {
		alerts, err := m.server.Alerts(ctx)
		if err == nil && len(alerts) > 0 {
			err = fmt.Errorf("there are %+v", alerts)
		}
		return err
	})
	until(t, patience, "every panel shows what it is to show while all is well", func(ctx context.Context) error {
		var wrong []error
		for _, q := range m.queries {
			has, err := m.ask(ctx, q)
			switch {
			case err != nil:
				wrong = append(wrong, err)
			case has == q.EmptyWhenWell:
				wrong = append(wrong, fmt.Errorf("%s: it is empty: %t, is marked as empty then: %t: %s", q, !has, q.EmptyWhenWell, q.Expr))
			}
		}
		return errors.Join(wrong...)
	})
	m.w.checked(t, "while all is well no alert is pending, and of the dashboards' %d queries those give data that are not marked as empty then", len(m.queries))
}

// ask reports whether a query gives data, and notes it.
func (m *monitoring) ask(ctx context.Context, q prometheus.Query) (bool, error) {
	samples, err := m.server.Query(ctx, q.Fill(map[string]string{"namespace": twoSources.namespace, "session": twoSources.key().Name}))
	if err == nil && len(samples) > 0 {
		m.gave[q] = true
	}
	return len(samples) > 0, err
}

// lookAtPanels asks what the panels ask that are empty while all is well.
func (m *monitoring) lookAtPanels(t *testing.T) {
	t.Helper()
	for _, q := range m.queries {
		if _, err := m.ask(t.Context(), q); err != nil {
			t.Error(err)
		}
	}
}

// everyPanelHadData: what is empty while all is well had data while something was broken.
func (m *monitoring) everyPanelHadData(t *testing.T) {
	t.Helper()
	for _, q := range m.queries {
		if !m.gave[q] {
			t.Errorf("%s never gave data, whatever was broken: %s", q, q.Expr)
		}
	}
	m.w.checked(t, "each of the dashboards' %d queries gave data, those that are empty while all is well while something was broken", len(m.queries))
}
