package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// shelf is a cache with these objects.
type shelf struct {
	client.Reader // no other method may be called

	filters  []v1alpha1.MirrorFilter
	sessions []v1alpha1.MirrorSession
	failure  error
}

func (s *shelf) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch list := list.(type) {
	case *v1alpha1.MirrorFilterList:
		list.Items = s.filters
	case *v1alpha1.MirrorSessionList:
		list.Items = s.sessions
	}
	return s.failure
}

// told is what a manager tells that leads, or does not.
func told(t *testing.T, s *shelf, detail Detail, leads bool) *prometheus.Registry {
	t.Helper()
	elected := make(chan struct{})
	if leads {
		close(elected)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&Objects{Cache: s, Leads: elected, Detail: detail, Log: testr.New(t)})
	return registry
}

func expect(t *testing.T, registry *prometheus.Registry, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

var at = metav1.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

func condition(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason}
}

// blind is a session of two sources, from one of which nothing comes.
func blind() v1alpha1.MirrorSession {
	s := v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web"}}
	s.Spec.SilenceAfter = &metav1.Duration{Duration: 90 * time.Second}
	s.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSynced),
		condition(v1alpha1.ConditionPathClear, metav1.ConditionFalse, v1alpha1.ReasonTargetGroupDenies),
	}
	s.Status.Findings = []v1alpha1.Finding{
		{Reason: v1alpha1.ReasonTargetGroupDenies, Severity: v1alpha1.SeverityError, Subject: "source 192.168.0.161"},
		{Reason: v1alpha1.ReasonTargetGroupDenies, Severity: v1alpha1.SeverityError, Subject: "source 192.168.0.162"},
	}
	s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "port-t", NodeName: "node-7"}}
	s.Status.VNI = new(int32(7))
	micro := metav1.NewMicroTime(at.Add(250 * time.Millisecond))
	s.Status.Traffic = &v1alpha1.Traffic{
		Counts:       v1alpha1.Counts{Packets: 11, Bytes: 1100, Unexpected: 2, Undecided: 3, ForeignSource: 4, Dropped: 5, Truncated: 6},
		LastPacketAt: &at,
		Sources: []v1alpha1.SourceCounts{
			{InterfaceID: "port-a", Address: "192.168.0.161", Packets: 11, Truncated: 6, LastPacketAt: &micro},
			{InterfaceID: "port-b", Address: "192.168.0.162"},
		},
	}
	return s
}

func healthy(name string) v1alpha1.MirrorSession {
	s := v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
	s.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSynced)}
	return s
}

func filter(name string, ready metav1.ConditionStatus, reason string) v1alpha1.MirrorFilter {
	f := v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
	f.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, ready, reason)}
	return f
}

func TestEverythingIsToldOfAMirrorThatIsBlind(t *testing.T) {
	t.Parallel()
	registry := told(t, &shelf{
		filters:  []v1alpha1.MirrorFilter{filter("web", metav1.ConditionTrue, v1alpha1.ReasonSynced)},
		sessions: []v1alpha1.MirrorSession{blind()},
	}, Auto, true)
	expect(t, registry, `
# HELP vpcmirror_filter_condition 1 for the present status and reason of each condition of a mirror filter.
# TYPE vpcmirror_filter_condition gauge
vpcmirror_filter_condition{filter="web",namespace="team",reason="Synced",status="True",type="Ready"} 1
# HELP vpcmirror_filter_metrics_left_out Mirror filters that are not ready and have no series of their own, because only the first 2000 by namespace and name have.
# TYPE vpcmirror_filter_metrics_left_out gauge
vpcmirror_filter_metrics_left_out 0
# HELP vpcmirror_leader 1 where this manager leads, 0 where it stands by.
# TYPE vpcmirror_leader gauge
vpcmirror_leader 1
# HELP vpcmirror_objects Mirror filters and sessions of the cluster, by the status of their condition Ready; Unknown too where nothing has looked at them yet.
# TYPE vpcmirror_objects gauge
vpcmirror_objects{kind="MirrorFilter",ready="False"} 0
vpcmirror_objects{kind="MirrorFilter",ready="True"} 1
vpcmirror_objects{kind="MirrorFilter",ready="Unknown"} 0
vpcmirror_objects{kind="MirrorSession",ready="False"} 0
vpcmirror_objects{kind="MirrorSession",ready="True"} 1
vpcmirror_objects{kind="MirrorSession",ready="Unknown"} 0
# HELP vpcmirror_objects_unreadable 1 where the cache could not be read for this scrape, which then tells of no object; 0 else.
# TYPE vpcmirror_objects_unreadable gauge
vpcmirror_objects_unreadable 0
# HELP vpcmirror_session_bytes_total Bytes of the inner frames of a mirror session's accepted packets.
# TYPE vpcmirror_session_bytes_total counter
vpcmirror_session_bytes_total{namespace="team",session="web"} 1100
# HELP vpcmirror_session_condition 1 for the present status and reason of each condition of a mirror session.
# TYPE vpcmirror_session_condition gauge
vpcmirror_session_condition{namespace="team",reason="Synced",session="web",status="True",type="Ready"} 1
vpcmirror_session_condition{namespace="team",reason="TargetGroupDenies",session="web",status="False",type="PathClear"} 1
# HELP vpcmirror_session_dropped_frames_total Frames, of whatever session, that reached the nodes of a mirror session's target while the capture could not keep up.
# TYPE vpcmirror_session_dropped_frames_total counter
vpcmirror_session_dropped_frames_total{namespace="team",session="web"} 5
# HELP vpcmirror_session_finding 1 for each cause and severity that a mirror session's findings name.
# TYPE vpcmirror_session_finding gauge
vpcmirror_session_finding{namespace="team",reason="TargetGroupDenies",session="web",severity="Error"} 1
# HELP vpcmirror_session_foreign_source_packets_total Packets with a mirror session's VNI that came from an address that is no source of it.
# TYPE vpcmirror_session_foreign_source_packets_total counter
vpcmirror_session_foreign_source_packets_total{namespace="team",session="web"} 4
# HELP vpcmirror_session_info 1, with the target's interface, its node where it is one, and the VNI of a mirror session.
# TYPE vpcmirror_session_info gauge
vpcmirror_session_info{namespace="team",node="node-7",session="web",target="port-t",vni="7"} 1
# HELP vpcmirror_session_last_packet_timestamp_seconds When the last packet of a mirror session came, in seconds since 1970.
# TYPE vpcmirror_session_last_packet_timestamp_seconds gauge
vpcmirror_session_last_packet_timestamp_seconds{namespace="team",session="web"} 1.767323045e+09
# HELP vpcmirror_session_metrics 1 for of which mirror sessions this manager has series: all, troubled or off.
# TYPE vpcmirror_session_metrics gauge
vpcmirror_session_metrics{detail="all"} 1
# HELP vpcmirror_session_metrics_left_out Mirror sessions in trouble that have no series of their own, because only the first 2000 by namespace and name have.
# TYPE vpcmirror_session_metrics_left_out gauge
vpcmirror_session_metrics_left_out 0
# HELP vpcmirror_session_packets_total Packets of a mirror session that came from its sources and that its filter accepts, by the verifiers of all nodes.
# TYPE vpcmirror_session_packets_total counter
vpcmirror_session_packets_total{namespace="team",session="web"} 11
# HELP vpcmirror_session_silence_after_seconds After how long without a packet a mirror session counts as silent, where its spec says that.
# TYPE vpcmirror_session_silence_after_seconds gauge
vpcmirror_session_silence_after_seconds{namespace="team",session="web"} 90
# HELP vpcmirror_session_source_last_packet_timestamp_seconds When the last packet from one source of a mirror session with several came, in seconds since 1970.
# TYPE vpcmirror_session_source_last_packet_timestamp_seconds gauge
vpcmirror_session_source_last_packet_timestamp_seconds{address="192.168.0.161",namespace="team",session="web",source="port-a"} 1.76732304525e+09
# HELP vpcmirror_session_source_packets_total Packets from one source of a mirror session with several, that its filter accepts.
# TYPE vpcmirror_session_source_packets_total counter
vpcmirror_session_source_packets_total{address="192.168.0.161",namespace="team",session="web",source="port-a"} 11
vpcmirror_session_source_packets_total{address="192.168.0.162",namespace="team",session="web",source="port-b"} 0
# HELP vpcmirror_session_source_truncated_packets_total Packets from one source of a mirror session with several, whose copies were cut.
# TYPE vpcmirror_session_source_truncated_packets_total counter
vpcmirror_session_source_truncated_packets_total{address="192.168.0.161",namespace="team",session="web",source="port-a"} 6
vpcmirror_session_source_truncated_packets_total{address="192.168.0.162",namespace="team",session="web",source="port-b"} 0
# HELP vpcmirror_session_truncated_packets_total Packets of a mirror session whose copies were cut.
# TYPE vpcmirror_session_truncated_packets_total counter
vpcmirror_session_truncated_packets_total{namespace="team",session="web"} 6
# HELP vpcmirror_session_undecided_packets_total Packets of a mirror session of which can't be told whether its filter accepts them.
# TYPE vpcmirror_session_undecided_packets_total counter
vpcmirror_session_undecided_packets_total{namespace="team",session="web"} 3
# HELP vpcmirror_session_unexpected_packets_total Packets of a mirror session that came from its sources, and that its filter does not accept.
# TYPE vpcmirror_session_unexpected_packets_total counter
vpcmirror_session_unexpected_packets_total{namespace="team",session="web"} 2
`)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("the rules of Prometheus: %v, %v", problems, err)
	}
}

func TestAManagerThatStandsByTellsThatAlone(t *testing.T) {
	t.Parallel()
	expect(t, told(t, &shelf{sessions: []v1alpha1.MirrorSession{blind()}}, All, false), `
# HELP vpcmirror_leader 1 where this manager leads, 0 where it stands by.
# TYPE vpcmirror_leader gauge
vpcmirror_leader 0
`)
}

func TestACacheThatCannotBeReadIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	expect(t, told(t, &shelf{failure: errors.New("it is not started")}, All, true), `
# HELP vpcmirror_leader 1 where this manager leads, 0 where it stands by.
# TYPE vpcmirror_leader gauge
vpcmirror_leader 1
# HELP vpcmirror_objects_unreadable 1 where the cache could not be read for this scrape, which then tells of no object; 0 else.
# TYPE vpcmirror_objects_unreadable gauge
vpcmirror_objects_unreadable 1
`)
}

func TestWhichSessionsHaveSeriesOfTheirOwn(t *testing.T) {
	t.Parallel()
	stalled, suspended, fresh, found := healthy("stalled"), healthy("suspended"), healthy("fresh"), healthy("found")
	stalled.Status.Conditions = append(stalled.Status.Conditions, condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonConflict))
	suspended.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)}
	fresh.Status.Conditions = nil
	found.Status.Findings = []v1alpha1.Finding{{Reason: v1alpha1.ReasonCaptureDrops, Severity: v1alpha1.SeverityWarning}}
	few := []v1alpha1.MirrorSession{healthy("healthy"), stalled, suspended, fresh, found}
	many := append([]v1alpha1.MirrorSession(nil), few...)
	for n := range Many {
		many = append(many, healthy(fmt.Sprint("another-", n)))
	}
	for _, c := range []struct {
		name     string
		detail   Detail
		sessions []v1alpha1.MirrorSession
		want     int // series of Ready: of a fresh session there is none
	}{
		{"all of few", Auto, few, 4},
		{"those that need an eye of many", Auto, many, 2},
		{"all of many where that is wanted", All, many, 4 + Many},
		{"those that need an eye of few where that is wanted", Troubled, few, 2},
		{"none where that is wanted", Off, few, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			families, err := told(t, &shelf{sessions: c.sessions}, c.detail, true).Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := 0
			for _, family := range families {
				if family.GetName() != "vpcmirror_session_condition" {
					continue
				}
				for _, m := range family.GetMetric() {
					for _, label := range m.GetLabel() {
						if label.GetName() == "type" && label.GetValue() == v1alpha1.ConditionReady {
							got++
						}
					}
				}
			}
			if got != c.want {
				t.Errorf("%d sessions have series, want %d", got, c.want)
			}
		})
	}
}

// Whoever may write a status can put anything there. Prometheus refuses a whole scrape for one series that is
// there twice.
func TestASourceThatAStatusNamesTwiceIsToldOnce(t *testing.T) {
	t.Parallel()
	s := blind()
	s.Status.Traffic.Sources = append(s.Status.Traffic.Sources, s.Status.Traffic.Sources...)
	s.Status.Conditions = append(s.Status.Conditions, s.Status.Conditions...)
	if n, err := testutil.GatherAndCount(told(t, &shelf{sessions: []v1alpha1.MirrorSession{s}}, All, true), "vpcmirror_session_source_packets_total"); n != 2 || err != nil {
		t.Errorf("%d series, %v", n, err)
	}
}

func TestADetailThatIsNoneIsRefusedWithThoseThatAre(t *testing.T) {
	t.Parallel()
	_, err := ParseDetail("some")
	if err == nil || err.Error() != `"some" is none of auto, all, troubled, off` {
		t.Errorf("%v", err)
	}
}

func TestRulesAndChangesOfAMirrorAreTold(t *testing.T) {
	t.Parallel()
	s := blind()
	s.Status.Traffic.Rules = []v1alpha1.RuleCounts{
		{Direction: v1alpha1.DirectionIngress, Priority: 1, Packets: 7}, {Direction: v1alpha1.DirectionEgress, Priority: 1, Packets: 4},
		{Direction: v1alpha1.DirectionEgress, Priority: 1, Packets: 9}, // a status that names one twice must not spoil the scrape
	}
	later := metav1.NewTime(at.Add(time.Minute))
	s.Status.Changes = []v1alpha1.Change{
		{At: at, By: v1alpha1.ChangedByCloud, What: "a rule is gone"}, {At: later, By: v1alpha1.ChangedByCloud, What: "another is gone"},
		{At: at, By: v1alpha1.ChangedBySpec, What: "the VNI was set"},
	}
	expect(t, told(t, &shelf{sessions: []v1alpha1.MirrorSession{s}}, All, true), `
# HELP vpcmirror_session_last_change_timestamp_seconds When what decides whether a mirror session's copies come was last changed by its spec, the operator or somebody in the cloud, in seconds since 1970.
# TYPE vpcmirror_session_last_change_timestamp_seconds gauge
vpcmirror_session_last_change_timestamp_seconds{by="Cloud",namespace="team",session="web"} 1.767323105e+09
vpcmirror_session_last_change_timestamp_seconds{by="Spec",namespace="team",session="web"} 1.767323045e+09
# HELP vpcmirror_session_rule_packets_total Packets of a mirror session that a rule of its filter decided about, since sources, target, VNI or filter last changed.
# TYPE vpcmirror_session_rule_packets_total counter
vpcmirror_session_rule_packets_total{namespace="team",rule="Egress 1",session="web"} 4
vpcmirror_session_rule_packets_total{namespace="team",rule="Ingress 1",session="web"} 7
`, "vpcmirror_session_rule_packets_total", "vpcmirror_session_last_change_timestamp_seconds")
}
