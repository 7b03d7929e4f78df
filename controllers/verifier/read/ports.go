package read

import (
	"cmp"
	"encoding/binary"
	"slices"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// ports are the frames that are no copies by --port but would be ones by another, such
// as 8472, which Linux used before there was a number.
type ports map[uint16]uint64

// maxPorts are shown of ports.
const maxPorts = 8

// count counts a frame that is not to the port of the copies.
func (p *ports) count(f *capture.Frame) {
	port, ok := udpPort(f.Data)
	if !ok {
		return
	}
	var outer vxlan.Outer
	if vxlan.Walk(f.Data, f.Length, port, &outer) != vxlan.Stream {
		return
	}
	// One flag is little evidence: the other bits, or what is inside, have to agree.
	if outer.Reserved {
		var inner vxlan.Inner
		vxlan.WalkInner(f.Data[outer.InnerOffset:outer.InnerEnd], &inner)
		if !inner.HasAddresses || inner.Kind == vxlan.BadInner {
			return
		}
	}
	p.add(port, 1)
}

func (p *ports) add(port uint16, frames uint64) {
	if *p == nil {
		*p = ports{}
	}
	(*p)[port] += frames
}

// list has the ports with the most frames first.
func (p ports) list() []PortFrames {
	var out []PortFrames
	for port, frames := range p {
		out = append(out, PortFrames{port, frames})
	}
	slices.SortFunc(out, func(a, b PortFrames) int {
		return cmp.Or(cmp.Compare(b.Frames, a.Frames), cmp.Compare(a.Port, b.Port))
	})
	return out[:min(len(out), maxPorts)]
}

// udpPort is the destination port of a frame in which UDP follows right after the IP
// header. That is a guess: what it says is shown to [vxlan.Walk].
func udpPort(b []byte) (uint16, bool) {
	at := 12
	for range 2 {
		if len(b) >= at+2 && (b[at] == 0x81 && b[at+1] == 0 || b[at] == 0x88 && b[at+1] == 0xa8) {
			at += 4
		}
	}
	ip := at + 2
	if len(b) < ip+24 {
		return 0, false
	}
	udp := 0
	switch kind := binary.BigEndian.Uint16(b[at:]); {
	case kind == 0x0800 && b[ip+9] == 17:
		udp = ip + int(b[ip]&0x0f)*4
	case kind == 0x86dd && b[ip+6] == 17:
		udp = ip + 40
	}
	if udp == 0 || len(b) < udp+4 {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[udp+2:]), true
}
