package integration_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/integration/harness"
)

// shortTiming keeps the relations of lifecycle.DefaultTiming (4 s, 5 s, 30 s).
var shortTiming = lifecycle.Timing{CallDeadline: 400 * time.Millisecond, Lag: 500 * time.Millisecond, Recheck: 3 * time.Second}

// patientTiming leaves a test the time to let an effect come before the look that mends it.
var patientTiming = lifecycle.Timing{CallDeadline: shortTiming.CallDeadline, Lag: shortTiming.Lag, Recheck: 20 * time.Second}

// Of the real cloud: a write takes effect 6 s after it was sent, which is beyond a call's
// deadline and within the lag; and reads are 5 s old, which is the lag.
var (
	lateBySix = shortTiming.CallDeadline + shortTiming.Lag*2/5
	oldByFive = shortTiming.Lag
)

// effectCame waits until every late write has taken effect.
func effectCame(w *harness.World, t *testing.T) {
	t.Helper()
	harness.Poll(t, "a late write took effect", w.Cloud.Effects, func(e sim.Effects) bool { return e.Awaited == 0 && e.Came > 0 })
}
