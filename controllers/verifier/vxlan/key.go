package vxlan

import (
	"encoding/binary"
	"math/rand/v2"
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

// secret is drawn anew in each process.
var secret = func() (s [7]uint64) {
	for i := range s {
		s[i] = rand.Uint64() // of the runtime's ChaCha8, seeded by the system
	}
	return s
}()

// Hash spreads keys over 64 bits, of which the upper 32 may be used. It is the pair-multiply-shift
// of Thorup (String hashing for linear probing, 2009): whichever two keys somebody chooses, without the
// secret they collide no more often than by chance.
func (k Key) Hash() uint64 {
	const half = 1<<32 - 1
	last := uint64(0)
	if k.v6 {
		last = 1
	}
	return (secret[0]+k.high>>32)*(secret[1]+k.high&half) +
		(secret[2]+k.low>>32)*(secret[3]+k.low&half) +
		(secret[4]+uint64(k.vni))*(secret[5]+last) + secret[6]
}

// mapped4 is what an IPv4 address is in front of: ::ffff:0:0/96.
const mapped4 = 0xffff << 32

func key4(source []byte) Key {
	return Key{low: mapped4 | uint64(binary.BigEndian.Uint32(source))}
}

func key6(source []byte) Key {
	return Key{high: binary.BigEndian.Uint64(source[:8]), low: binary.BigEndian.Uint64(source[8:16]), v6: true}
}
