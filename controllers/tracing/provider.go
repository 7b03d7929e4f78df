package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of our spans.
const scope = "vpcmirror.io/operator/controllers/tracing"

const (
	// sendTimeout bounds one attempt to hand spans over. Those that come meanwhile wait.
	sendTimeout = 5 * time.Second
	// maxQueued is how many spans wait at most; what comes beyond that is dropped.
	maxQueued = 4096
	// closeTimeout bounds how long the end of the program waits for the last spans.
	closeTimeout = 3 * time.Second
)

// Tracing sends spans to a collector. A nil one makes none. Its methods may be called from several goroutines.
type Tracing struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
}

// Options are where spans go, and what is said of who makes them.
type Options struct {
	// Endpoint is the URL of the collector, see ParseEndpoint.
	Endpoint string
	// Headers go with each request, such as a token that the collector wants.
	Headers map[string]string
	// Service and Version name the program.
	Service, Version string
	// Log gets a line when spans can't be handed over, and when they can again.
	Log logr.Logger
}

// New returns what sends spans. How many reconciles are traced, and what else is said of the program, OpenTelemetry's
// own variables of the environment say: OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME.
// The collector is not asked for anything: it may come later.
func New(ctx context.Context, o Options) (*Tracing, error) {
	endpoint, err := ParseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	// The environment's goes before ours.
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", o.Service), attribute.String("service.version", o.Version)),
		resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("say to the collector who makes the spans: %w", err)
	}
	exporter, err := otlptrace.New(ctx, newSender(endpoint, o.Headers, o.Log))
	if err != nil {
		return nil, fmt.Errorf("set up the sending of spans: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(about),
		sdktrace.WithBatcher(exporter, sdktrace.WithExportTimeout(sendTimeout), sdktrace.WithMaxQueueSize(maxQueued)))
	return &Tracing{tracer: provider.Tracer(scope, trace.WithInstrumentationVersion(o.Version)), provider: provider}, nil
}

// Close hands over what spans are left, and waits for that 3 s at most.
func (t *Tracing) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("hand the last spans over: %w", err)
	}
	return nil
}

// Flush hands over what spans have ended.
func (t *Tracing) Flush(ctx context.Context) error {
	if err := t.provider.ForceFlush(ctx); err != nil {
		return fmt.Errorf("hand spans over: %w", err)
	}
	return nil
}

// ParseEndpoint reads the URL of a collector that takes OTLP over HTTP, such as http://collector:4318. Without a path
// it is that of OTLP, /v1/traces.
func ParseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("it is no URL of a collector: give http://HOST:PORT or https://HOST:PORT, whose port is 4318 where nobody has changed it")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	return u, nil
}

// ParseHeaders reads headers as OTEL_EXPORTER_OTLP_HEADERS has them: key=value, separated by commas, with % before what is special
// in a URL. The error repeats no value.
func ParseHeaders(text string) (map[string]string, error) {
	headers := map[string]string{}
	for i, pair := range strings.Split(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, is := strings.Cut(pair, "=")
		unescaped, err := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); !is || key == "" || err != nil {
			return nil, fmt.Errorf("header %d is none: give KEY=VALUE, with %% before what is special in a URL", i+1)
		}
		headers[key] = unescaped
	}
	return headers, nil
}
