package plan

import (
	"fmt"
	"net/netip"

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
		Name:        nameOf(f.Spec.CloudName, f.Namespace, f.Name, string(f.UID)),
		Description: mark.Describe(f.Spec.Description),
	}
	for i := range f.Spec.Rules {
		rule, err := RuleFrom(&f.Spec.Rules[i])
		if err != nil {
			return WantedFilter{}, fmt.Errorf("spec.rules[%d]: %w", i, err)
		}
		want.Rules = append(want.Rules, rule)
	}
	return want, nil
}

// RuleFrom translates one rule of a spec into its normal form.
func RuleFrom(r *v1alpha1.FilterRule) (cloud.RuleSpec, error) {
	source, sourcePorts, err := peerFrom(r.Source)
	if err != nil {
		return cloud.RuleSpec{}, fmt.Errorf("source: %w", err)
	}
	destination, destinationPorts, err := peerFrom(r.Destination)
	if err != nil {
		return cloud.RuleSpec{}, fmt.Errorf("destination: %w", err)
	}
	return Normalise(cloud.RuleSpec{
		Direction:        cloud.Direction(r.Direction),
		Priority:         int(r.Priority),
		Accept:           r.Action == v1alpha1.ActionAccept,
		IPv6:             r.EtherType == v1alpha1.EtherTypeIPv6,
		Protocol:         cloud.Protocol(r.Protocol),
		Source:           source,
		Destination:      destination,
		SourcePorts:      sourcePorts,
		DestinationPorts: destinationPorts,
		Description:      r.Description,
	}), nil
}

func peerFrom(p *v1alpha1.RulePeer) (netip.Prefix, cloud.PortRange, error) {
	if p == nil {
		return netip.Prefix{}, cloud.PortRange{}, nil
	}
	var prefix netip.Prefix
	if p.CIDR != "" {
		parsed, err := netip.ParsePrefix(p.CIDR)
		if err != nil {
			return netip.Prefix{}, cloud.PortRange{}, fmt.Errorf("cidr %q: %w", p.CIDR, err)
		}
		prefix = parsed
	}
	var ports cloud.PortRange
	if p.Port != nil {
		ports = cloud.PortRange{Low: uint16(*p.Port), High: uint16(*p.Port)}
		if p.EndPort != nil {
			ports.High = uint16(*p.EndPort)
		}
	}
	return prefix, ports, nil
}

// Normalise gives two rules that mean the same the same value, whatever spelling the
// spec or the cloud used: host bits of a CIDR are cleared, a range of every port is
// the same as none, and so is a CIDR of every address.
func Normalise(r cloud.RuleSpec) cloud.RuleSpec {
	r.Source, r.Destination = normalPrefix(r.Source), normalPrefix(r.Destination)
	r.SourcePorts, r.DestinationPorts = normalPorts(r.SourcePorts), normalPorts(r.DestinationPorts)
	if r.Protocol == "" {
		r.Protocol = cloud.All
	}
	return r
}

func normalPrefix(p netip.Prefix) netip.Prefix {
	if !p.IsValid() || p.Bits() == 0 {
		return netip.Prefix{}
	}
	return p.Masked()
}

func normalPorts(p cloud.PortRange) cloud.PortRange {
	if p.Low <= 1 && p.High == 65535 {
		return cloud.PortRange{}
	}
	return p
}

func nameOf(wanted, namespace, name, uid string) string {
	if wanted != "" {
		return wanted
	}
	return CloudName(namespace, name, uid)
}

// WantedSession is what a MirrorSession asks of the cloud once its references are
// resolved and its numbers chosen.
type WantedSession struct {
	cloud.SessionSpec
	// Sources are interface IDs without repetition.
	Sources []string
}

// SessionFrom translates a spec. VNI and priority come from the caller, because they
// may be allocated (see ChooseVNI, ChoosePriority).
func SessionFrom(s *v1alpha1.MirrorSession, mark Mark, filterID, targetID string, sources []string, vni, priority int) WantedSession {
	length := 1460
	if s.Spec.PacketLength != nil {
		length = int(*s.Spec.PacketLength)
	}
	return WantedSession{
		SessionSpec: cloud.SessionSpec{
			Name:         nameOf(s.Spec.CloudName, s.Namespace, s.Name, string(s.UID)),
			Description:  mark.Describe(s.Spec.Description),
			FilterID:     filterID,
			TargetID:     targetID,
			TargetType:   cloud.TargetInterface,
			VNI:          vni,
			PacketLength: length,
			Priority:     priority,
			Enabled:      s.Spec.Enabled == nil || *s.Spec.Enabled,
		},
		Sources: sources,
	}
}
