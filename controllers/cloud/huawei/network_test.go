package huawei_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// networkID is the n-th ID of a kind of object of a test.
func networkID(kind, n int) string { return fmt.Sprintf("5a1f0c7e-0000-4000-9%03x-%012x", kind, n) }

func TestAllInterfacesAreListedWhateverThePagesHold(t *testing.T) {
	for name, region := range map[string]struct{ old bool }{"v3 ports": {}, "without v3 ports": {true}} {
		for _, page := range []int{0, 1, 2} {
			t.Run(fmt.Sprint(name, " in pages of ", page), func(t *testing.T) {
				s := sim.ForTest(t)
				if region.old {
					add(t, s, fault.NotPublished("ListPorts"))
				}
				want := map[string]bool{}
				s.State.Edit(func(w *state.World) {
					for n := range 5 {
						p := w.Ports[scenario.WalkthroughSource]
						p.ID, p.Addresses = networkID(1, n), []netip.Addr{netip.MustParseAddr(fmt.Sprintf("192.168.7.%d", n))}
						w.Ports[p.ID] = p
					}
					for id, p := range w.Ports {
						if p.ProjectID == scenario.WalkthroughProject {
							want[id] = true
						}
					}
				})
				o := fast
				o.PageSize = page
				got := map[string]bool{}
				for _, i := range must[[]cloud.Interface](t)(connect(t, o, credentialsOf(s)).ListInterfaces(t.Context())) {
					got[i.ID] = true
				}
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("the interfaces (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestSecurityGroupsAreListedWithAllTheirRules(t *testing.T) {
	for _, page := range []int{0, 1, 2} {
		t.Run(fmt.Sprint("in pages of ", page), func(t *testing.T) {
			s := sim.ForTest(t, sim.WithQuirks(state.Quirks{}))
			group := networkID(2, 1)
			s.State.Edit(func(w *state.World) {
				w.Groups[group] = state.SecurityGroup{ID: group, ProjectID: scenario.WalkthroughProject, Name: "sg-deny"}
				for id, r := range map[string]state.GroupRule{
					networkID(3, 1): {Direction: "ingress", EtherType: "IPv4", Protocol: "udp", Multiport: "4000-5000,80", Action: "deny", Priority: 1, RemotePrefix: "192.168.0.0/24", Enabled: true},
					networkID(3, 2): {Direction: "egress", EtherType: "IPv6", Action: "allow", Priority: 100, Enabled: false},
					networkID(3, 3): {Direction: "ingress", EtherType: "IPv4", Protocol: "17", Action: "allow", Priority: 5, RemoteGroup: group, Enabled: true},
				} {
					r.ID, r.GroupID, r.ProjectID = id, group, scenario.WalkthroughProject
					w.GroupRules[id] = r
				}
			})
			o := fast
			o.PageSize = page
			all := must[[]cloud.SecurityGroup](t)(connect(t, o, credentialsOf(s)).ListSecurityGroups(t.Context()))
			rules := 0
			var got cloud.SecurityGroup
			for _, g := range all {
				rules += len(g.Rules)
				if g.ID == group {
					got = g
				}
			}
			if want := len(s.State.Snapshot().GroupRules); rules != want {
				t.Errorf("the groups have %d rules, want %d", rules, want)
			}
			slices.SortFunc(got.Rules, func(a, b cloud.GroupRule) int { return cmp.Compare(a.ID, b.ID) })
			want := cloud.SecurityGroup{ID: group, Name: "sg-deny", Rules: []cloud.GroupRule{
				{ID: networkID(3, 1), Direction: cloud.Ingress, Protocol: "udp", Ports: []cloud.PortRange{{Low: 4000, High: 5000}, {Low: 80, High: 80}}, Priority: 1, Remote: netip.MustParsePrefix("192.168.0.0/24")},
				{ID: networkID(3, 2), Direction: cloud.Egress, IPv6: true, Allow: true, Priority: 100, Disabled: true},
				{ID: networkID(3, 3), Direction: cloud.Ingress, Protocol: "udp", Allow: true, Priority: 5, RemoteGroupID: group},
			}}
			if diff := gocmp.Diff(want, got, equateNetip); diff != "" {
				t.Errorf("the group (-want +got):\n%s", diff)
			}
		})
	}
}
