package lifecycle

import (
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"vpcmirror.io/operator/controllers/status"
)

// An object that is not in line with its spec may be looked at every ten minutes only; its mirror
// goes on meanwhile, and must not be called well for so long when it stops.
func TestWhatIsObservedIsLookedAtInTimeWhetherTheCloudIsInLineOrNot(t *testing.T) {
	const again, resync = 20 * time.Second, 10 * time.Minute
	synced, stalled := filter(), filter()
	status.Synced(synced, "all is there")
	status.Stalled(stalled, "InvalidRequest", "no")
	for name, c := range map[string]struct {
		object status.Object
		result ctrl.Result
		again  time.Duration
		want   time.Duration
	}{
		"one that is in line":                {synced, ctrl.Result{RequeueAfter: resync}, again, again},
		"one that is stalled":                {stalled, ctrl.Result{RequeueAfter: resync}, again, again},
		"one that is looked at sooner":       {stalled, ctrl.Result{RequeueAfter: time.Second}, again, time.Second},
		"one that does not change by itself": {synced, ctrl.Result{RequeueAfter: resync}, 0, resync},
		"one that the queue tries again":     {stalled, ctrl.Result{}, again, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Scope{Object: c.object}
			if got := s.noLater(c.result, c.again).RequeueAfter; got != c.want {
				t.Errorf("it is looked at in %s, want %s", got, c.want)
			}
		})
	}
}
