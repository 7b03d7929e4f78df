package probe

import (
	"fmt"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestOfMoreSourcesThanAStatusHasRoomForTheFirstOnesAreProbedAndThatIsSaid(t *testing.T) {
	a := asked(rule(ingress, tcp, nodeAddr+"/32", "", to(1, 1)))
	for i := range 99 {
		a.Session.Status.Sources = append(a.Session.Status.Sources, v1alpha1.ResolvedInterface{
			InterfaceID: fmt.Sprint("source-", i), Addresses: []string{fmt.Sprintf("192.168.1.%d", i)},
		})
	}
	p := Begin(a)
	const want = "the session has 100 sources, and a probe is for the first 32 of them"
	if len(p.Sends) != v1alpha1.MaxProbeSources || len(p.Results) != v1alpha1.MaxProbeSources || p.Message != want {
		t.Errorf("%d are sent for, %d have results, and it says %q", len(p.Sends), len(p.Results), p.Message)
	}
}
