package integration_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/integration/harness"
)

// noon is when nothing was seen yet.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// entry is what a verifier on the node reports.
func entry(node string, counts v1alpha1.Counts, first, last time.Duration) v1alpha1.Verification {
	e := v1alpha1.Verification{
		Counts: counts, Node: node, Interface: "eth0", ObservedAt: metav1.NewMicroTime(noon.Add(last)),
		StartedAt: new(metav1.NewMicroTime(noon)),
	}
	if last > 0 {
		e.FirstPacketAt, e.LastPacketAt = new(metav1.NewMicroTime(noon.Add(first))), new(metav1.NewMicroTime(noon.Add(last)))
		e.LastPacket = "IP 192.168.0.161.38944 > 192.168.0.230.1234"
	}
	return e
}

// inEpoch is an entry with all its counts in the session's epoch, of its first source, and
// accepted by the walkthrough's rule.
func inEpoch(s *v1alpha1.MirrorSession, e v1alpha1.Verification) v1alpha1.Verification {
	e.Epoch, e.InEpoch = s.Status.Epoch, new(e.Counts)
	e.Rules = []v1alpha1.RuleCounts{{Direction: v1alpha1.DirectionIngress, Priority: 1, Packets: e.Packets}}
	source := s.Status.Sources[0]
	e.Sources = []v1alpha1.SourceCounts{{
		InterfaceID: source.InterfaceID, Address: source.Addresses[0],
		Packets: e.Packets, Bytes: e.Bytes, Unexpected: e.Unexpected, LastPacketAt: e.LastPacketAt,
	}}
	return e
}

func isChanged(err error) bool { return errors.Is(err, report.ErrChanged) }

// write stores an entry as the verifier of its node does, and returns what it stored: what the
// entry says of no epoch was all counted in the present one.
func write(t *testing.T, w *harness.World, s *v1alpha1.MirrorSession, e v1alpha1.Verification) v1alpha1.Verification {
	t.Helper()
	if e.Epoch == 0 && s.Status.Epoch > 0 {
		e.Epoch, e.InEpoch = s.Status.Epoch, new(e.Counts)
	}
	harness.Until(w, s, "the entry of "+e.Node+" is written over it", func(s *v1alpha1.MirrorSession) bool {
		err := report.Write(t.Context(), w.Cluster.Client, s, e)
		if err != nil && !isChanged(err) {
			t.Fatal(err)
		}
		return err == nil
	})
	return e
}

// traffic waits until TrafficObserved has the reason and returns the condition.
func traffic(w *harness.World, s *v1alpha1.MirrorSession, reason string) metav1.Condition {
	harness.Until(w, s, "TrafficObserved because of "+reason, func(s *v1alpha1.MirrorSession) bool {
		c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved)
		return c != nil && c.Reason == reason
	})
	return *meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved)
}

var noSince = cmpopts.IgnoreFields(v1alpha1.Traffic{}, "Since")

// times compares times as moments.
var times = cmp.Options{
	cmp.Comparer(func(a, b metav1.MicroTime) bool { return a.Equal(&b) }),
	cmp.Comparer(func(a, b metav1.Time) bool { return a.Equal(&b) }),
}

func TestTrafficObservedFollowsWhatTheVerifierReports(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(harness.WithTiming(lifecycle.DefaultTiming)) // the look after a start comes later
	_, session := w.Pair("observed")
	asked := w.Cloud.Journal.Last()
	const on = "on ecs-target (eth0)"
	for _, step := range []struct {
		counts  v1alpha1.Counts
		message string // of the verifier
		want    metav1.Condition
	}{
		{v1alpha1.Counts{}, "", metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoPackets,
			Message: "no packet has arrived " + on + " yet: is there traffic that the filter accepts, and does the target's security group allow UDP 4789 from the sources?",
		}},
		{v1alpha1.Counts{}, "eth0 is gone", metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonCaptureFailed, Message: "ecs-target: eth0 is gone",
		}},
		{v1alpha1.Counts{Undecided: 1}, "", metav1.Condition{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonUndecided,
			Message: "packets arrive " + on + ", but whether the filter accepts them can't be told: raise spec.packetLength, or look at the last packet in status.verification",
		}},
		{v1alpha1.Counts{Undecided: 1, ForeignSource: 1}, "", metav1.Condition{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonForeignSource,
			Message: "packets with the session's VNI arrive " + on + ", but from an address that is no source of it: another session may use the same VNI for this target",
		}},
		{v1alpha1.Counts{Undecided: 1, ForeignSource: 1, Unexpected: 1}, "", metav1.Condition{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonUnexpectedPackets,
			Message: "only packets that the filter does not accept arrive " + on + ": look at the last packet in status.verification, and at the filter's directions, addresses and ports",
		}},
		{v1alpha1.Counts{Undecided: 1, ForeignSource: 1, Unexpected: 1, Packets: 1, Bytes: 72}, "", metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPacketsObserved, Message: "copies that the filter accepts arrive " + on,
		}},
	} {
		e := inEpoch(session, entry("ecs-target", step.counts, 0, 0))
		e.Message = step.message
		write(t, w, session, e)
		got := traffic(w, session, step.want.Reason)
		step.want.Type, step.want.ObservedGeneration = v1alpha1.ConditionTrafficObserved, 1
		harness.Same(t, "the condition", step.want, got, noTimes)
		harness.Same(t, "the entry", []v1alpha1.Verification{e}, session.Status.Verification, times)
		harness.Same(t, "the sum", &v1alpha1.Traffic{
			Counts: step.counts, Since: session.Status.Traffic.Since, InEpoch: &step.counts, Rules: e.Rules, Sources: e.Sources,
		}, session.Status.Traffic, times)
		if !meta.IsStatusConditionTrue(session.Status.Conditions, v1alpha1.ConditionReady) {
			t.Errorf("traffic made the session unready: %+v", session.Status.Conditions)
		}
	}
	w.EventSays(session, v1alpha1.ReasonUndecided, "can't be told")
	w.EventSays(session, v1alpha1.ReasonPacketsObserved, "arrive")
	harness.Same(t, "what was asked of the cloud because of traffic", []string{}, harness.Operations(w.Cloud.Journal.Since(asked)))
}

func TestEveryNodeKeepsItsOwnEntryAndTheManagerSumsThem(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("shared")
	a := inEpoch(session, entry("node-a", v1alpha1.Counts{Packets: 3, Bytes: 300, Unexpected: 1, Dropped: 7}, 2*time.Second, 5*time.Second))
	b := inEpoch(session, entry("node-b", v1alpha1.Counts{Packets: 4, Bytes: 400, Undecided: 2, ForeignSource: 1}, 1500*time.Millisecond, 4*time.Second))
	write(t, w, session, a)
	write(t, w, session, b)
	counts := v1alpha1.Counts{Packets: 7, Bytes: 700, Unexpected: 1, Undecided: 2, ForeignSource: 1, Dropped: 7}
	sum := &v1alpha1.Traffic{
		Counts: counts, InEpoch: &counts,
		Sources: []v1alpha1.SourceCounts{{
			InterfaceID: scenario.WalkthroughSource, Address: "192.168.0.230", Packets: 7, Bytes: 700, Unexpected: 1, LastPacketAt: a.LastPacketAt,
		}},
		Rules:         []v1alpha1.RuleCounts{{Direction: v1alpha1.DirectionIngress, Priority: 1, Packets: 7}},
		FirstPacketAt: new(metav1.NewTime(noon.Add(time.Second))), LastPacketAt: new(metav1.NewTime(noon.Add(5 * time.Second))),
	}
	summed := func(want *v1alpha1.Traffic) {
		t.Helper()
		harness.Until(w, session, "the sum", func(s *v1alpha1.MirrorSession) bool { return cmp.Equal(want, s.Status.Traffic, times, noSince) })
	}
	summed(sum)
	entries := cmp.Options{times, cmpopts.SortSlices(func(a, b v1alpha1.Verification) bool { return a.Node < b.Node })}
	harness.Same(t, "the entries", []v1alpha1.Verification{a, b}, session.Status.Verification, entries)

	// One node goes on; the other's entry stays, and so do both while the manager writes.
	a.Packets, a.Bytes = 10, 1000
	a = inEpoch(session, a)
	write(t, w, session, a)
	counts.Packets, counts.Bytes, sum.Packets, sum.Bytes = 14, 1400, 14, 1400
	sum.Sources[0].Packets, sum.Sources[0].Bytes, sum.Rules[0].Packets = 14, 1400, 14
	summed(sum)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(8)) })
	harness.Ready(w, session)
	harness.Same(t, "the entries after the manager's write", []v1alpha1.Verification{a, b}, session.Status.Verification, entries)
	// What was counted before the edit is in the totals, and proves nothing about now.
	sum.InEpoch, sum.Rules = nil, nil
	summed(sum)

	// Each part of the status belongs to its writer alone.
	fresh := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: session.Namespace, Name: session.Name}}
	if err := w.Get(fresh); err != nil {
		t.Fatal(err)
	}
	var owners []string
	for _, f := range fresh.ManagedFields {
		if f.Subresource != "status" {
			continue
		}
		owners = append(owners, f.Manager)
		if own, has := f.Manager != status.FieldManager, strings.Contains(f.FieldsV1.GetRawString(), "f:verification"); own != has {
			t.Errorf("%s writes %s", f.Manager, f.FieldsV1.GetRawString())
		}
	}
	harness.Same(t, "who writes the status", []string{"vpcmirror-manager", v1alpha1.VerifierName("node-a"), v1alpha1.VerifierName("node-b")}, owners,
		cmpopts.SortSlices(func(a, b string) bool { return a < b }))
}

func TestAnEntryThatDoesNotChangeWritesNothing(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start()
	_, session := w.Pair("quiet")
	e := entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, time.Second)
	write(t, w, session, e)
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	w.EventSays(session, v1alpha1.ReasonPacketsObserved, "arrive")
	m.EventsSent(w)
	written := len(m.Writes())
	write(t, w, session, e)
	harness.ReconcileNow(w, session)
	harness.Same(t, "the manager's writes", []string{
		"PATCH /apis/vpcmirror.io/v1alpha1/namespaces/" + w.Namespace + "/mirrorsessions/quiet/status", // the request's echo
	}, m.Writes()[written:])
}

func TestASwitchedOffSessionSaysThatNoCopiesAreMade(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("off", func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) })
	c := traffic(w, session, v1alpha1.ReasonDisabled)
	harness.Same(t, "the condition", metav1.Condition{
		Type: v1alpha1.ConditionTrafficObserved, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonDisabled,
		Message: "spec.enabled is false: the cloud makes no copies", ObservedGeneration: 1,
	}, c, noTimes)
}
