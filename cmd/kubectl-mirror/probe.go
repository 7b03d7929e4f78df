package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// probeTimeout is how long a probe may take where nobody says otherwise: half a minute, and a minute before it, as
// a session has one a minute.
const probeTimeout = 2 * time.Minute

// probed asks the manager for a probe of the session, waits until it is over, and returns the session as it is then,
// with the probe.
func (r *reader) probed(ctx context.Context, o *options, s *v1alpha1.MirrorSession) (*v1alpha1.MirrorSession, *v1alpha1.Probe, error) {
	request := r.clock.now().UTC().Format(time.RFC3339Nano)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ProbeRequestedAnnotation, request)
	switch err := r.Patch(ctx, s.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner("kubectl-mirror")); {
	case apierrors.IsForbidden(err):
		return nil, nil, fmt.Errorf("--probe asks the manager by an annotation, which you may not set: leave --probe out, or have the right to patch mirrorsessions (%w)", err)
	case err != nil:
		return nil, nil, fmt.Errorf("ask the manager for a probe of MirrorSession %s: %w", s.Name, err)
	}
	said := ""
	err := wait.PollUntilContextTimeout(ctx, again, o.timeout, true, func(ctx context.Context) (bool, error) {
		now, err := r.read(ctx, o.name)
		if err != nil {
			return false, err
		}
		s = now[0]
		p := s.Status.Probe
		if step := r.step(p, request); step != said {
			said = step
			fmt.Fprintln(o.ErrOut, step)
		}
		return p != nil && p.RequestedAt == request && p.FinishedAt != nil, nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return nil, nil, fmt.Errorf("the probe was not over within %s: %s. See status.probe of the session later, and that the manager runs", o.timeout, said)
	}
	return s, s.Status.Probe, err
}

// step says what is waited for.
func (r *reader) step(p *v1alpha1.Probe, request string) string {
	switch {
	case p == nil || p.RequestedAt != request && r.clock.now().Sub(p.StartedAt.Time) > time.Minute+5*time.Second:
		return "waiting for the manager to begin with the probe"
	case p.RequestedAt != request:
		return "waiting for a minute to pass since the probe before"
	case p.FinishedAt != nil:
		return "the probe is over"
	case p.SendingAt == nil:
		return "waiting for the verifiers at the target to look for the copies"
	}
	return "waiting for packets to be sent and for their copies"
}
