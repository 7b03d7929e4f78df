package tally

import (
	"math/bits"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// table finds the sessions of a stream. It is never written after it was built.
type table struct {
	sessions  map[string]*session
	vnis      map[uint32][]*session     // who is affected by a foreign source
	addresses map[netip.Addr][]*session // whose source it is
	slots     []slot                    // open addressing, at most half full
	shift     int
	lanes     vxlan.Table4[*lane]
}

// slot holds a key and what it leads to; an empty one has no claims.
type slot struct {
	key vxlan.Key
	stream
}

// stream is what a key leads to: all sessions that claim it, since nothing in a copy says
// of which of them it is.
type stream struct {
	claims []claim
	// strangers is true when there are more sessions with its VNI, to which its source is
	// foreign.
	strangers bool
	// probed is true when packets of probes may be among its own.
	probed bool
}

func newTable(streams int) *table {
	size := 1 << bits.Len(uint(max(2*streams, 8)-1))
	return &table{
		sessions:  map[string]*session{},
		vnis:      map[uint32][]*session{},
		addresses: map[netip.Addr][]*session{},
		slots:     make([]slot, size),
		shift:     64 - bits.TrailingZeros(uint(size)),
	}
}

// lookup returns the slot that holds a key, or the empty slot where the search
// for it ends. Nobody chooses where a key goes: a sender chooses the keys that
// are searched for and who names sources those that are stored, but the hash has
// a secret. No search passes more slots than the longest run of occupied ones.
func (t *table) lookup(key vxlan.Key) *slot {
	for i := key.Hash() >> t.shift; ; i = (i + 1) & uint64(len(t.slots)-1) {
		at := &t.slots[i]
		if at.claims == nil || at.key == key {
			return at
		}
	}
}

// insert adds a claim to a key. A session claims a key once: of two sources with one
// address it is the first one's. The claims of one session come in a row.
func (t *table) insert(key vxlan.Key, by claim) {
	at := t.lookup(key)
	if n := len(at.claims); n > 0 && at.claims[n-1].session == by.session {
		return
	}
	at.key, at.claims = key, append(at.claims, by)
}

// findStrangers notes which streams are foreign to a session with their VNI, and in which probes' packets may be.
func (t *table) findStrangers() {
	for i := range t.slots {
		at := &t.slots[i]
		at.strangers = at.claims != nil && len(at.claims) < len(t.vnis[at.key.VNI()])
		at.probed = slices.ContainsFunc(at.claims, func(c claim) bool { return len(c.session.config.Probes) > 0 })
	}
}

// find returns what a key leads to, nil when it is not stored.
func (t *table) find(key vxlan.Key) *stream {
	if at := t.lookup(key); at.claims != nil {
		return &at.stream
	}
	return nil
}
