package dataplane

import "sync/atomic"

// DropReason says why a frame went no further.
type DropReason string

// The reasons. Those of the way from the host are counted at the sender's port,
// those of the way to a host at the receiver's.
const (
	DropMalformed     DropReason = "malformed"                 // headers do not add up
	DropOversize      DropReason = "longer than the MTU"       // more than 1500 bytes above Ethernet
	DropSpoofedMAC    DropReason = "source MAC not the port's" //
	DropSpoofed       DropReason = "source address not the port's"
	DropRouterMessage DropReason = "router message from a host" // advertisement, redirect
	DropNotIP         DropReason = "neither IP nor ARP"
	DropEgressGroup   DropReason = "denied by an egress group"
	DropIngressGroup  DropReason = "denied by an ingress group"
	DropEgressACL     DropReason = "denied by the ACL of the sender's subnet"
	DropIngressACL    DropReason = "denied by the ACL of the receiver's subnet"
	DropNoSuchMAC     DropReason = "no such MAC in the VPC"
	DropToGateway     DropReason = "addressed to the gateway itself"
	DropNoRoute       DropReason = "no route to the address, or nobody has it"
	DropHopLimit      DropReason = "hop limit reached"
	DropDevice        DropReason = "device did not take it"
	DropCutOff        DropReason = "interface without a port, or its server is stopped"
)

// dropReasons lists them; a reason's index is its place in the counters.
var dropReasons = [...]DropReason{
	DropMalformed, DropOversize, DropSpoofedMAC, DropSpoofed, DropRouterMessage, DropNotIP,
	DropEgressGroup, DropIngressGroup, DropEgressACL, DropIngressACL, DropNoSuchMAC, DropToGateway, DropNoRoute, DropHopLimit, DropDevice, DropCutOff,
}

// Stats are the counters since the start. Counters of one port are each exact;
// while frames are moving, two of them may be a frame apart.
type Stats struct {
	// Ports by port ID.
	Ports map[string]PortStats
	// Sessions by ID, those removed from the configuration included (the last
	// few thousand).
	Sessions map[string]SessionStats
}

// PortStats are the counters of an interface.
type PortStats struct {
	// FromHost counts frames that the host sent; DroppedFromHost those of them
	// that went nowhere.
	FromHost        uint64
	DroppedFromHost map[DropReason]uint64
	// ToHost counts frames handed to the host, mirrored copies included;
	// CopiesToHost counts those copies.
	ToHost       uint64
	CopiesToHost uint64
	// DroppedToHost counts frames for the host that it did not get. Copies
	// that did not arrive are counted at their session instead.
	DroppedToHost map[DropReason]uint64
	// Flows is how many flows the port's groups remember now, FlowsEvicted how
	// many were forgotten early because there was no room.
	Flows        int
	FlowsEvicted uint64
}

// SessionStats are the counters of a mirror session. Copies = Delivered +
// DeniedByTargetGroup + DeniedByTargetACL + DeniedBySourceACL + NoTarget +
// TargetDown + NoRoute + DeviceDropped.
type SessionStats struct {
	// Copies were made, InnerBytes is the length of their inner frames as sent
	// (after truncation).
	Copies, InnerBytes uint64
	// Delivered copies reached the target's device.
	Delivered uint64
	// DeniedByTargetGroup counts copies kept out by the target's groups.
	DeniedByTargetGroup uint64
	// DeniedByTargetACL counts copies kept out by the ACL of the target's subnet.
	DeniedByTargetACL uint64
	// DeniedBySourceACL counts copies that the ACL of the source's subnet kept in,
	// where copies pass it.
	DeniedBySourceACL uint64
	// NoTarget counts copies for a target that is no port, or plugged into no
	// interface of the layout.
	NoTarget uint64
	// TargetDown counts copies for a target that is attached to nothing, or whose
	// server is stopped.
	TargetDown uint64
	// NoRoute counts copies whose source and target have no path: different
	// VPCs, no address family in common, or no gateway.
	NoRoute uint64
	// DeviceDropped counts copies that the target's device did not take.
	DeviceDropped uint64
	// Rejected counts packets that a reject rule of the session decided.
	Rejected uint64
}

// dropCounters counts by reason.
type dropCounters [len(dropReasons)]atomic.Uint64

func (c *dropCounters) add(why DropReason) {
	for i := range dropReasons {
		if dropReasons[i] == why {
			c[i].Add(1)
			return
		}
	}
}

func (c *dropCounters) snapshot() map[DropReason]uint64 {
	out := map[DropReason]uint64{}
	for i := range c {
		if n := c[i].Load(); n > 0 {
			out[dropReasons[i]] = n
		}
	}
	return out
}

// portCounters are a port's counters while it runs.
type portCounters struct {
	fromHost, toHost, copiesToHost atomic.Uint64
	droppedFromHost, droppedToHost dropCounters
}

// sessionCounters are a session's counters; they outlive a configuration.
type sessionCounters struct {
	copies, innerBytes, delivered, denied, deniedByACL, deniedBySourceACL, noTarget, targetDown, noRoute, device, rejected atomic.Uint64
}

func (c *sessionCounters) snapshot() SessionStats {
	return SessionStats{
		Copies: c.copies.Load(), InnerBytes: c.innerBytes.Load(), Delivered: c.delivered.Load(),
		DeniedByTargetGroup: c.denied.Load(), DeniedByTargetACL: c.deniedByACL.Load(), DeniedBySourceACL: c.deniedBySourceACL.Load(), NoTarget: c.noTarget.Load(), TargetDown: c.targetDown.Load(), NoRoute: c.noRoute.Load(),
		DeviceDropped: c.device.Load(), Rejected: c.rejected.Load(),
	}
}
