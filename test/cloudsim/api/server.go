// Package api is the HTTP face of the simulated cloud: paths, signatures, bodies, paging and error codes as the public
// cloud's VPC v3 reference describes them, with its quirks.
//
// It may import test/cloudsim/fault, test/cloudsim/journal, test/cloudsim/sign and test/cloudsim/state.
package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/sign"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// MaxBody is the longest request body that the gateway takes, in bytes.
const MaxBody = 12 << 20

// Config is what a Server needs. State is required; all else has a default.
type Config struct {
	State   *state.Store
	Journal *journal.Journal
	Faults  *fault.Set
	// Clock judges X-Sdk-Date and fills the rate limit (time.Now when nil).
	Clock func() time.Time
	// Skew is how far X-Sdk-Date may be off (sign.DefaultSkew when 0).
	Skew time.Duration
	// PageSize is the page of a list that asks for no limit, 1-2000 (DefaultPageSize when 0).
	PageSize int
	// PageCap shortens every page of the mirror and security group lists, whatever limit was asked for; 0 means no cap.
	PageCap int
	// Rate bounds the requests per second of each access key; 0 means no bound. Burst is the bucket's size (1 when 0).
	Rate  float64
	Burst int
	// RetryAfter is sent with an answer of the rate limit when not empty. The real gateway sends none.
	RetryAfter string
	// Preparing lets its health say 503 until Ready: it answers, but something that belongs to it is not there
	// yet, such as the hosts' network namespaces.
	Preparing bool
}

// DefaultPageSize is the page of a list that asks for no limit.
const DefaultPageSize = 2000

// Server answers the cloud's API. Make one with New.
type Server struct {
	Config
	routes []route
	stats  atomic.Pointer[func() any]
	ready  atomic.Bool

	mu      sync.Mutex
	buckets map[string]*rate.Limiter

	late effects

	// secret is what nobody guesses: the metadata service's token, and the beginning of every other.
	secret string

	closed chan struct{}
	close  sync.Once
}

// Ready ends Preparing.
func (s *Server) Ready() { s.ready.Store(true) }

// New returns a server of the given state.
func New(c Config) *Server {
	if c.Journal == nil {
		c.Journal = &journal.Journal{}
	}
	if c.Faults == nil {
		c.Faults = &fault.Set{}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Skew == 0 {
		c.Skew = sign.DefaultSkew
	}
	if c.PageSize == 0 {
		c.PageSize = DefaultPageSize
	}
	c.Faults.Watch(c.State.Retain)
	s := &Server{Config: c, buckets: map[string]*rate.Limiter{}, secret: uuid.NewString(), closed: make(chan struct{})}
	s.routes = routes()
	return s
}

// Close lets go of answers that a fault holds back, and of effects that are still to come: they never do.
func (s *Server) Close() {
	s.close.Do(func() {
		close(s.closed)
		s.late.drop()
	})
}

// SetStats shows what f returns as data_plane under /_sim/stats; it is null before.
func (s *Server) SetStats(f func() any) { s.stats.Store(&f) }

// call is one request on its way through the server.
type call struct {
	*Server
	State     *state.Store // the server's, but for what a request does that takes effect later
	r         *http.Request
	body      []byte
	operation string
	params    map[string]string // from the path
	requestID string
	accessKey string
	account   state.Account
	project   string
	fault     *fault.Fault
	effect    *effect // that is still to come; nil for none
}

// world is what a read sees: the present, or the past when a stale fault struck.
func (c *call) world() *state.World {
	if c.fault != nil && c.fault.Kind == fault.Stale {
		return c.State.AsOf(c.Clock().Add(-time.Duration(c.fault.For)))
	}
	return c.State.Snapshot()
}

// response is an answer that has not been sent, so that a fault can still replace it.
type response struct {
	status int
	header http.Header
	body   any // encoded as JSON; []byte goes out as it is; nil means none
	code   string
}

// ServeHTTP answers one request: control calls under /_sim/, all others as the cloud would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.TakeEffect()
	if strings.HasPrefix(r.URL.Path, ControlPrefix) {
		s.control(w, r)
		return
	}
	c := &call{Server: s, State: s.State, r: r, requestID: strings.ReplaceAll(uuid.NewString(), "-", "")}
	answer, cut := c.answer()
	s.record(c, answer, cut)
	if cut {
		reset(w)
		return
	}
	send(w, c.requestID, answer)
}

// answer runs the gateway's steps. cut means that the connection is to be reset instead.
func (c *call) answer() (answer response, cut bool) {
	handler, errAnswer := c.admit()
	if hit, ok := c.Faults.Strike(fault.Request{
		Method: c.r.Method, Path: c.r.URL.Path, Operation: c.operation, AccessKey: c.accessKey,
	}); ok {
		c.fault = &hit
		return c.answerWithFault(handler, errAnswer)
	}
	if errAnswer != nil {
		return *errAnswer, false
	}
	return handler(c), false
}

// admit finds the handler and checks the request up to it; an answer means that the gateway refuses.
func (c *call) admit() (handler, *response) {
	body, err := io.ReadAll(io.LimitReader(c.r.Body, MaxBody+1))
	c.body = body
	rt, found := c.find()
	c.operation = rt.named(c.body)
	switch {
	case len(c.body) > MaxBody:
		return nil, gatewayError(http.StatusRequestEntityTooLarge, "APIGW.0201", "Request entity too large")
	case err != nil:
		return nil, gatewayError(http.StatusBadRequest, "APIGW.0201", "Bad request")
	case !found:
		return nil, gatewayError(http.StatusNotFound, "APIGW.0101", "The API does not exist or has not been published in the environment")
	}
	if unsigned[c.operation] {
		return rt.handler, nil
	}
	if refusal := c.authenticate(); refusal != nil {
		return nil, refusal
	}
	if refusal := c.throttle(); refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkProject(); refusal != nil {
		return nil, refusal
	}
	return rt.handler, nil
}

func (c *call) authenticate() *response {
	find := func(accessKey string) (a state.Account, ok bool) {
		c.State.Read(func(w *state.World) { a, ok = w.Accounts[accessKey] })
		return a, ok
	}
	lookup := func(accessKey string) (sign.Key, bool) {
		a, ok := find(accessKey)
		return sign.Key{Secret: string(a.SecretKey), Token: string(a.SecurityToken), TokenExpires: a.TokenExpires}, ok
	}
	accessKey, err := sign.Verify(c.r, c.body, lookup, c.Clock(), c.Skew)
	c.accessKey = accessKey
	if err != nil {
		return gatewayError(http.StatusUnauthorized, "APIGW.0301", err.Error())
	}
	c.account, _ = find(accessKey)
	if c.account.Disabled {
		return gatewayError(http.StatusForbidden, "APIGW.0802", "The IAM user is forbidden in the currently selected region")
	}
	return nil
}

func (c *call) throttle() *response {
	if c.Rate <= 0 {
		return nil
	}
	c.mu.Lock()
	bucket, ok := c.buckets[c.accessKey]
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(c.Rate), max(c.Burst, 1))
		c.buckets[c.accessKey] = bucket
	}
	c.mu.Unlock()
	if bucket.AllowN(c.Clock(), 1) {
		return nil
	}
	f := fault.Throttle(1, c.RetryAfter)
	refusal := gatewayError(f.Status, f.Code, f.Message)
	setRetryAfter(refusal, f.RetryAfter)
	return refusal
}

// checkProject compares the path's project with those of the key, and with X-Project-Id.
func (c *call) checkProject() *response {
	project, inPath := c.params["project_id"]
	if !inPath {
		return c.projectOfKey()
	}
	c.project = project
	allowed := false
	for _, p := range c.account.Projects {
		allowed = allowed || p == project
	}
	header := c.r.Header.Get(sign.HeaderProject)
	if !allowed || header != "" && header != project {
		return gatewayError(http.StatusBadRequest, "VPC.0007", "urlTenantId is not equal tokenTenantId")
	}
	return nil
}

// projectOfKey finds the project of a call whose path names none: that of the header, or the only one of the key. The
// calls of IAM need none.
func (c *call) projectOfKey() *response {
	if !strings.HasPrefix(c.r.URL.Path, "/v2.0/") {
		return nil
	}
	project := c.r.Header.Get(sign.HeaderProject)
	if project == "" && len(c.account.Projects) == 1 {
		project = c.account.Projects[0]
	}
	if !slices.Contains(c.account.Projects, project) {
		return gatewayError(http.StatusBadRequest, "VPC.0007", "urlTenantId is not equal tokenTenantId")
	}
	c.project = project
	return nil
}

func (s *Server) record(c *call, answer response, cut bool) {
	e := journal.Entry{
		Time: s.Clock().UTC(), Method: c.r.Method, Path: c.r.URL.Path, Query: c.r.URL.RawQuery, Operation: c.operation,
		AccessKey: c.accessKey, Body: string(c.body), Status: answer.status, ErrorCode: answer.code, RequestID: c.requestID,
	}
	if unsigned[c.operation] {
		e.Body = "" // tokens
	}
	if c.fault != nil {
		e.Fault = c.fault.ID
	}
	if cut {
		e.Status, e.ErrorCode = 0, ""
	}
	s.recordWithEffect(e, c.effect)
}

func send(w http.ResponseWriter, requestID string, a response) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Server", "api-gateway")
	w.Header().Set("X-Request-Id", requestID)
	var data []byte
	switch body := a.body.(type) {
	case nil:
	case []byte:
		data = body
	default:
		data = encode(body, requestID)
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.status)
	// The client may be gone; nothing is left to be done then.
	_, _ = w.Write(data)
}

// encode writes the body with its request_id.
func encode(body any, requestID string) []byte {
	if m, ok := body.(map[string]any); ok {
		m["request_id"] = requestID
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return []byte(`{"error_code":"VPC.2502","error_msg":"the answer cannot be encoded"}`)
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}

// reset closes the connection so that the peer sees a TCP reset.
func reset(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Unsent data is dropped and a reset goes out; when it cannot be set, the close below is still a broken answer.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func gatewayError(status int, code, message string) *response {
	return &response{status: status, code: code, body: map[string]any{"error_code": code, "error_msg": message}}
}

// refusal turns an error of the state into the answer of the VPC service.
func refusal(err error) response {
	var e *state.Error
	if !errors.As(err, &e) {
		return *gatewayError(http.StatusInternalServerError, "VPC.2502", err.Error())
	}
	status, code := http.StatusBadRequest, "VPC.9901"
	switch e.Reason {
	case state.Invalid: // as above
	case state.Unsupported:
		code = "VPC.9902"
	case state.Missing:
		status, code = http.StatusNotFound, "VPC.9904"
	case state.Duplicate:
		status, code = http.StatusConflict, "VPC.9902"
	case state.QuotaExceeded:
		status, code = http.StatusConflict, "VPC.9905"
	case state.InUse:
		status, code = http.StatusConflict, "VPC.9907"
	}
	return *gatewayError(status, code, e.Message)
}
