package sim_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	vpcv3 "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

func insertRules(t *testing.T, c *vpcv3.VpcClient, firewall string, after *string, rules ...model.FirewallInsertRuleItemOption) *model.FirewallDetail {
	t.Helper()
	out, err := c.AddFirewallRules(&model.AddFirewallRulesRequest{FirewallId: firewall, Body: &model.AddFirewallRulesRequestBody{
		Firewall: &model.FirewallInsertRuleOption{IngressRules: &rules, InsertAfterRule: after},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Firewall
}

func names(rules []model.FirewallRuleDetail) []string {
	out := []string{}
	for _, r := range rules {
		out = append(out, r.Name)
	}
	return out
}

func TestTheSDKManagesANetworkACL(t *testing.T) {
	c := sdkClient(t, sim.ForTest(t), walkthroughKeys())
	made, err := c.CreateFirewall(&model.CreateFirewallRequest{Body: &model.CreateFirewallRequestBody{
		Firewall: &model.CreateFirewallOption{Name: "acl-1", Description: ptr("made by a test")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	id := made.Firewall.Id
	f := insertRules(t, c, id, nil, model.FirewallInsertRuleItemOption{
		Name: ptr("vxlan"), Action: "allow", Protocol: "UDP", IpVersion: 4, SourceIpAddress: ptr("192.168.0.230"), DestinationPort: ptr("4789,5000-5010"),
	})
	insertRules(t, c, id, &f.IngressRules[0].Id, model.FirewallInsertRuleItemOption{Name: ptr("last"), Action: "deny", Protocol: "any", IpVersion: 6})
	f = insertRules(t, c, id, nil, model.FirewallInsertRuleItemOption{Name: ptr("first"), Action: "deny", Protocol: "tcp", IpVersion: 4, Enabled: ptr(false)})
	if diff := cmp.Diff([]string{"first", "vxlan", "last"}, names(f.IngressRules)); diff != "" {
		t.Fatalf("the order (-want +got):\n%s", diff)
	}
	associate := &model.AssociateSubnetFirewallRequest{FirewallId: id, Body: &model.AssociateSubnetFirewallRequestBody{
		Subnets: []model.FirewallAssociation{{VirsubnetId: subnetDefault}},
	}}
	if _, err := c.AssociateSubnetFirewall(associate); err != nil {
		t.Fatal(err)
	}
	_, err = c.AssociateSubnetFirewall(associate)
	wantRefusal(t, err, http.StatusConflict, "VPC.9902")

	shown, err := c.ShowFirewall(&model.ShowFirewallRequest{FirewallId: id})
	if err != nil {
		t.Fatal(err)
	}
	got := shown.Firewall
	want := model.FirewallRuleDetail{
		Id: got.IngressRules[1].Id, Name: "vxlan", Action: "allow", ProjectId: scenario.WalkthroughProject, Protocol: "udp", IpVersion: 4,
		SourceIpAddress: "192.168.0.230/32", DestinationPort: "4789,5000-5010", Enabled: true,
	}
	if diff := cmp.Diff(want, got.IngressRules[1]); diff != "" {
		t.Errorf("the rule (-want +got):\n%s", diff)
	}
	if !got.AdminStateUp || got.Status != "ACTIVE" || got.IngressRules[0].Enabled || len(got.EgressRules) != 0 {
		t.Errorf("the ACL = %+v", got)
	}
	if diff := cmp.Diff([]model.FirewallAssociation{{VirsubnetId: subnetDefault}}, got.Associations); diff != "" {
		t.Errorf("the subnets (-want +got):\n%s", diff)
	}
	t.Run("a rule is updated and removed", func(t *testing.T) { updateAndRemoveRule(t, c, got) })
	t.Run("it is listed, switched off and deleted", func(t *testing.T) { switchOffAndDelete(t, c, id) })
}

func updateAndRemoveRule(t *testing.T, c *vpcv3.VpcClient, f *model.FirewallDetail) {
	t.Helper()
	updated, err := c.UpdateFirewallRules(&model.UpdateFirewallRulesRequest{FirewallId: f.Id, Body: &model.UpdateFirewallRulesRequestBody{
		Firewall: &model.FirewallUpdateRuleOption{IngressRules: &[]model.FirewallUpdateRuleItemOption{{
			Id: f.IngressRules[1].Id, Action: ptr("deny"), SourceIpAddress: ptr(""),
		}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r := updated.Firewall.IngressRules[1]; r.Action != "deny" || r.SourceIpAddress != "" || r.DestinationPort != "4789,5000-5010" {
		t.Errorf("the updated rule = %+v", r)
	}
	removed, err := c.RemoveFirewallRules(&model.RemoveFirewallRulesRequest{FirewallId: f.Id, Body: &model.RemoveFirewallRulesRequestBody{
		Firewall: &model.FirewallRemoveRuleOption{IngressRules: &[]model.FirewallRemoveRuleItemOption{{Id: f.IngressRules[0].Id}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"vxlan", "last"}, names(removed.Firewall.IngressRules)); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	for name, rule := range map[string]model.FirewallInsertRuleItemOption{
		"ports without TCP or UDP": {Action: "allow", Protocol: "icmp", IpVersion: 4, DestinationPort: ptr("80")},
		"another family":           {Action: "allow", Protocol: "any", IpVersion: 6, SourceIpAddress: ptr("10.0.0.0/8")},
		"a version that is none":   {Action: "allow", Protocol: "any", IpVersion: 5},
		"an action that is none":   {Action: "accept", Protocol: "any", IpVersion: 4},
	} {
		_, err := c.AddFirewallRules(&model.AddFirewallRulesRequest{FirewallId: f.Id, Body: &model.AddFirewallRulesRequestBody{
			Firewall: &model.FirewallInsertRuleOption{EgressRules: &[]model.FirewallInsertRuleItemOption{rule}},
		}})
		if status, code := refused(t, err); status != http.StatusBadRequest || code != "VPC.9901" {
			t.Errorf("%s: %d %s; want 400 VPC.9901", name, status, code)
		}
	}
}

func switchOffAndDelete(t *testing.T, c *vpcv3.VpcClient, id string) {
	t.Helper()
	off := &model.UpdateFirewallRequest{FirewallId: id, Body: &model.UpdateFirewallRequestBody{Firewall: &model.UpdateFirewallOption{AdminStateUp: ptr(false)}}}
	off.Body.DryRun = ptr(true)
	if out, err := c.UpdateFirewall(off); err != nil || out.HttpStatusCode != http.StatusAccepted {
		t.Fatalf("a dry run = %+v, %v; want 202", out, err)
	}
	listed := func() model.ListFirewallDetail {
		out, err := c.ListFirewall(&model.ListFirewallRequest{})
		if err != nil || len(*out.Firewalls) != 1 {
			t.Fatalf("ListFirewall = %+v, %v; want one", out, err)
		}
		return (*out.Firewalls)[0]
	}
	if !listed().AdminStateUp {
		t.Fatal("the dry run switched it off")
	}
	off.Body.DryRun = nil
	if _, err := c.UpdateFirewall(off); err != nil {
		t.Fatal(err)
	}
	if got := listed(); got.AdminStateUp || got.Status != "DOWN" {
		t.Fatalf("switched off: %+v", got)
	}
	_, err := c.DeleteFirewall(&model.DeleteFirewallRequest{FirewallId: id})
	wantRefusal(t, err, http.StatusConflict, "VPC.9907")
	if _, err := c.DisassociateSubnetFirewall(&model.DisassociateSubnetFirewallRequest{FirewallId: id, Body: &model.DisassociateSubnetFirewallRequestBody{
		Subnets: []model.FirewallAssociation{{VirsubnetId: subnetDefault}},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteFirewall(&model.DeleteFirewallRequest{FirewallId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = c.ShowFirewall(&model.ShowFirewallRequest{FirewallId: id})
	wantRefusal(t, err, http.StatusNotFound, "VPC.9904")
}

func TestTheSDKManagesAddressGroupsAndRulesThatNameThem(t *testing.T) {
	c := sdkClient(t, sim.ForTest(t), walkthroughKeys())
	made, err := c.CreateAddressGroup(&model.CreateAddressGroupRequest{Body: &model.CreateAddressGroupRequestBody{AddressGroup: &model.CreateAddressGroupOption{
		Name: "sources", IpVersion: 4, IpSet: &[]string{"192.168.0.230", "10.0.0.0/8", "172.16.0.1-172.16.0.9"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	id := made.AddressGroup.Id
	rule, err := c.CreateSecurityGroupRule(&model.CreateSecurityGroupRuleRequest{Body: &model.CreateSecurityGroupRuleRequestBody{SecurityGroupRule: &model.CreateSecurityGroupRuleOption{
		SecurityGroupId: scenario.WalkthroughTargetGroup, Direction: "ingress", Protocol: ptr("udp"), RemoteAddressGroupId: &id, Enabled: ptr(false),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if r := rule.SecurityGroupRule; r.RemoteAddressGroupId != id || r.Enabled {
		t.Errorf("the rule = %+v", r)
	}
	by, err := c.ListSecurityGroupRules(&model.ListSecurityGroupRulesRequest{RemoteAddressGroupId: &[]string{id}})
	if err != nil || len(*by.SecurityGroupRules) != 1 {
		t.Errorf("rules that name it = %+v, %v; want one", by, err)
	}
	if _, err := c.UpdateAddressGroup(&model.UpdateAddressGroupRequest{AddressGroupId: id, Body: &model.UpdateAddressGroupRequestBody{
		AddressGroup: &model.UpdateAddressGroupOption{IpSet: &[]string{"192.168.0.231"}},
	}}); err != nil {
		t.Fatal(err)
	}
	shown, err := c.ShowAddressGroup(&model.ShowAddressGroupRequest{AddressGroupId: id})
	if err != nil || shown.AddressGroup.TenantId != scenario.WalkthroughProject || shown.AddressGroup.Status != "NORMAL" {
		t.Fatalf("ShowAddressGroup = %+v, %v", shown, err)
	}
	if diff := cmp.Diff([]string{"192.168.0.231"}, shown.AddressGroup.IpSet); diff != "" {
		t.Errorf("its addresses (-want +got):\n%s", diff)
	}
	listed, err := c.ListAddressGroup(&model.ListAddressGroupRequest{IpVersion: ptr(int32(4))})
	if err != nil || len(*listed.AddressGroups) != 1 {
		t.Errorf("ListAddressGroup = %+v, %v; want one", listed, err)
	}
	_, err = c.UpdateAddressGroup(&model.UpdateAddressGroupRequest{AddressGroupId: id, Body: &model.UpdateAddressGroupRequestBody{
		AddressGroup: &model.UpdateAddressGroupOption{IpSet: &[]string{"2001:db8::1"}},
	}})
	wantRefusal(t, err, http.StatusBadRequest, "VPC.9901")
	_, err = c.DeleteAddressGroup(&model.DeleteAddressGroupRequest{AddressGroupId: id})
	wantRefusal(t, err, http.StatusConflict, "VPC.9907")
	if _, err := c.DeleteIpAddressGroupForce(&model.DeleteIpAddressGroupForceRequest{AddressGroupId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = c.ShowSecurityGroupRule(&model.ShowSecurityGroupRuleRequest{SecurityGroupRuleId: rule.SecurityGroupRule.Id})
	wantRefusal(t, err, http.StatusNotFound, "VPC.9904")
}

func TestTheSDKManagesSecurityGroups(t *testing.T) {
	cloud := sim.ForTest(t)
	c := sdkClient(t, cloud, walkthroughKeys())
	made, err := c.CreateSecurityGroup(&model.CreateSecurityGroupRequest{Body: &model.CreateSecurityGroupRequestBody{
		SecurityGroup: &model.CreateSecurityGroupOption{Name: "sg-new"},
	}})
	if err != nil || len(made.SecurityGroup.SecurityGroupRules) != 4 {
		t.Fatalf("CreateSecurityGroup = %+v, %v; want the four rules that each group begins with", made, err)
	}
	id := made.SecurityGroup.Id
	vxlan := model.BatchCreateSecurityGroupRulesOption{Direction: "ingress", Protocol: ptr("udp"), Multiport: ptr("4789,22"), RemoteIpPrefix: ptr("192.168.0.0/24")}
	deny := model.BatchCreateSecurityGroupRulesOption{Direction: "ingress", Protocol: ptr("udp"), Action: ptr("deny"), Priority: ptr("7")}
	batch := func(ignore bool, rules ...model.BatchCreateSecurityGroupRulesOption) (*model.BatchCreateSecurityGroupRulesResponse, error) {
		return c.BatchCreateSecurityGroupRules(&model.BatchCreateSecurityGroupRulesRequest{SecurityGroupId: id, Body: &model.BatchCreateSecurityGroupRulesRequestBody{
			SecurityGroupRules: rules, IgnoreDuplicate: &ignore,
		}})
	}
	if out, err := batch(false, vxlan); err != nil || len(*out.SecurityGroupRules) != 1 || (*out.SecurityGroupRules)[0].Priority != 1 {
		t.Fatalf("a batch of one = %+v, %v", out, err)
	}
	_, err = batch(false, deny, vxlan)
	wantRefusal(t, err, http.StatusConflict, "VPC.9902")
	if out, err := batch(true, deny, vxlan); err != nil || len(*out.SecurityGroupRules) != 1 {
		t.Fatalf("a batch that ignores duplicates = %+v, %v; want the deny alone", out, err)
	}
	several, err := c.ListSecurityGroupRules(&model.ListSecurityGroupRulesRequest{SecurityGroupId: &[]string{id, scenario.WalkthroughTargetGroup}, Direction: ptr("ingress")})
	if err != nil {
		t.Fatal(err)
	}
	per := map[string]int{}
	for _, r := range *several.SecurityGroupRules {
		per[r.SecurityGroupId]++
	}
	if diff := cmp.Diff(map[string]int{id: 4, scenario.WalkthroughTargetGroup: 4}, per); diff != "" {
		t.Errorf("ingress rules of two groups in one call (-want +got):\n%s", diff)
	}
	if _, err := c.UpdateSecurityGroup(&model.UpdateSecurityGroupRequest{SecurityGroupId: id, Body: &model.UpdateSecurityGroupRequestBody{
		SecurityGroup: &model.UpdateSecurityGroupOption{Name: ptr("sg-renamed")},
	}}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteSecurityGroup(&model.DeleteSecurityGroupRequest{SecurityGroupId: scenario.WalkthroughTargetGroup})
	wantRefusal(t, err, http.StatusConflict, "VPC.9907")
	if _, err := c.DeleteSecurityGroup(&model.DeleteSecurityGroupRequest{SecurityGroupId: id}); err != nil {
		t.Fatal(err)
	}
	if got := len(cloud.State.Snapshot().RulesOfGroup(id)); got != 0 {
		t.Errorf("%d rules are left of a group that is gone", got)
	}
}

func TestTheSimulatorUpdatesASecurityGroupRule(t *testing.T) {
	cloud := sim.ForTest(t)
	path := "security-group-rules/" + scenario.WalkthroughVXLANRule
	if status, answer := control(t, cloud, "PUT", path, `{"enabled":false,"multiport":"4000-5000","action":"deny"}`); status != http.StatusOK {
		t.Fatalf("status %d: %v", status, answer)
	}
	out, err := sdkClient(t, cloud, walkthroughKeys()).ShowSecurityGroupRule(&model.ShowSecurityGroupRuleRequest{SecurityGroupRuleId: scenario.WalkthroughVXLANRule})
	if err != nil {
		t.Fatal(err)
	}
	if r := out.SecurityGroupRule; r.Enabled || r.Multiport != "4000-5000" || r.Action != "deny" || r.RemoteIpPrefix != "192.168.0.230/32" || r.Protocol != "udp" {
		t.Errorf("the rule = %+v", r)
	}
	for body, want := range map[string]int{`{"priority":101}`: http.StatusBadRequest, `[]`: http.StatusBadRequest} {
		if status, _ := control(t, cloud, "PUT", path, body); status != want {
			t.Errorf("%s: status %d, want %d", body, status, want)
		}
	}
	if status, _ := control(t, cloud, "PUT", "security-group-rules/none", `{}`); status != http.StatusNotFound {
		t.Errorf("an unknown rule: status %d, want 404", status)
	}
}

// A field that an older region does not have is false to a user of the SDK, though it means true.
func TestTheSDKTakesARuleWithoutEnabledForOneThatIsOff(t *testing.T) {
	cloud := sim.ForTest(t, sim.WithQuirks(state.Quirks{RulesWithoutEnabled: true}))
	out, err := sdkClient(t, cloud, walkthroughKeys()).ListSecurityGroupRules(&model.ListSecurityGroupRulesRequest{Id: &[]string{scenario.WalkthroughVXLANRule}})
	if err != nil || len(*out.SecurityGroupRules) != 1 {
		t.Fatalf("ListSecurityGroupRules = %+v, %v", out, err)
	}
	if (*out.SecurityGroupRules)[0].Enabled {
		t.Error("the rule is on; want what the SDK makes of an absent field")
	}
}
