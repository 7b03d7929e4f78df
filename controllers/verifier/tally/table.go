package tally

import (
	"math/bits"
	"net/netip"

	"vpcmirror.io/operator/controllers/verifier/vxlan"
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
	key vxlan.Key
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

// lookup returns the slot that holds a key, or the empty slot where the search
// for it ends. A sender chooses the keys that are searched for but not those
// that are stored, which are the sessions'. So whatever he sends, no search
// passes more slots than the longest run of occupied ones.
func (t *table) lookup(key vxlan.Key) *slot {
	for i := key.Hash() >> t.shift; ; i = (i + 1) & uint64(len(t.slots)-1) {
		at := &t.slots[i]
		if at.session == nil || at.key == key {
			return at
		}
	}
}

// insert stores a key, unless it is stored already, and returns the session
// that it leads to.
func (t *table) insert(key vxlan.Key, s stream) *session {
	at := t.lookup(key)
	if at.session == nil {
		*at = slot{key: key, stream: s}
	}
	return at.session
}

// find returns what a key leads to, nil when it is not stored.
func (t *table) find(key vxlan.Key) *stream {
	if at := t.lookup(key); at.session != nil {
		return &at.stream
	}
	return nil
}
