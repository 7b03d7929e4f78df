package harness

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes spans by OTLP, as an OpenTelemetry collector does.
type Collector struct {
	URL string

	mu      sync.Mutex
	spans   []*tracepb.Span
	about   map[string]string
	headers http.Header
}

// Span is a span with those below it, in the order in which they began.
type Span struct {
	Name, TraceID string
	Kind          tracepb.Span_SpanKind
	Attributes    map[string]string
	// Failed is true for one that ended with an error, and Errors are those that were recorded.
	Failed bool
	Errors []string
	// Began and Ended are Unix times in nanoseconds.
	Began, Ended uint64
	Below        []Span
}

// NewCollector starts a collector until the end of the test.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if status := c.take(r); status != http.StatusOK {
			answer.WriteHeader(status)
		}
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Collector) take(r *http.Request) int {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" {
		return http.StatusNotFound
	}
	if r.Header.Get("Content-Type") != "application/x-protobuf" {
		return http.StatusUnsupportedMediaType
	}
	body, err := io.ReadAll(r.Body)
	var data tracepb.TracesData // on the wire what the service's request is
	if err != nil || proto.Unmarshal(body, &data) != nil {
		return http.StatusBadRequest
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header.Clone()
	for _, resource := range data.ResourceSpans {
		c.about = texts(resource.Resource.GetAttributes())
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	return http.StatusOK
}

// About is what was said of who makes the spans, and Headers are those of the last request.
func (c *Collector) About() (about map[string]string, headers http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.about, c.headers
}

// Traces are the spans that have none above them, in the order in which they began.
func (c *Collector) Traces() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.below("")
}

func (c *Collector) below(parent string) (all []Span) {
	for _, s := range c.spans {
		if hex.EncodeToString(s.ParentSpanId) != parent {
			continue
		}
		is := Span{
			Name: s.Name, TraceID: hex.EncodeToString(s.TraceId), Kind: s.Kind, Attributes: texts(s.Attributes),
			Failed: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR, Began: s.StartTimeUnixNano, Ended: s.EndTimeUnixNano,
			Below: c.below(hex.EncodeToString(s.SpanId)),
		}
		for _, e := range s.Events {
			if e.Name == "exception" {
				is.Errors = append(is.Errors, texts(e.Attributes)["exception.message"])
			}
		}
		all = append(all, is)
	}
	slices.SortStableFunc(all, func(a, b Span) int { return cmp.Compare(a.Began, b.Began) })
	return all
}

func texts(attributes []*commonpb.KeyValue) map[string]string {
	all := make(map[string]string, len(attributes))
	for _, a := range attributes {
		switch v := a.Value.GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[a.Key] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_DoubleValue:
			all[a.Key] = fmt.Sprint(v.DoubleValue)
		default:
			all[a.Key] = fmt.Sprint(a.Value)
		}
	}
	return all
}
