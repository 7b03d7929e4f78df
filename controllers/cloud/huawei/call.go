package huawei

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/impl"

	"vpcmirror.io/operator/controllers/cloud"
)

// kind separates reads from writes: only a write can be ambiguous.
type kind bool

const (
	read  kind = false
	write kind = true
)

// call is the transport of exactly one request. The SDK knows no context, so the
// context rides in here; and it drops headers and hides bodies, so they are kept here.
type call struct {
	ctx  context.Context
	next http.RoundTripper
	// fence keeps the request from leaving by an error.
	fence func() error

	begun     bool // the SDK has handed a request over
	asked     bool // the transport has begun to look for a connection
	connected bool // it has got one
	date      string
	fenced    error // why the request was not sent

	request string // what was asked
	status  int    // 0 as long as there is no answer
	header  http.Header
	body    []byte
	objects int // in the body
	// into takes a good answer in place of the SDK, which reads it into a text of its own, and that into
	// another, before it decodes; nil leaves it to the SDK. misread is why it could not.
	into    func(body []byte) error
	misread error
	hold    *holding // what the answer holds of the room
}

// RoundTrip sends the request bound to the call's context and reads the whole answer.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	c.request = textOf(req)
	c.begun, c.date = true, req.Header.Get("X-Sdk-Date")
	if c.fenced = c.fence(); c.fenced != nil {
		return nil, c.fenced
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	resp, err := c.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { c.asked = true },
		GotConn: func(got httptrace.GotConnInfo) { c.haveConnection(got.Conn, cancel) },
	})))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	c.status, c.header = resp.StatusCode, resp.Header
	body, objects, err := readBody(c.ctx, resp, c.hold)
	if err != nil {
		return nil, err
	}
	c.body, c.objects = body, objects
	if c.into != nil && c.status >= 200 && c.status <= 299 {
		c.misread = c.into(body)
		body = []byte("{}")
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	// The SDK would decode BSON or XML when the server says so. This API is JSON.
	resp.Header = resp.Header.Clone()
	resp.Header.Set("Content-Type", "application/json")
	return resp, nil
}

// haveConnection checks the fence once more: signing and connecting take their time, and the
// process may have been paused in either. On a connection that is closed then nothing can be
// written any more.
func (c *call) haveConnection(connection net.Conn, cancel context.CancelFunc) {
	if c.fenced = c.fence(); c.fenced != nil {
		_ = connection.Close() // it is not used in any case
		cancel()               // else the transport would try its other connections
		return
	}
	c.connected = true
}

// mayHaveLeft reports whether the request that ended with err can have reached the cloud: a
// connection was there. A transport that does not tell of its connections is judged by the
// error's type.
func (c *call) mayHaveLeft(err error) bool {
	switch {
	case !c.begun:
		return false
	case c.asked:
		return c.connected
	default:
		return !neverSent(err)
	}
}

// exchange is the SDK's client of exactly one call, and that call.
type exchange struct {
	*core.HcHttpClient
	answer *call
}

// caller sends calls to one endpoint for one account. Each call is signed, and its texts are scrubbed, by one set of
// keys that does not change under it. It holds the keys only behind a pointer, so that printing it shows none.
type caller struct {
	factory   *Factory
	transport http.RoundTripper
	account   cloud.Account // whose limiter is used
	endpoint  string
	service   string // whose the endpoint is, in a word
	keyring   *keyring
	*signer        // the keys of this call; of a caller that makes none, the last ones
	shared    bool // see cloud.Credentials
	// proven is true once the cloud has answered a call with success. Callers with the same keys
	// share it.
	proven *atomic.Bool
}

// do makes one call: it waits for the limiter, gives send a client that is bound to
// ctx and to the deadline, and turns whatever goes wrong into a *cloud.Error. send
// must make exactly one request, and must return an error when the answer does not
// hold what it needs.
func (c *caller) do(ctx context.Context, op string, k kind, send func(*exchange) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.factory.deadline)
	defer cancel()
	// Half of the deadline is kept for the call itself: one that is sent shortly before
	// the deadline would end without an answer, and a write then is ambiguous.
	return c.doWithin(ctx, c.factory.deadline/2, op, k, send)
}

// attempt makes the call that made is about, and notes what came of it.
func (c *caller) attempt(ctx context.Context, patience time.Duration, k kind, send func(*exchange) error, made *cloud.Call) error {
	f, op := c.factory, made.Op
	waited, err := f.limiters.wait(ctx, admission{c.limited(), c.endpoint, rankOf(ctx, k), patience})
	made.Waited = waited
	f.metrics.waited(c.measuredAs(), waited)
	if err != nil {
		f.metrics.notSent(c.measuredAs(), op)
		return notSent(op, err)
	}
	ctx, cancel := context.WithTimeout(ctx, f.deadline)
	defer cancel()
	if c, err = c.signing(ctx); err != nil {
		f.metrics.notSent(c.measuredAs(), op)
		return &cloud.Error{Class: cloud.ClassAuthentication, Op: op, Unsent: true, Message: "not sent: " + err.Error(), Cause: err}
	}
	started := time.Now()
	hold := &holding{room: f.answers, endpoint: c.endpoint, free: smallAnswer}
	defer hold.end() // when the answer is our types
	answer := &call{hold: hold, ctx: ctx, next: c.transport, fence: open}
	if k == write {
		answer.fence = f.fence
	}
	err = guarded(send, c.connect(answer))
	made.HTTPStatus, made.RequestID = answer.status, c.requestID(answer)
	if answer.fenced != nil {
		f.metrics.notSent(c.measuredAs(), op)
		return fmt.Errorf("%s was not sent: %w", op, answer.fenced) // the cloud was not asked
	}
	if err != nil || answer.status < 200 || answer.status > 299 {
		err = c.explain(op, k, answer, err)
	} else if !c.proven.Swap(true) {
		f.limiters.charge(limited{account: c.account}, started) // it was one of the account's, too
	}
	c.noteThrottling(err)
	c.noteRefusal(err)
	f.metrics.observe(c.measuredAs(), op, err, time.Since(started))
	return err
}

// noteThrottling holds all callers of the account that ask the same server, when the cloud throttles one.
func (c *caller) noteThrottling(err error) {
	e, failed := errors.AsType[*cloud.Error](err)
	switch {
	case !failed:
		c.factory.limiters.answered(c.limited(), c.endpoint, time.Now())
	case e.Class == cloud.ClassThrottled:
		c.factory.limiters.hold(c.limited(), c.endpoint, e.RetryAfter, time.Now())
	}
}

// measuredAs is how series call the account. Keys that the cloud has never taken are one account together:
// whoever may write a Secret could else make as many as he likes.
func (c *caller) measuredAs() string {
	if !c.proven.Load() {
		return "unproven"
	}
	return c.account.Region + "/" + c.account.ProjectID
}

// limited is whose calls this client's are counted with.
func (c *caller) limited() limited {
	if c.proven.Load() {
		return limited{account: c.account}
	}
	return limited{account: c.account, unproven: c.proven}
}

// open is the fence of what needs none.
func open() error { return nil }

// connect makes an SDK client for one call. It is a handful of small structs; the
// connections are in the shared transport. The User-Agent must be set, or the SDK
// makes one up and writes a file below HOME. There is one endpoint, so the SDK's own
// second attempt at another one can't happen.
func (c *caller) connect(answer *call) *exchange {
	settings := config.DefaultHttpConfig().
		WithTimeout(0). // the call's context bounds it
		WithUserAgent(c.factory.userAgent).
		WithHttpRoundTripper(answer)
	return &exchange{answer: answer, HcHttpClient: core.NewHcHttpClient(impl.NewDefaultHttpClient(settings)).
		WithEndpoints([]string{c.endpoint}).
		WithCredential(c.keys)}
}

// guarded turns a panic of the SDK's reflection into an error: one malformed answer must
// not take the manager down.
func guarded(send func(*exchange) error, client *exchange) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = unreadable("the SDK failed on the answer")
		}
	}()
	return send(client)
}

// notSent is the error for a call that the limiter or the caller's context stopped.
func notSent(op string, err error) error {
	if busy, ok := errors.AsType[*busyError](err); ok {
		return &cloud.Error{Class: cloud.ClassThrottled, Op: op, Unsent: true, RetryAfter: busy.delay, Message: busy.Error(), Cause: busy}
	}
	return &cloud.Error{Class: cloud.ClassServer, Op: op, Unsent: true, Message: "not sent: " + err.Error(), Cause: err}
}

// innermost strips the URL that the HTTP client puts around an error.
func innermost(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	if err == nil {
		return errors.New("the SDK gave neither an answer nor an error")
	}
	return err
}
