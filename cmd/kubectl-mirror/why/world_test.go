package why

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// now is when every answer of the tests is given.
var now = time.Date(2026, 11, 25, 19, 55, 10, 0, time.UTC)

// at is a moment today: 19:53:56.
func at(clock string) *metav1.Time {
	t, err := time.Parse(time.DateTime, "2026-11-25 "+clock)
	if err != nil {
		panic(err)
	}
	return &metav1.Time{Time: t}
}

// an edit changes the facts of a session that is well.
type edit func(f *Facts)

// facts are those of a session whose copies arrive, edited.
func facts(edits ...edit) Facts {
	s := &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c23", Generation: 2, ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: "kubectl", Time: at("19:55:09")},
			{Manager: "vpcmirror-manager", Subresource: "status", Time: at("19:55:07")},
		}},
		Spec: v1alpha1.MirrorSessionSpec{
			FilterRef: v1alpha1.FilterReference{Name: "to-service"},
			Sources:   []v1alpha1.SourceSelector{{InterfaceSelector: v1alpha1.InterfaceSelector{NodeName: "web"}}},
		},
		Status: v1alpha1.MirrorSessionStatus{
			CommonStatus: v1alpha1.CommonStatus{ObservedGeneration: 2},
			VNI:          new(int32(7)), Epoch: 3,
			Sessions: []v1alpha1.CloudSession{{ID: "ac98946d-2d6f-4d0c-9f0e-2f1d1d1d1d1d", Priority: 10000}},
			Sources:  []v1alpha1.ResolvedInterface{{InterfaceID: "s-1", Addresses: []string{"192.168.0.33"}}},
			Target:   &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "t-1", Addresses: []string{"192.168.0.108"}, NodeName: "tgt"}},
			Verification: []v1alpha1.Verification{{
				Node: "tgt", Interface: "eth5", Epoch: 3, Counts: v1alpha1.Counts{Packets: 50},
				InEpoch: &v1alpha1.Counts{Packets: 38}, LastPacketAt: &metav1.MicroTime{Time: at("19:55:08").Time},
			}},
			Traffic: &v1alpha1.Traffic{
				Counts: v1alpha1.Counts{Packets: 50}, InEpoch: &v1alpha1.Counts{Packets: 38},
				Since: at("19:53:54"), FirstPacketAt: at("19:40:00"), LastPacketAt: at("19:55:08"),
			},
		},
	}
	f := Facts{Session: s, Now: now, Filter: &v1alpha1.MirrorFilter{Spec: v1alpha1.MirrorFilterSpec{Rules: make([]v1alpha1.FilterRule, 1)}}}
	for _, e := range append([]edit{
		is(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSynced, "the cloud matches the spec"),
		is(v1alpha1.ConditionPathClear, metav1.ConditionTrue, v1alpha1.ReasonClear, "nothing that was read stands in the way"),
		is(v1alpha1.ConditionTrafficObserved, metav1.ConditionTrue, v1alpha1.ReasonPacketsObserved, "copies that the filter accepts arrive on tgt (eth5)"),
		is(v1alpha1.ConditionConsumerReady, metav1.ConditionTrue, v1alpha1.ReasonConsumerSeen, "on tgt the vxlan device mirror0 takes them"),
	}, edits...) {
		e(&f)
	}
	return f
}

// is sets a condition.
func is(kind string, status metav1.ConditionStatus, reason, message string) edit {
	return func(f *Facts) {
		all := &f.Session.Status.Conditions
		for i := range *all {
			if (*all)[i].Type == kind {
				*all = append((*all)[:i], (*all)[i+1:]...)
				break
			}
		}
		if status != "" {
			*all = append(*all, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message})
		}
	}
}

// session edits the session.
func session(change func(s *v1alpha1.MirrorSession)) edit {
	return func(f *Facts) { change(f.Session) }
}

// finds adds a finding.
func finds(severity v1alpha1.Severity, by v1alpha1.DecidedBy, reason, subject, message, remedy, since string) edit {
	return session(func(s *v1alpha1.MirrorSession) {
		s.Status.Findings = append(s.Status.Findings, v1alpha1.Finding{
			Severity: severity, DecidedBy: by, Reason: reason, Subject: subject, Message: message, Remedy: remedy, Since: *at(since),
		})
	})
}

// counted sets what was counted since the last change, and when the last copy came.
func counted(packets int64, last *metav1.Time) edit {
	return session(func(s *v1alpha1.MirrorSession) {
		t := s.Status.Traffic
		t.InEpoch.Packets, t.LastPacketAt = packets, last
		e := &s.Status.Verification[0]
		e.InEpoch.Packets, e.LastPacketAt = packets, nil
		if last != nil {
			e.LastPacketAt = &metav1.MicroTime{Time: last.Time}
		}
		if last == nil {
			t.Packets, t.FirstPacketAt = 0, nil
		}
	})
}

// changed adds a change, which is older than those before.
func changed(clock string, by v1alpha1.ChangedBy, what string) edit {
	return session(func(s *v1alpha1.MirrorSession) {
		s.Status.Changes = append(s.Status.Changes, v1alpha1.Change{At: *at(clock), By: by, What: what})
	})
}

// groupDenies is what the status says once the target's group lets nothing in.
func groupDenies(since string) edit {
	const message = `security group "sg-closable" of 192.168.0.108 has no rule for UDP 4789 from 192.168.0.33`
	return func(f *Facts) {
		is(v1alpha1.ConditionPathClear, metav1.ConditionFalse, v1alpha1.ReasonTargetGroupDenies, message)(f)
		finds(v1alpha1.SeverityError, v1alpha1.DecidedByRead, v1alpha1.ReasonTargetGroupDenies, "target 192.168.0.108", message,
			"restore the rule: allow UDP 4789 from 192.168.0.33/32 in sg-closable", since)(f)
	}
}
