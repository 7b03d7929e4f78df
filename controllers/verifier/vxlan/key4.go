package vxlan

import "math/bits"

// Key4 is a [Key] whose source is an IPv4 address, in one word that is never 0: the address, a bit that is
// always set, the VNI.
type Key4 uint64

// In4 returns the key in one word; ok is false when its source is an IPv6 address.
func (k Key) In4() (out Key4, ok bool) { return newKey4(uint32(k.low), k.vni), !k.v6 }

func newKey4(source, vni uint32) Key4 { return Key4(source)<<32 | 1<<31 | Key4(vni) }

// hash spreads keys as [Key.Hash] does.
func (k Key4) hash() uint64 {
	return (secret[0]+uint64(k>>32))*(secret[1]+uint64(uint32(k))) + secret[2]
}

// Table4 finds what belongs to a stream whose source has an IPv4 address. The zero value is empty. Nobody
// chooses where a key goes, since the hash has a secret. It may be searched by several goroutines while
// nobody adds to it.
type Table4[V any] struct {
	slots []slot4[V] // open addressing, at most half full
	shift int        // by which a hash becomes a place in slots
	used  int
}

// slot4 is empty where the key is 0.
type slot4[V any] struct {
	key   Key4
	value V
}

// Find returns what belongs to a key; ok is false where nothing does.
func (t *Table4[V]) Find(key Key4) (value V, ok bool) {
	for i := key.hash() >> t.shift; len(t.slots) > 0; i++ {
		at := &t.slots[i&uint64(len(t.slots)-1)]
		if at.key == key {
			return at.value, true
		}
		if at.key == 0 {
			break
		}
	}
	return value, false
}

// Add adds a key that is not there.
func (t *Table4[V]) Add(key Key4, value V) {
	if t.used++; 2*t.used > len(t.slots) {
		t.grow()
	}
	t.put(key, value)
}

func (t *Table4[V]) put(key Key4, value V) {
	i := key.hash() >> t.shift
	for t.slots[i].key != 0 {
		i = (i + 1) & uint64(len(t.slots)-1)
	}
	t.slots[i] = slot4[V]{key, value}
}

// grow doubles the table.
func (t *Table4[V]) grow() {
	before := t.slots
	t.slots = make([]slot4[V], max(2*len(before), 16))
	t.shift = 64 - bits.TrailingZeros(uint(len(t.slots)))
	for i := range before {
		if at := &before[i]; at.key != 0 {
			t.put(at.key, at.value)
		}
	}
}
