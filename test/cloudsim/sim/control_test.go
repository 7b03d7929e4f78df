package sim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ecs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/model"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
)

func TestTheSDKReadsWhatAFlavorSaysOfMirroring(t *testing.T) {
	cloud := sim.ForTest(t)
	said := func() map[string]string {
		out, err := ecsClient(t, cloud).ListFlavors(&ecs.ListFlavorsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, f := range *out.Flavors {
			got[f.Name] = "nothing"
			if s := f.OsExtraSpecs.NetworkInterfacetrafficMirroringSupported; s != nil {
				got[f.Name] = *s
			}
		}
		return got
	}
	if diff := cmp.Diff(map[string]string{"c7t.large.2": "true", "s6.large.2": "false"}, said()); diff != "" {
		t.Errorf("at the beginning (-want +got):\n%s", diff)
	}
	c := sdkClient(t, cloud, walkthroughKeys())
	filter := mustFilter(t, c, "f")
	control(t, cloud, "PUT", "flavors/c7t.large.2", `{"accepted":false,"undeclared":true}`)
	if diff := cmp.Diff(map[string]string{"c7t.large.2": "nothing", "s6.large.2": "false"}, said()); diff != "" {
		t.Errorf("undeclared (-want +got):\n%s", diff)
	}
	_, err := c.CreateTrafficMirrorSession(walkthroughSession(filter.Id, 1))
	wantRefusal(t, err, http.StatusBadRequest, "VPC.9902")
	control(t, cloud, "PUT", "flavors/c7t.large.2", `{"accepted":true,"mirroring":false,"undeclared":false}`)
	if diff := cmp.Diff(map[string]string{"c7t.large.2": "false", "s6.large.2": "false"}, said()); diff != "" {
		t.Errorf("accepted though it says no (-want +got):\n%s", diff)
	}
	if _, err := c.CreateTrafficMirrorSession(walkthroughSession(filter.Id, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestTheNetworkIsSteeredByControlCalls(t *testing.T) {
	cloud := sim.ForTest(t)
	if status, _ := control(t, cloud, "PUT", "network", `{"propagation_delay":"3s"}`); status != http.StatusOK || cloud.State.Snapshot().Propagation != 3*time.Second {
		t.Errorf("status %d, the delay is %s, want 3s", status, cloud.State.Snapshot().Propagation)
	}
	if status, _ := control(t, cloud, "PUT", "ports/"+scenario.WalkthroughSource, `{"mtu":1446}`); status != http.StatusOK ||
		cloud.State.Snapshot().Interfaces[scenario.WalkthroughSource].MTU != 1446 {
		t.Errorf("status %d, the interface %+v, want MTU 1446", status, cloud.State.Snapshot().Interfaces[scenario.WalkthroughSource])
	}
	for call, want := range map[[2]string]int{
		{"network", `{"propagation_delay":"soon"}`}: http.StatusBadRequest, {"network", `{"propagation_delay":"-1s"}`}: http.StatusBadRequest,
		{"ports/" + scenario.WalkthroughSource, `{"mtu":1501}`}: http.StatusBadRequest, {"ports/" + scenario.WalkthroughSource, `{}`}: http.StatusBadRequest,
		{"ports/none", `{"mtu":1400}`}: http.StatusNotFound, {"flavors/", `{}`}: http.StatusBadRequest,
		{"peerings/none", `{"status":"ACTIVE"}`}: http.StatusNotFound, {"nothing", `{}`}: http.StatusNotFound,
	} {
		if status, answer := control(t, cloud, "PUT", call[0], call[1]); status != want {
			t.Errorf("PUT %s %s: %d %v, want %d", call[0], call[1], status, answer, want)
		}
	}
}
