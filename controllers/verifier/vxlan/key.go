package vxlan

import (
	"encoding/binary"
	"net/netip"
)

// Key names a stream: the outer source address and the VNI. It is comparable
// and holds no pointer, so that tables of it are cheap. An IPv4 address and
// the IPv6 address it is mapped to are different keys.
type Key struct {
	high, low uint64
	vni       uint32
	v6        bool
}

// NewKey makes the key of a stream. A zone of the address is ignored.
func NewKey(source netip.Addr, vni uint32) Key {
	b := source.As16()
	return Key{
		high: binary.BigEndian.Uint64(b[:8]), low: binary.BigEndian.Uint64(b[8:]),
		vni: vni, v6: source.Is6(),
	}
}

// Source is the outer source address.
func (k Key) Source() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.high)
	binary.BigEndian.PutUint64(b[8:], k.low)
	if a := netip.AddrFrom16(b); k.v6 {
		return a
	}
	return netip.AddrFrom16(b).Unmap()
}

// VNI is the VXLAN network identifier, 0 to 16777215.
func (k Key) VNI() uint32 { return k.vni }

// Hash spreads keys evenly over 64 bits, the upper ones best. It is no secret:
// who can choose keys can choose ones that collide.
func (k Key) Hash() uint64 {
	const a, b = 0x9e3779b97f4a7c15, 0xff51afd7ed558ccd // odd, with evenly spread bits
	return (k.high*a ^ k.low ^ uint64(k.vni)<<36) * b
}

// mapped4 is what an IPv4 address is in front of: ::ffff:0:0/96.
const mapped4 = 0xffff << 32

func key4(source []byte) Key {
	return Key{low: mapped4 | uint64(binary.BigEndian.Uint32(source))}
}

func key6(source []byte) Key {
	return Key{high: binary.BigEndian.Uint64(source[:8]), low: binary.BigEndian.Uint64(source[8:16]), v6: true}
}
