package logs_test

import (
	"slices"
	"testing"

	"vpcmirror.io/operator/test/integration/harness"
)

func TestAManagerThatStopsHandsOverTheTracesOfWhatItHasJustDone(t *testing.T) {
	w := harness.New(t)
	collector := harness.NewCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.cluster.name=lab")
	p := start(t, harness.BuildManager(t), "--kubeconfig="+w.Cluster.Kubeconfig, "--allowed-endpoints="+w.Cloud.URL, "--verifier-namespace=",
		"--otlp-endpoint="+collector.URL, "--log-level=2")
	filter := w.Filter("f")
	w.Create(filter)
	harness.Ready(w, filter)
	lines := p.stop()

	traced := map[string][]string{} // the operations of a trace
	for _, root := range collector.Traces() {
		for _, below := range root.Below {
			traced[root.TraceID] = append(traced[root.TraceID], below.Name)
		}
	}
	i := slices.IndexFunc(lines, func(l line) bool { return l["reason"] == "Created" && l["level"] == "INFO" })
	if i < 0 {
		t.Fatal("no line says that the filter was made")
	}
	trace, _ := lines[i]["traceID"].(string)
	if !slices.Contains(traced[trace], "CreateTrafficMirrorFilter") {
		t.Errorf("the trace %q of the line that says so has the calls %v", trace, traced[trace])
	}
	about, headers := collector.About()
	harness.Same(t, "who makes the spans, and by what right", []string{"vpcmirror-manager", "lab", "Bearer t"},
		[]string{about["service.name"], about["k8s.cluster.name"], headers.Get("Authorization")})
}
