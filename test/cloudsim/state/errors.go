package state

import "fmt"

// Reason says why the cloud refuses a request. Which HTTP status and code it becomes is the affair of package api.
type Reason int

// The reasons of a refusal.
const (
	// Invalid: a value is missing or out of range.
	Invalid Reason = iota + 1
	// Unsupported: the value is well formed, but this cannot be done (flavor, interface attached to nothing).
	Unsupported
	// Missing: an object that the request names does not exist in the project.
	Missing
	// Duplicate: something that has to be unique is taken.
	Duplicate
	// QuotaExceeded: a limit is reached.
	QuotaExceeded
	// InUse: the object is referred to by another, and cannot be deleted or used so.
	InUse
)

// Error is a refusal by the cloud.
type Error struct {
	Reason  Reason
	Message string
}

// Error returns the message as the API shows it.
func (e *Error) Error() string { return e.Message }

func invalid(field, format string, args ...any) *Error {
	return &Error{Reason: Invalid, Message: fmt.Sprintf("Invalid input for %s. Reason: %s.", field, fmt.Sprintf(format, args...))}
}

func missing(kind, id string) *Error {
	return &Error{Reason: Missing, Message: fmt.Sprintf("%s %s could not be found.", kind, id)}
}

func refuse(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func quotaExceeded(name string, limit int) *Error {
	return refuse(QuotaExceeded, "Quota exceeded for resources: ['%s'], limit: %d.", name, limit)
}
