package vxlan_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

func TestATableOfKeysIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table vxlan.Table4[int]
		model := map[vxlan.Key4]int{}
		for range rapid.IntRange(0, 200).Draw(t, "keys") {
			source := netip.AddrFrom4([4]byte{0, 0, 0, rapid.ByteRange(0, 20).Draw(t, "source")})
			key, ok := vxlan.NewKey(source, rapid.SampledFrom([]uint32{0, 1, 2, 1<<24 - 1}).Draw(t, "VNI")).In4()
			if !ok {
				t.Fatal("an IPv4 source has no such key")
			}
			want, known := model[key]
			if got, ok := table.Find(key); ok != known || got != want {
				t.Fatalf("found %d, %t, want %d, %t", got, ok, want, known)
			}
			if !known {
				model[key] = len(model)
				table.Add(key, model[key])
			}
		}
	})
	if _, ok := vxlan.NewKey(netip.MustParseAddr("2001:db8::1"), 1).In4(); ok {
		t.Error("an IPv6 source has a key of IPv4")
	}
}
