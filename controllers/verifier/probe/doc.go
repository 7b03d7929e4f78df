// Package probe is the verifier's part in the probe of a session: it makes the packets that status.probe names and
// sends them, and tells their copies from all others.
//
// A probe's nonce is in each of its packets: the sequence number of a SYN, the identifier and sequence number of an echo
// request, the first bytes of a datagram's payload. What answers a packet has it too. A copy is a probe's where the
// addresses are also its own, so that nobody else's packet passes for one by chance: one in four thousand million
// between the same two addresses.
//
// It may import api and controllers/verifier/vxlan.
package probe
