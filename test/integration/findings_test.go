package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/integration/harness"
)

// columns are what kubectl get shows of a session, by the name of the column; those of
// -o wide are in brackets.
func columns(t *testing.T, w *harness.World, s *v1alpha1.MirrorSession) (names []string, cells map[string]string) {
	t.Helper()
	client, err := rest.HTTPClientFor(w.Cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("%s/apis/vpcmirror.io/v1alpha1/namespaces/%s/mirrorsessions/%s", w.Cluster.Config.Host, s.Namespace, s.Name)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(body, &table); err != nil || len(table.Rows) != 1 {
		t.Fatalf("the table is %s: %v", body, err)
	}
	cells = map[string]string{}
	for i, column := range table.ColumnDefinitions {
		name := strings.ToUpper(column.Name)
		if column.Priority > 0 {
			name = "(" + name + ")"
		}
		names = append(names, name)
		if value := table.Rows[0].Cells[i]; value != nil {
			cells[name] = fmt.Sprint(value)
		}
	}
	return names, cells
}

// found waits until the findings have the reasons, the worst first.
func found(w *harness.World, s *v1alpha1.MirrorSession, reasons ...string) []v1alpha1.Finding {
	harness.Until(w, s, "what is found is "+strings.Join(reasons, ", "), func(s *v1alpha1.MirrorSession) bool {
		var is []string
		for _, f := range s.Status.Findings {
			is = append(is, f.Reason)
		}
		return strings.Join(is, " ") == strings.Join(reasons, " ")
	})
	return s.Status.Findings
}

func TestKubectlGetSaysWhy(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("why")
	found(w, session, v1alpha1.ReasonNoVerifier)
	names, row := columns(t, w, session)
	harness.Same(t, "the columns", []string{
		"NAME", "READY", "PATH", "TRAFFIC", "TARGET", "PACKETS", "LAST-SEEN", "WHY", "AGE", "(VNI)", "(PRIORITY)", "(ID)", "(MESSAGE)",
	}, names)
	harness.Same(t, "WHY and MESSAGE", []string{"NoVerifier", "no verifier has reported from the host that owns the target 192.168.0.164: run one there"},
		[]string{row["WHY"], row["(MESSAGE)"]})

	e := entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second)
	write(t, w, session, e)
	found(w, session)
	_, row = columns(t, w, session)
	harness.Same(t, "WHY and MESSAGE when all is well", []string{"True", "", ""}, []string{row["TRAFFIC"], row["WHY"], row["(MESSAGE)"]})

	e.Unexpected, e.Imbalance = 1, 2
	write(t, w, session, e)
	findings := found(w, session, v1alpha1.ReasonBooksDontBalance, v1alpha1.ReasonUnexpectedPackets)
	harness.Same(t, "the findings", []v1alpha1.Finding{
		{
			Reason: v1alpha1.ReasonBooksDontBalance, Severity: v1alpha1.SeverityWarning, DecidedBy: v1alpha1.DecidedByCount, Subject: "ecs-target",
			Message: "the books of the capture on ecs-target (eth0) do not balance: more frames were read than came, so its counts are not to be trusted",
			Remedy:  v1alpha1.Remedy(v1alpha1.ReasonBooksDontBalance),
		},
		{
			Reason: v1alpha1.ReasonUnexpectedPackets, Severity: v1alpha1.SeverityWarning, DecidedBy: v1alpha1.DecidedByCount,
			Message: "packets that the filter does not accept arrive from the sources too, on ecs-target (eth0)",
			Remedy:  v1alpha1.Remedy(v1alpha1.ReasonUnexpectedPackets),
		},
	}, findings, cmpopts.IgnoreFields(v1alpha1.Finding{}, "Since"))
	_, row = columns(t, w, session)
	harness.Same(t, "WHY", "BooksDontBalance", row["WHY"])
	w.EventSays(session, v1alpha1.ReasonBooksDontBalance, "more frames were read than came")
	w.EventSays(session, v1alpha1.ReasonUnexpectedPackets, "too")

	e.Imbalance = 0
	write(t, w, session, e)
	found(w, session, v1alpha1.ReasonUnexpectedPackets)
	w.EventSays(session, v1alpha1.ReasonBooksDontBalance, "over, since ")
}

// waitIsMet is what kubectl wait --for=condition=TrafficObserved goes by: the condition is True,
// and not about an older generation than the object's.
func waitIsMet(s *v1alpha1.MirrorSession) bool {
	c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration >= s.Generation
}

func TestWaitingForTrafficAfterAnEditWaitsWhileTheCloudRefusesIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(harness.WithTiming(lifecycle.DefaultTiming))
	_, session := w.Pair("refused")
	write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second))
	harness.Until(w, session, "the wait is met", waitIsMet)

	id := w.Fault(fault.Fault{Kind: fault.Error, Operation: "UpdateTrafficMirrorSession", Status: 400, Code: "VPC.0002", Message: "invalid"})
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(8)) })
	harness.Because(w, session, v1alpha1.ReasonInvalidRequest)
	if waitIsMet(session) {
		t.Errorf("the cloud refused the edit, and the wait is met: %+v", session.Status.Conditions)
	}
	harness.Same(t, "the worst finding", v1alpha1.ReasonInvalidRequest, session.Status.Findings[0].Reason)
	_, row := columns(t, w, session)
	harness.Same(t, "WHY", v1alpha1.ReasonInvalidRequest, row["WHY"])

	w.Cloud.Faults.Remove(id)
	harness.ReconcileNow(w, session)
	harness.Ready(w, session)
	observed := meta.FindStatusCondition(session.Status.Conditions, v1alpha1.ConditionTrafficObserved)
	harness.Same(t, "the generation of TrafficObserved", session.Generation, observed.ObservedGeneration)
}

func TestWaitingForTrafficAfterAnotherDescriptionIsMet(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("described")
	write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second))
	harness.Until(w, session, "the wait is met", waitIsMet)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Description = "another" })
	if waitIsMet(session) {
		t.Error("the wait is met before the manager has looked at the edit")
	}
	harness.Until(w, session, "the wait is met", waitIsMet)
}

// What was compared is said, whatever else is wrong with the session.
func TestASharedVNIIsTakenBackOnceTheCloudShowsNoOther(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(harness.WithTiming(lifecycle.DefaultTiming))
	seven := func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(7)) }
	_, other := w.Pair("other", seven)
	filter := w.Filter("own", func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.Port = new(int32(22)) }) // else the other takes its packets
	w.Create(filter)
	session := w.Session("own", filter.Name, seven)
	w.Create(session)
	harness.Ready(w, session)
	found(w, session, v1alpha1.ReasonSharedVNI, v1alpha1.ReasonNoVerifier)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = append(s.Spec.Sources, harness.Sources(harness.ID("5a1f0c7e-0000-4000-8000-00000000dead"))...)
	})
	found(w, session, v1alpha1.ReasonInterfaceNotFound, v1alpha1.ReasonSharedVNI, v1alpha1.ReasonNoVerifier)
	w.Delete(other)
	w.Gone(other)
	harness.ReconcileNow(w, session)
	found(w, session, v1alpha1.ReasonInterfaceNotFound, v1alpha1.ReasonNoVerifier)
}

func TestASessionThatBecomesSilentSaysSoByItself(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	later := lifecycle.DefaultTiming
	later.Recheck = time.Hour // the look after a start costs a list
	m := w.Start(harness.WithTiming(later))
	_, session := w.Pair("silent", func(s *v1alpha1.MirrorSession) { s.Spec.SilenceAfter = &metav1.Duration{Duration: 10 * time.Second} })
	e := entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second)
	write(t, w, session, e)
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	asked := w.Cloud.Journal.Last()
	silent := traffic(w, session, v1alpha1.ReasonSilent)
	harness.Same(t, "the status", metav1.ConditionFalse, silent.Status)
	harness.Same(t, "the findings", 1, len(session.Status.Findings))
	w.EventSays(session, v1alpha1.ReasonSilent, "no copy that the filter accepts was counted on ecs-target (eth0) since 2")
	harness.Same(t, "what was asked of the cloud when copies were missed", with(wayReads, map[string]int{
		"ListTrafficMirrorFilters": 1, "ListTrafficMirrorSessions": 1,
	}), harness.Count(w.Cloud.Journal.Since(asked)))

	// Another manager says the same from its beginning.
	m.Stop(w)
	m = w.Start(harness.WithTiming(lifecycle.DefaultTiming))
	m.Reconciled(w, session)
	harness.ReconcileNow(w, session)
	harness.Same(t, "the condition", silent, *meta.FindStatusCondition(session.Status.Conditions, v1alpha1.ConditionTrafficObserved))

	e.Packets++
	write(t, w, session, e)
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	found(w, session)
	_, row := columns(t, w, session)
	harness.Same(t, "WHY", "", row["WHY"])
}

// The clock of the manager is moved on in place of waiting.
func TestASourceThatFallsSilentIsNamed(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	letIn(w, scenario.WalkthroughTest, "192.168.0.161/32")
	filter := w.Filter("two", func(f *v1alpha1.MirrorFilter) {
		other := harness.Rule(2)
		other.Source, other.Destination = &v1alpha1.RulePeer{CIDR: "192.168.0.230/32"}, &v1alpha1.RulePeer{CIDR: "192.168.0.161/32"}
		f.Spec.Rules = append(f.Spec.Rules, other)
	})
	w.Create(filter)
	session := w.Session("two", filter.Name, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughSource), harness.ID(scenario.WalkthroughTest))
		s.Spec.SilenceAfter = &metav1.Duration{Duration: time.Hour}
	})
	w.Create(session)
	harness.Ready(w, session)
	from := func(one, other int64) {
		e := entry("ecs-target", v1alpha1.Counts{Packets: one + other, Bytes: 72}, time.Second, 2*time.Second)
		e.Sources = []v1alpha1.SourceCounts{{InterfaceID: scenario.WalkthroughSource, Packets: one}, {InterfaceID: scenario.WalkthroughTest, Packets: other}}
		write(t, w, session, e)
	}
	from(1, 1)
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	w.Clock.Advance(40 * time.Minute)
	from(1, 2)
	harness.Until(w, session, "the sum", func(s *v1alpha1.MirrorSession) bool { return s.Status.Traffic.Packets == 3 })
	w.Clock.Advance(40 * time.Minute)
	harness.ReconcileNow(w, session)
	c := traffic(w, session, v1alpha1.ReasonSourceSilent)
	if c.Status != metav1.ConditionFalse || !strings.HasPrefix(c.Message, "no copy that the filter accepts was counted from 192.168.0.230 since ") {
		t.Errorf("TrafficObserved is %+v", c)
	}
	findings := found(w, session, v1alpha1.ReasonSourceSilent)
	harness.Same(t, "the subject", "192.168.0.230", findings[0].Subject)
	w.EventSays(session, v1alpha1.ReasonSourceSilent, "192.168.0.230")
	from(2, 2)
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	found(w, session)
}

// Numbers that move are no news: neither an event nor another write than that of the sum.
func TestTrafficThatGoesOnMakesNoEventAndOneWriteForEachReport(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start(harness.WithTiming(lifecycle.DefaultTiming))
	_, session := w.Pair("steady", func(s *v1alpha1.MirrorSession) { s.Spec.SilenceAfter = &metav1.Duration{Duration: time.Hour} })
	e := entry("ecs-target", v1alpha1.Counts{Packets: 1, Unexpected: 1, ForeignSource: 1, Dropped: 1, Truncated: 1}, time.Second, 2*time.Second)
	write(t, w, session, e)
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	report := func() {
		e.Packets, e.Unexpected, e.ForeignSource, e.Dropped, e.Truncated = e.Packets+1, e.Unexpected+1, e.ForeignSource+1, e.Dropped+1, e.Truncated+1
		write(t, w, session, e)
		harness.Until(w, session, "the sum", func(s *v1alpha1.MirrorSession) bool { return s.Status.Traffic.Packets == e.Packets })
	}
	report()
	found(w, session, v1alpha1.ReasonCaptureDrops, v1alpha1.ReasonPayloadTruncated, v1alpha1.ReasonUnexpectedPackets, v1alpha1.ReasonForeignSource)
	m.EventsSent(w)
	written := len(m.Writes())
	const reports = 10
	for range reports {
		report()
	}
	m.EventsSent(w)
	if got := m.Writes()[written:]; len(got) > reports {
		t.Errorf("%d reports made %d writes: %s", reports, len(got), strings.Join(got, "\n"))
	}
}

func TestLastSeenIsNeverInTheFuture(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("ahead")
	e := entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, time.Second)
	later := metav1.NewMicroTime(time.Now().Add(time.Hour).Truncate(time.Microsecond))
	e.ObservedAt, e.FirstPacketAt, e.LastPacketAt = later, &later, &later
	write(t, w, session, e)
	findings := found(w, session, v1alpha1.ReasonClockAhead)
	harness.Same(t, "the subject", "ecs-target", findings[0].Subject)
	_, row := columns(t, w, session)
	if row["LAST-SEEN"] == "" || strings.Contains(row["LAST-SEEN"], "invalid") {
		t.Errorf("LAST-SEEN is %q", row["LAST-SEEN"])
	}
	e.ObservedAt, e.LastPacketAt = metav1.NewMicroTime(noon), new(metav1.NewMicroTime(noon)) // it was set
	write(t, w, session, e)
	found(w, session)
}

func TestWaitingForTrafficAfterAChangeInTheCloudWaitsForACopyOfTheNewEpoch(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*harness.World, *v1alpha1.MirrorFilter, *v1alpha1.MirrorSession){
		"of the target": func(w *harness.World, _ *v1alpha1.MirrorFilter, s *v1alpha1.MirrorSession) {
			harness.Change(w, s, func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.ID(scenario.WalkthroughTest)) })
		},
		"of the VNI": func(w *harness.World, _ *v1alpha1.MirrorFilter, s *v1alpha1.MirrorSession) {
			harness.Change(w, s, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(9)) })
		},
		"of the filter, once that is Ready and the session knows": func(w *harness.World, f *v1alpha1.MirrorFilter, s *v1alpha1.MirrorSession) {
			before := s.Status.Epoch
			harness.Change(w, f, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.Port = new(int32(4321)) })
			harness.Ready(w, f)
			raised(w, s, before)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			filter, session := w.Pair("edited")
			old := write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second))
			harness.Until(w, session, "the wait is met", waitIsMet)

			change(w, filter, session)
			if waitIsMet(session) {
				t.Errorf("the wait is met by what was before: %s", harness.Text(session))
			}
			harness.Ready(w, session)
			old.Packets++ // which the verifier had counted before it saw the change
			write(t, w, session, old)
			harness.ReconcileNow(w, session)
			c := traffic(w, session, v1alpha1.ReasonNoPackets)
			harness.Same(t, "the generation", session.Generation, c.ObservedGeneration)
			old.Epoch, old.InEpoch = session.Status.Epoch, &v1alpha1.Counts{Packets: 1}
			write(t, w, session, old)
			harness.Until(w, session, "the wait is met", waitIsMet)

			// No version in between said that copies arrive after the change.
			for _, version := range w.Versions(session) {
				e := version.Status.Verification
				if waitIsMet(version) && version.Status.Epoch > 1 && (len(e) == 0 || e[0].Epoch != version.Status.Epoch) {
					t.Errorf("version %s says that copies arrive: %s", version.ResourceVersion, harness.Text(version))
				}
			}
		})
	}
}

func TestWhatIsBeingDeletedSaysWhy(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("deleted")
	w.Fault(fault.Fault{Kind: fault.Error, Operation: "DeleteTrafficMirrorSession", Status: 403, Code: "VPC.0010", Message: "policy doesn't allow it"})
	w.Delete(session)
	harness.Until(w, session, "the worst finding says why it stays", func(s *v1alpha1.MirrorSession) bool {
		return len(s.Status.Findings) > 0 && s.Status.Findings[0].Reason == v1alpha1.ReasonPermissionDenied
	})
	_, row := columns(t, w, session)
	harness.Same(t, "WHY", v1alpha1.ReasonPermissionDenied, row["WHY"])
	w.Cloud.Faults.Clear()
	w.RequestReconcile(session)
	w.Gone(session)
}

// A verifier writes one entry a second, so where a node has very many sessions the counts of
// each stand still for longer than its spec calls silence.
func TestWhereANodeHasManySessionsAShortSilenceIsTheirTurn(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	const others = 70
	for i := range others {
		s := w.Session(fmt.Sprintf("other-%d", i), "missing")
		w.Create(s)
		write(t, w, s, entry("ecs-target", v1alpha1.Counts{}, 0, 0))
	}
	_, session := w.Pair("crowded", func(s *v1alpha1.MirrorSession) { s.Spec.SilenceAfter = &metav1.Duration{Duration: 10 * time.Second} })
	write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1}, time.Second, 2*time.Second))
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	w.Clock.Advance(30 * time.Second)
	harness.ReconcileNow(w, session)
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	w.Clock.Advance(others * time.Second)
	harness.ReconcileNow(w, session)
	traffic(w, session, v1alpha1.ReasonSilent)
}
