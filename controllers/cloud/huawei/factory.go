package huawei

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vpcmirror.io/operator/controllers/cloud"
)

// The defaults of Options.
const (
	DefaultCallsPerSecond = 5
	DefaultBurst          = 10
	// MaxDeadline is the longest a call may take, below the margin of the leader lease.
	MaxDeadline = 4 * time.Second
	// DefaultListDeadline is enough for 20000 objects, the cloud's limit, at the default
	// rate of calls, and less than a reconcile may take.
	DefaultListDeadline = time.Minute
	// MaxPageSize is the largest page that the cloud gives.
	MaxPageSize = 2000
)

// Options of a Factory. The zero value is good.
type Options struct {
	// CallsPerSecond and Burst bound the calls to one account and region; 0 or less
	// means the default.
	CallsPerSecond float64
	Burst          int
	// Deadline of one call, the limiter's wait included; 0, less, or more than
	// MaxDeadline means MaxDeadline.
	Deadline time.Duration
	// ListDeadline bounds a whole list; 0 or less means DefaultListDeadline.
	ListDeadline time.Duration
	// UserAgent is added to the SDK's; empty means vpcmirror.
	UserAgent string
	// PageSize is how many objects a page of a list holds, at most MaxPageSize; 0 or
	// less means for each kind of object as many as fit well.
	PageSize int
	// Registerer takes the metrics; nil leaves them unregistered. A name that is
	// taken by somebody else's collector is a mistake of the program and panics.
	Registerer prometheus.Registerer
	// Proxy gives the HTTP proxy on the way of a request, as http.Transport's does; nil means none.
	// The environment's proxy is not obeyed unless this does.
	Proxy func(*http.Request) (*url.URL, error)
	// Words are those of errors; the zero value means the manager's.
	Words Words
	// Authorities are trusted beside the system's, for every account.
	Authorities []*x509.Certificate
	// Transport carries the requests in place of our own, and then Proxy, Authorities and
	// the credentials' CABundle mean nothing. It must end a request when its context ends.
	Transport http.RoundTripper
	// Fence is asked right before a write is sent, when there is a connection for it: its
	// error is given back, and nothing is sent. nil lets every write through.
	Fence func() error
	// Observe is told of each call when it is over, with the context of whoever made it; nil for nobody. It must
	// be quick.
	Observe func(context.Context, cloud.Call)
}

// Factory makes clients. All clients of one factory share metrics and one limiter per
// account and region, and those that trust the same authorities share connections. It is
// safe for concurrent use.
type Factory struct {
	deadline       time.Duration
	userAgent      string
	pageSize       int32 // 0 for what fits
	fence          func() error
	observe        func(context.Context, cloud.Call)
	transports     *transports
	words          Words
	limiters       *limiters
	listDeadline   time.Duration
	answers, lists *room
	metrics        *metrics
}

// NewFactory makes a factory.
func NewFactory(o Options) *Factory {
	if o.CallsPerSecond <= 0 {
		o.CallsPerSecond = DefaultCallsPerSecond
	}
	if o.Burst <= 0 {
		o.Burst = DefaultBurst
	}
	if o.Deadline <= 0 || o.Deadline > MaxDeadline {
		o.Deadline = MaxDeadline
	}
	if o.ListDeadline <= 0 {
		o.ListDeadline = DefaultListDeadline
	}
	if o.UserAgent == "" {
		o.UserAgent = "vpcmirror"
	}
	if o.Words == (Words{}) {
		o.Words = managers
	}
	if o.Fence == nil {
		o.Fence = open
	}
	return &Factory{
		deadline:     o.Deadline,
		userAgent:    o.UserAgent,
		pageSize:     int32(max(0, min(o.PageSize, MaxPageSize))), // bounded
		fence:        o.Fence,
		observe:      o.Observe,
		transports:   newTransports(o),
		words:        o.Words,
		listDeadline: o.ListDeadline,
		answers:      newRoom(answersOfAll, answersOfEndpoint),
		lists:        newRoom(listsOfAll, listsOfEndpoint),
		limiters:     newLimiters(o.CallsPerSecond, o.Burst),
		metrics:      newMetrics(o.Registerer),
	}
}

// configure is the Op of errors in the credentials themselves.
const configure = "Configure"

// New makes a client. It asks the identity service for the project when c names none,
// and no one otherwise. A mistake in c is a *cloud.Error with ClassInvalid.
func (f *Factory) New(ctx context.Context, c cloud.Credentials) (cloud.Client, error) {
	made, err := f.make(ctx, c)
	if e, ok := errors.AsType[*cloud.Error](err); ok { // a key may have come into the wrong field
		e.Message = newSecrets(c.AccessKey, c.SecretKey, c.SecurityToken).hide(e.Message)
	}
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (f *Factory) make(ctx context.Context, c cloud.Credentials) (*client, error) {
	if c.Issued == nil {
		if err := checkKeys(c); err != nil {
			return nil, err
		}
	}
	if !regionPattern.MatchString(c.Region) {
		// What is no region is not repeated: a secret may have come into the wrong field.
		return nil, invalid(configure, "region is missing or no region: name one like cn-north-4")
	}
	endpoint, err := vpcEndpoint(c)
	if err != nil {
		return nil, err
	}
	project := c.ProjectID
	if project == "" {
		if project, err = f.findProject(ctx, c, endpoint); err != nil {
			return nil, err
		}
	}
	if !projectPattern.MatchString(project) {
		return nil, invalid(configure, "projectID must have 32 lower-case hexadecimal digits: the console shows it under My Credentials")
	}
	account := cloud.Account{Region: c.Region, ProjectID: project, Endpoint: endpoint}
	caller, err := f.newCaller(c, account, endpoint, "VPC")
	if err != nil {
		return nil, err
	}
	ecs, err := ecsEndpoint(c, endpoint)
	if err != nil {
		return nil, err
	}
	elb, err := elbEndpoint(c, endpoint)
	if err != nil {
		return nil, err
	}
	return &client{caller: caller, ecs: caller.at(ecs, "ECS"), elb: caller.at(elb, "ELB")}, nil
}

func (f *Factory) newCaller(c cloud.Credentials, account cloud.Account, endpoint, service string) (*caller, error) {
	ring, err := newKeyring(c, account.ProjectID)
	if err != nil {
		return nil, err
	}
	transport, err := f.transports.trusting(c.CABundle)
	if err != nil {
		return nil, invalid(configure, "caBundle is no bundle of certificates: %v", err)
	}
	return &caller{
		factory:   f,
		transport: transport,
		account:   account,
		endpoint:  endpoint,
		service:   service,
		keyring:   ring,
		signer:    ring.last(),
		shared:    c.Shared,
		proven:    new(atomic.Bool),
	}, nil
}

// at is a caller with the same keys for another service of the account, nil without an endpoint.
// Its calls are counted with the account's.
func (c *caller) at(endpoint, service string) *caller {
	if endpoint == "" {
		return nil
	}
	other := *c
	other.endpoint, other.service = endpoint, service
	return &other
}

var (
	regionPattern  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	projectPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

func checkKeys(c cloud.Credentials) error {
	for _, key := range []struct {
		name, value string
		required    bool
	}{
		{"accessKey", c.AccessKey, true},
		{"secretKey", c.SecretKey, true},
		{"securityToken", c.SecurityToken, false},
	} {
		if key.value == "" && key.required {
			return invalid(configure, "%s is empty: give the key", key.name)
		}
		if strings.ContainsFunc(key.value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return invalid(configure, "%s holds a blank, a line break or another character that no key has: store the key without it", key.name)
		}
	}
	return nil
}
