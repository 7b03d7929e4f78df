package dataplane

import (
	"net/netip"
	"sync"
	"time"
)

// maxFlows bounds what one port's groups remember. A host that opens more
// flows than that makes its own port, or one that lets it in, forget some.
const maxFlows = 8192

// How long a flow is remembered after its last packet. One-way UDP is the
// cloud's documented 30 s; the others are customary.
const (
	ageOneWay = 30 * time.Second
	ageTwoWay = 180 * time.Second
	ageTCP    = 600 * time.Second // both sides have spoken
	ageClosed = 10 * time.Second  // TCP after FIN or RST
	agePieces = 30 * time.Second  // fragments of one datagram
)

// flowKey names a flow as seen from the port. The pieces of a fragmented
// datagram have a key of their own, with the datagram's ID in place of ports.
type flowKey struct {
	local, remote         netip.Addr
	localPort, remotePort uint16
	protocol              uint8
	pieces                bool
}

// flow is an entry of the table, linked from the least recently used on.
type flow struct {
	key        flowKey
	ingress    bool // opened by the peer
	replied    bool // both sides have spoken
	closed     bool
	blocked    bool // was allowed once, and no longer is
	generation uint64
	expires    time.Time
	older      int32
	newer      int32
}

// none is the link to no flow.
const none int32 = -1

// flowTable is the memory of one port's groups: bounded, aging, and forgetting
// the least recently used flow when it is full. Safe for concurrent use.
type flowTable struct {
	mu      sync.Mutex
	index   map[flowKey]int32
	flows   []flow
	free    []int32
	oldest  int32
	newest  int32
	evicted uint64
}

func newFlowTable() *flowTable {
	return &flowTable{index: map[flowKey]int32{}, oldest: none, newest: none}
}

// keyOf gives the key of the packet's flow. Not ok when the packet has nothing
// that would tell a reply from something new.
func keyOf(p *packet, ingress bool) (k flowKey, ok bool) {
	k.protocol = p.protocol
	k.local, k.remote = p.source, p.destination
	k.localPort, k.remotePort = p.sourcePort, p.destinationPort
	switch {
	case p.laterFragment:
		return k, false
	case p.hasPorts:
	case p.hasICMP:
		if !isEcho(p) {
			return k, false
		}
		k.localPort, k.remotePort = p.icmpID, p.icmpID
	case p.protocol == protoTCP, p.protocol == protoUDP, p.protocol == protoICMP, p.protocol == protoICMPv6:
		return k, false // the header is cut
	}
	if ingress {
		k.local, k.remote = k.remote, k.local
		k.localPort, k.remotePort = k.remotePort, k.localPort
	}
	return k, true
}

// piecesKey gives the key that the later fragments of the packet's datagram
// share with its first.
func piecesKey(p *packet, ingress bool) flowKey {
	k := flowKey{
		local: p.source, remote: p.destination, protocol: p.protocol, pieces: true,
		localPort: uint16(p.fragmentID >> 16), remotePort: uint16(p.fragmentID),
	}
	if ingress {
		k.local, k.remote = k.remote, k.local
	}
	return k
}

// isEcho is whether the packet is an echo request or reply, of ICMP or ICMPv6.
func isEcho(p *packet) bool { return isEchoRequest(p) || p.icmpType == echoReply(p) }

func isEchoRequest(p *packet) bool {
	if p.protocol == protoICMPv6 {
		return p.icmpType == 128
	}
	return p.icmpType == 8
}

func echoReply(p *packet) uint8 {
	if p.protocol == protoICMPv6 {
		return 129
	}
	return 0
}

// opens is whether the packet can only be the first of a conversation, so that
// it is never taken for a reply: a TCP SYN and an echo request.
func opens(p *packet) bool {
	if p.protocol == protoTCP {
		return p.tcpFlags&(flagSYN|flagACK) == flagSYN
	}
	return p.hasICMP && isEchoRequest(p)
}

// find gives the place of a flow that has not aged out, or none. Call with mu
// held.
func (t *flowTable) find(k flowKey, now time.Time) int32 {
	i, ok := t.index[k]
	if !ok {
		return none
	}
	if now.After(t.flows[i].expires) {
		t.drop(i)
		return none
	}
	return i
}

// touch notes a packet of the flow at i. Call with mu held.
func (t *flowTable) touch(i int32, p *packet, ingress bool, now time.Time) {
	f := &t.flows[i]
	f.replied = f.replied || ingress != f.ingress
	if f.key.protocol == protoTCP && p.tcpFlags&(flagFIN|flagRST) != 0 {
		f.closed = true
	}
	switch {
	case f.key.pieces:
		f.expires = now.Add(agePieces)
	case f.closed:
		f.expires = now.Add(ageClosed)
	case !f.replied:
		f.expires = now.Add(ageOneWay)
	case f.key.protocol == protoTCP:
		f.expires = now.Add(ageTCP)
	default:
		f.expires = now.Add(ageTwoWay)
	}
	t.unlink(i)
	t.link(i)
}

// open remembers a new flow, or starts the one with this key afresh. Call with
// mu held.
func (t *flowTable) open(k flowKey, p *packet, ingress bool, generation uint64, now time.Time) {
	i, known := t.index[k]
	if !known {
		i = t.freeSlot(now)
		t.index[k] = i
		t.link(i)
	}
	f := &t.flows[i]
	*f = flow{key: k, ingress: ingress, generation: generation, older: f.older, newer: f.newer}
	t.touch(i, p, ingress, now)
}

// freeSlot gives an unused slot, taking it from another flow when all are in use:
// one that has aged out, else an old one that nobody answered, else the oldest.
func (t *flowTable) freeSlot(now time.Time) int32 {
	if len(t.free) == 0 && len(t.flows) < maxFlows {
		t.flows = append(t.flows, flow{})
		return int32(len(t.flows) - 1)
	}
	if len(t.free) == 0 {
		victim, live := t.oldest, true
		for i, n := t.oldest, 0; i != none && n < 16; i, n = t.flows[i].newer, n+1 {
			if expired := now.After(t.flows[i].expires); expired || !t.flows[i].replied {
				victim, live = i, !expired
				break
			}
		}
		if live {
			t.evicted++
		}
		t.drop(victim)
	}
	i := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	return i
}

func (t *flowTable) drop(i int32) {
	delete(t.index, t.flows[i].key)
	t.unlink(i)
	t.flows[i] = flow{older: none, newer: none}
	t.free = append(t.free, i)
}

func (t *flowTable) link(i int32) {
	t.flows[i].older, t.flows[i].newer = t.newest, none
	if t.newest != none {
		t.flows[t.newest].newer = i
	} else {
		t.oldest = i
	}
	t.newest = i
}

func (t *flowTable) unlink(i int32) {
	f := &t.flows[i]
	if f.older != none {
		t.flows[f.older].newer = f.newer
	} else {
		t.oldest = f.newer
	}
	if f.newer != none {
		t.flows[f.newer].older = f.older
	} else {
		t.newest = f.older
	}
	f.older, f.newer = none, none
}

// count gives how many flows are remembered and how many were pushed out.
func (t *flowTable) count(now time.Time) (flows int, evicted uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, i := range t.index {
		if !now.After(t.flows[i].expires) {
			flows++
		}
	}
	return flows, t.evicted
}
