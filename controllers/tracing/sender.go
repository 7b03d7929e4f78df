package tracing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// sender hands spans over by OTLP: protobuf in an HTTP POST. OpenTelemetry's own one does the same and retries; it
// brings all of gRPC with it, which makes the program larger by 13 MB in place of 1.
type sender struct {
	endpoint string
	headers  map[string]string
	client   *http.Client
	log      logr.Logger

	mu      sync.Mutex
	failing bool
}

var _ otlptrace.Client = (*sender)(nil)

// newSender returns one with connections of its own. The environment's proxy is not used: the collector is
// in the cluster.
func newSender(endpoint *url.URL, headers map[string]string, log logr.Logger) *sender {
	transport := http.DefaultTransport.(*http.Transport).Clone() // documented type
	transport.Proxy = nil
	return &sender{
		endpoint: endpoint.String(), headers: headers, log: log,
		client: &http.Client{Transport: transport, Timeout: sendTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Start has nothing to do: a connection is made when there are spans.
func (s *sender) Start(context.Context) error { return nil }

// Stop ends the connections.
func (s *sender) Stop(context.Context) error {
	s.client.CloseIdleConnections()
	return nil
}

// UploadTraces hands spans over, once. The first failure in a row is logged, and the first success after it.
func (s *sender) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	err := s.send(ctx, spans)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && !s.failing:
		s.log.Info("The collector does not take our spans: they are dropped until it does", "endpoint", s.endpoint, "because", err.Error())
	case err == nil && s.failing:
		s.log.Info("The collector takes our spans again", "endpoint", s.endpoint)
	}
	s.failing = err != nil
	return nil // it is said; OpenTelemetry would say it on standard error, and try no more often
}

// send posts spans. On the wire a TracesData is what OTLP's request is.
func (s *sender) send(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	for key, value := range s.headers {
		request.Header.Set(key, value)
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("send spans: the collector answers %s", answer.Status)
	}
	return nil
}
