package tally

import (
	"cmp"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// topStreams keeps the streams with the most packets in bounded memory, by the
// space-saving method: a newcomer takes the place of the smallest and inherits
// its count as an error.
type topStreams struct {
	entries [64]topStream
	used    int
}

type topStream struct {
	key            vxlan.Key
	packets, error uint64
}

func (t *topStreams) add(key vxlan.Key, packets uint64) {
	smallest := 0
	for i := range t.entries[:t.used] {
		e := &t.entries[i]
		if e.key == key {
			e.packets += packets
			return
		}
		if e.packets < t.entries[smallest].packets {
			smallest = i
		}
	}
	if t.used < len(t.entries) {
		t.entries[t.used] = topStream{key: key, packets: packets}
		t.used++
		return
	}
	base := t.entries[smallest].packets
	t.entries[smallest] = topStream{key: key, packets: base + packets, error: base}
}

func (t *topStreams) list() []UnknownStream {
	list := make([]UnknownStream, t.used)
	for i, e := range t.entries[:t.used] {
		list[i] = UnknownStream{Source: e.key.Source(), VNI: e.key.VNI(), Arrived: e.packets, Error: e.error}
	}
	slices.SortFunc(list, func(a, b UnknownStream) int {
		return cmp.Or(cmp.Compare(b.Arrived, a.Arrived), a.Source.Compare(b.Source), cmp.Compare(a.VNI, b.VNI))
	})
	return list
}

// foreignSenders returns by VNI who surely sent the most to it, of those that no session
// claims now.
func (t *Tally) foreignSenders() map[uint32]netip.Addr {
	type sender struct {
		address netip.Addr
		packets uint64
	}
	most := make(map[uint32]sender)
	for _, e := range t.unknown.entries[:t.unknown.used] {
		vni, packets := e.key.VNI(), e.packets-e.error
		if packets > most[vni].packets && t.table.vnis[vni] != nil && t.table.find(e.key) == nil {
			most[vni] = sender{e.key.Source(), packets}
		}
	}
	out := make(map[uint32]netip.Addr, len(most))
	for vni, s := range most {
		out[vni] = s.address
	}
	return out
}
