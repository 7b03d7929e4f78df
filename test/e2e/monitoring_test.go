package e2e

import (
	"context"
	"encoding/json"
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

// startPrometheus starts one beside the control plane. It does what the chart's monitors in the cluster say, and has the
// chart's alerts.
func (w *world) startPrometheus(t *testing.T) *prometheus.Server {
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
	server := prometheus.Start(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := server.AwaitTargets(ctx, scraped); err != nil {
		t.Fatal(err)
	}
	return server
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

// fires waits until the alert fires for a session, and notes how long after since that was.
func (w *world) fires(t *testing.T, server *prometheus.Server, alert string, p pair, since time.Time) prometheus.Alert {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	fired, err := server.AwaitFiring(ctx, alert, p.labels())
	if err != nil {
		t.Fatal(err)
	}
	w.checked(t, "%s fires %.0f s after that: %s", alert, time.Since(since).Seconds(), fired.Annotations["summary"])
	return fired
}

// ends waits until the alert neither fires nor is pending for a session.
func (w *world) ends(t *testing.T, server *prometheus.Server, alert string, p pair, since time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := server.AwaitEnd(ctx, alert, p.labels()); err != nil {
		t.Fatal(err)
	}
	w.checked(t, "%s ends %.0f s after it was mended", alert, time.Since(since).Seconds())
}

func (p pair) labels() map[string]string {
	return map[string]string{"namespace": p.namespace, "session": p.key().Name}
}

// silentAlerts: no alert fires, and none is about to.
func (w *world) silentAlerts(t *testing.T, server *prometheus.Server, when string) {
	t.Helper()
	until(t, patience, "no alert is pending or fires "+when, func(ctx context.Context) error {
		alerts, err := server.Alerts(ctx)
		if err == nil && len(alerts) > 0 {
			err = fmt.Errorf("there are %+v", alerts)
		}
		return err
	})
	w.checked(t, "no alert %s", when)
}
