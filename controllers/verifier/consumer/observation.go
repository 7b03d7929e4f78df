package consumer

import (
	"net/netip"
	"time"
)

// Observation is what this host told at one moment.
type Observation struct {
	// At is when the observation began.
	At time.Time
	// Sockets are the UDP sockets of the port, those of the kernel's own vxlan devices
	// among them: nothing in the list tells them apart.
	Sockets []Socket
	// PacketSockets are those of other processes.
	PacketSockets []PacketSocket
	// Devices are the vxlan devices, of any VNI and port.
	Devices []Device
	// Links are all interfaces.
	Links []Link
	// Addresses are those of all interfaces.
	Addresses []netip.Addr
	// IPv4 and IPv6 are the counters of the network namespace.
	IPv4, IPv6 Counters
	// Gaps are what could not be read.
	Gaps []Gap
}

// Gap is a part of an observation that is missing or not whole.
type Gap struct {
	Part Part
	// Why is the error, in one line.
	Why string
}

// Part is a part of an observation.
type Part string

// The parts of an observation.
const (
	// PartSockets are the UDP sockets: /proc/net/udp and udp6.
	PartSockets Part = "the UDP sockets"
	// PartPacketSockets are the packet sockets: /proc/net/packet.
	PartPacketSockets Part = "the packet sockets"
	// PartPacketDetails is what sock_diag tells of packet sockets beyond /proc/net/packet.
	PartPacketDetails Part = "the rings of packet sockets"
	// PartOwnSockets is which packet sockets are this process's own: /proc/self/fd.
	PartOwnSockets Part = "this process's own sockets"
	// PartLinks are the interfaces and vxlan devices: rtnetlink.
	PartLinks Part = "the network interfaces"
	// PartAddresses are the addresses: rtnetlink.
	PartAddresses Part = "the addresses"
	// PartQueues are the traffic control queues: rtnetlink.
	PartQueues Part = "the traffic control queues"
	// PartCounters are the counters: /proc/net/snmp, snmp6 and netstat.
	PartCounters Part = "the counters of IP and UDP"
)

// Socket is a UDP socket.
type Socket struct {
	// Local is the address that it is bound to, unspecified for any.
	Local netip.AddrPort
	// Remote is the peer of a connected socket, which takes from no other; else it is
	// unspecified.
	Remote netip.AddrPort
	UID    uint32
	Inode  uint64
	// Queued are the bytes that wait for its program, in memory used.
	Queued uint64
	// Drops are the datagrams for which it had no room, or that its filter refused.
	Drops uint64
}

// PacketSocket is a packet socket (packet(7)).
type PacketSocket struct {
	// Type is SOCK_RAW (3) or SOCK_DGRAM (2), which gets no link header.
	Type int
	// Protocol is the EtherType of the frames that it gets, 3 for all.
	Protocol uint16
	// Interface is the index of the interface that it is bound to, 0 for all.
	Interface int
	// Running is false for one that gets nothing: it has no protocol yet, or its
	// interface is down.
	Running bool
	UID     uint32
	Inode   uint64
	// Ring, Fanout and Promiscuous are what capture programs have and others don't: a
	// ring for received frames, a group of sockets that share the frames, and the wish
	// for frames to other hosts.
	Ring, Fanout, Promiscuous bool
}

// Link is an interface.
type Link struct {
	Index int
	Name  string
	Up    bool
	// Kind is the kind of a virtual interface such as "bridge", empty for a card.
	Kind string
	// Master is the index of the bridge or bond that it is a port of, 0 for none.
	Master int
	// Ingress says that it has a traffic control queue for what comes in, where rules
	// and programs can drop or redirect.
	Ingress bool
}

// Device is a vxlan device.
type Device struct {
	Index int
	Name  string
	Up    bool
	// VNI is the one that it takes, unless it is External.
	VNI uint32
	// External says that it takes any VNI (collect metadata, as `ip link` calls
	// external); VNIFilter that of these only the ones in a list, which is not read.
	External, VNIFilter bool
	// Port is the UDP port that it listens on.
	Port uint16
	// Local and Group are its own address and the remote one or the group, invalid where
	// it has none. IPv6 says that it listens for IPv6 in place of IPv4.
	Local, Group netip.Addr
	IPv6         bool
	// Lower is the index of the interface that it sends by, 0 for any. It does not limit
	// where copies come in.
	Lower    int
	Learning bool
	// Elsewhere says that it was made in another network namespace, where its socket
	// still is.
	Elsewhere bool
	// Received are the packets that it took, Errors those that it found malformed, and
	// Dropped those for which it had no room or was down.
	Received, Errors, Dropped uint64
}

// Counters are those of IP and UDP of one family, of the whole network namespace.
// The names are those of RFC 4293 and RFC 4113 as far as they have one.
type Counters struct {
	// Receives are the IP packets that came in, before the firewall; Delivers those that
	// were given to a protocol of this host, Forwarded those that were sent on.
	Receives, Delivers, Forwarded uint64
	// AddressErrors and NoRoutes are packets to or from addresses that this host can't
	// place, HeaderErrors those with a damaged header.
	AddressErrors, NoRoutes, HeaderErrors uint64
	// Fragments are the fragments that came in, Reassembled the packets made of them.
	Fragments, Reassembled uint64
	// ReversePath are the packets refused because an answer would leave by another
	// interface (IPv4's rp_filter).
	ReversePath uint64
	// Datagrams are those that programs have read, or that a device took from its socket;
	// NoPorts those to a port where nobody listens.
	Datagrams, NoPorts uint64
	// Errors are the datagrams that were thrown away for another reason; Checksum those
	// of them whose checksum was wrong.
	Errors, Checksum uint64
}

// gap returns why a part is missing, if it is.
func (o *Observation) gap(part Part) (why string, missing bool) {
	for _, g := range o.Gaps {
		if g.Part == part {
			return g.Why, true
		}
	}
	return "", false
}

// link returns an interface by its index, nil if it is not there.
func (o *Observation) link(index int) *Link {
	for i := range o.Links {
		if o.Links[i].Index == index {
			return &o.Links[i]
		}
	}
	return nil
}

// device returns a vxlan device by its index, nil if it is not there.
func (o *Observation) device(index int) *Device {
	for i := range o.Devices {
		if o.Devices[i].Index == index {
			return &o.Devices[i]
		}
	}
	return nil
}

// socket returns a UDP socket by its inode, nil if it is not there.
func (o *Observation) socket(inode uint64) *Socket {
	for i := range o.Sockets {
		if o.Sockets[i].Inode == inode {
			return &o.Sockets[i]
		}
	}
	return nil
}
