package tally

import (
	"cmp"
	"net/netip"
	"slices"
)

// topStreams keeps the streams with the most packets in bounded memory, by the
// space-saving method: a newcomer takes the place of the smallest and inherits
// its count as an error.
type topStreams struct {
	entries [64]UnknownStream
	used    int
}

func (t *topStreams) add(source netip.Addr, vni uint32, packets uint64) {
	smallest := 0
	for i := range t.entries[:t.used] {
		e := &t.entries[i]
		if e.VNI == vni && e.Source == source {
			e.Packets += packets
			return
		}
		if e.Packets < t.entries[smallest].Packets {
			smallest = i
		}
	}
	if t.used < len(t.entries) {
		t.entries[t.used] = UnknownStream{Source: source, VNI: vni, Packets: packets}
		t.used++
		return
	}
	base := t.entries[smallest].Packets
	t.entries[smallest] = UnknownStream{Source: source, VNI: vni, Packets: base + packets, Error: base}
}

func (t *topStreams) list() []UnknownStream {
	list := slices.Clone(t.entries[:t.used])
	slices.SortFunc(list, func(a, b UnknownStream) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), a.Source.Compare(b.Source), cmp.Compare(a.VNI, b.VNI))
	})
	return list
}
