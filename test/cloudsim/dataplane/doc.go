// Package dataplane is the simulated cloud's network: it moves real Ethernet
// frames between hosts, enforces their security groups, and mirrors traffic
// into VXLAN the way the cloud does.
//
// Two halves, kept apart:
//
//   - Switch decides. It knows hosts, groups and sessions, takes a frame from an
//     interface and hands frames to interfaces. It does no I/O, takes its clock
//     from outside, and can be tested with ports in memory.
//   - Plane moves. Each host is a network namespace, each of its interfaces a TAP
//     device whose other end this process holds. It reads frames, gives them to
//     the Switch and writes what comes out.
//
// A frame from host A to host B passes, in this order: A's port security (source
// MAC and address), A's egress groups, the ACL of A's subnet, the egress tap of A
// (mirror sessions that have A's port as a source), the ACL of B's subnet, B's
// ingress groups, the ingress tap of B, B. What a group or ACL drops is therefore
// never mirrored. A copy does not pass the source's egress groups and ACL, but
// the ACL of the target's subnet and the target's ingress groups, as UDP 4789
// from the source's address; it is not tracked as a flow, and it is never mirrored
// again, so that a target which is someone's source makes no loop.
//
// Nothing is copied that is neither IPv4 nor IPv6. A target on which nobody
// listens answers each copy with an ICMP port unreachable to the source, as any
// host does; the source's ingress groups usually deny it.
//
// The groups live in the switch and not in the hosts, because a capture at a host
// sees frames ahead of that host's own firewall.
//
// It may import test/cloudsim/dataplane/netns.
package dataplane
