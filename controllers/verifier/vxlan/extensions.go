package vxlan

import "encoding/binary"

const (
	protoHopByHop    = 0
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoAuth        = 51
	protoDestination = 60

	// maxExtensions and maxExtensionBytes bound the walk over IPv6 extension
	// headers; a packet beyond either is called malformed. Real packets carry
	// two or three of them.
	maxExtensions     = 8
	maxExtensionBytes = 512
)

// walkState tells missing bytes from wrong ones.
type walkState uint8

const (
	walkWhole walkState = iota
	walkCut
	walkMalformed
)

// extension is what the walk over IPv6 extension headers found.
type extension struct {
	state    walkState
	protocol uint8 // of the header at offset
	offset   int
	fragment bool // there is a fragment header, and the datagram is in pieces
	later    bool // this is not the first piece: what follows is no header
}

func isExtension(p uint8) bool {
	switch p {
	case protoHopByHop, protoRouting, protoFragment, protoAuth, protoDestination:
		return true
	}
	return false
}

// extensions steps over the extension headers of an IPv6 packet. next is the
// protocol of the header at offset at, end the offset at which the packet ends
// by its own length, which may lie beyond the bytes of b.
func extensions(b []byte, next uint8, at, end int) extension {
	start := at
	x := extension{protocol: next, offset: at}
	for range maxExtensions {
		if !isExtension(x.protocol) {
			return x
		}
		if end-at < 8 {
			x.state = walkMalformed
			return x
		}
		if len(b)-at < 8 {
			x.state = walkCut
			return x
		}
		size := (int(b[at+1]) + 1) * 8
		switch x.protocol {
		case protoAuth:
			size = (int(b[at+1]) + 2) * 4
		case protoFragment:
			size = 8
			field := binary.BigEndian.Uint16(b[at+2 : at+4])
			x.fragment = x.fragment || field&^0x6 != 0
			x.later = field&^0x7 != 0
		}
		x.protocol = b[at]
		at += size
		x.offset = at
		if at > end || at-start > maxExtensionBytes {
			x.state = walkMalformed
			return x
		}
		if x.later {
			return x
		}
	}
	if isExtension(x.protocol) {
		x.state = walkMalformed
	}
	return x
}
