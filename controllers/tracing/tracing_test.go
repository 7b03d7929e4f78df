package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/tracing"
)

func TestALineNamesTheLastCallBeforeItUnlessItNamesAnother(t *testing.T) {
	var lines []string
	ctx := log.IntoContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{Verbosity: tracing.CallLevel}))
	var none *tracing.Tracing
	_, err := none.Reconciler("MirrorFilter", reconcile.Func(func(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
		log.FromContext(ctx).Info("before")
		tracing.Call(ctx, cloud.Call{Op: "List", HTTPStatus: 200, RequestID: "r1"})
		log.FromContext(ctx).WithName("n").WithValues("k", "v").Info("after one")
		tracing.Call(ctx, cloud.Call{Op: "Create", Err: &cloud.Error{Op: "Create", Message: "no answer", Detail: "127.0.0.1:1"}})
		log.FromContext(ctx).Error(errors.New("broken"), "after one without an answer")
		log.FromContext(ctx).Info("about another", tracing.RequestIDKey, "r0")
		return ctrl.Result{}, nil
	})).Reconcile(ctx, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "n", Name: "f"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`"level"=0 "msg"="before"`,
		`"level"=2 "msg"="Called the cloud" "op"="List" "status"=200 "requestID"="r1" "waited"="0s" "took"="0s" "project"="" "region"="" "server"=""`,
		`"level"=0 "msg"="after one" "k"="v" "requestID"="r1"`,
		`"level"=2 "msg"="Called the cloud" "op"="Create" "status"=0 "requestID"="" "waited"="0s" "took"="0s" "project"="" "region"="" "server"="" "error"="Create: no answer" "detail"="127.0.0.1:1"`,
		`"msg"="after one without an answer" "error"="broken" "requestID"="r1"`,
		`"level"=0 "msg"="about another" "requestID"="r0"`,
	}
	ended := lines[len(lines)-1]
	if diff := cmp.Diff(want, lines[:len(lines)-1]); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(ended, `"level"=1 "msg"="Reconciled" `) || !strings.HasSuffix(ended, ` "calls"=2 "again"="0s" "requestID"="r1"`) {
		t.Errorf("the end is told as %s", ended)
	}
}

func TestTheEnvironmentSaysHowManyReconcilesAreTraced(t *testing.T) {
	for sampler, want := range map[string]int32{"": 1, "always_off": 0, "parentbased_always_on": 1} {
		t.Run(sampler, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", sampler)
			var sent atomic.Int32
			collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent.Add(1) }))
			defer collector.Close()
			made, err := tracing.New(t.Context(), tracing.Options{Endpoint: collector.URL, Service: "s", Log: logr.Discard()})
			if err != nil {
				t.Fatal(err)
			}
			var line string
			ctx := log.IntoContext(t.Context(), funcr.New(func(_, args string) { line = args }, funcr.Options{}))
			_, _ = made.Reconciler("MirrorFilter", reconcile.Func(func(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
				log.FromContext(ctx).Info("hello")
				return ctrl.Result{}, nil
			})).Reconcile(ctx, ctrl.Request{}) // it gives what the function gives
			if err := made.Close(); err != nil {
				t.Fatal(err)
			}
			if names := strings.Contains(line, "traceID"); sent.Load() != want || names != (want > 0) {
				t.Errorf("%d traces are sent, and the line is %s", sent.Load(), line)
			}
		})
	}
}

func TestASpanHasEachErrorOfItsReconcileOnce(t *testing.T) {
	problem, unstored := errors.New("the cloud is away"), errors.New("the status was not stored")
	for name, c := range map[string]struct {
		told, ends error
		want       []string
	}{
		"one that is told and that it ends with":   {problem, fmt.Errorf("%w", problem), []string{"the cloud is away"}},
		"one that is told and waited for":          {problem, nil, []string{"the cloud is away"}},
		"one that nobody told":                     {nil, unstored, []string{"the status was not stored"}},
		"one that is told, and another at its end": {problem, unstored, []string{"the cloud is away", "the status was not stored"}},
	} {
		t.Run(name, func(t *testing.T) {
			sent := make(chan []byte, 1)
			collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body) // what is cut can't be decoded
				sent <- body
			}))
			defer collector.Close()
			made, err := tracing.New(t.Context(), tracing.Options{Endpoint: collector.URL, Service: "s", Log: logr.Discard()})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = made.Reconciler("MirrorFilter", reconcile.Func(func(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
				if c.told != nil {
					tracing.Problem(ctx, "Reason", c.told, true)
				}
				return ctrl.Result{}, c.ends
			})).Reconcile(t.Context(), ctrl.Request{}) // it gives what the function gives
			if err := made.Close(); err != nil {
				t.Fatal(err)
			}
			var data tracepb.TracesData
			if err := proto.Unmarshal(<-sent, &data); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, event := range data.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetEvents() {
				for _, a := range event.GetAttributes() {
					if a.GetKey() == "exception.message" {
						got = append(got, a.GetValue().GetStringValue())
					}
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("errors of the span (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhereSpansGo(t *testing.T) {
	for text, want := range map[string]string{
		"http://collector:4318":              "http://collector:4318/v1/traces",
		"https://collector.example/":         "https://collector.example/v1/traces",
		"https://gateway.example/otlp/trace": "https://gateway.example/otlp/trace",
	} {
		if got, err := tracing.ParseEndpoint(text); err != nil || got.String() != want {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
	got, err := tracing.ParseHeaders(" a=b , authorization=Bearer%20t,")
	if diff := cmp.Diff(map[string]string{"a": "b", "authorization": "Bearer t"}, got); diff != "" || err != nil {
		t.Errorf("%v; the headers (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"hidden", "=hidden", "a=%zzhidden"} {
		if _, err := tracing.ParseHeaders(bad); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s gives %v", bad, err)
		}
	}
}
