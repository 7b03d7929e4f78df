package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// refusal explains what the API server does not let the operator do, which only an
// administrator can mend; nil for any other error.
func refusal(err error) *Problem {
	if !apierrors.IsForbidden(err) {
		return nil
	}
	p := Stall(v1alpha1.ReasonForbidden,
		"Kubernetes does not let the operator do what it has to: %s. Grant it that right, as the ClusterRole vpcmirror-manager of this version does, "+
			"or change the policy that is named", err)
	p.Cause = err
	return p.Probed()
}

// whatIsWrong names the fields that the API server does not take, and leaves out the values,
// which can be others at each attempt.
func whatIsWrong(err error) string {
	refused, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || refused.ErrStatus.Details == nil {
		return err.Error()
	}
	var fields []string
	for _, cause := range refused.ErrStatus.Details.Causes {
		if cause.Field == "" || cause.Field == "<nil>" {
			return err.Error()
		}
		fields = append(fields, fmt.Sprintf("%s (%s)", cause.Field, cause.Type))
	}
	if len(fields) == 0 {
		return err.Error()
	}
	return strings.Join(fields, ", ")
}

// unstored tells of a status that the API server does not take: by an event, and by the
// conditions alone where it takes those. The cloud's side is not affected: what was made
// there is found by its mark.
func (s *Scope) unstored(ctx context.Context, err error) (ctrl.Result, error) {
	p := Diagnose(err)
	if p == nil || ctx.Err() != nil {
		return ctrl.Result{}, err
	}
	o := copyOf(s.Stored)
	o.SetResourceVersion(s.Object.GetResourceVersion())
	status.Stalled(o, p.Reason, p.Message)
	s.outcome.tell(ctx, s.Stored, o, p, err)
	_, failed := status.Write(ctx, s.Client, s.Reader, s.Stored, o)
	if failed != nil && Diagnose(failed) == nil && !apierrors.IsInvalid(failed) {
		return ctrl.Result{}, failed
	}
	return ctrl.Result{RequeueAfter: s.outcome.patience.next(o, p, s.Resync)}, nil
}

// Untaken explains that the API server refuses a status as wrong. Any other error stays as
// it is.
func Untaken(err error) error {
	if !apierrors.IsInvalid(err) {
		return err
	}
	p := Stall(v1alpha1.ReasonStatusRefused,
		"Kubernetes does not take the status that the operator writes: %s. Apply the definitions of this version, or change the policy that is named", whatIsWrong(err))
	p.Cause = fmt.Errorf("store the status: %w", err)
	return p.Probed()
}
