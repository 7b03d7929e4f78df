package capture

import "golang.org/x/net/bpf"

// DefaultSnapLength is how many bytes of a frame are captured by default. It
// covers all headers that are looked at: outer Ethernet with three tags, IPv4
// with options or IPv6, UDP, VXLAN, inner Ethernet with two tags, inner IPv6
// with some extension headers, and the ports.
const DefaultSnapLength = 192

// Filter returns the classic BPF program that lets pass, with up to three VLAN
// tags in the frame:
//
//   - IPv4 UDP to the port, and every later fragment of IPv4 UDP,
//   - IPv6 UDP to the port, and every IPv6 packet that begins with an extension
//     header (a fragment header is one), since only a walk can tell what is
//     behind it.
//
// It returns snapLength for those and 0 for the rest; MPLS and PPPoE are for capture files, since
// what comes in them does not reach the host by this interface. What passes is looked at
// again: the filter only saves copies, it decides nothing.
func Filter(port uint16, snapLength uint32) []bpf.Instruction {
	var program []bpf.Instruction
	const tags = 3
	for n := uint32(0); ; n++ {
		at := 12 + 4*n
		program = append(program, bpf.LoadAbsolute{Off: at, Size: 2})
		body := networkFilter(at+2, port, snapLength)
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

// networkFilter decides about a frame whose network header is at offset at;
// the accumulator holds its EtherType. All paths end in a return.
func networkFilter(at uint32, port uint16, snapLength uint32) []bpf.Instruction {
	v4 := []bpf.Instruction{
		bpf.LoadAbsolute{Off: at + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 17, SkipFalse: 6}, // UDP, or drop
		bpf.LoadAbsolute{Off: at + 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 3}, // a later fragment: take
		bpf.LoadMemShift{Off: at},
		bpf.LoadIndirect{Off: at + 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: 1},
		bpf.RetConstant{Val: snapLength},
		bpf.RetConstant{Val: 0},
	}
	v6 := []bpf.Instruction{
		bpf.LoadAbsolute{Off: at + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 7},  // hop-by-hop
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 43, SkipTrue: 6}, // routing
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 44, SkipTrue: 5}, // fragment
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 51, SkipTrue: 4}, // authentication
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 60, SkipTrue: 3}, // destination options
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 17, SkipFalse: 3},
		bpf.LoadAbsolute{Off: at + 42, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: 1},
		bpf.RetConstant{Val: snapLength},
		bpf.RetConstant{Val: 0},
	}
	program := []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x0800, SkipFalse: uint8(len(v4))},
	}
	program = append(program, v4...)
	program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x86dd, SkipFalse: uint8(len(v6) - 1)})
	return append(program, v6...)
}
