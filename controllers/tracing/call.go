package tracing

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/controllers/cloud"
)

// The attributes of a call's span. Those of a region, a project, a server and a status are OpenTelemetry's own.
const (
	attributeRegion    = "cloud.region"
	attributeProject   = "cloud.account.id"
	attributeServer    = "server.address"
	attributePort      = "server.port"
	attributeStatus    = "http.response.status_code"
	attributeErrorType = "error.type"
	attributeRequestID = "vpcmirror.cloud.request_id"
	attributeWaited    = "vpcmirror.cloud.waited_seconds"
	attributeErrorCode = "vpcmirror.cloud.error_code"
)

// CallLevel is the level at which each call to the cloud is logged.
const CallLevel = 2

// Call tells of a call to the cloud that is over: by a line at level 2 of the context's logger, and by a
// span below that of the context. It is what the cloud's adapter takes as Observe.
func Call(ctx context.Context, c cloud.Call) {
	if m, ok := ctx.Value(madeKey{}).(*made); ok {
		m.note(c.RequestID)
	}
	if logger := log.FromContext(ctx).V(CallLevel); logger.Enabled() {
		values := []any{
			"op", c.Op, "status", c.HTTPStatus, RequestIDKey, c.RequestID, "waited", c.Waited.String(), "took", c.Took.String(),
			"project", c.Account.ProjectID, "region", c.Account.Region, "server", c.Endpoint,
		}
		if c.Err != nil {
			values = append(values, "error", c.Err.Error(), "detail", cloud.DetailOf(c.Err))
		}
		logger.Info("Called the cloud", values...)
	}
	if above := trace.SpanFromContext(ctx); above.IsRecording() {
		span(ctx, above.TracerProvider().Tracer(scope), c)
	}
}

func span(ctx context.Context, tracer trace.Tracer, c cloud.Call) {
	_, s := tracer.Start(ctx, c.Op, trace.WithTimestamp(c.Began), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String(attributeRegion, c.Account.Region), attribute.String(attributeProject, c.Account.ProjectID),
		attribute.String(attributeRequestID, c.RequestID),
		attribute.Int(attributeStatus, c.HTTPStatus), attribute.Float64(attributeWaited, c.Waited.Seconds()),
	))
	s.SetAttributes(server(c.Endpoint)...)
	ended := trace.WithTimestamp(c.Began.Add(c.Waited + c.Took))
	if c.Err != nil {
		if e, ok := errors.AsType[*cloud.Error](c.Err); ok {
			s.SetAttributes(attribute.String(attributeErrorType, string(e.Class)), attribute.String(attributeErrorCode, e.Code))
		}
		s.RecordError(c.Err, ended)
		s.SetStatus(codes.Error, c.Err.Error())
	}
	s.End(ended)
}

// server says of an endpoint's URL what OpenTelemetry wants to know of a server: its host and its port, apart. Of what is
// no such URL it says nothing.
func server(endpoint string) []attribute.KeyValue {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		if port = schemePorts[u.Scheme]; port == 0 {
			return []attribute.KeyValue{attribute.String(attributeServer, u.Hostname())}
		}
	}
	return []attribute.KeyValue{attribute.String(attributeServer, u.Hostname()), attribute.Int(attributePort, port)}
}

// schemePorts are those that a URL need not name.
var schemePorts = map[string]int{"http": 80, "https": 443}
