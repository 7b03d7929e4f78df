package agent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
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

// claimants are the names of sessions by namespace, each sorted. Of more than three there
// are three: the text names one, and what it costs must not grow with their number.
type claimants map[string][]string

func (c claimants) add(s *v1alpha1.MirrorSession) {
	const enough = 3
	if names := c[s.Namespace]; len(names) < enough && !slices.Contains(names, s.Name) {
		c[s.Namespace] = append(names, s.Name)
	}
}

// findShared notes with whom each session shares copies; the assignments are sorted by
// namespace and name. Where that is a session of another namespace, nothing of a packet but
// its number may be kept: it may be theirs.
func findShared(assignments []assignment) {
	all := make(map[streamHere]claimants)
	for i := range assignments {
		for _, stream := range assignments[i].streams() {
			if all[stream] == nil {
				all[stream] = claimants{}
			}
			all[stream].add(assignments[i].session)
		}
	}
	for i := range assignments {
		assignments[i].share(all)
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

// share notes with whom a session shares copies.
func (a *assignment) share(all map[streamHere]claimants) {
	var names []string
	var sources []netip.Addr
	for _, stream := range a.streams() {
		here := all[stream]
		others := slices.DeleteFunc(slices.Clone(here[a.session.Namespace]), func(name string) bool { return name == a.session.Name })
		if len(here) > 1 {
			a.count.Concealed = true
		}
		if len(others) > 0 {
			names, sources = append(names, others...), append(sources, stream.source)
		}
	}
	slices.Sort(names)
	if who := claimantsText(slices.Compact(names), a.count.Concealed); who != "" {
		a.shared = fmt.Sprintf("%s are claimed by %s too: they are counted for each, because nothing in a copy tells whose it is. Give one of them another VNI",
			a.streamsText(sources), who)
	}
}

// streamsText names the copies that are shared. What is in other namespaces is not to be
// learnt from here, which of the source addresses are in common included.
func (a *assignment) streamsText(sources []netip.Addr) string {
	text := fmt.Sprintf("copies with VNI %d", a.count.VNI)
	if a.count.Concealed {
		return text
	}
	slices.SortFunc(sources, netip.Addr.Compare)
	sources = slices.Compact(sources)
	text += " from " + sources[0].String()
	if more := len(sources) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// claimantsText names the other claimants: one of the reader's own namespace by its name.
func claimantsText(names []string, elsewhere bool) string {
	var parts []string
	if len(names) > 0 {
		parts = append(parts, fmt.Sprintf("the MirrorSession %q", names[0]))
	}
	if len(names) > 1 {
		parts = append(parts, "others of this namespace")
	}
	if elsewhere {
		parts = append(parts, "MirrorSessions in other namespaces")
	}
	return strings.Join(parts, " and ")
}
