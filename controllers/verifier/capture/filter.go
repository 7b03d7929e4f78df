package capture

import "golang.org/x/net/bpf"

const (
	// SnapLength is how many bytes of a frame with one copy are captured. It
	// covers all headers that are looked at: outer Ethernet with three tags, IPv4
	// with options or IPv6, UDP, VXLAN, inner Ethernet with two tags, inner IPv6
	// with some extension headers, and the ports.
	SnapLength = 192

	// JoinedSnapLength is how many are captured of a frame in which the kernel may have
	// joined several copies: all that it can have. A smaller block of the ring bounds it.
	JoinedSnapLength = 1<<16 + 64
)

// Filter returns the classic BPF program that lets pass, with up to three VLAN
// tags in the frame:
//
//   - IPv4 UDP to the port, and every later fragment of IPv4 UDP,
//   - IPv6 UDP to the port, and every IPv6 packet that begins with an extension
//     header (a fragment header is one), since only a walk can tell what is
//     behind it.
//
// It returns 0 for the rest; MPLS and PPPoE are for capture files, since
// what comes in them does not reach the host by this interface. What passes is looked at
// again: the filter only saves copies, it decides nothing.
//
// It returns [JoinedSnapLength] for what may be several copies under one header, each of which
// has headers of its own, and [SnapLength] for what surely is one. A program has no word for how many
// they are, but the kernel joins only datagrams with a checksum (udp_gro_receive_segment and
// its opposite), and one copy that is not cut is as long as its own IP header says.
func Filter(port uint16) []bpf.Instruction {
	var program []bpf.Instruction
	const tags = 3
	for n := uint32(0); ; n++ {
		at := 12 + 4*n
		program = append(program, bpf.LoadAbsolute{Off: at, Size: 2})
		body := networkFilter(at+2, port)
		if n == tags {
			return append(program, body...)
		}
		// A VLAN type jumps over the body, to the same test one tag further.
		skip := uint8(len(body))
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x8100, SkipTrue: skip + 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x88a8, SkipTrue: skip + 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x9100, SkipTrue: skip},
		)
		program = append(program, body...)
	}
}

// BareFilter returns the same program for an interface without a link layer: its frames begin
// with the header of IP.
func BareFilter(port uint16) []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0},
		// The EtherType that the version stands for; what is neither is no type of one.
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x40, SkipFalse: 2},
		bpf.LoadConstant{Dst: bpf.RegA, Val: typeIPv4},
		bpf.Jump{Skip: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x60, SkipFalse: 1},
		bpf.LoadConstant{Dst: bpf.RegA, Val: typeIPv6},
	}, networkFilter(0, port)...)
}

// networkFilter decides about a frame whose network header is at offset at;
// the accumulator holds its EtherType. All paths end in a return.
func networkFilter(at uint32, port uint16) []bpf.Instruction {
	snap := snapLength(at)
	drop := uint8(len(snap))
	v4 := []bpf.Instruction{
		bpf.LoadAbsolute{Off: at + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 17, SkipFalse: 5 + drop},
		bpf.LoadAbsolute{Off: at + 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 4 + drop}, // a later fragment: take
		bpf.LoadMemShift{Off: at},
		bpf.LoadIndirect{Off: at + 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: drop},
	}
	v4 = append(append(v4, snap...), bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: SnapLength})
	v6 := []bpf.Instruction{
		bpf.LoadConstant{Dst: bpf.RegX, Val: 40}, // where UDP is, unless behind an extension header
		bpf.LoadAbsolute{Off: at + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 8 + drop},  // hop-by-hop
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 43, SkipTrue: 7 + drop}, // routing
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 44, SkipTrue: 6 + drop}, // fragment
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 51, SkipTrue: 5 + drop}, // authentication
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 60, SkipTrue: 4 + drop}, // destination options
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 17, SkipFalse: 2 + drop},
		bpf.LoadAbsolute{Off: at + 42, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: drop},
	}
	v6 = append(append(v6, snap...), bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: SnapLength})
	program := []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeIPv4, SkipFalse: uint8(len(v4))},
	}
	program = append(program, v4...)
	program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeIPv6, SkipFalse: uint8(len(v6) - 2)})
	return append(program, v6...)
}

// snapLength returns how much is captured of a datagram to the port, whose UDP header is at
// offset at + X. All paths end in a return.
func snapLength(at uint32) []bpf.Instruction {
	const (
		udpLength, udpChecksum = 4, 6
		inner                  = 16 // UDP and VXLAN
		innerIP                = inner + etherHeader
		header6                = 40
	)
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: SnapLength, SkipFalse: 17},
		bpf.LoadIndirect{Off: at + udpChecksum, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 15},
		bpf.LoadIndirect{Off: at + inner + 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeIPv4, SkipTrue: 6},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeIPv6, SkipFalse: 11},
		bpf.LoadIndirect{Off: at + udpLength, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpSub, Val: innerIP + header6},
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.LoadIndirect{Off: at + innerIP + 4, Size: 2},
		bpf.Jump{Skip: 4},
		bpf.LoadIndirect{Off: at + udpLength, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpSub, Val: innerIP},
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.LoadIndirect{Off: at + innerIP + 2, Size: 2},
		bpf.LoadScratch{Dst: bpf.RegX, N: 0},
		bpf.JumpIfX{Cond: bpf.JumpEqual, SkipTrue: 1},
		bpf.RetConstant{Val: JoinedSnapLength},
		bpf.RetConstant{Val: SnapLength},
	}
}
