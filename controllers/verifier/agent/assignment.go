package agent

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// interfaceKey is an interface by what must stay the same for a capturer to go on: one that
// was renamed or made anew is another.
type interfaceKey struct {
	index int
	name  string
}

func (i *Interface) key() interfaceKey { return interfaceKey{index: i.Index, name: i.Name} }

// assignment is where a session is counted on this host, and how.
type assignment struct {
	session *v1alpha1.MirrorSession
	local   Interface
	count   tally.Session
	// judged is whether the rules are known; problem is what keeps the session from being
	// counted as it should, and shared which other sessions claim its copies.
	judged          bool
	problem, shared string
	// sources and rules are those of which the entry has counts.
	sources []v1alpha1.SourceCounts
	rules   []v1alpha1.RuleCounts
}

// unjudged ends the ID under which a session is counted while its filter is not known,
// or is being changed, so that these packets are kept apart from those that were judged.
const unjudged = "/unjudged"

// assign finds the sessions whose target is here, in the order of their names, and what they
// claim together. rulesOf returns a session's rules, and whether the cloud has just these;
// an error is one sentence for the status.
func assign(sessions []*v1alpha1.MirrorSession, local []Interface, rulesOf func(*v1alpha1.MirrorSession) ([]v1alpha1.Rule, bool, error)) []assignment {
	var out []assignment
	for _, s := range sessions {
		if !resolved(s) {
			continue
		}
		at, here := findTarget(s.Status.Target, local)
		if !here {
			continue
		}
		rules, known, err := rulesOf(s)
		found := assignment{session: s, local: at, judged: known, sources: listSources(s), rules: listRules(rules)}
		found.count = tally.Session{ID: string(s.UID), VNI: uint32(*s.Status.VNI), Sources: sources(s), Rules: rules}
		if err != nil {
			found.problem = err.Error()
		}
		if !known {
			found.count.ID += unjudged
		}
		out = append(out, found)
	}
	slices.SortFunc(out, func(a, b assignment) int {
		return cmp.Or(strings.Compare(a.session.Namespace, b.session.Namespace), strings.Compare(a.session.Name, b.session.Name))
	})
	findShared(out)
	return out
}

// resolved reports whether the cloud has the session, and its numbers are known.
func resolved(s *v1alpha1.MirrorSession) bool {
	return s.Status.VNI != nil && *s.Status.VNI >= 0 && *s.Status.VNI <= v1alpha1.MaxVNI &&
		s.Status.Target != nil && len(s.Status.Sessions) > 0
}

// places are the keys by which the targets of this host are found, see nodecache.Places.
func places(local []Interface) map[string]struct{} {
	out := make(map[string]struct{}, 2*len(local))
	for _, i := range local {
		if i.MAC != "" {
			out[i.MAC] = struct{}{}
		}
		for _, address := range i.Addresses {
			out[address.String()] = struct{}{}
		}
	}
	return out
}

// findTarget returns the interface at which copies arrive: the target's, or that of a member of a load balancer.
// A host with several members counts at the first of them.
func findTarget(target *v1alpha1.ResolvedTarget, local []Interface) (Interface, bool) {
	for _, r := range target.Receivers() {
		if at, here := find(r, local); here {
			return at, true
		}
	}
	return Interface{}, false
}

// find returns the interface that owns the target: the one with its address and MAC,
// else the one with its address, else the one with its MAC. The address goes before the
// MAC, because the members of a bond and the ports of a bridge can share a MAC. A host has
// none where the MAC is known and no interface has it: addresses recur in other networks.
func find(target v1alpha1.ResolvedInterface, local []Interface) (Interface, bool) {
	wanted, mac := addresses(target.Addresses), ""
	if parsed, err := net.ParseMAC(target.MAC); err == nil {
		mac = parsed.String()
	}
	hasMAC := func(i Interface) bool { return i.MAC == mac }
	if mac != "" && !slices.ContainsFunc(local, hasMAC) {
		return Interface{}, false
	}
	best, rank := -1, 0
	for i := range local {
		mine := 0
		if slices.ContainsFunc(wanted, func(a netip.Addr) bool { return slices.Contains(local[i].Addresses, a) }) {
			mine = 2
		}
		if mac != "" && hasMAC(local[i]) {
			mine++
		}
		if mine > rank {
			best, rank = i, mine
		}
	}
	if best < 0 {
		return Interface{}, false
	}
	return local[best], true
}

func sources(s *v1alpha1.MirrorSession) []tally.Source {
	out := make([]tally.Source, 0, len(s.Status.Sources))
	for _, r := range s.Status.Sources {
		source := tally.Source{ID: sourceID(r.InterfaceID), Addrs: addresses(r.Addresses)}
		if mac, err := net.ParseMAC(r.MAC); err == nil && len(mac) == len(source.MAC) {
			copy(source.MAC[:], mac)
		}
		// Copies come from the interface's own address; a secondary one is accepted
		// too, because the cloud does not say which it takes.
		source.OuterAddrs = source.Addrs
		out = append(out, source)
	}
	return out
}

// sourceID is the interface's ID as an entry shows it.
func sourceID(id string) string { return v1alpha1.FitASCII(id, report.MaxInterfaceID) }

// listSources are the sources of a session, of which nothing is counted yet, each with its
// primary address.
func listSources(s *v1alpha1.MirrorSession) []v1alpha1.SourceCounts {
	out := make([]v1alpha1.SourceCounts, 0, len(s.Status.Sources))
	for _, r := range s.Status.Sources {
		listed := v1alpha1.SourceCounts{InterfaceID: sourceID(r.InterfaceID)}
		if len(r.Addresses) > 0 {
			listed.Address = r.Addresses[0]
		}
		out = append(out, listed)
	}
	return out
}

// listRules are the rules of a filter, of which nothing is counted yet.
func listRules(rules []v1alpha1.Rule) []v1alpha1.RuleCounts {
	out := make([]v1alpha1.RuleCounts, 0, len(rules))
	for _, r := range rules {
		out = append(out, v1alpha1.RuleCounts{Direction: r.Direction, Priority: int32(r.Priority)})
	}
	return out
}

// addresses reads those that are addresses: they come from the cloud by way of the
// manager, and one that is none must not hide the others.
func addresses(texts []string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, a.Unmap())
		}
	}
	return out
}
