package tally

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// table finds the session of a stream. It is never written after it was built.
type table struct {
	sessions  map[string]*session
	vnis      map[uint32][]*session // who is affected by a foreign source
	addresses map[netip.Addr]bool   // the sources of all sessions
	slots     []slot                // open addressing, at most half full
	shift     int
}

// slot holds a key and what it leads to; session is nil in an empty one.
type slot struct {
	address netip.Addr
	vni     uint32
	stream
}

func newTable(streams int) *table {
	size := 1 << bits.Len(uint(max(2*streams, 8)-1))
	return &table{
		sessions:  map[string]*session{},
		vnis:      map[uint32][]*session{},
		addresses: map[netip.Addr]bool{},
		slots:     make([]slot, size),
		shift:     64 - bits.TrailingZeros(uint(size)),
	}
}

// home is the slot where the search for a key begins. Who sends chooses the
// key that is looked for but not those that are stored, so he can't make a
// search longer than the longest run of stored keys.
func (t *table) home(address netip.Addr, vni uint32) uint64 {
	b := address.As16()
	h := binary.LittleEndian.Uint64(b[:8])*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(b[8:]) ^ uint64(vni)<<8
	return (h * 0xff51afd7ed558ccd) >> t.shift
}

// insert adds a key, unless it is there, and returns the session it leads to.
func (t *table) insert(address netip.Addr, vni uint32, s stream) *session {
	for i := t.home(address, vni); ; i = (i + 1) & uint64(len(t.slots)-1) {
		at := &t.slots[i]
		if at.session == nil {
			*at = slot{address: address, vni: vni, stream: s}
			return s.session
		}
		if at.vni == vni && at.address == address {
			return at.session
		}
	}
}

// find returns what a key leads to, nil when it is not in the table.
func (t *table) find(address netip.Addr, vni uint32) *stream {
	for i := t.home(address, vni); ; i = (i + 1) & uint64(len(t.slots)-1) {
		at := &t.slots[i]
		if at.session == nil {
			return nil
		}
		if at.vni == vni && at.address == address {
			return &at.stream
		}
	}
}
