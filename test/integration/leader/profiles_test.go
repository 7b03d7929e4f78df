package leader_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"vpcmirror.io/operator/test/integration/harness"
)

func TestTheManagerServesProfilesWhereItWasTold(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	const address = "127.83.19.7:6060" // of the loopback interface, and nobody else's
	start(t, w, harness.BuildManager(t), "--verifier-namespace=", "--debug-bind-address="+address)
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/debug/pprof/heap", nil)
		if err != nil {
			return false, err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // it is still starting
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	})
	if err != nil {
		t.Errorf("no profile comes from %s: %v", address, err)
	}
}
