package huawei_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

func TestInterfacesAreFound(t *testing.T) {
	want := cloud.Interface{
		ID: scenario.WalkthroughSource, VPCID: scenario.WalkthroughVPC,
		Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.230")}, MAC: "fa:16:3e:7e:d6:bc",
		SecurityGroups: []string{scenario.WalkthroughSourceGroup}, DeviceID: "5a1f0c7e-0000-4000-8000-0000000000c1", Primary: true,
		SubnetID: "5a1f0c7e-0000-4000-8000-000000000011", Status: "ACTIVE", OwnAddressesOnly: true, Flavor: "c7t.large.2",
	}
	for name, region := range map[string]struct {
		old bool
	}{"in a region with v3 ports": {false}, "in a region without v3 ports": {true}} {
		t.Run(name, func(t *testing.T) {
			s := sim.ForTest(t)
			want := want
			if region.old {
				add(t, s, fault.NotPublished("ListPorts"))
				add(t, s, fault.NotPublished("ShowPort"))
				want.VPCID, want.Flavor = "", ""
			}
			c := connect(t, fast, credentialsOf(s))
			ctx := t.Context()
			if diff := cmp.Diff(want, must[cloud.Interface](t)(c.GetInterface(ctx, scenario.WalkthroughSource)), equateNetip); diff != "" {
				t.Errorf("by its ID (-want +got):\n%s", diff)
			}
			if _, err := c.GetInterface(ctx, "5a1f0c7e-0000-4000-8000-00000000eeee"); !cloud.IsNotFound(err) {
				t.Errorf("an absent interface gives %v, want NotFound", err)
			}
			found := must[[]cloud.Interface](t)(c.FindInterfaces(ctx, netip.MustParseAddr("::ffff:192.168.0.230")))
			if diff := cmp.Diff([]cloud.Interface{want}, found, equateNetip); diff != "" {
				t.Errorf("by its address (-want +got):\n%s", diff)
			}
			if found, err := c.FindInterfaces(ctx, netip.MustParseAddr("192.168.0.23")); err != nil || len(found) != 0 {
				t.Errorf("an address that nobody has gives %v and %v, want nothing", found, err)
			}
			second := want
			second.ID, second.Addresses, second.MAC, second.Primary = "5a1f0c7e-0000-4000-8000-0000000d0231", []netip.Addr{netip.MustParseAddr("192.168.0.231")}, "fa:16:3e:7e:d6:bd", false
			s.State.Edit(func(w *state.World) {
				p := w.Ports[scenario.WalkthroughSource]
				p.ID, p.Addresses, p.MAC, p.Primary = second.ID, second.Addresses, second.MAC, false
				w.Ports[p.ID] = p
			})
			attached := must[[]cloud.Interface](t)(c.FindServerInterfaces(ctx, want.DeviceID))
			slices.SortFunc(attached, func(a, b cloud.Interface) int { return strings.Compare(a.MAC, b.MAC) })
			if diff := cmp.Diff([]cloud.Interface{want, second}, attached, equateNetip); diff != "" {
				t.Errorf("by its server (-want +got):\n%s", diff)
			}
			if found, err := c.FindServerInterfaces(ctx, "5a1f0c7e-0000-4000-8000-0000000000ee"); err != nil || len(found) != 0 {
				t.Errorf("a server that there is not gives %v and %v, want nothing", found, err)
			}
			if _, err := c.FindServerInterfaces(ctx, "../ports"); cloud.ClassOf(err) != cloud.ClassInvalid {
				t.Errorf("what is no server's ID gives %v, want Invalid", err)
			}
			twin := "5a1f0c7e-0000-4000-8000-0000000d0230"
			s.State.Edit(func(w *state.World) {
				p := w.Ports[scenario.WalkthroughSource]
				p.ID, p.VPCID = twin, "5a1f0c7e-0000-4000-8000-0000000d0001"
				w.Ports[twin] = p
			})
			both := must[[]cloud.Interface](t)(c.FindInterfaces(ctx, netip.MustParseAddr("192.168.0.230")))
			ids := []string{both[0].ID, both[len(both)-1].ID}
			slices.Sort(ids)
			if diff := cmp.Diff([]string{scenario.WalkthroughSource, twin}, ids); diff != "" {
				t.Errorf("an address that two VPCs use (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAQuotaThatTheCloudDoesNotReturnIsNegative(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	want := cloud.Quota{Sessions: 20000, SourcesPerSession: 10, SessionsPerSource: 3, SessionsPerTarget: 10, RulesPerDirection: 10}
	if diff := cmp.Diff(want, must[cloud.Quota](t)(c.GetQuota(t.Context()))); diff != "" {
		t.Error(diff)
	}
}

func TestTheProjectIsLookedUp(t *testing.T) {
	s := sim.ForTest(t)
	lookUp := credentialsOf(s)
	lookUp.ProjectID, lookUp.IAMEndpoint = "", s.URL
	t.Run("by the region's name, and then the client works", func(t *testing.T) {
		c := connect(t, fast, lookUp)
		want := cloud.Account{Region: scenario.WalkthroughRegion, ProjectID: scenario.WalkthroughProject, Endpoint: s.URL}
		before := s.Journal.Last()
		if diff := cmp.Diff(want, c.Account()); diff != "" {
			t.Error(diff)
		}
		if n := len(s.Journal.Since(before)); n != 0 {
			t.Errorf("Account made %d requests, want none", n)
		}
		must[[]cloud.Filter](t)(c.ListFilters(t.Context()))
	})
	t.Run("each account gets its own, also from one factory", func(t *testing.T) {
		other := lookUp
		other.AccessKey, other.SecretKey = scenario.WalkthroughOtherKey, scenario.WalkthroughOtherSecret
		if got := connect(t, fast, other).Account().ProjectID; got != scenario.WalkthroughOtherProject {
			t.Errorf("got project %s, want %s", got, scenario.WalkthroughOtherProject)
		}
	})
	t.Run("by a call that needs no right", func(t *testing.T) {
		add(t, s, fault.Forbidden("KeystoneListProjects"))
		before := s.Journal.Last()
		connect(t, fast, lookUp)
		calls := s.Journal.Since(before)
		if len(calls) != 1 || calls[0].Operation != "KeystoneListAuthProjects" || calls[0].Status != 200 {
			t.Errorf("it asked %v, want the projects that the keys may use", calls)
		}
	})
	t.Run("a region without a project is the user's mistake", func(t *testing.T) {
		elsewhere := lookUp
		elsewhere.Region = "cn-south-1"
		_, err := huawei.NewFactory(fast).New(t.Context(), elsewhere)
		if cloud.ClassOf(err) != cloud.ClassInvalid || !strings.Contains(err.Error(), "give projectID") {
			t.Errorf("got %v, want Invalid with a remedy", err)
		}
	})
	t.Run("a refused signature is Authentication", func(t *testing.T) {
		wrong := lookUp
		wrong.SecretKey = "this-is-not-the-secret-key"
		_, err := huawei.NewFactory(fast).New(t.Context(), wrong)
		if cloud.ClassOf(err) != cloud.ClassAuthentication {
			t.Errorf("got %v, want Authentication", err)
		}
	})
	t.Run("a project of somebody else is Permission", func(t *testing.T) {
		foreign := credentialsOf(s)
		foreign.ProjectID = scenario.WalkthroughOtherProject
		_, err := connect(t, fast, foreign).ListFilters(t.Context())
		if cloud.ClassOf(err) != cloud.ClassPermission || !strings.Contains(err.Error(), "check projectID") {
			t.Errorf("got %v, want Permission with a remedy", err)
		}
	})
}

func TestAWrongKeySaysWhatToCheckAndShowsNoKey(t *testing.T) {
	s := sim.ForTest(t)
	wrong := credentialsOf(s)
	wrong.SecretKey = "this-is-not-the-secret-key"
	for name, c := range map[string]cloud.Credentials{
		"a wrong secret key": wrong,
		"an unknown access key": func() cloud.Credentials {
			c := wrong
			c.AccessKey = "UNKNOWNACCESSKEY"
			return c
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := connect(t, fast, c).CreateFilter(t.Context(), "f", "")
			if cloud.ClassOf(err) != cloud.ClassAuthentication {
				t.Fatalf("got %v, want Authentication", err)
			}
			for _, word := range []string{"access key", "secret key", "clock", "endpoint", "region"} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not name the %s", err, word)
				}
			}
			for _, secret := range []string{c.AccessKey, c.SecretKey, "anonical", "x-sdk-date"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q shows %q", err, secret)
				}
			}
		})
	}
}
