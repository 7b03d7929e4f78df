package agent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// streamHere is a stream at one target on this host.
type streamHere struct {
	// mac is the target's: what comes to a bridge comes to its port with the same MAC too.
	// A target without one is known by its interface.
	mac    string
	local  interfaceKey
	source netip.Addr
	vni    uint32
}

// findShared notes with whom each session shares copies. Where that is a session of another
// namespace, nothing of a packet but its number may be kept: it may be theirs.
func findShared(assignments []assignment) {
	claimants := make(map[streamHere][]int) // in ascending order, each once
	for i := range assignments {
		for _, c := range assignments[i].streams() {
			if all := claimants[c]; len(all) == 0 || all[len(all)-1] != i {
				claimants[c] = append(all, i)
			}
		}
	}
	for i := range assignments {
		var addresses []netip.Addr
		with := make(map[int]bool)
		for _, c := range assignments[i].streams() {
			all := claimants[c]
			if len(all) == 1 {
				continue
			}
			addresses = append(addresses, c.source)
			for _, other := range all {
				with[other] = other != i
			}
		}
		assignments[i].share(assignments, with, addresses)
	}
}

// streams are what a session claims.
func (a *assignment) streams() (out []streamHere) {
	for _, source := range a.count.Sources {
		for _, address := range source.OuterAddrs {
			c := streamHere{mac: a.local.MAC, source: address, vni: a.count.VNI}
			if c.mac == "" {
				c.local = a.local.key()
			}
			out = append(out, c)
		}
	}
	return out
}

// share notes with whom a session shares the copies from some addresses.
func (a *assignment) share(all []assignment, with map[int]bool, addresses []netip.Addr) {
	var names []string
	for i, is := range with {
		switch {
		case !is:
		case all[i].session.Namespace == a.session.Namespace:
			names = append(names, all[i].session.Name)
		default:
			a.count.Concealed = true
		}
	}
	slices.Sort(names)
	if who := claimantsText(names, a.count.Concealed); who != "" {
		a.shared = fmt.Sprintf("%s are claimed by %s too: they are counted for each, because nothing in a copy tells whose it is. Give one of them another VNI",
			a.streamsText(addresses), who)
	}
}

// streamsText names the copies that are shared. What is in other namespaces is not to be
// learnt from here, which of the source addresses are in common included.
func (a *assignment) streamsText(addresses []netip.Addr) string {
	text := fmt.Sprintf("copies with VNI %d", a.count.VNI)
	if a.count.Concealed {
		return text
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	addresses = slices.Compact(addresses)
	text += " from " + addresses[0].String()
	if more := len(addresses) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// claimantsText names the other claimants: those of the reader's own namespace by names.
func claimantsText(names []string, elsewhere bool) string {
	var parts []string
	if len(names) > 0 {
		parts = append(parts, fmt.Sprintf("the MirrorSession %q", names[0]))
	}
	if more := len(names) - 1; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more of this namespace", more))
	}
	if elsewhere {
		parts = append(parts, "MirrorSessions in other namespaces")
	}
	return strings.Join(parts, ", ")
}
