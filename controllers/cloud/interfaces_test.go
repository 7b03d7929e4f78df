package cloud_test

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
)

// Which VPC an interface is in is not always known, and one without an address is a member too.
func TestWhoIsInAGroupOrASubnetIsWhatAWalkOverAllFinds(t *testing.T) {
	few := rapid.SampledFrom([]string{"", "a", "b"})
	address := rapid.SampledFrom([]netip.Addr{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("2001:db8::1"),
	})
	prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
		of := address.Draw(t, "of")
		bits := rapid.SampledFrom([]int{-1, 0, 16, 24, 31, of.BitLen()}).Draw(t, "bits")
		if bits < 0 {
			return netip.Prefix{}
		}
		return netip.PrefixFrom(of, bits)
	})
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) cloud.Interface {
			return cloud.Interface{
				ID: rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "ID"), VPCID: few.Draw(t, "VPC"), SubnetID: few.Draw(t, "subnet"),
				Addresses: rapid.SliceOfN(address, 0, 2).Draw(t, "addresses"), SecurityGroups: rapid.SliceOfN(few, 0, 2).Draw(t, "groups"),
			}
		}), 0, 6).Draw(t, "all")
		listed := cloud.InterfacesOf(all)
		vpc, name, within := few.Draw(t, "in VPC"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"), prefix.Draw(t, "within")
		inGroup, inSubnet := false, false
		for _, i := range listed.All() {
			fits := !within.IsValid() || slices.ContainsFunc(i.Addresses, within.Contains)
			inVPC := i.VPCID == vpc || i.VPCID == "" || vpc == ""
			inGroup = inGroup || fits && inVPC && slices.Contains(i.SecurityGroups, name)
			inSubnet = inSubnet || fits && i.SubnetID == name
		}
		if got := listed.InGroup(name, vpc, within); got != inGroup {
			t.Errorf("somebody in %v is in the group %s of VPC %q: %v", within, name, vpc, got)
		}
		if got := listed.InSubnet(name, within); got != inSubnet {
			t.Errorf("somebody in %v is in the subnet %s: %v", within, name, got)
		}
	})
}

func TestNoListHasNobody(t *testing.T) {
	var none *cloud.Interfaces
	if _, there := none.ByID("a"); there || none.InGroup("a", "", netip.Prefix{}) || none.InSubnet("a", netip.Prefix{}) || len(none.All()) > 0 {
		t.Error("somebody is there")
	}
}
