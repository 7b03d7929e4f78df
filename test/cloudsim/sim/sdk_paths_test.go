package sim_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	vpcv2 "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2/model"
	v3 "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
)

const (
	secondVPC    = "5a1f0c7e-0000-4000-8000-000000000002"
	thirdVPC     = "5a1f0c7e-0000-4000-8000-000000000003" // of another project
	secondSubnet = "5a1f0c7e-0000-4000-8000-000000000021"
)

// threeVPCs is the walkthrough with two VPCs more.
func threeVPCs(t *testing.T, options ...sim.Option) *sim.Sim {
	t.Helper()
	sc := scenario.Walkthrough()
	sc.VPCs = append(sc.VPCs,
		scenario.VPC{ID: secondVPC, Name: "second", ProjectID: scenario.WalkthroughProject, Subnets: []scenario.Subnet{{ID: secondSubnet, Name: "s2", CIDR: prefixOf("10.2.0.0/24")}}},
		scenario.VPC{ID: thirdVPC, Name: "third", ProjectID: scenario.WalkthroughOtherProject})
	cloud, err := sim.Start(t.Context(), sc, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	return cloud
}

func askForPeering(c *vpcv2.VpcClient, accepter model.VpcInfo) (*model.CreateVpcPeeringResponse, error) {
	return c.CreateVpcPeering(&model.CreateVpcPeeringRequest{Body: &model.CreateVpcPeeringRequestBody{Peering: &model.CreateVpcPeeringOption{
		Name: "p", RequestVpcInfo: &model.VpcInfo{VpcId: scenario.WalkthroughVPC}, AcceptVpcInfo: &accepter,
	}}})
}

func TestTheSDKManagesPeerings(t *testing.T) {
	cloud := threeVPCs(t)
	c := olderClient(t, cloud, walkthroughKeys())
	stranger := olderClient(t, cloud, keys{ak: scenario.WalkthroughOtherKey, sk: scenario.WalkthroughOtherSecret, project: scenario.WalkthroughOtherProject})

	own, err := askForPeering(c, model.VpcInfo{VpcId: secondVPC})
	if err != nil || own.Peering.Status != model.GetVpcPeeringStatusEnum().ACTIVE {
		t.Fatalf("within a project: %+v, %v; want it ACTIVE", own, err)
	}
	if diff := cmp.Diff(&model.VpcInfo{VpcId: secondVPC, TenantId: ptr(scenario.WalkthroughProject)}, own.Peering.AcceptVpcInfo); diff != "" {
		t.Errorf("the accepter (-want +got):\n%s", diff)
	}
	_, err = askForPeering(c, model.VpcInfo{VpcId: secondVPC})
	wantRefusal(t, err, http.StatusConflict, "VPC.9902")
	_, err = askForPeering(c, model.VpcInfo{VpcId: thirdVPC})
	wantRefusal(t, err, http.StatusNotFound, "VPC.9904")

	other, err := askForPeering(c, model.VpcInfo{VpcId: thirdVPC, TenantId: ptr(scenario.WalkthroughOtherProject)})
	if err != nil || other.Peering.Status != model.GetVpcPeeringStatusEnum().PENDING_ACCEPTANCE {
		t.Fatalf("to another project: %+v, %v; want it to wait", other, err)
	}
	id := other.Peering.Id
	_, err = c.AcceptVpcPeering(&model.AcceptVpcPeeringRequest{PeeringId: id})
	wantRefusal(t, err, http.StatusNotFound, "VPC.9904")
	accepted, err := stranger.AcceptVpcPeering(&model.AcceptVpcPeeringRequest{PeeringId: id})
	if err != nil || *accepted.Id != id || *accepted.Status != model.GetAcceptVpcPeeringResponseStatusEnum().ACTIVE {
		t.Fatalf("accepted: %+v, %v", accepted, err)
	}
	_, err = stranger.RejectVpcPeering(&model.RejectVpcPeeringRequest{PeeringId: id})
	wantRefusal(t, err, http.StatusBadRequest, "VPC.9902")

	for who, list := range map[*vpcv2.VpcClient]int{c: 2, stranger: 1} {
		out, err := who.ListVpcPeerings(&model.ListVpcPeeringsRequest{})
		if err != nil || len(*out.Peerings) != list {
			t.Errorf("ListVpcPeerings = %+v, %v; want %d", out, err, list)
		}
	}
	of, err := c.ListVpcPeerings(&model.ListVpcPeeringsRequest{VpcId: ptr(secondVPC)})
	if err != nil || len(*of.Peerings) != 1 || (*of.Peerings)[0].Id != own.Peering.Id {
		t.Errorf("by VPC: %+v, %v; want the one of the second VPC", of, err)
	}
	page, err := c.ListVpcPeerings(&model.ListVpcPeeringsRequest{Limit: ptr(int32(1))})
	if err != nil || len(*page.Peerings) != 1 || len(*page.PeeringsLinks) != 1 || (*page.PeeringsLinks)[0].Rel != "next" {
		t.Fatalf("a page of one = %+v, %v; want a link to the next", page, err)
	}
	last, err := c.ListVpcPeerings(&model.ListVpcPeeringsRequest{Marker: &(*page.Peerings)[0].Id})
	if err != nil || len(*last.Peerings) != 1 || len(*last.PeeringsLinks) != 0 {
		t.Fatalf("the last page = %+v, %v", last, err)
	}
	if status, _ := control(t, cloud, "PUT", "peerings/"+id, `{"status":"EXPIRED"}`); status != http.StatusOK {
		t.Errorf("expire: status %d", status)
	}
	shown, err := c.ShowVpcPeering(&model.ShowVpcPeeringRequest{PeeringId: id})
	if err != nil || shown.Peering.Status != model.GetVpcPeeringStatusEnum().EXPIRED {
		t.Errorf("expired: %+v, %v", shown, err)
	}
	if _, err := c.DeleteVpcPeering(&model.DeleteVpcPeeringRequest{PeeringId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = c.ShowVpcPeering(&model.ShowVpcPeeringRequest{PeeringId: id})
	wantRefusal(t, err, http.StatusNotFound, "VPC.9904")
}

func TestTheSDKManagesRouteTables(t *testing.T) {
	cloud := threeVPCs(t)
	c := olderClient(t, cloud, walkthroughKeys())
	peering, err := askForPeering(c, model.VpcInfo{VpcId: secondVPC})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := c.ListRouteTables(&model.ListRouteTablesRequest{SubnetId: ptr(subnetDefault)})
	if err != nil || len(*listed.Routetables) != 1 {
		t.Fatalf("ListRouteTables = %+v, %v; want the default one", listed, err)
	}
	table := (*listed.Routetables)[0]
	if diff := cmp.Diff([]model.SubnetList{{Id: subnetDefault}}, table.Subnets); diff != "" || !table.Default {
		t.Fatalf("the default table %+v (-want +got):\n%s", table, diff)
	}
	change := func(action model.RouteTableRouteAction) ([]model.RouteTableRoute, error) {
		out, err := c.UpdateRouteTable(&model.UpdateRouteTableRequest{RoutetableId: table.Id, Body: &model.UpdateRoutetableReqBody{
			Routetable: &model.UpdateRouteTableReq{Routes: &action},
		}})
		if err != nil {
			return nil, err
		}
		return out.Routetable.Routes, nil
	}
	local := model.RouteTableRoute{Type: "local", Destination: "192.168.0.0/24", Nexthop: "-", Description: ptr("")}
	over := model.RouteTableRoute{Type: "peering", Destination: "10.2.0.0/24", Nexthop: peering.Peering.Id, Description: ptr("")}
	add := model.AddRouteTableRoute{Type: "peering", Destination: "10.2.0.0/24", Nexthop: peering.Peering.Id}
	got, err := change(model.RouteTableRouteAction{Add: &[]model.AddRouteTableRoute{add}})
	if diff := cmp.Diff([]model.RouteTableRoute{local, over}, got); diff != "" || err != nil {
		t.Fatalf("added, %v (-want +got):\n%s", err, diff)
	}
	for name, r := range map[string]model.AddRouteTableRoute{
		"inside the VPC": {Type: "peering", Destination: "192.168.0.128/25", Nexthop: peering.Peering.Id}, "of no type": {Type: "local", Destination: "10.9.0.0/16", Nexthop: "-"},
		"without a next hop": {Type: "er", Destination: "10.9.0.0/16"}, "to no network": {Type: "er", Destination: "there", Nexthop: "x"},
	} {
		_, err := change(model.RouteTableRouteAction{Add: &[]model.AddRouteTableRoute{r}})
		if status, code := refused(t, err); status != http.StatusBadRequest || code != "VPC.9901" {
			t.Errorf("a route %s: %d %s; want 400 VPC.9901", name, status, code)
		}
	}
	_, err = change(model.RouteTableRouteAction{Add: &[]model.AddRouteTableRoute{add}})
	wantRefusal(t, err, http.StatusConflict, "VPC.9902")
	got, err = change(model.RouteTableRouteAction{Mod: &[]model.ModRouteTableRoute{{Type: "er", Destination: "10.2.0.0/24", Nexthop: "an-enterprise-router"}}})
	if err != nil || got[1].Type != "er" {
		t.Fatalf("modified: %+v, %v", got, err)
	}
	got, err = change(model.RouteTableRouteAction{Del: &[]model.DelRouteTableRoute{{Destination: "10.2.0.0/24"}}, Add: &[]model.AddRouteTableRoute{add}})
	if diff := cmp.Diff([]model.RouteTableRoute{local, over}, got); diff != "" || err != nil {
		t.Fatalf("deleted and added, %v (-want +got):\n%s", err, diff)
	}
	t.Run("a subnet obeys another table, and the default one again", func(t *testing.T) { moveSubnet(t, c, table.Id) })
	t.Run("the routes over a peering go with it", func(t *testing.T) {
		if _, err := c.DeleteVpcPeering(&model.DeleteVpcPeeringRequest{PeeringId: peering.Peering.Id}); err != nil {
			t.Fatal(err)
		}
		shown, err := c.ShowRouteTable(&model.ShowRouteTableRequest{RoutetableId: table.Id})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]model.RouteTableRoute{local}, shown.Routetable.Routes); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func moveSubnet(t *testing.T, c *vpcv2.VpcClient, defaultTable string) {
	t.Helper()
	made, err := c.CreateRouteTable(&model.CreateRouteTableRequest{Body: &model.CreateRoutetableReqBody{Routetable: &model.CreateRouteTableReq{
		Name: ptr("custom"), VpcId: scenario.WalkthroughVPC,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	id := made.Routetable.Id
	of := func() string {
		out, err := c.ListRouteTables(&model.ListRouteTablesRequest{SubnetId: ptr(subnetDefault)})
		if err != nil || len(*out.Routetables) != 1 {
			t.Fatalf("ListRouteTables = %+v, %v; want one", out, err)
		}
		return (*out.Routetables)[0].Id
	}
	subnets := &[]string{subnetDefault}
	if _, err := c.AssociateRouteTable(&model.AssociateRouteTableRequest{RoutetableId: id, Body: &model.RoutetableAssociateReqbody{
		Routetable: &model.AsscoiateReq{Subnets: &model.AssociateRouteTableAndSubnetReq{Associate: subnets}},
	}}); err != nil {
		t.Fatal(err)
	}
	if got := of(); got != id {
		t.Fatalf("the subnet obeys %s, want the new table", got)
	}
	_, err = c.DeleteRouteTable(&model.DeleteRouteTableRequest{RoutetableId: id})
	wantRefusal(t, err, http.StatusConflict, "VPC.9907")
	if _, err := c.DisassociateRouteTable(&model.DisassociateRouteTableRequest{RoutetableId: id, Body: &model.RoutetableAssociateReqbody{
		Routetable: &model.AsscoiateReq{Subnets: &model.AssociateRouteTableAndSubnetReq{Disassociate: subnets}},
	}}); err != nil {
		t.Fatal(err)
	}
	if got := of(); got != defaultTable {
		t.Fatalf("the subnet obeys %s, want the default table again", got)
	}
	if _, err := c.DeleteRouteTable(&model.DeleteRouteTableRequest{RoutetableId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteRouteTable(&model.DeleteRouteTableRequest{RoutetableId: defaultTable})
	wantRefusal(t, err, http.StatusBadRequest, "VPC.9902")
}

func TestTheSDKReadsVPCsAndSubnets(t *testing.T) {
	cloud := threeVPCs(t)
	vpcs, err := sdkClient(t, cloud, walkthroughKeys()).ListVpcs(&v3.ListVpcsRequest{})
	if err != nil || len(*vpcs.Vpcs) != 2 || (*vpcs.Vpcs)[0].Id != scenario.WalkthroughVPC || (*vpcs.Vpcs)[0].CloudResources[1].ResourceCount != 1 {
		t.Errorf("ListVpcs = %+v, %v; want the project's two", vpcs, err)
	}
	c := olderClient(t, cloud, walkthroughKeys())
	subnets, err := c.ListSubnets(&model.ListSubnetsRequest{VpcId: ptr(secondVPC)})
	if err != nil || len(*subnets.Subnets) != 1 || (*subnets.Subnets)[0].Cidr != "10.2.0.0/24" {
		t.Errorf("ListSubnets = %+v, %v; want the one of the second VPC", subnets, err)
	}
	shown, err := c.ShowSubnet(&model.ShowSubnetRequest{SubnetId: subnetDefault})
	if err != nil || shown.Subnet.GatewayIp != "192.168.0.1" || shown.Subnet.VpcId != scenario.WalkthroughVPC {
		t.Errorf("ShowSubnet = %+v, %v", shown, err)
	}
	_, err = c.ShowSubnet(&model.ShowSubnetRequest{SubnetId: thirdVPC})
	wantRefusal(t, err, http.StatusNotFound, "VPC.9904")
}
