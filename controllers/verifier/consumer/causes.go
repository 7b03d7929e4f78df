package consumer

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// sniffed: a capture program of another process has a packet socket on the interface. It
// gets each frame that our ring gets, whatever the host does with it later (packet(7)).
func sniffed(f *facts) *Verdict {
	if _, missing := f.after.gap(PartOwnSockets); missing {
		return nil // it could be our own
	}
	for i := range f.after.PacketSockets {
		if s := &f.after.PacketSockets[i]; f.sniffer(s) && s.captures() {
			name := f.packetSocketName(s)
			return seen(name, fmt.Sprintf("a %s reads what arrives at %s", name, f.where()))
		}
	}
	return nil
}

// takenByDevice: a vxlan device of the VNI is up, and its counter of received packets
// does not contradict (drivers/net/vxlan/vxlan_core.c, vxlan_rcv).
func takenByDevice(f *facts) *Verdict {
	for _, d := range f.listening() {
		if !f.takes(d) {
			continue
		}
		received, _, fresh := f.grew(d)
		// Whether the list of a filter has the VNI only the device's counter says.
		if f.most(received) || (!d.VNIFilter && (fresh || !f.few(received))) {
			name := deviceName(d)
			return seen(name, fmt.Sprintf("%s takes the copies on %s%s", name, f.Node, f.readers(d)))
		}
	}
	return nil
}

// discardedByDevice: the device of the VNI counts the copies as errors or drops. Linux
// takes no header with reserved bits set, unless told (vxlan_rcv; RFC 7348 section 5
// would have them ignored), and mirrors put running numbers there. Linux before 6.14 does
// not count them: then they are in the UDP counter alone, and in none of those of packets
// that went elsewhere.
func discardedByDevice(f *facts) *Verdict {
	for _, d := range f.listening() {
		received, discarded, fresh := f.grew(d)
		if fresh || d.External || d.VNI != f.VNI || !f.few(received) {
			continue
		}
		elsewhere := f.vanished() + f.growth.ReversePath + f.growth.Forwarded + f.growth.NoPorts
		uncounted := f.counted && !f.few(f.datagrams()) && f.few(elsewhere)
		if !f.most(discarded) && !uncounted {
			continue
		}
		name := deviceName(d)
		return dropped(name,
			fmt.Sprintf("%s has the port on %s, but took only %d of %s and threw the others away: Linux refuses VXLAN headers with reserved bits set, "+
				"which mirrors number their packets with, and inner frames that bear the device's own address", name, f.Node, received, f.counts()),
			fmt.Sprintf("make %s anew with reserved_bits of which the copies use none (Linux 6.14 or later), or take the copies with an IDS that reads %s itself",
				printable(d.Name), f.Interface))
	}
	return nil
}

// overflows: the socket dropped more than one in a hundred of the copies, because its
// receive buffer was full (net/ipv4/udp.c, __udp_enqueue_schedule_skb; the last column
// of /proc/net/udp).
func overflows(f *facts) *Verdict {
	if f.before == nil {
		return nil
	}
	for _, s := range f.matching() {
		old := f.before.socket(s.Inode)
		if old == nil || s.Drops <= old.Drops || f.copies == 0 {
			continue
		}
		if lost := s.Drops - old.Drops; lost > f.copies/100 {
			name := socketName(s)
			v := dropped(name, fmt.Sprintf("%s on %s has no room: its receive buffer overflowed by %d datagrams while %s came", name, f.Node, lost, f.counts()),
				"give the IDS more CPU, or a larger receive buffer (SO_RCVBUF, sysctl net.core.rmem_max); if it has stopped, restart it")
			v.Partial = lost < f.copies
			return v
		}
	}
	return nil
}

// takenBySocket: a UDP socket is open for the address, and what programs read does not
// contradict (udp_recvmsg counts InDatagrams when a program reads).
func takenBySocket(f *facts) *Verdict {
	for _, s := range f.matching() {
		fresh := f.before == nil || f.before.socket(s.Inode) == nil
		if fresh || !f.counted || !f.few(f.growth.Datagrams+f.queued()) {
			name := socketName(s)
			return seen(name, fmt.Sprintf("a %s is open on %s", name, f.Node))
		}
	}
	return nil
}

// deviceDown: the only vxlan device of the VNI and port is down; it has no socket then
// (vxlan_stop).
func deviceDown(f *facts) *Verdict {
	if len(f.matching()) > 0 {
		return nil
	}
	for _, d := range f.listening() {
		if f.takes(d) {
			return nil
		}
	}
	for i := range f.after.Devices {
		d := &f.after.Devices[i]
		if d.Up || d.External || d.VNI != f.VNI || !f.fits(d) {
			continue
		}
		name := deviceName(d)
		return &Verdict{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonConsumerDown, Consumer: name,
			Message: fmt.Sprintf("%s is there on %s, but down", name, f.Node),
			Remedy:  fmt.Sprintf("ip link set %s up", printable(d.Name)),
		}
	}
	return nil
}

// deviceOfAnotherVNI: vxlan devices have the port, and none is for the VNI. The kernel
// throws away what comes to their socket with another one, without counting it
// (vxlan_rcv, SKB_DROP_REASON_VXLAN_VNI_NOT_FOUND). That the datagrams came to a socket
// must be possible, else they were thrown away before.
func deviceOfAnotherVNI(f *facts) *Verdict {
	var names []string
	var first *Device
	for _, d := range f.listening() {
		received, _, _ := f.grew(d)
		if f.takes(d) && (!d.VNIFilter || f.most(received)) {
			return nil
		}
		if first == nil {
			first = d
		}
		names = append(names, deviceName(d))
	}
	if first == nil || f.copies == 0 || !f.counted || f.few(f.datagrams()) {
		return nil
	}
	v := &Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWrongVNI, Consumer: names[0],
		Message: fmt.Sprintf("on %s %s; nothing listens for VNI %d, with which %s came",
			f.Node, few(names, "has the port", "have the port"), f.VNI, f.counts()),
	}
	if first.VNIFilter {
		v.Remedy = fmt.Sprintf("bridge vni add dev %s vni %d", printable(first.Name), f.VNI)
		return v
	}
	v.Remedy = f.addDevice()
	if len(names) == 1 {
		v.Remedy += fmt.Sprintf("; or, if %s is meant for this mirror, set spec.vni of the session to %d", printable(first.Name), first.VNI)
	}
	return v
}

// nobodyListens: the kernel counts the copies as datagrams to a port that nobody has
// (Udp NoPorts) and answers "port unreachable" (net/ipv4/udp.c, __udp4_lib_rcv; the
// answers are limited to about one a second for each sender, RFC 1812 section 4.3.2.8,
// the count is not). Where a socket could take them, those of others are taken off first.
func nobodyListens(f *facts) *Verdict {
	refused := f.growth.NoPorts
	if len(f.listening()) > 0 {
		return nil // they are refused elsewhere
	}
	if len(f.matching()) > 0 {
		refused -= min(f.others, refused)
	}
	if !f.counted || !f.most(refused) {
		return nil
	}
	return &Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens,
		Message: fmt.Sprintf("on %s no socket, vxlan device or packet socket but vpcmirror's takes UDP %d at %s: "+
			"the kernel refused %d datagrams with \"port unreachable\"%s%s",
			f.Node, f.Port, f.Address, min(refused, f.copies), f.within(), f.nearMiss()),
		Remedy: f.start(),
	}
}

// refusedByReversePath: rp_filter refuses what comes from an address to which an answer
// would leave by another interface (RFC 3704 section 2.2; TcpExt IPReversePathFilter).
// A host whose second interface has no route of its own does that.
func refusedByReversePath(f *facts) *Verdict {
	if !f.lost() || !f.most(f.growth.ReversePath) {
		return nil
	}
	return f.droppedOnTheWay(fmt.Sprintf("reverse path filtering (rp_filter) refused %d packets: an answer to their sender would not leave by %s",
		min(f.growth.ReversePath, f.copies), f.Interface),
		fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=2, or add a route to the mirror's sources by %s",
			strings.ReplaceAll(f.Interface, ".", "/"), f.Interface))
}

// damaged: the copies have a wrong UDP checksum (Udp InCsumErrors).
func damaged(f *facts) *Verdict {
	if !f.counted || !f.few(f.growth.Datagrams) || !f.most(f.growth.Checksum) {
		return nil
	}
	return f.droppedOnTheWay(fmt.Sprintf("%d datagrams have a wrong UDP checksum", min(f.growth.Checksum, f.copies)),
		"take the copies with an IDS that reads "+f.Interface+" itself; if the card checks checksums: ethtool -K "+f.Interface+" rx off")
}

// notOurAddress: no interface has the address that the copies go to, as with a second
// interface that nobody configured, and the kernel gives them to nobody (ip_route_input:
// Ip InAddrErrors, IpExt InNoRoutes, or forwarded back).
func notOurAddress(f *facts) *Verdict {
	if _, missing := f.after.gap(PartAddresses); missing || !f.lost() {
		return nil
	}
	for _, a := range f.after.Addresses {
		if a == f.Address {
			return nil
		}
	}
	return f.droppedOnTheWay(fmt.Sprintf("no interface of this host has the address %s, so the kernel does not take what comes to it", f.Address),
		fmt.Sprintf("ip addr add %s/%d dev %s, better in the host's network configuration", f.Address, f.Address.BitLen(), f.Interface))
}

// droppedByFirewall: the copies came into IP and are in no counter that comes later: the
// hooks of netfilter are the only place in between that does not count (nf_hook_slow).
func droppedByFirewall(f *facts) *Verdict {
	if !f.lost() || !f.most(f.vanished()) {
		return nil
	}
	return f.droppedOnTheWay(fmt.Sprintf("%d packets came in and were neither delivered nor forwarded, as when a firewall of this host drops them",
		min(f.vanished(), f.copies)),
		fmt.Sprintf("accept UDP %d at %s in the host's firewall (nft list ruleset, iptables-save, or a network policy for hosts)", f.Port, f.Interface))
}

// lostBeforeIP: the copies did not even come into IP (Ip InReceives): a bridge has taken
// them, or traffic control or a netdev table of nftables did.
func lostBeforeIP(f *facts) *Verdict {
	if !f.lost() || !f.few(f.growth.Receives) {
		return nil
	}
	link := f.after.link(f.Index)
	if link == nil {
		return nil
	}
	if master := f.after.link(link.Master); master != nil {
		return f.outOfSight(fmt.Sprintf("%s is a port of %s %s, which may pass them on", f.Interface, nonEmpty(master.Kind, "interface"), printable(master.Name)))
	}
	if link.Ingress {
		return f.outOfSight(fmt.Sprintf("%s has traffic control rules for what comes in, which may redirect them (tc filter show dev %s ingress)",
			f.Interface, f.Interface))
	}
	return f.droppedOnTheWay("they do not come as far as the host's IP layer, as when a netdev table of nftables drops them, or a device on top takes them",
		"nft list ruleset and ip -d link on "+f.Node+" show what takes them")
}

// forwarded: the host forwards packets, so that the copies may go to a pod by a
// redirected port (hostPort, a load balancer) or to another host (Ip ForwDatagrams).
func forwarded(f *facts) *Verdict {
	if !f.lost() || !f.most(f.growth.Forwarded) {
		return nil
	}
	return f.outOfSight(fmt.Sprintf("the host forwarded %d packets, and they may be among these, as with the host port of a pod", f.growth.Forwarded))
}

// undecided says what is missing for a verdict.
func (f *facts) undecided() Verdict {
	for _, part := range []Part{PartCounters, PartSockets, PartLinks, PartPacketSockets} {
		if why, missing := f.after.gap(part); missing {
			return *f.unknown(v1alpha1.ReasonNotObserved, fmt.Sprintf("what takes copies on %s can't be told: %s could not be read: %s",
				f.Node, part, why),
				"look at the verifier's log on "+f.Node)
		}
	}
	if f.copies == 0 {
		return *f.unknown(v1alpha1.ReasonNoCopies, fmt.Sprintf("no copy came%s, and no consumer is seen at %s%s",
			f.within(), f.where(), f.nearMiss()), f.start())
	}
	if !f.counted {
		return *f.unknown(v1alpha1.ReasonNotDecided, fmt.Sprintf("no consumer is seen at %s; what the kernel does with copies shows at the next look",
			f.where()), "wait for it")
	}
	return *f.unknown(v1alpha1.ReasonNotDecided, fmt.Sprintf("%s came%s to %s, and the counters of the kernel don't show where they went%s",
		f.counts(), f.within(), f.where(), f.nearMiss()),
		f.start())
}
