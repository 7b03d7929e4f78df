package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/nodecache"
)

func addrs(texts ...string) []netip.Addr { return addresses(texts) }

func TestWhichInterfaceOwnsATarget(t *testing.T) {
	eth0 := Interface{Index: 2, Name: "eth0", MAC: "fa:16:3e:00:00:01", Addresses: addrs("192.168.0.164", "2001:db8::164")}
	eth1 := Interface{Index: 3, Name: "eth1", MAC: "fa:16:3e:00:00:02", Addresses: addrs("192.168.1.10")}
	bridge := Interface{Index: 9, Name: "br0", MAC: "fa:16:3e:00:00:02", Addresses: addrs("192.168.1.20")}
	docker := Interface{Index: 4, Name: "docker0", MAC: "02:42:00:00:00:01", Addresses: addrs("172.17.0.1")}
	ens := Interface{Index: 7, Name: "ens7", MAC: "fa:16:3e:00:00:07", Addresses: addrs("172.17.0.1")}
	tun := Interface{Index: 5, Name: "tun0", Addresses: addrs("192.168.0.99")}
	for _, c := range []struct {
		name      string
		addresses []string
		mac       string
		local     []Interface
		want      string
	}{
		{"the one with address and MAC", []string{"192.168.0.164"}, "fa:16:3e:00:00:01", []Interface{eth1, eth0}, "eth0"},
		{"the one with the address, where the MAC is not known", []string{"192.168.0.164"}, "", []Interface{eth1, eth0}, "eth0"},
		{"the one with any of its addresses", []string{"192.168.0.99", "2001:db8:0::164"}, "", []Interface{eth1, eth0}, "eth0"},
		{"the one with the MAC, where the address is nowhere", []string{"192.168.0.99"}, "FA:16:3E:00:00:01", []Interface{eth1, eth0}, "eth0"},
		{"the bridge with the address, not its port with the same MAC", []string{"192.168.1.20"}, "fa:16:3e:00:00:02", []Interface{eth1, bridge}, "br0"},
		{"the bond with the address, not its member with the MAC", []string{"192.168.1.10"}, "fa:16:3e:00:00:01", []Interface{eth0, eth1}, "eth1"},
		{"the one with both, where another network of the host uses the address too", []string{"172.17.0.1"}, "fa:16:3e:00:00:07", []Interface{docker, ens}, "ens7"},
		{"none without address and MAC of the target", []string{"192.168.0.99"}, "fa:16:3e:00:00:99", []Interface{eth0, eth1}, ""},
		{"none for an interface without MAC when the target's is not known", nil, "", []Interface{tun}, ""},
		{"the tunnel with the address, where the MAC is not known", []string{"192.168.0.99"}, "", []Interface{eth0, tun}, "tun0"},
		{"the tunnel with the address, on the host with the MAC", []string{"192.168.0.99"}, "fa:16:3e:00:00:01", []Interface{eth0, tun}, "tun0"},
		{"none for a tunnel with the address, on a host without the MAC", []string{"192.168.0.99"}, "fa:16:3e:00:00:99", []Interface{eth0, tun}, ""},
		{"none on a host without interfaces", []string{"192.168.0.164"}, "fa:16:3e:00:00:01", nil, ""},
		{"an address that is none hides nothing", []string{"?", "192.168.0.164"}, "", []Interface{eth0}, "eth0"},
		{"none where the address is another network's, as the MAC says", []string{"192.168.0.164"}, "fa:16:3e:00:00:99", []Interface{eth0, eth1}, ""},
		{"the one with the address, where what is called the MAC is none", []string{"192.168.0.164"}, "?", []Interface{eth0}, "eth0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, here := find(v1alpha1.ResolvedInterface{Addresses: c.addresses, MAC: c.mac}, c.local)
			if got.Name != c.want || here != (c.want != "") {
				t.Errorf("found %q, %t, want %q", got.Name, here, c.want)
			}
		})
	}
}

// The index hands out only sessions with a place in common, so that must not be narrower than find.
func TestWhateverInterfaceOwnsATargetThePlacesHaveItInCommon(t *testing.T) {
	macs := []string{"", "02:00:00:00:00:01", "02-00-00-00-00-02", "?"}
	texts := []string{"10.0.0.1", "::ffff:10.0.0.2", "2001:DB8:0::1", "?"}
	rapid.Check(t, func(t *rapid.T) {
		target := v1alpha1.ResolvedInterface{
			MAC: rapid.SampledFrom(macs).Draw(t, "mac"), Addresses: rapid.SliceOfN(rapid.SampledFrom(texts), 0, 3).Draw(t, "addresses"),
		}
		var local []Interface
		for i := range rapid.IntRange(0, 3).Draw(t, "interfaces") {
			local = append(local, Interface{
				Index: i + 1, MAC: rapid.SampledFrom([]string{"", "02:00:00:00:00:01", "02:00:00:00:00:02"}).Draw(t, "local MAC"),
				Addresses: addresses(rapid.SliceOfN(rapid.SampledFrom(texts), 0, 2).Draw(t, "local addresses")),
			})
		}
		_, here := find(target, local)
		all := places(local)
		if common := slices.ContainsFunc(nodecache.Places(&v1alpha1.ResolvedTarget{ResolvedInterface: target}), func(p string) bool { _, ok := all[p]; return ok }); here && !common {
			t.Fatalf("%+v is on %+v", target, local)
		}
	})
}

// sessionHere is one whose target is eth0.
func sessionHere(uid string, age time.Duration, edit func(*v1alpha1.MirrorSession)) v1alpha1.MirrorSession {
	s := v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: uid, UID: types.UID(uid), CreationTimestamp: metav1.NewTime(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(-age)),
	}}
	s.Spec.FilterRef.Name = "web"
	s.Status.VNI = new(int32(1))
	s.Status.Sessions = []v1alpha1.CloudSession{{ID: "cloud-" + uid}}
	s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{Addresses: []string{"192.168.0.164"}, MAC: "fa:16:3e:00:00:01"}}
	s.Status.Sources = []v1alpha1.ResolvedInterface{{Addresses: []string{"192.168.0.230", "::ffff:192.168.0.231"}, MAC: "fa:16:3e:7e:d6:bc"}}
	if edit != nil {
		edit(&s)
	}
	return s
}

func pointers(sessions []v1alpha1.MirrorSession) (out []*v1alpha1.MirrorSession) {
	for i := range sessions {
		out = append(out, &sessions[i])
	}
	return out
}

func TestWhichSessionsAreCountedHere(t *testing.T) {
	eth0 := Interface{Index: 2, Name: "eth0", MAC: "fa:16:3e:00:00:01", Addresses: addrs("192.168.0.164")}
	eth1 := Interface{Index: 3, Name: "eth1", MAC: "fa:16:3e:00:00:02", Addresses: addrs("192.168.1.10")}
	sessions := []v1alpha1.MirrorSession{
		sessionHere("young", time.Minute, nil),
		sessionHere("old", time.Hour, nil),
		sessionHere("no-vni", time.Hour, func(s *v1alpha1.MirrorSession) { s.Status.VNI = nil }),
		sessionHere("vni-too-high", time.Hour, func(s *v1alpha1.MirrorSession) { s.Status.VNI = new(int32(1 << 24)) }),
		sessionHere("no-target", time.Hour, func(s *v1alpha1.MirrorSession) { s.Status.Target = nil }),
		sessionHere("not-in-the-cloud", time.Hour, func(s *v1alpha1.MirrorSession) { s.Status.Sessions = nil }),
		sessionHere("elsewhere", time.Hour, func(s *v1alpha1.MirrorSession) {
			s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{Addresses: []string{"10.0.0.1"}}}
		}),
		sessionHere("second-interface", time.Minute, func(s *v1alpha1.MirrorSession) {
			s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{Addresses: []string{"192.168.1.10"}}}
		}),
		sessionHere("without-filter", time.Second, func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "missing" }),
	}
	var got []string
	for _, a := range assign(pointers(sessions), []Interface{eth0, eth1}, func(s *v1alpha1.MirrorSession) ([]v1alpha1.Rule, bool, error) {
		if s.Spec.FilterRef.Name == "missing" {
			return nil, false, errors.New("no such filter")
		}
		return []v1alpha1.Rule{{Direction: v1alpha1.DirectionIngress, Protocol: v1alpha1.ProtocolAll, Accept: true}}, true, nil
	}) {
		got = append(got, fmt.Sprintf("%s on %s as %s: vni %d, %d rules, judged %t, from %v %x: %s", a.session.Name, a.local.Name, a.count.ID,
			a.count.VNI, len(a.count.Rules), a.judged, a.count.Sources[0].OuterAddrs, a.count.Sources[0].MAC, a.problem))
	}
	want := []string{
		"old on eth0 as old: vni 1, 1 rules, judged true, from [192.168.0.230 192.168.0.231] fa163e7ed6bc: ",
		"second-interface on eth1 as second-interface: vni 1, 1 rules, judged true, from [192.168.0.230 192.168.0.231] fa163e7ed6bc: ",
		"without-filter on eth0 as without-filter/unjudged: vni 1, 0 rules, judged false, from [192.168.0.230 192.168.0.231] fa163e7ed6bc: no such filter",
		"young on eth0 as young: vni 1, 1 rules, judged true, from [192.168.0.230 192.168.0.231] fa163e7ed6bc: ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("assignments (-want +got):\n%s", diff)
	}
}

func TestTheInterfacesOfAHost(t *testing.T) {
	pair := frametest.NewPair(t)
	side := &pair.Receiver
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tunnel, err := netlink.ParseAddr("10.1.0.1/32")
	must(err)
	tunnel.Peer, err = netlink.ParseIPNet("10.1.0.2/32")
	must(err)
	primary, err := netlink.ParseAddr("192.168.0.164/24")
	must(err)
	secondary, err := netlink.ParseAddr("192.168.0.165/24")
	must(err)
	for _, a := range []*netlink.Addr{primary, secondary, tunnel} {
		must(side.Netlink.AddrAdd(side.Link(t), a))
	}
	must(side.Netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "one", HardwareAddr: []byte{2, 0, 0, 0, 0, 1}, Index: 101},
		PeerName:  "two", PeerHardwareAddr: []byte{2, 0, 0, 0, 0, 2},
	}))
	other, err := side.Netlink.LinkByName("two")
	must(err)

	var got []Interface
	must(inside(pair, func() (err error) { got, err = LocalInterfaces(); return err }))
	want := []Interface{
		{Index: side.Index, Name: "right", MAC: mac(side.MAC), Addresses: addrs("10.1.0.1", "192.168.0.164", "192.168.0.165")},
		{Index: 101, Name: "one", MAC: "02:00:00:00:00:01"},
		{Index: other.Attrs().Index, Name: "two", MAC: "02:00:00:00:00:02"},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmpopts.SortSlices(netip.Addr.Less), cmpopts.SortSlices(func(a, b Interface) bool { return a.Name < b.Name })); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
}
