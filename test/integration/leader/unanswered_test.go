package leader_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestAFinalizerWhoseChangeIsNeverAnsweredHoldsUpNoOtherObject(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	manager := start(t, w, harness.BuildManager(t), "--verifier-namespace=", "--allowed-endpoints="+w.Cloud.URL)
	stuck, other := w.Filter("stuck"), w.Filter("other")
	for _, f := range []*v1alpha1.MirrorFilter{stuck, other} {
		w.Create(f)
		harness.Ready(w, f)
	}
	hanging := make(chan *http.Request, 1)
	var once sync.Once
	manager.leaveUnanswered(func(r *http.Request) (stop bool) {
		if strings.HasSuffix(r.URL.Path, "/mirrorfilters/stuck") {
			once.Do(func() { hanging <- r; stop = true })
		}
		return stop
	})

	w.Delete(stuck)
	unanswered := <-hanging
	w.Delete(other)
	w.Gone(other)
	if err := unanswered.Context().Err(); err != nil {
		t.Errorf("the other filter went only after the manager had given up: %v", err)
	}
	w.Gone(stuck) // the call is given up after 10 s, and tried again
	w.Holds(harness.Content{})
}
