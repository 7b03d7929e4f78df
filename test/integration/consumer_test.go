package integration_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/integration/harness"
)

// consumer waits until ConsumerReady has the reason, and returns it.
func consumer(w *harness.World, s *v1alpha1.MirrorSession, reason string) metav1.Condition {
	harness.Until(w, s, "ConsumerReady because of "+reason, func(s *v1alpha1.MirrorSession) bool {
		c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionConsumerReady)
		return c != nil && c.Reason == reason
	})
	return *meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionConsumerReady)
}

func TestWhatTakesTheCopiesIsAConditionAFindingAndAnEvent(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("taken")
	consumer(w, session, v1alpha1.ReasonNoVerifier)

	e := entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second)
	write(t, w, session, e)
	harness.Same(t, "before the verifier has looked", metav1.ConditionUnknown, consumer(w, session, v1alpha1.ReasonNotObserved).Status)
	found(w, session)

	const said = `on ecs-target no socket, vxlan device or packet socket but vpcmirror's takes UDP 4789 at 192.168.0.164: the kernel refused 674 datagrams with "port unreachable"`
	e.Consumer = &v1alpha1.Consumer{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: said, Remedy: "start the IDS on ecs-target (eth0)",
	}
	write(t, w, session, e)
	findings := found(w, session, v1alpha1.ReasonNobodyListens)
	harness.Same(t, "the finding", []v1alpha1.Finding{{
		Reason: v1alpha1.ReasonNobodyListens, Severity: v1alpha1.SeverityError, DecidedBy: v1alpha1.DecidedByNode, Subject: "ecs-target",
		Message: said, Remedy: "start the IDS on ecs-target (eth0)",
	}}, findings, cmpopts.IgnoreFields(v1alpha1.Finding{}, "Since"))
	harness.Same(t, "the condition", metav1.Condition{
		Type: v1alpha1.ConditionConsumerReady, Status: metav1.ConditionFalse, ObservedGeneration: session.Generation,
		Reason: v1alpha1.ReasonNobodyListens, Message: said,
	}, consumer(w, session, v1alpha1.ReasonNobodyListens), cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime"))
	harness.Same(t, "TrafficObserved", metav1.ConditionTrue, traffic(w, session, v1alpha1.ReasonPacketsObserved).Status)
	_, row := columns(t, w, session)
	harness.Same(t, "WHY", v1alpha1.ReasonNobodyListens, row["WHY"])
	w.EventSays(session, v1alpha1.ReasonNobodyListens, "674 datagrams with \"port unreachable\". Remedy: start the IDS on ecs-target (eth0)")

	e.Consumer = &v1alpha1.Consumer{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Message: "a packet socket on eth0 reads what arrives"}
	write(t, w, session, e)
	found(w, session)
	harness.Same(t, "the condition", metav1.ConditionTrue, consumer(w, session, v1alpha1.ReasonConsumerSeen).Status)
	w.EventSays(session, v1alpha1.ReasonConsumerSeen, "reads what arrives")

	e.Counts = v1alpha1.Counts{Packets: 200, Bytes: 72, Truncated: 100}
	write(t, w, session, e)
	found(w, session, v1alpha1.ReasonPayloadTruncated)
	harness.Same(t, "of copies that are cut", metav1.ConditionFalse, consumer(w, session, v1alpha1.ReasonPayloadTruncated).Status)
	w.EventSays(session, v1alpha1.ReasonPayloadTruncated, "more than 3 in 100 copies are cut")
	for _, reason := range []string{v1alpha1.ReasonNobodyListens, v1alpha1.ReasonConsumerSeen, v1alpha1.ReasonPayloadTruncated} {
		harness.Same(t, "events of "+reason, 1, len(w.Events(session, reason)))
	}
}
