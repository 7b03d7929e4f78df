package huawei

import (
	"context"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// doWithin is do for a call that can wait for the limiter as long as patience, whatever the deadline of
// a call. However it ends, Options.Observe is told.
func (c *caller) doWithin(ctx context.Context, patience time.Duration, op string, k kind, send func(*exchange) error) error {
	made := &cloud.Call{Op: op, Write: k == write, Account: c.account, Endpoint: c.endpoint, Began: time.Now()}
	made.Err = c.attempt(ctx, patience, k, send, made)
	made.Took = time.Since(made.Began) - made.Waited
	if id := cloud.RequestIDOf(made.Err); id != "" {
		made.RequestID = id // it may stand in the body alone
	}
	if observe := c.factory.observe; observe != nil {
		observe(ctx, *made)
	}
	return made.Err
}

// requestID is by what the cloud's support finds a call that was answered.
func (c *caller) requestID(answer *call) string {
	id := cleanID(answer.header.Get("X-Request-Id"))
	if c.secrets.in(id) { // no honest server does that
		return ""
	}
	return id
}
