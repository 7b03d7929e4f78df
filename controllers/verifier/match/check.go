package match

import (
	"net/netip"

	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Verdict is what the filter says about a packet.
type Verdict uint8

const (
	// Accepted: the filter copies it.
	Accepted Verdict = iota
	// Unexpected: the filter rejects it or no rule matches; it should not have
	// been copied.
	Unexpected
	// Undecidable: a field that decides is cut off or fragmented away.
	Undecidable
	// NotIP: it has no field that a rule could match.
	NotIP
	// Malformed: its headers contradict themselves.
	Malformed
	// DirectionUnknown: it is neither to nor from the mirror source, so that
	// the filter has no rules for it.
	DirectionUnknown

	// Verdicts is the number of verdicts, for arrays indexed by Verdict.
	Verdicts = int(DirectionUnknown) + 1
)

// String returns the name of the verdict.
func (v Verdict) String() string {
	switch v {
	case Accepted:
		return "accepted"
	case Unexpected:
		return "unexpected"
	case Undecidable:
		return "undecidable"
	case NotIP:
		return "notIP"
	case Malformed:
		return "malformed"
	case DirectionUnknown:
		return "directionUnknown"
	}
	return "unknown"
}

// NoRule and SomeRule stand in [Result.Rule] where no single rule can be named.
const (
	// NoRule: no rule matches, or the rules were not asked.
	NoRule = -1
	// SomeRule: the verdict is certain, but for missing fields not which rule
	// gives it, or whether any does.
	SomeRule = -2
)

// Result is the outcome for one packet.
type Result struct {
	// Verdict is the outcome.
	Verdict Verdict
	// Rule is the index of the rule that decided, NoRule or SomeRule. An
	// Unexpected packet with a rule was rejected by it.
	Rule int
	// Direction is Unknown unless the rules were asked.
	Direction Direction
}

// Source is the mirror source that a packet is a copy from.
type Source struct {
	// MAC is that of its interface; all zero when it is not known.
	MAC [6]byte
	// Addrs are the addresses of its interface.
	Addrs []netip.Addr
}

// Direction returns the direction of an inner packet as this source saw it: by
// the MACs, which are the original ones, or else by the addresses. A packet of
// which both ends are the source's has none.
func (s *Source) Direction(p *vxlan.Inner) Direction {
	if p.HasMACs && s.MAC != ([6]byte{}) {
		if d := direction(p.DestinationMAC == s.MAC, p.SourceMAC == s.MAC); d != Unknown {
			return d
		}
	}
	if !p.HasAddresses {
		return Unknown
	}
	return direction(s.has(p.Destination), s.has(p.Source))
}

func direction(to, from bool) Direction {
	switch {
	case to && !from:
		return Ingress
	case from && !to:
		return Egress
	}
	return Unknown
}

func (s *Source) has(a netip.Addr) bool {
	for _, own := range s.Addrs {
		if own == a {
			return true
		}
	}
	return false
}

// Check decides about an inner packet that was copied from source.
func (r *Rules) Check(source *Source, p *vxlan.Inner) Result {
	switch p.Kind {
	case vxlan.BadInner:
		return Result{Verdict: Malformed, Rule: NoRule}
	case vxlan.NotIP:
		return Result{Verdict: NotIP, Rule: NoRule}
	case vxlan.Headless:
		return Result{Verdict: Undecidable, Rule: NoRule}
	case vxlan.IPv4, vxlan.IPv6:
	}
	d := source.Direction(p)
	if d == Unknown {
		if !p.HasAddresses {
			return Result{Verdict: Undecidable, Rule: NoRule}
		}
		return Result{Verdict: DirectionUnknown, Rule: NoRule}
	}
	result := r.first(r.lists[d-Ingress][family(p.Kind == vxlan.IPv6)], p)
	result.Direction = d
	return result
}

// first tries the rules in order. A rule that may match makes its action one
// of the possible answers and leaves the later rules in play.
func (r *Rules) first(list []compiled, inner *vxlan.Inner) Result {
	p := fields{Inner: inner}
	if p.HasAddresses {
		p.sourceHigh, p.sourceLow = words(p.Source)
		p.destinationHigh, p.destinationLow = words(p.Destination)
	}
	var accept, refuse bool // which answers are possible so far
	for i := range list {
		c := &list[i]
		got := c.try(&p)
		if got == no {
			continue
		}
		if got == yes && !accept && !refuse {
			return Result{Verdict: verdict(c.accept), Rule: int(c.index)}
		}
		accept, refuse = accept || c.accept, refuse || !c.accept
		if got == yes {
			return uncertain(accept, refuse)
		}
	}
	if !accept && !refuse {
		return Result{Verdict: Unexpected, Rule: NoRule}
	}
	return uncertain(accept, true)
}

func verdict(accept bool) Verdict {
	if accept {
		return Accepted
	}
	return Unexpected
}

// uncertain is the outcome where it is open which rule matches.
func uncertain(accept, refuse bool) Result {
	if accept && refuse {
		return Result{Verdict: Undecidable, Rule: NoRule}
	}
	return Result{Verdict: verdict(accept), Rule: SomeRule}
}
