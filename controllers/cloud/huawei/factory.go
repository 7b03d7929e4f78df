package huawei

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/prometheus/client_golang/prometheus"

	"vpcmirror.io/operator/controllers/cloud"
)

// The defaults of Options.
const (
	DefaultCallsPerSecond = 5
	DefaultBurst          = 10
	// MaxDeadline is the longest a call may take, below the margin of the leader lease.
	MaxDeadline     = 4 * time.Second
	DefaultPageSize = 200
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
	// UserAgent is added to the SDK's; empty means vpcmirror.
	UserAgent string
	// PageSize is how many objects a page of a list holds, at most MaxPageSize; 0 or
	// less means DefaultPageSize.
	PageSize int
	// Registerer takes the metrics; nil leaves them unregistered. A name that is
	// taken by somebody else's collector is a mistake of the program and panics.
	Registerer prometheus.Registerer
	// Transport carries the requests; nil means one of our own that obeys the
	// environment's proxy. It must end a request when its context ends.
	Transport http.RoundTripper
}

// Factory makes clients. All clients of one factory share connections, metrics, and
// one limiter per account and region. It is safe for concurrent use.
type Factory struct {
	deadline  time.Duration
	userAgent string
	pageSize  int32
	transport http.RoundTripper
	limiters  *limiters
	metrics   *metrics
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
	if o.UserAgent == "" {
		o.UserAgent = "vpcmirror"
	}
	if o.PageSize <= 0 {
		o.PageSize = DefaultPageSize
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	return &Factory{
		deadline:  o.Deadline,
		userAgent: o.UserAgent,
		pageSize:  int32(min(o.PageSize, MaxPageSize)), // bounded
		transport: o.Transport,
		limiters:  newLimiters(o.CallsPerSecond, o.Burst),
		metrics:   newMetrics(o.Registerer),
	}
}

// newTransport is Go's default one, which the SDK's is not: it obeys the proxy of the
// environment and keeps enough idle connections for the calls that the limiter allows.
func newTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone() // documented type
	t.MaxIdleConnsPerHost = DefaultBurst
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// configure is the Op of errors in the credentials themselves.
const configure = "Configure"

// New makes a client. It asks the identity service for the project when c names none,
// and no one otherwise. A mistake in c is a *cloud.Error with ClassInvalid.
func (f *Factory) New(ctx context.Context, c cloud.Credentials) (cloud.Client, error) {
	if err := checkKeys(c); err != nil {
		return nil, err
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
	caller, err := f.newCaller(c, account, endpoint)
	if err != nil {
		return nil, err
	}
	return &client{caller: caller}, nil
}

func (f *Factory) newCaller(c cloud.Credentials, account cloud.Account, endpoint string) (*caller, error) {
	keys, err := basic.NewCredentialsBuilder().WithAk(c.AccessKey).WithSk(c.SecretKey).
		WithSecurityToken(c.SecurityToken).WithProjectId(account.ProjectID).SafeBuild()
	if err != nil {
		return nil, invalid(configure, "the SDK refuses the keys") // its own text is not passed on
	}
	return &caller{
		factory:  f,
		account:  account,
		endpoint: endpoint,
		keys:     keys,
		secrets:  &secretsBox{newSecrets(c.AccessKey, c.SecretKey, c.SecurityToken)},
		shared:   c.Shared,
	}, nil
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
		if strings.ContainsFunc(key.value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			return invalid(configure, "%s holds a blank or a line break: store the key without it", key.name)
		}
	}
	return nil
}
