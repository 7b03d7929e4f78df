package plan

import (
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// WantedFilter is what a MirrorFilter's spec asks of the cloud.
type WantedFilter struct {
	Name        string
	Description string
	Rules       []cloud.RuleSpec
}

// FilterFrom translates a spec. An error means a spec that the API server's rules
// should have refused.
func FilterFrom(f *v1alpha1.MirrorFilter, mark Mark) (WantedFilter, error) {
	want := WantedFilter{
		Name:        NameOf(f, &f.Spec.CloudSpec),
		Description: mark.Describe(f.Spec.Description),
	}
	rules, err := f.Spec.ReadRules()
	if err != nil {
		return WantedFilter{}, err
	}
	for i, r := range rules {
		want.Rules = append(want.Rules, cloud.RuleSpec{
			Direction:        cloud.Direction(r.Direction),
			Priority:         r.Priority,
			Accept:           r.Accept,
			IPv6:             r.IPv6,
			Protocol:         cloud.Protocol(r.Protocol),
			Source:           r.Source.Prefix,
			Destination:      r.Destination.Prefix,
			SourcePorts:      cloud.PortRange(r.Source.Ports),
			DestinationPorts: cloud.PortRange(r.Destination.Ports),
			Description:      text(f.Spec.Rules[i].Description, maxDescription),
		})
	}
	return want, nil
}

// Normalise gives two rules of the cloud that mean the same the same value, whatever
// spelling was used.
func Normalise(r cloud.RuleSpec) cloud.RuleSpec {
	r.Source, r.SourcePorts = normalPeer(r.Source, r.SourcePorts)
	r.Destination, r.DestinationPorts = normalPeer(r.Destination, r.DestinationPorts)
	if r.Protocol == "" {
		r.Protocol = cloud.All
	}
	r.Description = trim(r.Description)
	return r
}

func normalPeer(prefix netip.Prefix, ports cloud.PortRange) (netip.Prefix, cloud.PortRange) {
	p := v1alpha1.Peer{Prefix: prefix, Ports: v1alpha1.PortRange(ports)}.Normal()
	return p.Prefix, cloud.PortRange(p.Ports)
}

// NameOf is an object's name in the cloud: the spec's, else one that is made of its own.
func NameOf(o metav1.Object, spec *v1alpha1.CloudSpec) string {
	if spec.CloudName != "" {
		return spec.CloudName
	}
	return CloudName(o.GetNamespace(), o.GetName(), string(o.GetUID()))
}

// WantedSession is what a MirrorSession asks of the cloud once its references are
// resolved and its numbers chosen.
type WantedSession struct {
	cloud.SessionSpec
	// Sources are interface IDs without repetition.
	Sources []string
}

// SessionFrom translates a spec. VNI and priority come from the caller, because they
// may be allocated (see ChooseNumbers).
func SessionFrom(s *v1alpha1.MirrorSession, mark Mark, filterID, targetID string, sources []string, vni, priority int) WantedSession {
	length := 1460
	if s.Spec.PacketLength != nil {
		length = int(*s.Spec.PacketLength)
	}
	return WantedSession{
		SessionSpec: cloud.SessionSpec{
			Name:         NameOf(s, &s.Spec.CloudSpec),
			Description:  mark.Describe(s.Spec.Description),
			FilterID:     filterID,
			TargetID:     targetID,
			TargetType:   targetType(s, targetID),
			VNI:          vni,
			PacketLength: length,
			Priority:     priority,
			Enabled:      s.Spec.Enabled == nil || *s.Spec.Enabled,
		},
		Sources: sources,
	}
}

// targetType is that of the target which the spec names. A target that the spec does not name is what the cloud's
// session has, with the type that it has there.
func targetType(s *v1alpha1.MirrorSession, targetID string) cloud.TargetType {
	if targetID == s.Spec.Target.LoadBalancerID && targetID != "" {
		return cloud.TargetLoadBalancer
	}
	return cloud.TargetInterface
}
