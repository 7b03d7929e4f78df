package prometheus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	prom "github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/telemetry"
	"vpcmirror.io/operator/test/prometheus"
)

func queries(t *testing.T) []prometheus.Query {
	t.Helper()
	all, err := prometheus.Queries()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// scrape starts a Prometheus that scrapes these endpoints through the project's monitors.
func scrape(t *testing.T, rules []byte, manager string, verifier ...string) *prometheus.Server {
	t.Helper()
	ofManager, ofVerifier := monitors(t)
	jobs := []prometheus.Job{ofManager.Job(prometheus.Static(prometheus.Place{Address: manager, Pod: "manager-1"}), prometheus.Every("1s"))}
	for _, address := range verifier {
		jobs = append(jobs, ofVerifier.Job(prometheus.Static(prometheus.Place{Address: address, Pod: "verifier-1", Node: node}), prometheus.Every("1s")))
	}
	return prometheus.Start(t, prometheus.Config{Jobs: jobs, Rules: rules, Interval: time.Second})
}

// ask gives how many samples a query has once that is what is wanted, or at last.
func ask(ctx context.Context, t *testing.T, server *prometheus.Server, query string, enough func(int) bool) (n int) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		samples, err := server.Query(ctx, query)
		if ctx.Err() != nil {
			return n
		}
		if err != nil {
			t.Errorf("%s: %v", query, err)
			return -1
		}
		if n = len(samples); enough(n) {
			return n
		}
		select {
		case <-ctx.Done():
			return n
		case <-tick.C:
		}
	}
}

func everyQueryGivesDataOrSaysThatItDoesNot(t *testing.T, w *world) {
	t.Helper()
	server := scrape(t, nil, endpoint(t, w.manager.Metrics), endpoint(t, w.verifier))
	ctx := within(t)
	if err := server.AwaitTargets(ctx, 2); err != nil {
		t.Fatal(err)
	}
	w.send(t, 3)
	variables := map[string]string{"namespace": w.Namespace, "session": w.session.Name}
	for _, q := range queries(t) {
		query := q.Fill(variables)
		if q.EmptyWhenWell {
			if n := ask(ctx, t, server, query, func(int) bool { return true }); n != 0 {
				t.Errorf("%s is said to be empty while all is well, and gives %d series: %s", q, n, query)
			}
			continue
		}
		patient, cancel := context.WithTimeout(ctx, 10*time.Second)
		if n := ask(patient, t, server, query, func(n int) bool { return n > 0 }); n < 1 {
			t.Errorf("%s gives nothing, and its description does not say %q: %s", q, prometheus.Marker, query)
		}
		cancel()
	}
}

// objects is a cache with sessions.
type objects struct {
	client.Reader // no other method may be called

	sessions []v1alpha1.MirrorSession
}

func (o objects) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if all, is := list.(*v1alpha1.MirrorSessionList); is {
		all.Items = o.sessions
	}
	return nil
}

// troubled is a session with a condition that is False, and the finding that says so.
func troubled(name, condition, reason string) (s v1alpha1.MirrorSession) {
	s.Namespace, s.Name = "team", name
	s.Status.Conditions = []metav1.Condition{{Type: condition, Status: metav1.ConditionFalse, Reason: reason}}
	s.Status.Findings = []v1alpha1.Finding{{Reason: reason, Severity: v1alpha1.SeverityError}}
	return s
}

// managerOf serves what a manager that leads tells of sessions.
func managerOf(t *testing.T, sessions ...v1alpha1.MirrorSession) *prom.Registry {
	t.Helper()
	leads := make(chan struct{})
	close(leads)
	registry := prom.NewPedanticRegistry()
	registry.MustRegister(&telemetry.Objects{Cache: objects{sessions: sessions}, Leads: leads, Detail: telemetry.Auto, Log: testr.New(t)})
	return registry
}

// What is empty while all is well must not be empty for another reason, such as a name that is misspelt.
func TestWhatIsEmptyWhileAllIsWellGivesDataWhenItIsNot(t *testing.T) {
	t.Parallel()
	prometheus.Need(t, "prometheus")
	server := scrape(t, nil, endpoint(t, managerOf(t,
		troubled("blind", v1alpha1.ConditionPathClear, v1alpha1.ReasonTargetGroupDenies),
		troubled("silent", v1alpha1.ConditionTrafficObserved, v1alpha1.ReasonSilent),
		troubled("unread", v1alpha1.ConditionConsumerReady, v1alpha1.ReasonNobodyListens),
	)))
	ctx := within(t)
	if err := server.AwaitTargets(ctx, 1); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, q := range queries(t) {
		if !q.EmptyWhenWell {
			continue
		}
		asked++
		query := q.Fill(map[string]string{"namespace": "team", "session": "blind"})
		if n := ask(ctx, t, server, query, func(n int) bool { return n > 0 }); n < 1 {
			t.Errorf("%s gives nothing though mirrors are blind, silent and unread: %s", q, query)
		}
	}
	if asked < 5 {
		t.Errorf("%d queries are empty while all is well: the dashboards were not read right", asked)
	}
}

// A tile that says 0 where nobody knows says that all is well.
func TestTilesSayNoneWhereAManagerTellsOfMirrorsAndNothingWhereNoneDoes(t *testing.T) {
	t.Parallel()
	prometheus.Need(t, "prometheus")
	const leads = "vpcmirror_leader 1\nvpcmirror_objects_unreadable 0\n"
	address, set := serve(t, "vpcmirror_leader 0\n")
	ofManager, _ := monitors(t)
	server := prometheus.Start(t, prometheus.Config{Interval: time.Second, Jobs: []prometheus.Job{
		ofManager.Job(prometheus.Static(prometheus.Place{Address: address, Pod: "manager-1"}), prometheus.Every("200ms")),
	}})
	ctx := within(t)
	if err := server.AwaitTargets(ctx, 1); err != nil {
		t.Fatal(err)
	}
	var tiles []prometheus.Query
	for _, q := range queries(t) {
		if strings.Contains(q.Expr, " or ") && strings.HasPrefix(q.Expr, "count(") {
			tiles = append(tiles, q)
		}
	}
	if len(tiles) != 3 {
		t.Fatalf("%d tiles count what is wrong, want 3: %v", len(tiles), tiles)
	}
	for _, state := range []struct {
		is, series, sign string
		want             int
	}{
		{"no manager leads", "vpcmirror_leader 0\n", `vpcmirror_leader == 0`, 0},
		{"all is well", leads + "vpcmirror_session_metrics{detail=\"all\"} 1\n", `vpcmirror_session_metrics{detail="all"}`, 1},
		{"sessions have no series", leads + "vpcmirror_session_metrics{detail=\"off\"} 1\n", `vpcmirror_session_metrics{detail="off"} unless on (pod) vpcmirror_session_metrics{detail="all"}`, 0},
		{"the cache can't be read", "vpcmirror_leader 1\nvpcmirror_objects_unreadable 1\n", `vpcmirror_objects_unreadable == 1`, 0},
	} {
		set(state.series)
		if ask(ctx, t, server, state.sign, func(n int) bool { return n > 0 }) < 1 {
			t.Fatalf("%s is not seen", state.is)
		}
		for _, q := range tiles {
			if n := ask(ctx, t, server, q.Expr, func(int) bool { return true }); n != state.want {
				t.Errorf("%s, while %s: %d samples, want %d: %s", q, state.is, n, state.want, q.Expr)
			}
		}
	}
}

func TestAlertsFireForWhatAManagerTells(t *testing.T) {
	t.Parallel()
	prometheus.Need(t, "prometheus")
	rules, err := prometheus.Rules(prometheus.Hasten(300))
	if err != nil {
		t.Fatal(err)
	}
	stalled := troubled("stalled", v1alpha1.ConditionReady, v1alpha1.ReasonConflict)
	stalled.Status.Conditions = append(stalled.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConflict,
	})
	lost := troubled("lost", v1alpha1.ConditionTrafficObserved, v1alpha1.ReasonVerifierLost)
	lost.Status.Conditions[0].Status = metav1.ConditionUnknown
	cut := troubled("cut", v1alpha1.ConditionConsumerReady, v1alpha1.ReasonPayloadTruncated)
	cut.Status.Findings[0].Severity = v1alpha1.SeverityWarning
	partly := troubled("partly", v1alpha1.ConditionPathClear, v1alpha1.ReasonRuleMatchesNothing)
	partly.Status.Findings[0].Severity = v1alpha1.SeverityWarning
	losing := troubled("losing", v1alpha1.ConditionConsumerReady, v1alpha1.ReasonDroppedOnNode)
	losing.Status.Findings[0].Severity = v1alpha1.SeverityWarning
	going := troubled("going", v1alpha1.ConditionReady, v1alpha1.ReasonDeleting)
	server := scrape(t, rules, endpoint(t, managerOf(t, stalled, lost, cut, partly, losing, going,
		troubled("blind", v1alpha1.ConditionPathClear, v1alpha1.ReasonTargetGroupDenies),
		troubled("silent", v1alpha1.ConditionTrafficObserved, v1alpha1.ReasonSilent),
		troubled("half", v1alpha1.ConditionTrafficObserved, v1alpha1.ReasonSourceSilent),
		troubled("unread", v1alpha1.ConditionConsumerReady, v1alpha1.ReasonNobodyListens),
		troubled("dropped", v1alpha1.ConditionPathClear, v1alpha1.ReasonCaptureDrops),
	)))
	ctx := within(t)
	want := map[string]string{
		"VPCMirrorBlind": "blind", "VPCMirrorSilent": "silent", "VPCMirrorSourceSilent": "half", "VPCMirrorConsumerAbsent": "unread",
		"VPCMirrorCopiesCut": "cut", "VPCMirrorCaptureDrops": "dropped", "VPCMirrorStalled": "stalled", "VPCMirrorNotReady": "stalled",
		"VPCMirrorVerifierMissing": "lost", "VPCMirrorPartlyBlind": "partly", "VPCMirrorConsumerLosing": "losing", "VPCMirrorDeletionHangs": "going",
	}
	for name, session := range want {
		if _, err := server.AwaitFiring(ctx, name, map[string]string{"namespace": "team", "session": session}); err != nil {
			t.Error(err)
		}
	}
	all, err := server.Alerts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		name, session := a.Labels["alertname"], a.Labels["session"]
		if name == "VPCMirrorBlind" && session == "dropped" || name == "VPCMirrorPartlyBlind" && a.State == "pending" {
			continue
		}
		if want[name] != session {
			t.Errorf("%s is %s for %s", name, a.State, session)
		}
	}
}

// Grafana asks which Prometheus to ask, and no panel names one itself.
func TestDashboardsAreForWhateverPrometheusIsChosen(t *testing.T) {
	t.Parallel()
	all, err := prometheus.Dashboards()
	if err != nil {
		t.Fatal(err)
	}
	var uids []string
	for _, d := range all {
		uids = append(uids, d.UID)
		if d.SchemaVersion < 39 {
			t.Errorf("%s has schemaVersion %d, want 39 or later", d.File, d.SchemaVersion)
		}
		if !slices.ContainsFunc(d.Templating.List, func(v prometheus.Variable) bool {
			return v.Name == "datasource" && v.Type == "datasource" && v.Query == "prometheus"
		}) {
			t.Errorf("%s has no variable datasource of the type prometheus", d.File)
		}
		seen := map[int]bool{}
		for _, p := range d.AllPanels() {
			where := fmt.Sprintf("%s, panel %q", d.File, p.Title)
			if seen[p.ID] {
				t.Errorf("%s: another panel has the ID %d too", where, p.ID)
			}
			seen[p.ID] = true
			if p.Type == "row" {
				continue
			}
			if p.Description == "" {
				t.Errorf("%s has no description", where)
			}
			datasources := []*prometheus.Datasource{p.Datasource}
			for _, target := range p.Targets {
				datasources = append(datasources, target.Datasource)
			}
			for _, source := range datasources {
				if source != nil && *source != (prometheus.Datasource{Type: "prometheus", UID: "${datasource}"}) {
					t.Errorf("%s asks %+v and not what is chosen", where, *source)
				}
			}
			if p.Datasource == nil || len(p.Targets) == 0 {
				t.Errorf("%s asks nobody anything", where)
			}
		}
	}
	if diff := cmp.Diff([]string{"vpcmirror-fleet", "vpcmirror-session"}, uids); diff != "" {
		t.Errorf("the dashboards (-want +got):\n%s", diff)
	}
}
