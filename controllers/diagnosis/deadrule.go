package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/controllers/cloud"
)

// kind is of a cause why a rule accepts nothing.
type kind int

const (
	// contradictory: its own fields exclude each other.
	contradictory kind = iota
	// otherFamily: the sources have no address of its family.
	otherFamily
	// exchanged: it would match if its ends were exchanged, or in the other direction.
	exchanged
	// otherAddresses: it is about other interfaces.
	otherAddresses
	// coveredByReject and coveredByAccept: rules before it decide about all that it matches, and one
	// of them rejects, or they accept it.
	coveredByReject
	coveredByAccept
)

// ruleCause is why a rule accepts nothing, and what to do.
type ruleCause struct {
	kind         kind
	text, remedy string
}

// whyRule is why a rule accepts no packet of the sources, each of which it is dead for.
func (v view) whyRule(i int, of []cloud.Interface) ruleCause {
	rule := v.rules[i].RuleSpec
	name := ruleName(rule)
	whole, some := boxOf(rule)
	switch {
	case !some:
		return ruleCause{contradictory, name + " can match no packet, its fields exclude each other: " + matches(rule), "correct " + name}
	case !slices.ContainsFunc(of, func(s cloud.Interface) bool { return carrierOf(s).has(rule.IPv6) }):
		is, other := families(rule.IPv6)
		return ruleCause{otherFamily, fmt.Sprintf("%s is for %s, and %s an %s address", name, is, haveNot(of), is),
			fmt.Sprintf("set the etherType of %s to %s, or give the source an %s address", name, other, is)}
	case slices.ContainsFunc(of, func(s cloud.Interface) bool { return carrierOf(s).carriesOf(whole) }):
		return v.whyCovered(i, whole)
	default:
		return v.whyElsewhere(i, of)
	}
}

// whyCovered is of a rule all of whose packets are decided by rules before it.
func (v view) whyCovered(i int, whole box) ruleCause {
	cause := ruleCause{kind: coveredByAccept}
	var before []string
	for _, j := range inOrder(v.rules) {
		if j == i {
			break
		}
		if inside, _ := v.decided[j].split(whole); !inside.some() {
			continue
		}
		verb := "accepts"
		if !v.rules[j].Accept {
			cause.kind, verb = coveredByReject, "rejects"
		}
		before = append(before, fmt.Sprintf("%s %s %s", ruleName(v.rules[j].RuleSpec), verb, matches(v.rules[j].RuleSpec)))
	}
	name := ruleName(v.rules[i].RuleSpec)
	cause.text = fmt.Sprintf("all that %s is to accept (%s) is decided before it: %s", name, matches(v.rules[i].RuleSpec), listed(before))
	cause.remedy = fmt.Sprintf("give %s a smaller priority than the rule that rejects its packets, or narrow that one", name)
	return cause
}

// whyElsewhere is of a rule whose addresses are none that the sources have, at the end that they
// stand for.
func (v view) whyElsewhere(i int, of []cloud.Interface) ruleCause {
	rule := v.rules[i].RuleSpec
	name, own, peer := ruleName(rule), "destination", "source"
	ownPrefix, peerPrefix, other := rule.Destination, rule.Source, cloud.Egress
	if rule.Direction == cloud.Egress {
		own, peer = peer, own
		ownPrefix, peerPrefix, other = peerPrefix, ownPrefix, cloud.Ingress
	}
	text := fmt.Sprintf("%s is about what a mirror source %s, so ", name, doesOf(rule.Direction))
	if ownPrefix.IsValid() && !slices.ContainsFunc(allAddresses(of), ownPrefix.Contains) {
		text += fmt.Sprintf("its %s has to be one, and %s is not %s", own, ownPrefix, listedBy(addressesOfAll(of), " or "))
	} else {
		text += fmt.Sprintf("its %s is the other end, and %s is the mirror source", peer, peerPrefix)
	}
	flipped, swapped := rule, rule
	flipped.Direction = other
	swapped.Source, swapped.Destination = rule.Destination, rule.Source
	for _, variant := range []cloud.RuleSpec{flipped, swapped} {
		b, some := boxOf(variant)
		if some && slices.ContainsFunc(of, func(s cloud.Interface) bool { return carrierOf(s).carriesOf(b) }) {
			return ruleCause{exchanged,
				text + fmt.Sprintf(": its source and destination are swapped, or its direction is wrong, as it would match as %s", other),
				fmt.Sprintf("swap source and destination of %s, or give it the direction %s, if what a mirror source %s is meant", name, other, doesOf(other))}
		}
	}
	hosts := listedBy(hostPrefixes(of, rule.IPv6), " or ")
	if v.alive(i, v.sources) {
		return ruleCause{otherAddresses, text, fmt.Sprintf("add a rule like %s whose %s is %s, or take the source out of spec.sources", name, own, hosts)}
	}
	return ruleCause{otherAddresses, text, fmt.Sprintf("set the %s of %s to %s, or leave it out", own, name, hosts)}
}

func allAddresses(of []cloud.Interface) (all []netip.Addr) {
	for _, i := range of {
		all = append(all, i.Addresses...)
	}
	return all
}

func doesOf(d cloud.Direction) string {
	if d == cloud.Egress {
		return "sends"
	}
	return "receives"
}

func families(ipv6 bool) (is, other string) {
	if ipv6 {
		return "IPv6", "IPv4"
	}
	return "IPv4", "IPv6"
}

func haveNot(of []cloud.Interface) string {
	if len(of) == 1 {
		return addressOf(of[0]) + " has not"
	}
	return "none of " + listed(addressesOfAll(of)) + " has"
}

// hostPrefixes are the first addresses of a family of interfaces, as a rule names one.
func hostPrefixes(of []cloud.Interface, ipv6 bool) (all []string) {
	for _, i := range of {
		for _, a := range i.Addresses {
			if a.Is6() == ipv6 {
				all = append(all, fmt.Sprintf("%s/%d", a, a.BitLen()))
				break
			}
		}
	}
	return all
}
