package vxlan_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Who may name sources chooses the keys that a table holds. These would be in one slot of 2048
// if the hash were the well-known multiplication by a constant without a secret.
func TestNobodyCanChooseAddressesThatCollide(t *testing.T) {
	const b, slots, chosen = 0xff51afd7ed558ccd, 11, 640
	used := map[uint64]int{}
	for n, found := uint64(0), 0; found < chosen; n++ {
		low := 0xffff<<32 | n
		if (low^1<<36)*b>>(64-slots) != 0 { // the upper half of an IPv4 key is 0
			continue
		}
		found++
		address := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(n))))
		used[vxlan.NewKey(address, 1).Hash()>>(64-slots)]++
	}
	most := 0
	for _, n := range used {
		most = max(most, n)
	}
	if most > 32 {
		t.Errorf("%d of %d keys are in one slot", most, chosen)
	}
}

func TestTheHashTellsKeysApartByEachOfTheirParts(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	seen := map[uint64]vxlan.Key{}
	for _, k := range []vxlan.Key{
		vxlan.NewKey(v4, 1), vxlan.NewKey(v4, 2), vxlan.NewKey(v4.Next(), 1), vxlan.NewKey(netip.AddrFrom16(v4.As16()), 1),
		vxlan.NewKey(v6, 1), vxlan.NewKey(v6.Next(), 1), vxlan.NewKey(netip.MustParseAddr("2001:db9::1"), 1),
		vxlan.NewKey(netip.MustParseAddr("2001:db8:1::1"), 1), vxlan.NewKey(netip.MustParseAddr("2001:db8::1:0:1"), 1),
	} {
		if k != vxlan.NewKey(k.Source(), k.VNI()) || k.Hash() != vxlan.NewKey(k.Source(), k.VNI()).Hash() {
			t.Errorf("%s VNI %d hashes in two ways", k.Source(), k.VNI())
		}
		if other, double := seen[k.Hash()]; double {
			t.Errorf("%s VNI %d has the hash of %s VNI %d", k.Source(), k.VNI(), other.Source(), other.VNI())
		}
		seen[k.Hash()] = k
	}
}
