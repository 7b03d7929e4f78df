package lifecycle

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/credentials"
)

// Problem is why an object is not what its spec wants, as its conditions say.
type Problem struct {
	// Reason and Message are those of the Ready condition.
	Reason, Message string
	// Stalled is true when only a person can help. It is looked at again all the same,
	// at the resync interval and when asked, because arrears, permissions and flavors
	// are mended outside of the spec.
	Stalled bool
	// After is when to reconcile again. Zero means: when something that is watched
	// changes, at the latest at the resync interval; for a problem with Retry it
	// means the queue's growing delay.
	After time.Duration
	// Within is set where a person can mend what is wrong without anything that is watched
	// being changed, such as a Secret or a right in the cloud: the object is looked at again
	// after a second and then ever later, up to so long, and not before After.
	Within time.Duration
	// Retry lets the queue's growing delay decide when to reconcile again.
	Retry bool
	// Cause is the error below, if there is one.
	Cause error
}

func (p *Problem) Error() string { return p.Reason + ": " + p.Message }

// Unwrap returns the error below.
func (p *Problem) Unwrap() error { return p.Cause }

// Wait is a problem that ends by itself when something that is watched changes.
func Wait(reason, format string, args ...any) *Problem {
	return &Problem{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Stall is a problem that only a person can end.
func Stall(reason, format string, args ...any) *Problem {
	return &Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Stalled: true}
}

// Retry is a problem that is looked at again soon, with growing delay.
func Retry(reason, format string, args ...any) *Problem {
	return &Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Retry: true}
}

// Probed lets a problem be looked at again often: whoever mends a Secret, or a right in the
// cloud, waits for it.
func (p *Problem) Probed() *Problem {
	p.Within = mendProbe
	return p
}

const (
	// mendProbe is how long somebody waits at the most who has mended what no watch shows.
	mendProbe = time.Minute
	// throttledProbe is how late an object is looked at again that the cloud throttles.
	throttledProbe = 2 * time.Minute
	// quotaProbe is how often is asked whether a used-up quota has room again.
	quotaProbe = 2 * time.Minute
	// AbsentProbe is how often is asked whether a thing that no watch shows, such as an interface in the cloud, is there now.
	AbsentProbe = time.Minute
)

// classes are what each class of a cloud error means for an object.
var classes = map[cloud.Class]Problem{
	cloud.ClassNotFound:       {Reason: v1alpha1.ReasonConflict, Retry: true},
	cloud.ClassUnsupported:    {Reason: v1alpha1.ReasonUnsupported, Stalled: true},
	cloud.ClassInvalid:        {Reason: v1alpha1.ReasonInvalidRequest, Stalled: true},
	cloud.ClassConflict:       {Reason: v1alpha1.ReasonConflict, Retry: true},
	cloud.ClassQuota:          {Reason: v1alpha1.ReasonQuotaExceeded, After: quotaProbe},
	cloud.ClassAuthentication: {Reason: v1alpha1.ReasonAuthenticationFailed, Stalled: true, Within: mendProbe},
	cloud.ClassPermission:     {Reason: v1alpha1.ReasonPermissionDenied, Stalled: true, Within: mendProbe},
	cloud.ClassThrottled:      {Reason: v1alpha1.ReasonThrottled, Within: throttledProbe},
	cloud.ClassServer:         {Reason: v1alpha1.ReasonCloudUnavailable, Within: mendProbe},
}

// Diagnose returns what err means for the object. An error that says nothing about it, such
// as that of an API server which is away, gives nil: it is the queue's.
func Diagnose(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*credentials.Error](err); ok {
		return fromCredentials(err, e)
	}
	e, ok := errors.AsType[*cloud.Error](err)
	if !ok {
		return refusal(err)
	}
	p := classes[e.Class]
	p.Message, p.Cause = err.Error(), err
	if action := cloud.ActionOf(err); action != "" && !strings.Contains(p.Message, action) {
		p.Message += " (the call needs the right " + action + ")"
	}
	switch {
	case queued(err): // it will be its turn then
		p.After, p.Within = e.RetryAfter, 0
	case e.RetryAfter > 0: // who says so each time is still asked ever later
		p.After, p.Within, p.Retry = e.RetryAfter, cmp.Or(p.Within, throttledProbe), false
	case e.Class == cloud.ClassUnsupported && e.HTTPStatus == http.StatusNotFound: // the endpoint may be wrong
		p.Within = mendProbe
	}
	return &p
}

// queued reports whether the operator's own limiter held a call back: that says nothing about
// the object.
func queued(err error) bool { return cloud.ClassOf(err) == cloud.ClassThrottled && cloud.IsUnsent(err) }

// Lasting reports whether a refusal of the cloud is likely to stay for a while: a person has
// to help, a quota is used up, or something is in the way.
func Lasting(err error) bool {
	p := Diagnose(err)
	return p != nil && (p.Stalled || p.Reason == v1alpha1.ReasonQuotaExceeded || cloud.ClassOf(err) == cloud.ClassConflict)
}

// Doing adds to an error what was being done; nil stays nil.
func Doing(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Stuck adds to a problem that keeps an object from being deleted, and that may never end
// by itself, the way out.
func Stuck(err error) error {
	p := Diagnose(err)
	switch {
	case p == nil, p.Reason == v1alpha1.ReasonForbidden: // that is not about the cloud
		return err
	case p.Stalled:
	case p.Reason == v1alpha1.ReasonCredentialsNotFound, p.Reason == v1alpha1.ReasonCredentialsUnavailable:
	case p.Reason == v1alpha1.ReasonConflict: // a session of somebody else uses the filter
	case p.Reason == v1alpha1.ReasonCloudUnavailable: // it may be gone for good
	default:
		return err
	}
	out := *p
	out.Message += "; to let the object go and keep what the cloud has, set spec.deletionPolicy to Retain"
	return &out
}

func credentialsMissing(err error) bool {
	e, ok := errors.AsType[*credentials.Error](err)
	return ok && e.Reason == credentials.NotFound
}

// fromCredentials waits for a Secret that is missing, because it may come, and for temporary keys, and
// stalls on what can't be used.
func fromCredentials(err error, e *credentials.Error) *Problem {
	p := &Problem{Message: e.Message, Within: mendProbe, Stalled: true, Cause: err}
	switch e.Reason {
	case credentials.NotFound:
		p.Reason, p.Stalled = v1alpha1.ReasonCredentialsNotFound, false
	case credentials.Unavailable:
		p.Reason, p.Stalled = v1alpha1.ReasonCredentialsUnavailable, false
	case credentials.EndpointNotAllowed:
		p.Reason = v1alpha1.ReasonEndpointNotAllowed
	case credentials.NotAllowed:
		p.Reason = v1alpha1.ReasonCredentialsNotAllowed
	default:
		p.Reason = v1alpha1.ReasonInvalidCredentials
	}
	return p
}
