package capture

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

const (
	// WholeLength is how many bytes are captured of a frame of which all is asked for: more than a frame has.
	WholeLength = 1 << 18

	// maxNarrow is how many instructions a program may have that is narrowed to sources: the kernel takes
	// 4096, and fewer where its memory for the options of a socket is small (net.core.optmem_max).
	maxNarrow = 1000
)

// Narrow says what a ring is to have beside the UDP port.
type Narrow struct {
	// Sources are the outer source addresses whose datagrams are asked for.
	Sources []netip.Addr
	// Whole is true where frames are not to be shortened to their headers.
	Whole bool
}

// NarrowFilter returns a program like that of [Filter] which lets pass only what comes from the sources,
// as far as a program can hold them: with hundreds it lets all sources pass, since what passes is looked
// at again anyway. Later fragments don't pass it: they hold no header of VXLAN.
func NarrowFilter(port uint16, n Narrow) []bpf.Instruction {
	program := skipTags()
	const at = etherHeader
	return append(program, n.network(at, port, []bpf.Instruction{bpf.LoadIndirect{Off: at - 2, Size: 2}}, typeIPv4, typeIPv6)...)
}

// BareNarrowFilter returns the same program for an interface without a link layer.
func BareNarrowFilter(port uint16, n Narrow) []bpf.Instruction {
	version := []bpf.Instruction{
		bpf.LoadConstant{Dst: bpf.RegX, Val: 0},
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0},
	}
	return n.network(0, port, version, 0x40, 0x60)
}

// skipTags leaves the length of all VLAN tags, three at most, in X.
func skipTags() []bpf.Instruction {
	const tags = 3
	program := []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: 0}}
	for n := range uint32(tags) {
		const block = 6
		program = append(program,
			bpf.LoadAbsolute{Off: 12 + 4*n, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x8100, SkipTrue: 3},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x88a8, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x9100, SkipTrue: 1},
			bpf.Jump{Skip: block*(tags-1-n) + 1}, // no further tag
			bpf.LoadConstant{Dst: bpf.RegX, Val: 4 * (n + 1)},
		)
	}
	return program
}

// network decides about a frame whose network header is at offset at + X. The instructions of kind load
// what says which one it is.
func (n Narrow) network(at uint32, port uint16, kind []bpf.Instruction, is4, is6 uint32) []bpf.Instruction {
	from4, from6 := n.from(at)
	if len(from4)+len(from6) > maxNarrow {
		from4, from6 = nil, nil
	}
	four, six := n.four(at, port, from4), n.six(at, port, from6)
	program := append(kind,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: is4, SkipFalse: 1},
		bpf.Jump{Skip: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: is6, SkipFalse: 1},
		bpf.Jump{Skip: uint32(len(four)) + 1},
		bpf.RetConstant{Val: 0},
	)
	return append(append(program, four...), six...)
}

// from returns what goes on with the next instruction behind it where the source is one of ours.
func (n Narrow) from(at uint32) (from4, from6 []bpf.Instruction) {
	const each4, each6 = 2, 9
	var all4, all6 []netip.Addr
	for _, a := range n.Sources {
		if a = a.Unmap(); a.Is4() {
			all4 = append(all4, a)
		} else if a.Is6() {
			all6 = append(all6, a)
		}
	}
	from4 = append(from4, bpf.LoadIndirect{Off: at + 12, Size: 4})
	for i, a := range all4 {
		b := a.As4()
		from4 = append(from4,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[:]), SkipFalse: 1},
			bpf.Jump{Skip: uint32(each4*(len(all4)-1-i) + 1)})
	}
	for i, a := range all6 {
		b := a.As16()
		for w := range 4 {
			from6 = append(from6,
				bpf.LoadIndirect{Off: at + 8 + uint32(4*w), Size: 4},
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[4*w:]), SkipFalse: uint8(2*(3-w) + 1)})
		}
		from6 = append(from6, bpf.Jump{Skip: uint32(each6*(len(all6)-1-i) + 1)})
	}
	refuse := bpf.RetConstant{Val: 0}
	return append(from4, refuse), append(from6, refuse)
}

func (n Narrow) four(at uint32, port uint16, from []bpf.Instruction) []bpf.Instruction {
	program := []bpf.Instruction{
		bpf.LoadIndirect{Off: at + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 17, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadIndirect{Off: at + 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipFalse: 1},
		bpf.RetConstant{Val: 0},
	}
	program = append(program, from...)
	program = append(program,
		bpf.LoadIndirect{Off: at, Size: 1}, // the header's length in words
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x0f},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
	)
	return append(program, n.datagram(at, port)...)
}

func (n Narrow) six(at uint32, port uint16, from []bpf.Instruction) []bpf.Instruction {
	program := append(append([]bpf.Instruction{}, from...), bpf.LoadIndirect{Off: at + 6, Size: 1})
	extensions := []uint32{0, 43, 44, 51, 60} // see networkFilter
	for i, x := range extensions {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: x, SkipTrue: uint8(len(extensions) - i + 1)})
	}
	program = append(program,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 17, SkipTrue: 2},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: n.length()}, // only a walk can tell what is behind an extension header
		bpf.TXA{},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 40},
		bpf.TAX{},
	)
	return append(program, n.datagram(at, port)...)
}

// datagram decides about one whose UDP header is at offset at + X.
func (n Narrow) datagram(at uint32, port uint16) []bpf.Instruction {
	program := []bpf.Instruction{
		bpf.LoadIndirect{Off: at + 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
	if n.Whole {
		return append(program, bpf.RetConstant{Val: WholeLength})
	}
	return append(program, snapLength(at)...)
}

func (n Narrow) length() uint32 {
	if n.Whole {
		return WholeLength
	}
	return SnapLength
}
