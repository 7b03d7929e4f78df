package credentials

// Reason says what a person has to mend.
type Reason string

// The reasons.
const (
	// NotFound: there are no credentials, or the Secret or a key of it is missing.
	NotFound Reason = "NotFound"
	// Invalid: the credentials are there, but can't be used as they are.
	Invalid Reason = "Invalid"
	// EndpointNotAllowed: a Secret names a server that the administrator does not allow.
	EndpointNotAllowed Reason = "EndpointNotAllowed"
	// NotAllowed: the operator's own credentials don't serve the object's namespace.
	NotAllowed Reason = "NotAllowed"
	// Unavailable: who issues temporary keys gives none at the moment; it is asked again.
	Unavailable Reason = "Unavailable"
)

// Error is a mistake in an object's credentials. Other errors of this package are
// faults of the API server or of the cloud and may pass by themselves.
type Error struct {
	Reason Reason
	// Message is one sentence for the user: where, which key, what to do. It holds
	// no value of a Secret.
	Message string
	// Cause is the error below, if there is one.
	Cause error
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the error below.
func (e *Error) Unwrap() error { return e.Cause }
