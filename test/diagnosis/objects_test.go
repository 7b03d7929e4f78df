package diagnosis

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// filter is the row's: what the peer sends to each source, or gets from it.
func (s *site) filter() *v1alpha1.MirrorFilter {
	f := &v1alpha1.MirrorFilter{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: s.id},
		Spec:       v1alpha1.MirrorFilterSpec{CloudSpec: s.credentials()},
	}
	for i, source := range s.sources {
		r := v1alpha1.FilterRule{
			Direction: v1alpha1.DirectionIngress, Priority: int32(i + 1), Action: v1alpha1.ActionAccept,
			EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolUDP,
			Source:      &v1alpha1.RulePeer{CIDR: s.peer.cidr()},
			Destination: &v1alpha1.RulePeer{CIDR: source.cidr(), Port: new(int32(s.service()))},
		}
		if s.needs.egress {
			r.Direction = v1alpha1.DirectionEgress
			r.Source.CIDR, r.Destination.CIDR = r.Destination.CIDR, r.Source.CIDR
		}
		f.Spec.Rules = append(f.Spec.Rules, r)
	}
	return f
}

func (s *site) session() *v1alpha1.MirrorSession {
	m := &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: s.id},
		Spec: v1alpha1.MirrorSessionSpec{
			CloudSpec: s.credentials(), FilterRef: v1alpha1.FilterReference{Name: s.id},
			Target: v1alpha1.TargetSelector{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: s.target.id}},
		},
	}
	for _, source := range s.sources {
		m.Spec.Sources = append(m.Spec.Sources, v1alpha1.SourceSelector{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: source.id}})
	}
	return m
}

func (s *site) credentials() v1alpha1.CloudSpec {
	name := "huawei-cloud"
	if s.needs.account {
		name = s.id
	}
	return v1alpha1.CloudSpec{CredentialsRef: &v1alpha1.SecretReference{Name: name}}
}

// apply makes the row's objects.
func (s *site) apply() error {
	f, m := s.filter(), s.session()
	if s.shape != nil {
		s.shape(s, f, m)
	}
	for _, o := range []client.Object{f, m} {
		if err := s.api.Create(s.t.Context(), o); err != nil {
			return fmt.Errorf("making %s of row %s: %w", o.GetName(), s.id, err)
		}
	}
	return nil
}

// edit changes the spec of the row's session.
func (s *site) edit(change func(*v1alpha1.MirrorSession)) error {
	m := &v1alpha1.MirrorSession{}
	if err := s.read(m, s.id); err != nil {
		return err
	}
	before := m.DeepCopy()
	change(m)
	return s.api.Patch(s.t.Context(), m, client.MergeFrom(before))
}

// editFilter changes the rules of the row's filter.
func (s *site) editFilter(change func(*v1alpha1.MirrorFilter)) error {
	f := &v1alpha1.MirrorFilter{}
	if err := s.read(f, s.id); err != nil {
		return err
	}
	before := f.DeepCopy()
	change(f)
	return s.api.Patch(s.t.Context(), f, client.MergeFrom(before))
}

func (w *world) read(o client.Object, name string) error {
	return w.api.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o)
}

// names replaces what is in braces.
func (s *site) names() *strings.Replacer {
	other := s.sources[len(s.sources)-1]
	return strings.NewReplacer(
		"{source}", s.sources[0].addr.String(), "{other}", other.addr.String(), "{target}", s.target.addr.String(),
		"{peer}", s.peer.addr.String(), "{host}", s.target.host, "{group}", s.id+"-dst", "{source.group}", s.id+"-src",
		"{session}", s.id, "{foreign}", s.foreign, "{source.id}", s.sources[0].id, "{target.id}", s.target.id,
		"{fresh}", s.fresh, "{source.vpc}", id("vpc", mainVPC), "{target.vpc}", id("vpc", s.id),
	)
}
