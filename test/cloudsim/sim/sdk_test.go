package sim_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/region"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	ecsv2 "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2"
	ecs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/model"
	vpcv2 "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2"
	vpcv2model "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2/model"
	vpcv3 "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// keys are what a client of the SDK is made with.
type keys struct{ ak, sk, token, project string }

func walkthroughKeys() keys {
	return keys{ak: scenario.WalkthroughAccessKey, sk: scenario.WalkthroughSecretKey, project: scenario.WalkthroughProject}
}

func httpConfig() *config.HttpConfig {
	return config.DefaultHttpConfig().WithUserAgent("cloudsim-test").WithTimeout(5 * time.Second)
}

// sdkClient is the cloud's own client, pointed at the simulated one.
func sdkClient(t *testing.T, cloud *sim.Sim, k keys) *vpcv3.VpcClient {
	t.Helper()
	builder := basic.NewCredentialsBuilder().WithAk(k.ak).WithSk(k.sk).WithProjectId(k.project).WithIamEndpointOverride(cloud.URL)
	if k.token != "" {
		builder = builder.WithSecurityToken(k.token)
	}
	credentials, err := builder.SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	client, err := vpcv3.VpcClientBuilder().WithCredential(credentials).WithHttpConfig(httpConfig()).
		WithRegion(region.NewRegion(scenario.WalkthroughRegion, cloud.URL)).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return vpcv3.NewVpcClient(client)
}

func ptr[T any](v T) *T { return &v }

func mustFilter(t *testing.T, c *vpcv3.VpcClient, name string) *model.TrafficMirrorFilter {
	t.Helper()
	out, err := c.CreateTrafficMirrorFilter(&model.CreateTrafficMirrorFilterRequest{Body: &model.CreateTrafficMirrorFilterRequestBody{
		TrafficMirrorFilter: &model.CreateTrafficMirrorFilterOption{Name: name, Description: ptr("made by a test")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out.TrafficMirrorFilter
}

func walkthroughRule(filterID string, priority int32) *model.CreateTrafficMirrorFilterRuleRequest {
	return &model.CreateTrafficMirrorFilterRuleRequest{Body: &model.CreateTrafficMirrorFilterRuleRequestBody{
		TrafficMirrorFilterRule: &model.CreateTrafficMirrorFilterRuleOption{
			TrafficMirrorFilterId: filterID, Direction: "ingress", Protocol: "tcp", Ethertype: "ipv4", Action: "accept",
			Priority: priority, SourceCidrBlock: ptr("192.168.0.161/32 "), DestinationCidrBlock: ptr("192.168.0.230/32"),
			DestinationPortRange: ptr("1234-1234"),
		},
	}}
}

func walkthroughSession(filterID string, priority int32) *model.CreateTrafficMirrorSessionRequest {
	return &model.CreateTrafficMirrorSessionRequest{Body: &model.CreateTrafficMirrorSessionRequestBody{
		TrafficMirrorSession: &model.CreateTrafficMirrorSessionOption{
			Name: "mirror-session-01", TrafficMirrorFilterId: filterID, TrafficMirrorSources: []string{scenario.WalkthroughSource},
			TrafficMirrorTargetId: scenario.WalkthroughTarget, TrafficMirrorTargetType: "eni", Priority: priority,
			VirtualNetworkId: ptr("1"), PacketLength: ptr("1460"), Enabled: ptr("true"), Type: ptr("eni"),
		},
	}}
}

// refused takes the SDK's error apart.
func refused(t *testing.T, err error) (status int, code string) {
	t.Helper()
	var e *sdkerr.ServiceResponseError
	if !errors.As(err, &e) {
		t.Fatalf("error = %v; want a service response error", err)
	}
	if e.RequestId == "" {
		t.Errorf("the refusal %v has no request ID", e)
	}
	return e.StatusCode, e.ErrorCode
}

func wantRefusal(t *testing.T, err error, status int, code string) {
	t.Helper()
	gotStatus, gotCode := refused(t, err)
	if gotStatus != status || gotCode != code {
		t.Fatalf("refused with %d %s (%v); want %d %s", gotStatus, gotCode, err, status, code)
	}
}

func TestTheSDKPlaysTheWalkthrough(t *testing.T) {
	cloud := sim.ForTest(t)
	c := sdkClient(t, cloud, walkthroughKeys())

	filter := mustFilter(t, c, "mirror-filter-01")
	if filter.IngressRules == nil || filter.EgressRules == nil || filter.Type != "eni" || filter.ProjectId != scenario.WalkthroughProject {
		t.Fatalf("a new filter = %+v; want empty rule lists, type eni and the project", filter)
	}
	rule, err := c.CreateTrafficMirrorFilterRule(walkthroughRule(filter.Id, 1))
	if err != nil {
		t.Fatal(err)
	}
	got := rule.TrafficMirrorFilterRule
	got.CreatedAt, got.UpdatedAt = nil, nil
	want := &model.TrafficMirrorFilterRule{
		Id: got.Id, ProjectId: scenario.WalkthroughProject, TrafficMirrorFilterId: filter.Id, Direction: "ingress", Protocol: "tcp",
		Ethertype: "IPv4", Action: "accept", Priority: 1, SourceCidrBlock: "192.168.0.161/32",
		DestinationCidrBlock: "192.168.0.230/32", DestinationPortRange: "1234-1234",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the rule (-want +got):\n%s", diff)
	}
	session, err := c.CreateTrafficMirrorSession(walkthroughSession(filter.Id, 1))
	if err != nil {
		t.Fatal(err)
	}
	s := session.TrafficMirrorSession
	s.CreatedAt, s.UpdatedAt = "", ""
	wantSession := &model.TrafficMirrorSession{
		Id: s.Id, ProjectId: scenario.WalkthroughProject, Name: "mirror-session-01", TrafficMirrorFilterId: filter.Id,
		TrafficMirrorSources: []string{scenario.WalkthroughSource}, TrafficMirrorTargetId: scenario.WalkthroughTarget,
		TrafficMirrorTargetType: "eni", VirtualNetworkId: 1, PacketLength: 1460, Priority: 1, Enabled: true, Type: "eni",
	}
	if diff := cmp.Diff(wantSession, s); diff != "" {
		t.Fatalf("the session (-want +got):\n%s", diff)
	}
	t.Run("an update changes what it carries and keeps the rest", func(t *testing.T) { updateAndSources(t, c, s) })
	t.Run("a filter in use stays", func(t *testing.T) {
		_, err := c.DeleteTrafficMirrorFilter(&model.DeleteTrafficMirrorFilterRequest{TrafficMirrorFilterId: filter.Id})
		wantRefusal(t, err, http.StatusConflict, "VPC.9907")
	})
	t.Run("all is gone after the deletions, the rules with their filter", func(t *testing.T) {
		if _, err := c.DeleteTrafficMirrorSession(&model.DeleteTrafficMirrorSessionRequest{TrafficMirrorSessionId: s.Id}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.DeleteTrafficMirrorFilter(&model.DeleteTrafficMirrorFilterRequest{TrafficMirrorFilterId: filter.Id}); err != nil {
			t.Fatal(err)
		}
		world := cloud.State.Snapshot()
		if n := len(world.Filters) + len(world.Rules) + len(world.Sessions); n != 0 {
			t.Fatalf("%d mirror objects are left", n)
		}
		_, err := c.ShowTrafficMirrorSession(&model.ShowTrafficMirrorSessionRequest{TrafficMirrorSessionId: s.Id})
		wantRefusal(t, err, http.StatusNotFound, "VPC.9904")
	})
}

func updateAndSources(t *testing.T, c *vpcv3.VpcClient, before *model.TrafficMirrorSession) {
	t.Helper()
	updated, err := c.UpdateTrafficMirrorSession(&model.UpdateTrafficMirrorSessionRequest{
		TrafficMirrorSessionId: before.Id,
		Body: &model.UpdateTrafficMirrorSessionRequestBody{TrafficMirrorSession: &model.UpdateTrafficMirrorSessionOption{
			VirtualNetworkId: ptr(int32(7)), Enabled: ptr("false"),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := *before
	want.VirtualNetworkId, want.Enabled = 7, false
	got := *updated.TrafficMirrorSession
	got.CreatedAt, got.UpdatedAt = "", ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("after the update (-want +got):\n%s", diff)
	}
	added, err := c.AddSourcesToTrafficMirrorSession(&model.AddSourcesToTrafficMirrorSessionRequest{
		TrafficMirrorSessionId: before.Id,
		Body: &model.AddSourcesToTrafficMirrorSessionRequestBody{TrafficMirrorSession: &model.TrafficMirrorSourcesOption{
			TrafficMirrorSources: []string{scenario.WalkthroughTest},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{scenario.WalkthroughSource, scenario.WalkthroughTest}, added.TrafficMirrorSession.TrafficMirrorSources); diff != "" {
		t.Fatalf("after adding a source (-want +got):\n%s", diff)
	}
	removed, err := c.RemoveSourcesFromTrafficMirrorSession(&model.RemoveSourcesFromTrafficMirrorSessionRequest{
		TrafficMirrorSessionId: before.Id,
		Body: &model.RemoveSourcesFromTrafficMirrorSessionRequestBody{TrafficMirrorSession: &model.TrafficMirrorSourcesOption{
			TrafficMirrorSources: []string{scenario.WalkthroughSource},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{scenario.WalkthroughTest}, removed.TrafficMirrorSession.TrafficMirrorSources); diff != "" {
		t.Fatalf("after removing a source (-want +got):\n%s", diff)
	}
}

func TestTheSDKFindsThePortsAndTheirNeighbours(t *testing.T) {
	cloud := sim.ForTest(t, sim.WithPageCap(1))
	c := sdkClient(t, cloud, walkthroughKeys())
	t.Run("a port by its address, in the v3 call", func(t *testing.T) {
		out, err := c.ListPorts(&model.ListPortsRequest{PrivateIps: &[]string{"ip_address=192.168.0.230"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(*out.Ports) != 1 {
			t.Fatalf("found %d ports, want 1", len(*out.Ports))
		}
		p := (*out.Ports)[0]
		got := []string{p.Id, p.MacAddress, p.PrivateIps[0].IpAddress, p.VpcId, p.EcsFlavor, p.DeviceOwner, p.Status, p.SecurityGroups[0]}
		want := []string{scenario.WalkthroughSource, "fa:16:3e:7e:d6:bc", "192.168.0.230", scenario.WalkthroughVPC, "c7t.large.2", "compute:cn-north-4a", "ACTIVE", scenario.WalkthroughSourceGroup}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("the port (-want +got):\n%s", diff)
		}
	})
	t.Run("several ports by ID, at once, although pages are short", func(t *testing.T) {
		ids := []string{scenario.WalkthroughTarget, scenario.WalkthroughSource}
		out, err := c.ListPorts(&model.ListPortsRequest{Id: &ids})
		if err != nil {
			t.Fatal(err)
		}
		if len(*out.Ports) != 2 || out.PageInfo.NextMarker != nil {
			t.Fatalf("found %d ports and next marker %v; want both ports on one page", len(*out.Ports), out.PageInfo.NextMarker)
		}
	})
	t.Run("one port by ID, and none by another", func(t *testing.T) {
		out, err := c.ShowPort(&model.ShowPortRequest{PortId: scenario.WalkthroughTarget})
		if err != nil || out.Port.MacAddress != "fa:16:3e:7e:d6:7a" {
			t.Fatalf("ShowPort = %+v, %v", out, err)
		}
		_, err = c.ShowPort(&model.ShowPortRequest{PortId: "5a1f0c7e-0000-4000-8000-00000000dead"})
		wantRefusal(t, err, http.StatusNotFound, "VPC.9904")
	})
	t.Run("the quotas by their names", func(t *testing.T) {
		out, err := c.ShowQuota(&model.ShowQuotaRequest{})
		if err != nil {
			t.Fatal(err)
		}
		q := out.Quota
		got := []int32{*q.TrafficMirrorSession, *q.TrafficMirrorSessionContainSources, *q.TrafficMirrorSourceReferredBySession, *q.TrafficMirrorTargetEniReferredBySession, *q.TrafficMirrorFilterContainRulesEachDirection, *q.TrafficMirrorFilter}
		if diff := cmp.Diff([]int32{20000, 10, 3, 10, 10, -1}, got); diff != "" {
			t.Fatalf("quotas (-want +got):\n%s", diff)
		}
	})
	t.Run("network ACLs: there are none", func(t *testing.T) {
		out, err := c.ListFirewall(&model.ListFirewallRequest{})
		if err != nil || len(*out.Firewalls) != 0 {
			t.Fatalf("ListFirewall = %+v, %v", out, err)
		}
	})
}

func TestTheSDKTakesTheVXLANRuleAwayAndPutsItBack(t *testing.T) {
	cloud := sim.ForTest(t)
	c := sdkClient(t, cloud, walkthroughKeys())
	rules := func() []string {
		t.Helper()
		out, err := c.ListSecurityGroupRules(&model.ListSecurityGroupRulesRequest{
			SecurityGroupId: &[]string{scenario.WalkthroughTargetGroup}, Direction: ptr("ingress"), Protocol: &[]string{"udp"},
		})
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, r := range *out.SecurityGroupRules {
			lines = append(lines, fmt.Sprint(r.Protocol, " ", r.Multiport, " ", r.RemoteIpPrefix, " ", r.Action, " ", r.Priority, " ", r.Enabled))
		}
		return lines
	}
	want := []string{"udp 4789 192.168.0.230/32 allow 100 true"}
	if diff := cmp.Diff(want, rules()); diff != "" {
		t.Fatalf("at first (-want +got):\n%s", diff)
	}
	if _, err := c.DeleteSecurityGroupRule(&model.DeleteSecurityGroupRuleRequest{SecurityGroupRuleId: scenario.WalkthroughVXLANRule}); err != nil {
		t.Fatal(err)
	}
	if got := rules(); got != nil {
		t.Fatalf("after the deletion there is still %v", got)
	}
	create := &model.CreateSecurityGroupRuleRequest{Body: &model.CreateSecurityGroupRuleRequestBody{SecurityGroupRule: &model.CreateSecurityGroupRuleOption{
		SecurityGroupId: scenario.WalkthroughTargetGroup, Direction: "ingress", Protocol: ptr("udp"), Multiport: ptr("4789"),
		RemoteIpPrefix: ptr("192.168.0.230"), Priority: ptr("100"),
	}}}
	if _, err := c.CreateSecurityGroupRule(create); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, rules()); diff != "" {
		t.Fatalf("put back (-want +got):\n%s", diff)
	}
	_, err := c.CreateSecurityGroupRule(create)
	wantRefusal(t, err, http.StatusConflict, "VPC.9902")
	group, err := c.ShowSecurityGroup(&model.ShowSecurityGroupRequest{SecurityGroupId: scenario.WalkthroughTargetGroup})
	if err != nil || len(group.SecurityGroup.SecurityGroupRules) != 6 {
		t.Fatalf("ShowSecurityGroup = %+v, %v; want 6 rules", group, err)
	}
	groups, err := c.ListSecurityGroups(&model.ListSecurityGroupsRequest{})
	if err != nil || len(*groups.SecurityGroups) != 3 {
		t.Fatalf("ListSecurityGroups = %+v, %v; want 3", groups, err)
	}
}

func TestOlderCallsAndOtherServicesAnswerTheSDK(t *testing.T) {
	cloud := sim.ForTest(t)
	k := walkthroughKeys()
	credentials, err := basic.NewCredentialsBuilder().WithAk(k.ak).WithSk(k.sk).WithProjectId(k.project).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("v1 ports", func(t *testing.T) {
		hc, err := vpcv2.VpcClientBuilder().WithCredential(credentials).WithHttpConfig(httpConfig()).WithEndpoint(cloud.URL).SafeBuild()
		if err != nil {
			t.Fatal(err)
		}
		out, err := vpcv2.NewVpcClient(hc).ListPorts(&vpcv2model.ListPortsRequest{FixedIps: &[]string{"ip_address=192.168.0.164"}})
		if err != nil || len(*out.Ports) != 1 || (*out.Ports)[0].Id != scenario.WalkthroughTarget {
			t.Fatalf("v1 ListPorts = %+v, %v; want the target", out, err)
		}
	})
	t.Run("flavors, with the flag for mirroring, and a server's interfaces", func(t *testing.T) {
		hc, err := ecsv2.EcsClientBuilder().WithCredential(credentials).WithHttpConfig(httpConfig()).WithEndpoint(cloud.URL).SafeBuild()
		if err != nil {
			t.Fatal(err)
		}
		client := ecsv2.NewEcsClient(hc)
		out, err := client.ListFlavors(&ecs.ListFlavorsRequest{FlavorId: ptr("c7t.large.2")})
		if err != nil || len(*out.Flavors) != 1 || *(*out.Flavors)[0].OsExtraSpecs.NetworkInterfacetrafficMirroringSupported != "true" {
			t.Fatalf("ListFlavors = %+v, %v; want c7t.large.2 with mirroring", out, err)
		}
		nics, err := client.ListServerInterfaces(&ecs.ListServerInterfacesRequest{ServerId: "5a1f0c7e-0000-4000-8000-0000000000c1"})
		if err != nil || len(*nics.InterfaceAttachments) != 1 || *(*nics.InterfaceAttachments)[0].PortId != scenario.WalkthroughSource {
			t.Fatalf("ListServerInterfaces = %+v, %v", nics, err)
		}
		_, err = client.ListServerInterfaces(&ecs.ListServerInterfacesRequest{ServerId: "5a1f0c7e-0000-4000-8000-00000000dead"})
		wantRefusal(t, err, http.StatusNotFound, "Ecs.0114")
	})
	t.Run("the project is found through IAM when none is given", func(t *testing.T) {
		c := sdkClient(t, cloud, keys{ak: scenario.WalkthroughOtherKey, sk: scenario.WalkthroughOtherSecret})
		if f := mustFilter(t, c, "stranger"); f.ProjectId != scenario.WalkthroughOtherProject {
			t.Fatalf("the filter is in project %s, want %s", f.ProjectId, scenario.WalkthroughOtherProject)
		}
		ops := []string{}
		for _, e := range cloud.Journal.Since(0) {
			ops = append(ops, e.Operation)
		}
		if !slices.Contains(ops, "KeystoneListProjects") {
			t.Fatalf("operations %v; want KeystoneListProjects among them", ops)
		}
	})
}

func TestTheGatewayRefusesTheSDKsBadCredentials(t *testing.T) {
	cloud := sim.ForTest(t)
	list := func(k keys) error {
		_, err := sdkClient(t, cloud, k).ListTrafficMirrorFilters(&model.ListTrafficMirrorFiltersRequest{})
		return err
	}
	good := walkthroughKeys()
	t.Run("a wrong secret key: 401 with the canonical request", func(t *testing.T) {
		bad := good
		bad.sk = "wrong"
		err := list(bad)
		wantRefusal(t, err, http.StatusUnauthorized, "APIGW.0301")
		if want := "canonicalRequest:GET|/v3/" + good.project + "/vpc/traffic-mirror-filters/||"; !strings.Contains(err.Error(), want) {
			t.Fatalf("error %v; want it to hold %q", err, want)
		}
		if strings.Contains(err.Error(), good.sk) {
			t.Fatal("the error holds the secret key")
		}
	})
	t.Run("an unknown access key: 401", func(t *testing.T) {
		bad := good
		bad.ak = "NOSUCHKEY"
		wantRefusal(t, list(bad), http.StatusUnauthorized, "APIGW.0301")
	})
	t.Run("another customer's project: VPC.0007", func(t *testing.T) {
		bad := good
		bad.project = scenario.WalkthroughOtherProject
		wantRefusal(t, list(bad), http.StatusBadRequest, "VPC.0007")
	})
	t.Run("a disabled key: 403", func(t *testing.T) {
		cloud.State.Edit(func(w *state.World) {
			a := w.Accounts[good.ak]
			a.Disabled = true
			w.Accounts[good.ak] = a
		})
		wantRefusal(t, list(good), http.StatusForbidden, "APIGW.0802")
	})
	t.Run("a key that became temporary needs its token", func(t *testing.T) {
		cloud.State.Edit(func(w *state.World) {
			a := w.Accounts[good.ak]
			a.Disabled, a.SecurityToken = false, "a-token"
			w.Accounts[good.ak] = a
		})
		wantRefusal(t, list(good), http.StatusUnauthorized, "APIGW.0301")
		with := good
		with.token = "a-token"
		if err := list(with); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("nobody sees another customer's objects", func(t *testing.T) {
		stranger := sdkClient(t, cloud, keys{ak: scenario.WalkthroughOtherKey, sk: scenario.WalkthroughOtherSecret, project: scenario.WalkthroughOtherProject})
		_, err := stranger.ShowPort(&model.ShowPortRequest{PortId: scenario.WalkthroughSource})
		wantRefusal(t, err, http.StatusNotFound, "VPC.9904")
		ports, err := stranger.ListPorts(&model.ListPortsRequest{})
		if err != nil || len(*ports.Ports) != 0 {
			t.Fatalf("ListPorts = %+v, %v; want none", ports, err)
		}
	})
}
