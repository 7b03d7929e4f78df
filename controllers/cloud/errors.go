package cloud

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Class says what an error means for the caller. It comes from the HTTP status
// first; the cloud's code is a hint, because the codes of the traffic-mirror calls
// are not documented.
type Class string

// The classes.
const (
	// ClassNotFound: the object is surely gone: a 404 with a VPC code.
	ClassNotFound Class = "NotFound"
	// ClassUnsupported: the region lacks the call (404 with a gateway code), or the
	// interface's flavor can't be mirrored.
	ClassUnsupported Class = "Unsupported"
	// ClassInvalid: the cloud refuses the request as wrong; the same request will
	// be refused again.
	ClassInvalid Class = "Invalid"
	// ClassConflict: in use, already there, or not possible in the present state.
	ClassConflict Class = "Conflict"
	// ClassQuota: a limit of the account is reached.
	ClassQuota Class = "Quota"
	// ClassAuthentication: unknown key, wrong signature, clock skew, expired token.
	ClassAuthentication Class = "Authentication"
	// ClassPermission: the account may not do this, is frozen or in arrears.
	ClassPermission Class = "Permission"
	// ClassThrottled: too many requests; RetryAfter may say how long to wait.
	ClassThrottled Class = "Throttled"
	// ClassServer: a fault of the cloud, an answer that can't be read, or none at all.
	ClassServer Class = "Server"
)

// Error is what went wrong with one call to the cloud.
type Error struct {
	Class Class
	// Op is the call in the cloud's words, such as CreateTrafficMirrorSession.
	Op string
	// Code is the cloud's error code, such as VPC.9904; empty when it gave none.
	Code string
	// HTTPStatus is 0 when there was no answer.
	HTTPStatus int
	// Action is the right that the call needs, such as vpc:securityGroupRules:list: as the
	// cloud's sentence names it, else as its documents do; empty when that is not known.
	Action string
	// RequestID lets the cloud's support find the call; empty without an answer. It is new
	// at each attempt, so it is no part of Error.
	RequestID string
	// RetryAfter is how long the cloud asks to wait; 0 when it did not say.
	RetryAfter time.Duration
	// Ambiguous is true when a write may have taken effect although it failed: a
	// time-out, a lost connection, a 5xx, an answer that can't be read.
	Ambiguous bool
	// Unlisted is true when a list as a whole could not be read although its calls were answered.
	Unlisted bool
	// Unsent is true when the request surely never left, because no connection was made.
	Unsent bool
	// Message is the cloud's own sentence, or why there is no answer; without secrets, and
	// without what differs at each attempt.
	Message string
	// Detail is what else a log should have, such as the addresses of a connection; without
	// secrets, and no part of Error.
	Detail string
	// Cause is the error below, if there is one.
	Cause error
}

// Error reads like: CreateTrafficMirrorSession: 409 VPC.9905: Quota exceeded … It is the
// same at each attempt that fails alike, so that it can stand in a status.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, ": %d", e.HTTPStatus)
		if e.Code != "" {
			b.WriteString(" " + e.Code)
		}
	}
	b.WriteString(": " + cmp.Or(e.Message, string(e.Class)))
	return b.String()
}

// Unwrap returns the error below.
func (e *Error) Unwrap() error { return e.Cause }

// ClassOf returns the class of the cloud error in err, or "" when there is none.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ""
}

// IsSilence reports whether err means that the cloud gives this client no answer, to whatever it asks:
// none came, or none will as long as it is asked so much, or with that key.
func IsSilence(err error) bool {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return true
	case e.Class == ClassThrottled, e.Class == ClassAuthentication:
		return true
	default:
		return e.HTTPStatus == 0 && !e.Unlisted
	}
}

// ActionOf returns the right that is missing when the cloud refused a call for that, such as
// vpc:securityGroupRules:list. It is empty for every other error, and where it is not known.
func ActionOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Class == ClassPermission {
		return e.Action
	}
	return ""
}

// DetailOf returns what a log should have of the cloud error in err beside its text and its request ID: what
// differs at each attempt. It is empty when there is nothing.
func DetailOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Detail
	}
	return ""
}

// RequestIDOf returns by what the cloud's support finds the call whose error is in err, empty where there is none.
func RequestIDOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RequestID
	}
	return ""
}

// IsNotFound reports whether err means that the object is surely absent.
func IsNotFound(err error) bool { return ClassOf(err) == ClassNotFound }

// IsUnsent reports whether the request that gave err surely never left.
func IsUnsent(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Unsent
}

// IsAmbiguous reports whether the write that gave err may have taken effect.
func IsAmbiguous(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Ambiguous
}
