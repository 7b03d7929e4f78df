package sim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	ecsv2 "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2"
	vpcv2 "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2"

	"vpcmirror.io/operator/test/cloudsim/sim"
)

// Servers of the walkthrough.
const (
	serverOfSource = "5a1f0c7e-0000-4000-8000-0000000000c1"
	serverOfTest   = "5a1f0c7e-0000-4000-8000-0000000000c2"
	subnetDefault  = "5a1f0c7e-0000-4000-8000-000000000011"
)

func credentials(t *testing.T, k keys) *basic.Credentials {
	t.Helper()
	c, err := basic.NewCredentialsBuilder().WithAk(k.ak).WithSk(k.sk).WithProjectId(k.project).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ecsClient is the cloud's own client of the ECS service.
func ecsClient(t *testing.T, cloud *sim.Sim) *ecsv2.EcsClient {
	t.Helper()
	hc, err := ecsv2.EcsClientBuilder().WithCredential(credentials(t, walkthroughKeys())).WithHttpConfig(httpConfig()).WithEndpoint(cloud.URL).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return ecsv2.NewEcsClient(hc)
}

// olderClient is the cloud's own client of the VPC service's older calls.
func olderClient(t *testing.T, cloud *sim.Sim, k keys) *vpcv2.VpcClient {
	t.Helper()
	hc, err := vpcv2.VpcClientBuilder().WithCredential(credentials(t, k)).WithHttpConfig(httpConfig()).WithEndpoint(cloud.URL).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return vpcv2.NewVpcClient(hc)
}

// control makes a call of the simulator that is no part of the cloud's API.
func control(t *testing.T, cloud *sim.Sim, method, path, body string) (status int, answer map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, cloud.URL+"/_sim/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		t.Fatalf("%s %s: the answer %q is no JSON: %v", method, path, data, err)
	}
	return resp.StatusCode, answer
}

func prefixOf(text string) netip.Prefix { return netip.MustParsePrefix(text) }
