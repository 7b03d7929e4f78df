package cloud

import "time"

// Call is one request to the cloud that is over, or that was not sent: what a log and a trace should have of it.
type Call struct {
	// Op is the call in the cloud's words, such as CreateTrafficMirrorSession.
	Op string
	// Write is false for a call that only reads.
	Write bool
	// Account is for which account it was, without a project while that is looked up, and Endpoint which
	// server was asked.
	Account  Account
	Endpoint string
	// RequestID lets the cloud's support find the call; empty without an answer.
	RequestID string
	// HTTPStatus is 0 when there was no answer.
	HTTPStatus int
	// Began is when the call asked for its turn, Waited how long it waited for that, and Took how long it
	// took from then on.
	Began        time.Time
	Waited, Took time.Duration
	// Err is nil for a call that succeeded.
	Err error
}
