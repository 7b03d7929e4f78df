package sim_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	ecsv2 "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2"
	ecs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/model"
	vpcv2model "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// serverState is what a list of servers says of one.
type serverState struct {
	Status string
	Power  int32
}

func states(t *testing.T, c *ecsv2.EcsClient, r *ecs.ListServersDetailsRequest) map[string]serverState {
	t.Helper()
	out, err := c.ListServersDetails(r)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]serverState{}
	for _, s := range *out.Servers {
		got[s.Name] = serverState{s.Status, s.OSEXTSTSpowerState}
	}
	return got
}

func TestTheSDKStopsAndStartsServers(t *testing.T) {
	cloud := sim.ForTest(t)
	c := ecsClient(t, cloud)
	all := &ecs.ListServersDetailsRequest{}
	running := serverState{"ACTIVE", 1}
	want := map[string]serverState{"ecs-source": running, "ecs-test": running, "ecs-target": running}
	if diff := cmp.Diff(want, states(t, c, all)); diff != "" {
		t.Fatalf("at the beginning (-want +got):\n%s", diff)
	}
	hard := ecs.GetBatchStopServersOptionTypeEnum().HARD
	stopped, err := c.BatchStopServers(&ecs.BatchStopServersRequest{Body: &ecs.BatchStopServersRequestBody{OsStop: &ecs.BatchStopServersOption{
		Servers: []ecs.ServerId{{Id: serverOfSource}}, Type: &hard,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	job, err := c.ShowJob(&ecs.ShowJobRequest{JobId: *stopped.JobId})
	if err != nil || *job.Status != ecs.GetShowJobResponseStatusEnum().SUCCESS || *job.Entities.ServerId != serverOfSource {
		t.Fatalf("ShowJob = %+v, %v; want SUCCESS", job, err)
	}
	want["ecs-source"] = serverState{"SHUTOFF", 4}
	if diff := cmp.Diff(want, states(t, c, all)); diff != "" {
		t.Fatalf("after the stop (-want +got):\n%s", diff)
	}
	off := &ecs.ListServersDetailsRequest{Status: ptr("SHUTOFF")}
	if diff := cmp.Diff(map[string]serverState{"ecs-source": {"SHUTOFF", 4}}, states(t, c, off)); diff != "" {
		t.Fatalf("by status (-want +got):\n%s", diff)
	}
	shown, err := c.ShowServer(&ecs.ShowServerRequest{ServerId: serverOfSource})
	if err != nil || shown.Server.Status != "SHUTOFF" || shown.Server.OSEXTSTSpowerState != 4 {
		t.Fatalf("ShowServer = %+v, %v; want SHUTOFF", shown, err)
	}
	if _, err := c.BatchStartServers(&ecs.BatchStartServersRequest{Body: &ecs.BatchStartServersRequestBody{OsStart: &ecs.BatchStartServersOption{
		Servers: []ecs.ServerId{{Id: serverOfSource}},
	}}}); err != nil {
		t.Fatal(err)
	}
	want["ecs-source"] = running
	if diff := cmp.Diff(want, states(t, c, all)); diff != "" {
		t.Fatalf("after the start (-want +got):\n%s", diff)
	}
	_, err = c.BatchStopServers(&ecs.BatchStopServersRequest{Body: &ecs.BatchStopServersRequestBody{OsStop: &ecs.BatchStopServersOption{
		Servers: []ecs.ServerId{{Id: "5a1f0c7e-0000-4000-8000-00000000dead"}},
	}}})
	wantRefusal(t, err, http.StatusNotFound, "Ecs.0114")
	var writes []string
	for _, e := range cloud.Journal.Writes(0) {
		writes = append(writes, e.Operation)
	}
	if diff := cmp.Diff([]string{"BatchStopServers", "BatchStartServers", "BatchStopServers"}, writes); diff != "" {
		t.Errorf("the journal's operations (-want +got):\n%s", diff)
	}
}

func TestTheSDKPagesServers(t *testing.T) {
	c := ecsClient(t, sim.ForTest(t))
	var got []string
	for page := int32(1); ; page++ {
		out, err := c.ListServersDetails(&ecs.ListServersDetailsRequest{Limit: ptr(int32(2)), Offset: ptr(page)})
		if err != nil {
			t.Fatal(err)
		}
		if *out.Count != 3 {
			t.Fatalf("count = %d, want 3", *out.Count)
		}
		if len(*out.Servers) == 0 {
			break
		}
		for _, s := range *out.Servers {
			got = append(got, s.Name)
		}
	}
	if diff := cmp.Diff([]string{"ecs-source", "ecs-test", "ecs-target"}, got); diff != "" {
		t.Errorf("all pages (-want +got):\n%s", diff)
	}
	next, err := c.ListServersDetails(&ecs.ListServersDetailsRequest{Limit: ptr(int32(1)), Marker: ptr(serverOfSource)})
	if err != nil || (*next.Servers)[0].Id != serverOfTest {
		t.Errorf("after the marker: %+v, %v; want ecs-test", next, err)
	}
	for query, want := range map[string]*ecs.ListServersDetailsRequest{
		"by ID": {ServerId: ptr(serverOfTest), Name: ptr("ignored then")}, "by a part of the name": {Name: ptr("test")},
		"by address": {IpEq: ptr("192.168.0.161")}, "by a part of the address": {Ip: ptr("0.161")},
	} {
		if diff := cmp.Diff(map[string]serverState{"ecs-test": {"ACTIVE", 1}}, states(t, c, want)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestPortsOfAStoppedServerAreDownOnlyWithTheQuirk(t *testing.T) {
	for want, quirks := range map[string]state.Quirks{"ACTIVE": {}, "DOWN": {StoppedPortsDown: true}} {
		cloud := sim.ForTest(t, sim.WithQuirks(quirks))
		if _, err := cloud.State.SwitchServers(scenario.WalkthroughProject, state.JobStop, []string{serverOfSource}); err != nil {
			t.Fatal(err)
		}
		p, err := sdkClient(t, cloud, walkthroughKeys()).ShowPort(&model.ShowPortRequest{PortId: scenario.WalkthroughSource})
		if err != nil || p.Port.Status != want || p.Port.DeviceId != serverOfSource {
			t.Errorf("quirks %+v: port %+v, %v; want status %s", quirks, p, err, want)
		}
	}
}

func TestTheSDKReplacesAnInterface(t *testing.T) {
	cloud := sim.ForTest(t)
	older, servers, c := olderClient(t, cloud, walkthroughKeys()), ecsClient(t, cloud), sdkClient(t, cloud, walkthroughKeys())
	made, err := older.CreatePort(&vpcv2model.CreatePortRequest{Body: &vpcv2model.CreatePortRequestBody{Port: &vpcv2model.CreatePortOption{
		NetworkId: subnetDefault, Name: ptr("second"), FixedIps: &[]vpcv2model.FixedIp{{IpAddress: ptr("192.168.0.77")}},
		SecurityGroups: &[]string{scenario.WalkthroughSourceGroup},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if p := made.Port; p.DeviceId != "" || p.Status.Value() != "DOWN" || (*p.FixedIps[0].IpAddress) != "192.168.0.77" {
		t.Fatalf("a new port = %+v; want one that is DOWN and attached to nothing", p)
	}
	id := made.Port.Id
	_, err = older.CreatePort(&vpcv2model.CreatePortRequest{Body: &vpcv2model.CreatePortRequestBody{Port: &vpcv2model.CreatePortOption{
		NetworkId: subnetDefault, FixedIps: &[]vpcv2model.FixedIp{{IpAddress: ptr("192.168.0.77")}},
	}}})
	wantRefusal(t, err, http.StatusConflict, "VPC.9902")

	if _, err := servers.BatchAddServerNics(&ecs.BatchAddServerNicsRequest{ServerId: serverOfTest, Body: &ecs.BatchAddServerNicsRequestBody{
		Nics: []ecs.BatchAddServerNicOption{{PortId: &id}},
	}}); err != nil {
		t.Fatal(err)
	}
	shown, err := c.ShowPort(&model.ShowPortRequest{PortId: id})
	if err != nil || shown.Port.DeviceId != serverOfTest || shown.Port.EcsFlavor != "c7t.large.2" || shown.Port.Status != "ACTIVE" {
		t.Fatalf("attached: %+v, %v", shown, err)
	}
	_, err = older.DeletePort(&vpcv2model.DeletePortRequest{PortId: id})
	wantRefusal(t, err, http.StatusConflict, "VPC.9907")
	_, err = servers.BatchDeleteServerNics(&ecs.BatchDeleteServerNicsRequest{ServerId: serverOfTest, Body: &ecs.BatchDeleteServerNicsRequestBody{
		Nics: []ecs.BatchDeleteServerNicOption{{Id: scenario.WalkthroughTest}},
	}})
	wantRefusal(t, err, http.StatusBadRequest, "Ecs.0005")
	if _, err := servers.BatchDeleteServerNics(&ecs.BatchDeleteServerNicsRequest{ServerId: serverOfTest, Body: &ecs.BatchDeleteServerNicsRequestBody{
		Nics: []ecs.BatchDeleteServerNicOption{{Id: id}},
	}}); err != nil {
		t.Fatal(err)
	}
	_, err = c.ShowPort(&model.ShowPortRequest{PortId: id})
	wantRefusal(t, err, http.StatusNotFound, "VPC.9904")
}

func TestTheSDKBindsGroupsToAPort(t *testing.T) {
	cloud := sim.ForTest(t)
	c, older := sdkClient(t, cloud, walkthroughKeys()), olderClient(t, cloud, walkthroughKeys())
	bound := func() []string {
		p, err := c.ShowPort(&model.ShowPortRequest{PortId: scenario.WalkthroughTarget})
		if err != nil {
			t.Fatal(err)
		}
		return p.Port.SecurityGroups
	}
	const first, second = scenario.WalkthroughTargetGroup, scenario.WalkthroughSourceGroup
	if _, err := c.AddSecurityGroups(&model.AddSecurityGroupsRequest{PortId: scenario.WalkthroughTarget, Body: &model.AddSecurityGroupsRequestBody{
		Port: &model.InsertSecurityGroupOption{SecurityGroups: []string{second}, Index: ptr(int32(0))},
	}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{second, first}, bound()); diff != "" {
		t.Fatalf("inserted before (-want +got):\n%s", diff)
	}
	if _, err := c.RemoveSecurityGroups(&model.RemoveSecurityGroupsRequest{PortId: scenario.WalkthroughTarget, Body: &model.RemoveSecurityGroupsRequestBody{
		Port: &model.RemoveSecurityGroupOption{SecurityGroups: []string{first}},
	}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{second}, bound()); diff != "" {
		t.Fatalf("removed (-want +got):\n%s", diff)
	}
	if _, err := older.UpdatePort(&vpcv2model.UpdatePortRequest{PortId: scenario.WalkthroughTarget, Body: &vpcv2model.UpdatePortRequestBody{
		Port: &vpcv2model.UpdatePortOption{SecurityGroups: &[]string{first}},
	}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{first}, bound()); diff != "" {
		t.Fatalf("set by the older call (-want +got):\n%s", diff)
	}
}

func TestTheSDKSwitchesTheAddressCheckOfAPortOff(t *testing.T) {
	cloud := sim.ForTest(t)
	older, c := olderClient(t, cloud, walkthroughKeys()), sdkClient(t, cloud, walkthroughKeys())
	pairs := func(list ...vpcv2model.AllowedAddressPair) error {
		list = append([]vpcv2model.AllowedAddressPair{}, list...) // an empty list, and not null
		_, err := older.UpdatePort(&vpcv2model.UpdatePortRequest{PortId: scenario.WalkthroughTarget, Body: &vpcv2model.UpdatePortRequestBody{
			Port: &vpcv2model.UpdatePortOption{AllowedAddressPairs: &list},
		}})
		return err
	}
	if err := pairs(vpcv2model.AllowedAddressPair{IpAddress: "1.1.1.1/0"}); err != nil {
		t.Fatal(err)
	}
	control(t, cloud, "PUT", "ports/"+scenario.WalkthroughTarget, `{"port_security_enabled":false,"status":"down"}`)
	p, err := c.ShowPort(&model.ShowPortRequest{PortId: scenario.WalkthroughTarget})
	if err != nil || p.Port.PortSecurityEnabled || p.Port.Status != "DOWN" {
		t.Fatalf("the port = %+v, %v; want it DOWN and without port security", p, err)
	}
	if diff := cmp.Diff([]model.AllowedAddressPair{{IpAddress: ptr("1.1.1.1/0")}}, p.Port.AllowedAddressPairs); diff != "" {
		t.Errorf("the pairs (-want +got):\n%s", diff)
	}
	if !cloud.State.Snapshot().Ports[scenario.WalkthroughTarget].AnySource() {
		t.Error("the port may not send from any address")
	}
	wantRefusal(t, pairs(vpcv2model.AllowedAddressPair{IpAddress: "0.0.0.0/0"}), http.StatusBadRequest, "VPC.9901")
	if err := pairs(); err != nil || cloud.State.Snapshot().Ports[scenario.WalkthroughTarget].AnySource() {
		t.Errorf("taken back: %v", err)
	}
}

func TestTheSDKDeletesAServerWithItsPorts(t *testing.T) {
	cloud := sim.ForTest(t)
	if _, err := ecsClient(t, cloud).DeleteServers(&ecs.DeleteServersRequest{Body: &ecs.DeleteServersRequestBody{Servers: []ecs.ServerId{{Id: serverOfSource}}}}); err != nil {
		t.Fatal(err)
	}
	ports, err := sdkClient(t, cloud, walkthroughKeys()).ListPorts(&model.ListPortsRequest{})
	if err != nil || len(*ports.Ports) != 2 {
		t.Fatalf("ListPorts = %+v, %v; want two", ports, err)
	}
}

func TestAPortThatIsDeletedStaysInItsSessionsUnlessTheQuirkTakesItOut(t *testing.T) {
	for _, test := range []struct {
		quirks state.Quirks
		want   []string
	}{
		{state.Quirks{}, []string{scenario.WalkthroughSource}},
		{state.Quirks{DeadPortsLeaveSessions: true}, []string{}},
	} {
		cloud := sim.ForTest(t, sim.WithQuirks(test.quirks))
		c := sdkClient(t, cloud, walkthroughKeys())
		made, err := c.CreateTrafficMirrorSession(walkthroughSession(mustFilter(t, c, "f").Id, 1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ecsClient(t, cloud).DeleteServers(&ecs.DeleteServersRequest{Body: &ecs.DeleteServersRequestBody{Servers: []ecs.ServerId{{Id: serverOfSource}}}}); err != nil {
			t.Fatal(err)
		}
		shown, err := c.ShowTrafficMirrorSession(&model.ShowTrafficMirrorSessionRequest{TrafficMirrorSessionId: made.TrafficMirrorSession.Id})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, shown.TrafficMirrorSession.TrafficMirrorSources); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.quirks, diff)
		}
	}
}

func TestTheSimulatorDetachesDeletesAndReplacesWhatIsInUse(t *testing.T) {
	cloud := sim.ForTest(t)
	c := sdkClient(t, cloud, walkthroughKeys())
	if status, _ := control(t, cloud, "POST", "ports/"+scenario.WalkthroughSource+"/detach", ""); status != http.StatusOK {
		t.Fatalf("detach: status %d", status)
	}
	p, err := c.ShowPort(&model.ShowPortRequest{PortId: scenario.WalkthroughSource})
	if err != nil || p.Port.DeviceId != "" || p.Port.EcsFlavor != "" || p.Port.Status != "DOWN" {
		t.Fatalf("detached: %+v, %v", p, err)
	}
	status, answer := control(t, cloud, "POST", "ports/"+scenario.WalkthroughTest+"/replace", "")
	if status != http.StatusOK || answer["id"] == scenario.WalkthroughTest {
		t.Fatalf("replace: %d %v", status, answer)
	}
	found, err := c.ListPorts(&model.ListPortsRequest{PrivateIps: &[]string{"ip_address=192.168.0.161"}})
	if err != nil || len(*found.Ports) != 1 || (*found.Ports)[0].Id != answer["id"] || (*found.Ports)[0].DeviceId != serverOfTest {
		t.Fatalf("the port with the address = %+v, %v; want %v", found, err, answer["id"])
	}
	status, answer = control(t, cloud, "POST", "servers/"+serverOfTest+"/replace", "")
	if status != http.StatusOK || answer["id"] == serverOfTest || len(answer["ports"].(map[string]any)) != 1 {
		t.Fatalf("replace the server: %d %v", status, answer)
	}
	if status, _ := control(t, cloud, "POST", "ports/"+scenario.WalkthroughTarget+"/delete", ""); status != http.StatusOK {
		t.Fatalf("delete: status %d", status)
	}
	if status, _ := control(t, cloud, "POST", "ports/"+scenario.WalkthroughTarget+"/delete", ""); status != http.StatusNotFound {
		t.Fatalf("delete again: status %d, want 404", status)
	}
}
