package diagnosis

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// noCopiesWanted says why nothing is said about the way: nobody wants copies. Empty where somebody
// does.
func (k *Known) noCopiesWanted() string {
	spec := k.Session.Spec
	switch {
	case spec.Suspend:
		return "spec.suspend is true: what the cloud copies now is not known"
	case spec.Enabled != nil && !*spec.Enabled, len(spec.Sources) == 0:
		return k.off()
	case k.Path != nil && len(k.sources()) == 0:
		return cmp.Or(k.off(), "no source of the spec is in the cloud: there is nothing to copy from")
	default:
		return ""
	}
}

// outer are the addresses that a copy of a source goes from and to: the primary ones of a family
// that both have, IPv4 before IPv6 (user guide: copies come from the source's private address; what
// happens with IPv6 is documented nowhere). They are not valid where one of the two is not known.
func (k *Known) outer(source string) (from, to netip.Addr) {
	i, target := k.source(source), k.Path.Target
	if i == nil || target == nil {
		return from, to
	}
	for _, six := range []bool{false, true} {
		from, to = primary(i.Addresses, six), primary(target.Addresses, six)
		if from.IsValid() && to.IsValid() {
			return from, to
		}
	}
	return netip.Addr{}, netip.Addr{}
}

func primary(addresses []netip.Addr, six bool) netip.Addr {
	for _, a := range addresses {
		if a.Is6() == six {
			return a
		}
	}
	return netip.Addr{}
}

// single is an address as a CIDR of one.
func single(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

// pairs calls with each source that was read, and the target, and the addresses between which
// copies go.
func (k *Known) pairs(look func(source, target *cloud.Interface, from, to netip.Addr)) {
	for i := range k.Path.Sources {
		source := &k.Path.Sources[i]
		if from, to := k.outer(source.ID); from.IsValid() && slices.Contains(k.sources(), source.ID) {
			look(source, k.Path.Target, from, to)
		}
	}
}

// nameOf is how people know an interface: its primary address, or its ID.
func (k *Known) nameOf(id string) string {
	if k.Path != nil {
		for i := range k.Path.named() {
			if i.ID == id && len(i.Addresses) > 0 {
				return i.Addresses[0].String()
			}
		}
	}
	for _, i := range k.Session.Status.Sources {
		if i.InterfaceID == id {
			return sourceName(i)
		}
	}
	if t := k.Session.Status.Target; t != nil && t.ID() == id {
		return sourceName(t.ResolvedInterface)
	}
	return id
}

// named are the sources, the target, and the sources of before.
func (p *Path) named() iter.Seq[*cloud.Interface] {
	return func(yield func(*cloud.Interface) bool) {
		for i := range p.Sources {
			if !yield(&p.Sources[i]) {
				return
			}
		}
		if p.Target != nil && !yield(p.Target) {
			return
		}
		for i := range p.Former {
			if !yield(&p.Former[i]) {
				return
			}
		}
	}
}

// targetID is the ID of the interface that copies go to.
func (k *Known) targetID() string { return k.Path.Session.TargetID }

func (k *Known) sourceAbout(id string) string { return "source " + k.nameOf(id) }

func (k *Known) targetAbout() string { return "target " + k.nameOf(k.targetID()) }

// called is how a message calls a thing of the account: by its name, else its ID. With
// credentials that serve several tenants it is not named.
func (k *Known) called(kind, name, id string) string {
	switch {
	case k.Path.Private:
		return article(kind) + " " + kind
	case name != "":
		return kind + ` "` + name + `"`
	default:
		return kind + " " + id
	}
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an"
	}
	return "a"
}

// short is the beginning of an ID, which is enough to find it.
func short(id string) string {
	first, _, _ := strings.Cut(id, "-")
	return first[:min(len(first), 8)]
}

// copying reports whether copies of a source were counted lately.
func (k *Known) copying(source string) bool {
	at := k.lastCame(source)
	return !at.IsZero() && k.Now.Sub(at) < k.CountsDelay
}

// lastCame is when this process saw last that a copy of a source was counted, zero where it did not.
// Where nobody tells the sources apart, a copy of any is one of each.
func (k *Known) lastCame(source string) time.Time { return k.Movement.lastCame(k, source) }

func (m *Movement) lastCame(k *Known, source string) time.Time {
	told := slices.ContainsFunc(k.counters(), func(e v1alpha1.Verification) bool { return len(e.Sources) > 0 })
	if at, is := m.cameFrom.at(source); is || told && len(k.sources()) > 1 {
		return at
	}
	return m.came
}
