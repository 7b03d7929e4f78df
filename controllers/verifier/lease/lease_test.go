package lease

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
)

func TestMain(m *testing.M) { env.Main(m) }

const node = "ecs-target"

// verifier is a client with what config/rbac grants the verifier in its own namespace,
// and with the types that the verifier knows.
func verifier(t *testing.T, cluster *env.Cluster, namespace string) client.Client {
	t.Helper()
	config := cluster.User(t, env.User{
		Name: "lease-" + namespace, Within: map[string][]rbacv1.PolicyRule{namespace: env.Granted(t, "Role", "verifier.yaml")},
	})
	scheme := runtime.NewScheme()
	if err := coordinationv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheVerifierRenewsItsLeaseWithTheRightsItHas(t *testing.T) {
	cluster := env.Start(t)
	namespace := cluster.Namespace(t)
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	r := &Renewer{Client: verifier(t, cluster, namespace), Namespace: namespace, Node: node, Clock: func() time.Time { return now }}
	for range 2 { // it is made, and then renewed
		now = now.Add(Interval)
		if err := r.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got coordinationv1.Lease
		if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: v1alpha1.LeaseName(node)}, &got); err != nil {
			t.Fatal(err)
		}
		want := coordinationv1.LeaseSpec{
			HolderIdentity: new(node), LeaseDurationSeconds: new(int32(40)), RenewTime: new(metav1.NewMicroTime(now)),
		}
		if diff := cmp.Diff(want, got.Spec, cmp.Comparer(func(a, b metav1.MicroTime) bool { return a.Equal(&b) })); diff != "" {
			t.Errorf("the lease (-want +got):\n%s", diff)
		}
		if got.Labels["app.kubernetes.io/component"] != "verifier" {
			t.Errorf("the manager does not find it by its labels %v", got.Labels)
		}
	}
	elsewhere := *r
	elsewhere.Namespace = cluster.Namespace(t)
	if err := elsewhere.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "renew the lease "+elsewhere.Namespace) {
		t.Errorf("in a namespace that is not its own: %v", err)
	}
}

// flaky is an API server that answers as the test says.
type flaky struct {
	client.Client
	answers chan error
}

func (c flaky) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	return <-c.answers
}

func TestAFailureIsToldOnceAndAgainWhenItIsOver(t *testing.T) {
	var log bytes.Buffer
	text := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.MessageKey {
			return a
		}
		return slog.Attr{}
	}})
	api := flaky{answers: make(chan error)}
	r := &Renewer{Client: api, Namespace: "n", Node: node, Clock: time.Now, Log: logr.FromSlogHandler(text)}
	ctx, cancel := context.WithCancel(t.Context())
	ticks, done := make(chan time.Time), make(chan struct{})
	go func() { defer close(done); r.keep(ctx, ticks) }()
	refused := errors.New("refused")
	for i, answer := range []error{nil, refused, refused, nil, nil, refused} {
		if i > 0 {
			ticks <- time.Time{}
		}
		api.answers <- answer
	}
	ticks <- time.Time{}
	cancel()
	api.answers <- ctx.Err() // the end is no failure
	<-done
	want := strings.Join([]string{
		`msg="The lease of this verifier is not renewed; it is tried every 10s"`,
		`msg="The lease of this verifier is renewed again"`,
		`msg="The lease of this verifier is not renewed; it is tried every 10s"`, "",
	}, "\n")
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}
