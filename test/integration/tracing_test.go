//go:build !oldest

package integration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/tracing"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/integration/harness"
)

func traced(t *testing.T, endpoint string, log logr.Logger) *tracing.Tracing {
	t.Helper()
	tracer, err := tracing.New(t.Context(), tracing.Options{
		Endpoint: endpoint, Service: "vpcmirror-manager", Version: "v7", Headers: map[string]string{"Authorization": "Bearer t"}, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

// call is what a trace should say of one that the cloud has in its journal.
func call(t *testing.T, w *harness.World, e journal.Entry) harness.Span {
	t.Helper()
	server, err := url.Parse(w.Cloud.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := harness.Span{Name: e.Operation, Kind: tracepb.Span_SPAN_KIND_CLIENT, Attributes: map[string]string{
		"cloud.region": scenario.WalkthroughRegion, "cloud.account.id": scenario.WalkthroughProject, "server.address": server.Hostname(), "server.port": server.Port(),
		"http.response.status_code": fmt.Sprint(e.Status), "vpcmirror.cloud.request_id": e.RequestID,
	}}
	if e.ErrorCode != "" {
		s.Failed = true
		s.Attributes["vpcmirror.cloud.error_code"] = e.ErrorCode
	}
	return s
}

// timeless leaves out of a tree what differs each time, once it is seen that each span is within the one above it.
func timeless(t *testing.T, s harness.Span) harness.Span {
	t.Helper()
	for i, below := range s.Below {
		if below.Began < s.Began || below.Ended > s.Ended || below.Began > below.Ended || below.TraceID != s.TraceID {
			t.Errorf("the span %+v is not within %s from %d to %d", below, s.Name, s.Began, s.Ended)
		}
		s.Below[i] = timeless(t, below)
	}
	s.TraceID, s.Began, s.Ended = "", 0, 0
	delete(s.Attributes, "vpcmirror.cloud.waited_seconds")
	delete(s.Attributes, "vpcmirror.reconcile_again_seconds")
	return s
}

func TestATraceIsAReconcileWithAllItsCallsToTheCloud(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	collector := harness.NewCollector(t)
	tracer := traced(t, collector.URL, logr.Discard())
	m := w.Start(harness.WithTracing(tracer))
	filter := w.Filter("f")
	w.Fault(fault.Fault{Kind: fault.Error, Operation: "CreateTrafficMirrorFilterRule", Status: 403, Code: "VPC.2702", Message: "frozen"})
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonPermissionDenied)
	m.Reconciled(w, filter) // a status can be read before the one who wrote it knows that it is written
	m.Stop(w)
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}

	first := collector.Traces()[0]
	var below []harness.Span
	for _, e := range w.Cloud.Journal.Since(0)[:len(first.Below)] {
		below = append(below, call(t, w, e))
	}
	const refused = "CreateTrafficMirrorFilterRule: 403 VPC.2702: frozen"
	for i := range below {
		if below[i].Name == "CreateTrafficMirrorFilterRule" {
			below[i].Errors, below[i].Attributes["error.type"] = []string{refused}, "Permission"
		}
	}
	line := reconcileLine(t, m.Log.Lines(t), first.TraceID)
	got := timeless(t, first)
	harness.Same(t, "the trace of the first reconcile", harness.Span{
		Name: "Reconcile MirrorFilter", Kind: tracepb.Span_SPAN_KIND_INTERNAL, Failed: true,
		Errors: []string{"create rule Ingress 1: " + refused},
		Attributes: map[string]string{
			"vpcmirror.kind": "MirrorFilter", "k8s.namespace.name": w.Namespace, "vpcmirror.name": "f", "vpcmirror.reconcile_id": fmt.Sprint(line["reconcileID"]),
			"vpcmirror.reason": v1alpha1.ReasonPermissionDenied, "vpcmirror.cloud.calls": fmt.Sprint(len(below)),
		},
		Below: below,
	}, got)
	about, headers := collector.About()
	harness.Same(t, "who makes the spans", []string{"vpcmirror-manager", "v7", "Bearer t"},
		[]string{about["service.name"], about["service.version"], headers.Get("Authorization")})
}

// reconcileLine is the line about the problem of a reconcile with a trace.
func reconcileLine(t *testing.T, lines []harness.Line, traceID string) harness.Line {
	t.Helper()
	i := slices.IndexFunc(lines, func(l harness.Line) bool { return l["traceID"] == traceID && l["msg"] == "Not synced" })
	if i < 0 {
		t.Fatalf("no line names the trace %s", traceID)
	}
	return lines[i]
}

func TestACollectorThatNeverAnswersHoldsUpNothing(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	t.Cleanup(stuck.CloseClientConnections)
	w := harness.New(t)
	lines := make(chan string, 100)
	tracer := traced(t, stuck.URL, funcr.New(func(_, args string) { lines <- args }, funcr.Options{}))
	m := w.Start(harness.WithTracing(tracer))
	filter, session := w.Pair("m")
	<-asked // the first spans are on the way, for ever
	for range 20 {
		harness.ReconcileNow(w, filter)
		harness.ReconcileNow(w, session)
	}
	m.Stop(w)
	began := time.Now()
	_ = tracer.Close() // which says that they could not be handed over
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the end waited %s for the collector", took)
	}
	if said := <-lines; !strings.Contains(said, "The collector does not take our spans") || len(lines) > 0 {
		t.Errorf("it says %s, and %d lines more", said, len(lines))
	}
}
