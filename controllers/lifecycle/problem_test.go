package lifecycle

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/credentials"
)

func same[T any](t *testing.T, what string, want, got T, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestEveryClassOfACloudErrorHasItsMeaning(t *testing.T) {
	for class, want := range map[cloud.Class]Problem{
		cloud.ClassNotFound:       {Reason: v1alpha1.ReasonConflict, Retry: true},
		cloud.ClassUnsupported:    {Reason: v1alpha1.ReasonUnsupported, Stalled: true},
		cloud.ClassInvalid:        {Reason: v1alpha1.ReasonInvalidRequest, Stalled: true},
		cloud.ClassConflict:       {Reason: v1alpha1.ReasonConflict, Retry: true},
		cloud.ClassQuota:          {Reason: v1alpha1.ReasonQuotaExceeded, After: 2 * time.Minute},
		cloud.ClassAuthentication: {Reason: v1alpha1.ReasonAuthenticationFailed, Stalled: true, Within: time.Minute},
		cloud.ClassPermission:     {Reason: v1alpha1.ReasonPermissionDenied, Stalled: true, Within: time.Minute},
		cloud.ClassThrottled:      {Reason: v1alpha1.ReasonThrottled, Within: 2 * time.Minute},
		cloud.ClassServer:         {Reason: v1alpha1.ReasonCloudUnavailable, Within: time.Minute},
	} {
		t.Run(string(class), func(t *testing.T) {
			cause := fmt.Errorf("create the filter: %w", &cloud.Error{Class: class, Op: "Create", HTTPStatus: 499, Code: "VPC.1", Message: "no", RequestID: "r", Detail: "127.0.0.1:51234"})
			want.Message, want.Cause = "create the filter: Create: 499 VPC.1: no", cause
			same(t, "the problem", want, *Diagnose(cause), cmpopts.EquateErrors())

			// Before the time that the cloud names nobody comes back, and ever later after it.
			later := &cloud.Error{Class: class, Op: "Create", RetryAfter: 7 * time.Second}
			want.Message, want.Cause, want.After, want.Retry = "Create: "+string(class), later, 7*time.Second, false
			if want.Within == 0 {
				want.Within = 2 * time.Minute
			}
			same(t, "the problem with Retry-After", want, *Diagnose(later), cmpopts.EquateErrors())
		})
	}
}

func TestARightThatIsMissingIsNamed(t *testing.T) {
	const action = "vpc:trafficMirrorSessions:create"
	for name, c := range map[string]struct {
		err  cloud.Error
		want string
	}{
		"where the cloud does not name it": {
			cloud.Error{Class: cloud.ClassPermission, Message: "no permission", Action: action}, "Create: no permission (the call needs the right " + action + ")",
		},
		"once where it does":                 {cloud.Error{Class: cloud.ClassPermission, Message: "lacks " + action, Action: action}, "Create: lacks " + action},
		"not where nobody knows it":          {cloud.Error{Class: cloud.ClassPermission, Message: "no permission"}, "Create: no permission"},
		"not where it is refused for others": {cloud.Error{Class: cloud.ClassInvalid, Message: "no", Action: action}, "Create: no"},
	} {
		t.Run(name, func(t *testing.T) {
			c.err.Op = "Create"
			same(t, "the message", "make it: "+c.want, Diagnose(fmt.Errorf("make it: %w", &c.err)).Message)
		})
	}
}

func TestOtherErrorsHaveTheirMeaning(t *testing.T) {
	missing := &credentials.Error{Reason: credentials.NotFound, Message: "Secret a/b does not exist"}
	invalid := &credentials.Error{Reason: credentials.Invalid, Message: "the region is missing"}
	own := Stall(v1alpha1.ReasonNoSources, "name %d", 1)
	for name, c := range map[string]struct {
		err  error
		want *Problem
	}{
		"missing credentials are waited for": {
			fmt.Errorf("connect: %w", missing),
			&Problem{Reason: v1alpha1.ReasonCredentialsNotFound, Message: missing.Message, Within: time.Minute, Cause: missing},
		},
		"wrong credentials are a person's to mend": {
			invalid,
			&Problem{Reason: v1alpha1.ReasonInvalidCredentials, Message: invalid.Message, Within: time.Minute, Stalled: true, Cause: invalid},
		},
		"an endpoint that may be wrong is looked at again soon": {
			&cloud.Error{Class: cloud.ClassUnsupported, Op: "List", HTTPStatus: 404, Message: "no such call"},
			&Problem{Reason: v1alpha1.ReasonUnsupported, Message: "List: 404: no such call", Within: time.Minute, Stalled: true},
		},
		"a call that our own limiter held back has its turn soon": {
			&cloud.Error{Class: cloud.ClassThrottled, Op: "List", Unsent: true, RetryAfter: 3 * time.Second, Message: "used up"},
			&Problem{Reason: v1alpha1.ReasonThrottled, Message: "List: used up", After: 3 * time.Second},
		},
		"a problem is itself": {fmt.Errorf("resolve: %w", own), own},
		"an error of the API server says nothing about the object": {errors.New("conflict"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := Diagnose(c.err)
			if got == nil || c.want == nil {
				if got != c.want {
					t.Errorf("the problem is %v, want %v", got, c.want)
				}
				return
			}
			if c.want.Cause == nil && c.want != own {
				c.want.Cause = c.err
			}
			same(t, "the problem", *c.want, *got, cmpopts.EquateErrors())
		})
	}
}

func TestTheWayOutIsSaidWhereNothingEndsByItself(t *testing.T) {
	const way = "; to let the object go and keep what the cloud has, set spec.deletionPolicy to Retain"
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"credentials that are missing": {&credentials.Error{Reason: credentials.NotFound, Message: "gone"}, "gone" + way},
		"a refused signature":          {&cloud.Error{Class: cloud.ClassAuthentication, Op: "Delete", Message: "no"}, "Delete: no" + way},
		"another account":              {Stall(v1alpha1.ReasonAccountChanged, "moved"), "moved" + way},
		"a cloud that does not answer": {&cloud.Error{Class: cloud.ClassServer, Op: "Delete", Message: "503"}, "Delete: 503" + way},
		"somebody else's use of it":    {&cloud.Error{Class: cloud.ClassConflict, Op: "Delete", Message: "in use"}, "Delete: in use" + way},
		"a cloud that is busy":         {&cloud.Error{Class: cloud.ClassThrottled, Op: "Delete", Message: "429"}, "Delete: 429"},
		"sessions that use a filter":   {Wait(v1alpha1.ReasonFilterInUse, "in use"), "in use"},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "the message", c.want, Diagnose(Stuck(c.err)).Message)
		})
	}
	if err := Stuck(nil); err != nil {
		t.Errorf("nothing wrong becomes %v", err)
	}
}
