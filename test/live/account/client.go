// Package account sends signed requests to a cloud, raw: what comes back is the bytes of the answer. Each request passes the
// guard of writes, the pace, the budget of calls and the journal.
//
// It may import test/cloudsim and test/live/compare.
package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"vpcmirror.io/operator/test/cloudsim/sign"
)

// Service is which of the cloud's services a request is for.
type Service string

// The services that are asked.
const (
	VPC Service = "vpc"
	IAM Service = "iam"
)

// Config says which account is asked, and how much.
type Config struct {
	// VPC and IAM are the origins of the services, such as https://vpc.cn-north-4.myhuaweicloud.com.
	VPC, IAM string
	// Project is sent as X-Project-Id to VPC.
	Project string
	// Keys sign the requests.
	Keys sign.Credentials
	// Guard decides which writes may be sent.
	Guard Guard
	// PerSecond is the pace of requests; 0 means none.
	PerSecond float64
	// MaxCalls is the number of requests after which no further one is sent; 0 means any number.
	MaxCalls int
	// Timeout bounds each request; 0 means 30 s.
	Timeout time.Duration
	// Patience is how long one request may wait for a gateway that throttles; 0 means 2 minutes.
	Patience time.Duration
	// Scrub blots secrets out of whatever the cloud answers, and out of the journal.
	Scrub Scrubber
	// Journal gets a line for each request; nil for none.
	Journal *Journal
}

// Request is one call.
type Request struct {
	Service Service
	Method  string
	Path    string
	Query   url.Values
	Body    []byte
	// Case and Step are for the journal.
	Case, Step string
}

// Answer is what came of a call.
type Answer struct {
	// Status is 0 where no answer came.
	Status int
	Header http.Header
	Body   []byte
	// Took is from the sending to the last byte, of the last attempt.
	Took time.Duration
	// Throttled counts the attempts that were answered 429.
	Throttled int
	// Err says why no answer came; nil otherwise.
	Err error
}

// ErrBudget means that the run has used up its calls.
var ErrBudget = errors.New("the number of calls that this run may make is used up")

// maxBody bounds what is read of an answer, in bytes.
const maxBody = 8 << 20

// Client sends requests, one at a time.
type Client struct {
	Config
	http  *http.Client
	pace  *rate.Limiter
	calls int
}

// New returns a client.
func New(c Config) *Client {
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = 2 * time.Minute
	}
	pace := rate.NewLimiter(rate.Inf, 1)
	if c.PerSecond > 0 {
		pace = rate.NewLimiter(rate.Limit(c.PerSecond), 1)
	}
	return &Client{
		Config: c, pace: pace,
		http: &http.Client{
			Transport:     http.DefaultTransport.(*http.Transport).Clone(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Calls counts the requests that were sent.
func (c *Client) Calls() int { return c.calls }

// Allow raises the budget by so many calls, for cleaning up.
func (c *Client) Allow(calls int) {
	if c.MaxCalls > 0 {
		c.MaxCalls = max(c.MaxCalls, c.calls) + calls
	}
}

// Do sends a request. An error means that nothing was sent: the guard refused, the budget is used up, or the context ended
// while it waited for its turn. A request that was sent is never cut short by the context: whether a write took effect
// would be unknown then. It has its own deadline instead.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	if err := c.Guard.Permit(r); err != nil {
		return Answer{}, err
	}
	throttled := 0
	patience, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	for wait := 2 * time.Second; ; wait *= 2 {
		if c.MaxCalls > 0 && c.calls >= c.MaxCalls {
			return Answer{}, ErrBudget
		}
		if err := Pause(ctx, c.pace.Reserve().Delay()); err != nil {
			return Answer{}, fmt.Errorf("wait for the next call's turn: %w", err)
		}
		c.calls++
		answer := c.send(ctx, r)
		answer.Throttled = throttled
		c.Journal.add(c.Scrub, r, answer)
		if answer.Status != http.StatusTooManyRequests {
			return answer, nil
		}
		throttled++
		answer.Throttled = throttled
		if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds >= 0 {
			wait = time.Duration(seconds) * time.Second
		}
		if Pause(patience, wait) != nil {
			return answer, nil
		}
	}
}

// Pause waits; the error is the cause of the context's end, when that ended before.
func Pause(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func (c *Client) send(ctx context.Context, r Request) (answer Answer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Timeout)
	defer cancel()
	request, err := c.signed(ctx, r)
	if err != nil {
		return Answer{Err: err}
	}
	began := time.Now()
	defer func() { answer.Took = time.Since(began) }()
	response, err := c.http.Do(request)
	if err != nil {
		return Answer{Err: fmt.Errorf("send the request: %w", innermost(err))}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return Answer{Err: fmt.Errorf("read the answer: %w", innermost(err))}
	case len(body) > maxBody:
		return Answer{Err: fmt.Errorf("the answer has more than %d bytes", maxBody)}
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: []byte(c.Scrub.Text(string(body)))}
}

// innermost is what went wrong without addresses and ports, which are others each time.
func innermost(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return context.DeadlineExceeded
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (c *Client) signed(ctx context.Context, r Request) (*http.Request, error) {
	origin, keys := c.VPC, c.Keys
	keys.ProjectID = c.Project
	if r.Service == IAM {
		origin, keys.ProjectID = c.IAM, ""
	}
	address, err := url.Parse(origin)
	if err != nil {
		return nil, fmt.Errorf("read the address of the service: %w", err)
	}
	address.Path, address.RawQuery = r.Path, r.Query.Encode()
	request, err := http.NewRequestWithContext(ctx, r.Method, address.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("User-Agent", "vpcmirror-live")
	if len(r.Body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if err := sign.Sign(request, keys, r.Body, time.Now()); err != nil {
		return nil, err
	}
	return request, nil
}

// NewMark returns a mark of a new run: letters, digits and hyphens alone, which every text of the cloud takes.
func NewMark() string { return MarkPrefix + rand.Text()[:12] }

// MarkPrefix begins the mark of every run.
const MarkPrefix = "vpcmirror-live-"
