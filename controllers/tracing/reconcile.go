package tracing

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// The attributes of spans that no convention of OpenTelemetry names.
const (
	attributeKind        = "vpcmirror.kind"
	attributeNamespace   = "k8s.namespace.name"
	attributeName        = "vpcmirror.name"
	attributeReconcileID = "vpcmirror.reconcile_id"
	attributeReason      = "vpcmirror.reason"
	attributeCalls       = "vpcmirror.cloud.calls"
	attributeAgain       = "vpcmirror.reconcile_again_seconds"
)

// Reconciler gives each reconcile of a kind a span, where t is not nil, and a logger that says which calls to the
// cloud its lines are about. The logger is that of the context: whoever logs about an object takes it.
func (t *Tracing) Reconciler(kind string, next reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
		ctx, span := t.start(ctx, kind, request.NamespacedName)
		defer span.End()
		if span.SpanContext().IsSampled() {
			ctx = log.IntoContext(ctx, log.FromContext(ctx).WithValues("traceID", span.SpanContext().TraceID().String()))
		}
		ctx, m := noting(ctx)
		began := time.Now()
		result, err := next.Reconcile(ctx, request)
		calls := m.count()
		log.FromContext(ctx).V(1).Info("Reconciled", "took", time.Since(began).String(), "calls", calls, "again", result.RequeueAfter.String())
		span.SetAttributes(attribute.Int(attributeCalls, calls), attribute.Float64(attributeAgain, result.RequeueAfter.Seconds()))
		if err != nil && !m.hasTold(err) {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		return result, err
	})
}

// Noting gives what asks the cloud outside of a reconcile a logger that says which calls its lines are about.
func Noting(ctx context.Context) context.Context {
	ctx, _ = noting(ctx)
	return ctx
}

func noting(ctx context.Context) (context.Context, *made) {
	m, logger := &made{}, log.FromContext(ctx)
	if below := logger.GetSink(); below != nil { // else nobody logs
		logger = logger.WithSink(&sink{below, m})
	}
	return log.IntoContext(context.WithValue(ctx, madeKey{}, m), logger), m
}

// start begins the span of a reconcile.
func (t *Tracing) start(ctx context.Context, kind string, name types.NamespacedName) (context.Context, trace.Span) {
	if t == nil {
		return ctx, trace.SpanFromContext(ctx) // one that keeps nothing
	}
	return t.tracer.Start(ctx, "Reconcile "+kind, trace.WithNewRoot(), trace.WithAttributes(
		attribute.String(attributeKind, kind), attribute.String(attributeNamespace, name.Namespace), attribute.String(attributeName, name.Name),
		attribute.String(attributeReconcileID, string(controller.ReconcileIDFromContext(ctx))),
	))
}

// Problem notes in the span of a reconcile why its object is not what the spec wants. fails is false for what goes on by
// itself.
func Problem(ctx context.Context, reason string, err error, fails bool) {
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(attribute.String(attributeReason, reason))
	if !fails {
		return
	}
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
	if m, ok := ctx.Value(madeKey{}).(*made); ok {
		m.tell(err)
	}
}

type madeKey struct{}

// made is what one reconcile has asked of the cloud. Several goroutines may do that.
type made struct {
	mu    sync.Mutex
	calls int
	last  string
	told  string // what the error says that the span has already
}

func (m *made) tell(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = err.Error()
}

// hasTold reports whether the span has an error, which may have been marked or wrapped without a word since.
func (m *made) hasTold(err error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.told == err.Error()
}

func (m *made) note(requestID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if requestID != "" {
		m.last = requestID
	}
}

func (m *made) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// requestID is that of the last call which was answered, empty before the first.
func (m *made) requestID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}
