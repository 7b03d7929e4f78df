package prometheus_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/prometheus"
)

// patience is how long a test waits for anything.
const patience = time.Minute

// serve is an endpoint that serves the series given, changed by set.
func serve(t *testing.T, series string) (address string, set func(series string)) {
	t.Helper()
	var content atomic.Pointer[string]
	set = func(series string) { content.Store(&series) }
	set(series)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(*content.Load())) // a reader who went away needs no answer
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), set
}

func monitors(t *testing.T) (manager, verifier prometheus.Monitor) {
	t.Helper()
	all, err := prometheus.Monitors()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Fatalf("there are %d monitors, want the manager's and the verifiers'", len(all))
	}
	return all[0], all[1]
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestAnAlertOfTheProjectBeginsAndEndsInARealPrometheus(t *testing.T) {
	t.Parallel()
	prometheus.Need(t, "prometheus")
	manager, verifier := monitors(t)
	const leads = "vpcmirror_leader 1\n"
	const blind = `vpcmirror_session_condition{namespace="team",session="web",type="PathClear",status="False",reason="TargetGroupDenies"} 1` + "\n"
	const found = `vpcmirror_session_finding{namespace="team",session="web",reason="TargetGroupDenies",severity="Error"} 1` + "\n"
	managers, set := serve(t, leads+blind+found)
	verifiers, _ := serve(t, `vpcmirror_verifier_capture_running{interface="eth0"} 1`+"\n")
	rules, err := prometheus.Rules(prometheus.Hasten(100))
	if err != nil {
		t.Fatal(err)
	}
	server := prometheus.Start(t, prometheus.Config{Rules: rules, Interval: 200 * time.Millisecond, Jobs: []prometheus.Job{
		manager.Job(prometheus.Static(prometheus.Place{Address: managers, Pod: "manager-1"}), prometheus.Every("200ms")),
		verifier.Job(prometheus.Static(prometheus.Place{Address: verifiers, Pod: "verifier-1", Node: "ecs-target"}), prometheus.Every("200ms")),
	}})
	ctx := within(t)
	if err := server.AwaitTargets(ctx, 2); err != nil {
		t.Fatal(err)
	}
	session := map[string]string{"namespace": "team", "session": "web"}
	got, err := server.AwaitFiring(ctx, "VPCMirrorBlind", session)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"alertname": "VPCMirrorBlind", "severity": "critical", "namespace": "team", "session": "web"}
	if diff := cmp.Diff(want, got.Labels); diff != "" {
		t.Errorf("the labels of the alert (-want +got):\n%s", diff)
	}
	// The monitor's node, and our namespace in place of the pod's.
	for expr, want := range map[string]map[string]string{
		`vpcmirror_verifier_capture_running`: {"node": "ecs-target", "pod": "verifier-1", "namespace": "vpcmirror-system", "job": "vpcmirror-system/vpcmirror-verifier"},
		`vpcmirror_session_condition`:        {"pod": "manager-1", "namespace": "team", "exported_namespace": ""},
	} {
		samples, err := server.Query(ctx, expr)
		if err != nil || len(samples) != 1 {
			t.Errorf("%s: %v, %v", expr, samples, err)
			continue
		}
		for label, value := range want {
			if samples[0].Labels[label] != value {
				t.Errorf("%s has %s=%q, want %q", expr, label, samples[0].Labels[label], value)
			}
		}
	}
	set(leads)
	if err := server.AwaitEnd(ctx, "VPCMirrorBlind", session); err != nil {
		t.Error(err)
	}
}
