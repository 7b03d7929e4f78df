package agent

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
)

// ruleBook keeps the rules by which each session's packets are judged: those that the
// cloud has. While a filter is being changed, or a session gets another one, the cloud
// works with a mixture; the old rules then stay, and what they don't accept is undecided.
// It is not safe for concurrent use.
type ruleBook struct {
	reader client.Reader
	known  map[types.UID]page
}

// page is what is known for one session.
type page struct {
	filter string
	rules  []match.Rule
}

func newRuleBook(reader client.Reader) *ruleBook {
	return &ruleBook{reader: reader, known: make(map[types.UID]page)}
}

// of returns the rules of a session's filter, and whether the cloud has just these. An
// error says why they are not known and never were; it is a sentence for the session's
// status.
func (b *ruleBook) of(ctx context.Context, s *v1alpha1.MirrorSession) (rules []match.Rule, settled bool, err error) {
	known, before := b.known[s.UID]
	name := s.Spec.FilterRef.Name
	if before && known.filter != name && !inCloud(s.Status.Conditions, s.Status.ObservedGeneration, s.Generation) {
		return known.rules, false, nil
	}
	var f v1alpha1.MirrorFilter
	if err = b.reader.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, &f); err == nil {
		rules, err = rulesFrom(&f)
	}
	changing := err == nil && !inCloud(f.Status.Conditions, f.Status.ObservedGeneration, f.Generation)
	switch {
	case changing && before && known.filter == name:
		return known.rules, slices.Equal(known.rules, rules), nil
	case changing:
		return rules, false, nil // what the cloud has meanwhile is not known
	case err == nil:
		b.known[s.UID] = page{filter: name, rules: rules}
		return rules, true, nil
	case before:
		return known.rules, known.filter == name, nil
	case apierrors.IsNotFound(err):
		return nil, false, fmt.Errorf("the MirrorFilter %q does not exist, so no packet can be judged: create it", name)
	default:
		return nil, false, fmt.Errorf("the MirrorFilter %q can't be used to judge packets: %w", name, err)
	}
}

// keep forgets all sessions but those that are alive.
func (b *ruleBook) keep(alive map[types.UID]*v1alpha1.MirrorSession) {
	for uid := range b.known {
		if alive[uid] == nil {
			delete(b.known, uid)
		}
	}
}

// inCloud says whether the cloud has what the present spec says.
func inCloud(conditions []metav1.Condition, observed, generation int64) bool {
	return observed == generation && meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady)
}

// rulesFrom translates a filter's rules and checks that they can be followed.
func rulesFrom(f *v1alpha1.MirrorFilter) ([]match.Rule, error) {
	out := make([]match.Rule, 0, len(f.Spec.Rules))
	for i := range f.Spec.Rules {
		r := &f.Spec.Rules[i]
		rule := match.Rule{
			Direction: match.Ingress,
			Priority:  int(r.Priority),
			Accept:    r.Action == v1alpha1.ActionAccept,
			IPv6:      r.EtherType == v1alpha1.EtherTypeIPv6,
			Protocol:  protocols[r.Protocol],
		}
		if r.Direction == v1alpha1.DirectionEgress {
			rule.Direction = match.Egress
		}
		var err error
		if rule.Source, rule.SourcePorts, err = peerFrom(r.Source); err != nil {
			return nil, fmt.Errorf("spec.rules[%d].source: %w", i, err)
		}
		if rule.Destination, rule.DestinationPorts, err = peerFrom(r.Destination); err != nil {
			return nil, fmt.Errorf("spec.rules[%d].destination: %w", i, err)
		}
		out = append(out, rule)
	}
	if _, err := match.Compile(out); err != nil {
		return nil, fmt.Errorf("spec.rules: %w", err)
	}
	return out, nil
}

var protocols = map[v1alpha1.Protocol]uint8{
	v1alpha1.ProtocolAll:    match.AnyProtocol,
	v1alpha1.ProtocolTCP:    match.TCP,
	v1alpha1.ProtocolUDP:    match.UDP,
	v1alpha1.ProtocolICMP:   match.ICMP,
	v1alpha1.ProtocolICMPv6: match.ICMPv6,
}

func peerFrom(p *v1alpha1.RulePeer) (prefix netip.Prefix, ports [2]uint16, err error) {
	if p == nil {
		return prefix, ports, nil
	}
	if p.CIDR != "" {
		if prefix, err = netip.ParsePrefix(p.CIDR); err != nil {
			return prefix, ports, fmt.Errorf("cidr: %w", err)
		}
	}
	if p.Port != nil {
		ports = [2]uint16{uint16(*p.Port), uint16(*p.Port)}
		if p.EndPort != nil {
			ports[1] = uint16(*p.EndPort)
		}
	}
	return prefix, ports, nil
}
