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

// lookup returns the slot of a key, or the empty one where it would be. Who
// sends chooses the key that is looked for but not those that are stored, so
// he can't make a search longer than the longest run of stored keys.
func (t *table) lookup(key vxlan.Key) *slot {
	for i := key.Hash() >> t.shift; ; i = (i + 1) & uint64(len(t.slots)-1) {
		at := &t.slots[i]
		if at.session == nil || at.key == key {
			return at
		}
	}
}

// insert adds a key, unless it is there, and returns the session it leads to.
func (t *table) insert(key vxlan.Key, s stream) *session {
	at := t.lookup(key)
	if at.session == nil {
		*at = slot{key: key, stream: s}
	}
	return at.session
}

// find returns what a key leads to, nil when it is not in the table.
func (t *table) find(key vxlan.Key) *stream {
	if at := t.lookup(key); at.session != nil {
		return &at.stream
	}
	return nil
}
