package vxlan

import "encoding/binary"

const (
	mplsLabel   = 4
	pppoeHeader = 6
	pppType     = 2
	pppIPv4     = 0x0021
	pppIPv6     = 0x0057

	// maxLabels bounds the walk over MPLS labels; a deeper stack is called malformed. Real ones
	// are four or five deep.
	maxLabels = 16
)

// missing says what a frame is of which n bytes at offset at are needed: ok when they are there.
func missing(b []byte, at, wire, n int) (c Class, ok bool) {
	switch {
	case wire-at < n:
		return Malformed, false
	case len(b)-at < n:
		return Cut, false
	}
	return Stream, true
}

// mpls steps over a stack of labels (RFC 3032). They don't say what they carry: as routers do, the
// first four bits behind the last are taken for the version of IP, which nothing else may begin with (RFC 4928).
func (o *Outer) mpls(b []byte, at, wire int, port uint16) Class {
	for range maxLabels {
		if c, ok := missing(b, at, wire, mplsLabel); !ok {
			return c
		}
		bottom := b[at+2]&1 != 0
		at += mplsLabel
		if !bottom {
			continue
		}
		if c, ok := missing(b, at, wire, 1); !ok {
			return c
		}
		switch b[at] >> 4 {
		case 4:
			return o.ipv4(b, at, wire, port)
		case 6:
			return o.ipv6(b, at, wire, port)
		}
		return NotVXLAN
	}
	return Malformed
}

// pppoe reads the header of a PPPoE session (RFC 2516) and the protocol of PPP.
func (o *Outer) pppoe(b []byte, at, wire int, port uint16) Class {
	if c, ok := missing(b, at, wire, pppoeHeader+pppType); !ok {
		return c
	}
	h := b[at : at+pppoeHeader+pppType]
	end := at + pppoeHeader + int(binary.BigEndian.Uint16(h[4:6]))
	at += len(h)
	if h[0] != 0x11 || h[1] != 0 || end < at || end > wire { // version 1, type 1, data
		return Malformed
	}
	switch binary.BigEndian.Uint16(h[pppoeHeader:]) {
	case pppIPv4:
		return o.ipv4(b, at, end, port)
	case pppIPv6:
		return o.ipv6(b, at, end, port)
	}
	return NotVXLAN
}
