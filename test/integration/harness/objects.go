package harness

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// Filter is the walkthrough's, changed by edits.
func (w *World) Filter(name string, edits ...func(*v1alpha1.MirrorFilter)) *v1alpha1.MirrorFilter {
	f := &v1alpha1.MirrorFilter{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name},
		Spec: v1alpha1.MirrorFilterSpec{
			CloudSpec: v1alpha1.CloudSpec{CredentialsRef: &v1alpha1.SecretReference{Name: SecretName}},
			Rules:     []v1alpha1.FilterRule{Rule(1)},
		},
	}
	for _, edit := range edits {
		edit(f)
	}
	return f
}

// Rule is the walkthrough's, with another priority.
func Rule(priority int32) v1alpha1.FilterRule {
	return v1alpha1.FilterRule{
		Direction: v1alpha1.DirectionIngress, Priority: priority, Action: v1alpha1.ActionAccept,
		EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolTCP,
		Source:      &v1alpha1.RulePeer{CIDR: "192.168.0.161/32"},
		Destination: &v1alpha1.RulePeer{CIDR: "192.168.0.230/32", Port: new(int32(1234))},
	}
}

// CloudRule is what the cloud has of Rule, without its identity.
func CloudRule(priority int) state.Rule {
	return state.Rule{
		ProjectID: scenario.WalkthroughProject,
		Direction: state.Ingress, Protocol: "TCP", EtherType: "IPv4", Action: "accept", Priority: priority,
		SourceCIDR: "192.168.0.161/32", DestinationCIDR: "192.168.0.230/32", DestinationPortRange: "1234-1234",
	}
}

// Session is the walkthrough's without numbers of its own, changed by edits.
func (w *World) Session(name, filter string, edits ...func(*v1alpha1.MirrorSession)) *v1alpha1.MirrorSession {
	s := &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name},
		Spec: v1alpha1.MirrorSessionSpec{
			CloudSpec: v1alpha1.CloudSpec{CredentialsRef: &v1alpha1.SecretReference{Name: SecretName}},
			FilterRef: v1alpha1.FilterReference{Name: filter},
			Sources:   Sources(ID(scenario.WalkthroughSource)),
			Target:    Target(ID(scenario.WalkthroughTarget)),
		},
	}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

// At selects an interface by address.
func At(ip string) v1alpha1.InterfaceSelector {
	return v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: ip}}
}

// ID selects the interface with an ID.
func ID(id string) v1alpha1.InterfaceSelector { return v1alpha1.InterfaceSelector{InterfaceID: id} }

// Sources makes sources of interfaces.
func Sources(all ...v1alpha1.InterfaceSelector) []v1alpha1.SourceSelector {
	out := make([]v1alpha1.SourceSelector, 0, len(all))
	for _, i := range all {
		out = append(out, v1alpha1.SourceSelector{InterfaceSelector: i})
	}
	return out
}

// Target makes a target of an interface.
func Target(i v1alpha1.InterfaceSelector) v1alpha1.TargetSelector {
	return v1alpha1.TargetSelector{InterfaceSelector: i}
}

// Pair creates a filter and a session that uses it, and returns both Ready.
func (w *World) Pair(name string, edits ...func(*v1alpha1.MirrorSession)) (*v1alpha1.MirrorFilter, *v1alpha1.MirrorSession) {
	w.t.Helper()
	filter, session := w.Filter(name), w.Session(name, name, edits...)
	w.Create(filter)
	w.Create(session)
	return Ready(w, filter), Ready(w, session)
}
