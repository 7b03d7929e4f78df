package scale

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/bench/cluster"
	"vpcmirror.io/operator/test/bench/result"
)

// edit switches one session off, while all others are compared with the cloud again and again, and
// then on, and measures until the cloud has it: the worst of several.
func (t *trial) edit(ctx context.Context) error {
	edits := 5
	if t.options.Quick {
		edits = 2
	}
	var all []time.Duration
	for n := range edits {
		for _, enabled := range []bool{false, true} {
			took, err := t.editOne(ctx, n*t.sessions/edits, enabled)
			if err != nil {
				return err
			}
			all = append(all, took)
			if err := cluster.Pause(ctx, t.steadyInterval()/10); err != nil {
				return err
			}
		}
	}
	slices.Sort(all)
	t.say("edits reached the cloud after %v", all)
	t.row(result.Row{What: "an edit while all others are compared, the slowest", Value: all[len(all)-1].Seconds(), Unit: "s", AtMost: 1})
	t.row(result.Row{What: "an edit while all others are compared, median", Value: all[len(all)/2].Seconds(), Unit: "s"})
	return nil
}

func (t *trial) editOne(ctx context.Context, n int, enabled bool) (time.Duration, error) {
	now, err := t.cloud.stats(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"enabled":%t}}`, enabled))
	if err := t.API.Patch(ctx, t.session(n), patch); err != nil {
		return 0, fmt.Errorf("edit a session: %w", err)
	}
	var applied time.Time
	err = cluster.Until(ctx, time.Minute, 50*time.Millisecond, "an edit reaches the cloud", func() (bool, error) {
		writes, err := t.cloud.writes(ctx, now.Requests)
		for _, w := range writes {
			said := strings.ReplaceAll(w.Body, `"`, "") // the SDK sends a text
			if w.Operation == "UpdateTrafficMirrorSession" && strings.Contains(said, fmt.Sprintf("enabled:%t", enabled)) {
				applied = w.Time
			}
		}
		return !applied.IsZero(), err
	})
	return applied.Sub(began), err
}
