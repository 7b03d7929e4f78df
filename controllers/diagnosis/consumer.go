package diagnosis

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// JudgeConsumer decides ConsumerReady: by what the verifiers that count now say of their nodes,
// the worst first. Where copies are cut, or more come than could be looked at, what takes them
// does not get them whole, whoever it is.
func JudgeConsumer(k *Known) Verdict {
	if v, unknown := unknowable(k); unknown {
		return v
	}
	for _, cause := range []func(*Known) []v1alpha1.Finding{nobodyTakes, payloadTruncated, captureDrops} {
		if found := cause(k); len(found) > 0 {
			f := found[0]
			return Verdict{metav1.ConditionFalse, f.Reason, f.Message, f.Severity, f.DecidedBy}
		}
	}
	v := Verdict{Status: metav1.ConditionTrue, Severity: v1alpha1.SeverityInfo, DecidedBy: v1alpha1.DecidedByNode}
	for _, e := range k.counters() {
		c := consumerOf(e)
		if v.Reason == "" || v.Status == metav1.ConditionTrue {
			v.Status, v.Reason, v.Message = c.Status, c.Reason, c.Message
		}
	}
	return v
}

// nobodyTakes: copies reach a node, and what is there does not take them, or not all. By what
// the kernel of the node counts, and which sockets and devices it has, as the verifier there
// says.
func nobodyTakes(k *Known) []v1alpha1.Finding {
	return ofEntries(k, func(e v1alpha1.Verification) *v1alpha1.Finding {
		c := consumerOf(e)
		if e.Message != "" || c.Status != metav1.ConditionFalse {
			return nil
		}
		f := v1alpha1.Finding{
			Severity: v1alpha1.SeverityError, DecidedBy: v1alpha1.DecidedByNode, Reason: c.Reason, Subject: e.Node, Message: c.Message, Remedy: c.Remedy,
		}
		if c.Partial {
			f.Severity = v1alpha1.SeverityWarning
		}
		return &f
	})
}

// consumerReasons are what a verifier may say of the consumer.
var consumerReasons = map[metav1.ConditionStatus][]string{
	metav1.ConditionTrue: {v1alpha1.ReasonConsumerSeen},
	metav1.ConditionFalse: {
		v1alpha1.ReasonNobodyListens, v1alpha1.ReasonWrongVNI, v1alpha1.ReasonConsumerDown, v1alpha1.ReasonDroppedOnNode,
	},
	metav1.ConditionUnknown: {
		v1alpha1.ReasonNoCopies, v1alpha1.ReasonNotObserved, v1alpha1.ReasonOutOfSight, v1alpha1.ReasonNotDecided,
	},
}

// consumerOf is what an entry says of the consumer, in words that are known here: a verifier of
// another version may use others, or say nothing.
func consumerOf(e v1alpha1.Verification) v1alpha1.Consumer {
	switch c := e.Consumer; {
	case c == nil:
		return v1alpha1.Consumer{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotObserved,
			Message: "the verifier on " + place(e) + " has not said yet what takes the copies there",
		}
	case !slices.Contains(consumerReasons[c.Status], c.Reason):
		return v1alpha1.Consumer{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotDecided, Message: c.Message}
	default:
		return *c
	}
}
