package huawei_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/test/cloudsim/sim"
)

// nobody is a network on which every request is a mistake of the test.
type nobody struct{ t *testing.T }

func (n nobody) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("a request was sent: %s %s", r.Method, r.URL)
	return nil, errors.New("no network in this test")
}

func good() cloud.Credentials {
	return cloud.Credentials{AccessKey: "ACCESSKEY1", SecretKey: "secretkey1", Region: "cn-north-4", ProjectID: "0123456789abcdef0123456789abcdef"}
}

func TestTheEndpointOfAnAccount(t *testing.T) {
	for name, tc := range map[string]struct{ region, endpoint, want string }{
		"is that of the region":             {"cn-north-4", "", "https://vpc.cn-north-4.myhuaweicloud.com"},
		"is the one given, without a slash": {"cn-north-4", "http://127.0.0.1:8080/", "http://127.0.0.1:8080"},
		"is in lower case":                  {"private-1", "https://VPC.Example", "https://vpc.example"},
	} {
		t.Run(name, func(t *testing.T) {
			o, c := fast, good()
			o.Transport = nobody{t}
			c.Region, c.Endpoint = tc.region, tc.endpoint
			want := cloud.Account{Region: tc.region, ProjectID: c.ProjectID, Endpoint: tc.want}
			if diff := cmp.Diff(want, connect(t, o, c).Account()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAMistakeInTheCredentialsIsFoundBeforeARequest(t *testing.T) {
	const misplaced = "aSecretKeyInTheWrongField"
	for name, tc := range map[string]struct {
		change func(*cloud.Credentials)
		says   string
	}{
		"no access key":                   {func(c *cloud.Credentials) { c.AccessKey = "" }, "accessKey is empty"},
		"no secret key":                   {func(c *cloud.Credentials) { c.SecretKey = "" }, "secretKey is empty"},
		"a line break in the token":       {func(c *cloud.Credentials) { c.SecurityToken = misplaced + "\n" }, "securityToken holds a blank, a line break"},
		"a mark in the access key":        {func(c *cloud.Credentials) { c.AccessKey = "\ufeff" + misplaced }, "accessKey holds a blank, a line break or another"},
		"a key as region":                 {func(c *cloud.Credentials) { c.SecretKey, c.Region = "secretkey1", "secretkey1" }, `region "***" is not known`},
		"no region":                       {func(c *cloud.Credentials) { c.Region = "" }, "region is missing"},
		"a secret in place of the region": {func(c *cloud.Credentials) { c.Region = misplaced }, "region is missing or no region"},
		"a region that is misspelt":       {func(c *cloud.Credentials) { c.Region = "cn-nroth-4" }, "check the spelling, or give the endpoint"},
		"a project that climbs in the path": {func(c *cloud.Credentials) { c.ProjectID = "../" + misplaced },
			"projectID must have 32"},
		"an endpoint with a path":   {func(c *cloud.Credentials) { c.Endpoint = "https://proxy.example/vpc" }, "endpoint must be a URL"},
		"an endpoint with a key":    {func(c *cloud.Credentials) { c.Endpoint = "https://user:" + misplaced + "@vpc.example" }, "endpoint must be a URL"},
		"an endpoint that is none":  {func(c *cloud.Credentials) { c.Endpoint = "://" }, "endpoint must be a URL"},
		"an endpoint without http":  {func(c *cloud.Credentials) { c.Endpoint = "ftp://vpc.example" }, "endpoint must be a URL"},
		"an identity service's too": {func(c *cloud.Credentials) { c.ProjectID, c.IAMEndpoint = "", "iam.example" }, "iamEndpoint must be a URL"},
		"no project, at an endpoint of one's own": {func(c *cloud.Credentials) { c.ProjectID, c.Endpoint = "", "https://vpc.example" },
			"give projectID, or iamEndpoint"},
		"no project, in a region that only the VPC API's table knows": {func(c *cloud.Credentials) { c.ProjectID, c.Region = "", "ru-northwest-2" },
			"give projectID, or iamEndpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			o, c := fast, good()
			o.Transport = nobody{t}
			tc.change(&c)
			_, err := huawei.NewFactory(o).New(t.Context(), c)
			if cloud.ClassOf(err) != cloud.ClassInvalid || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v, want Invalid saying %q", err, tc.says)
			}
			if strings.Contains(err.Error(), misplaced) {
				t.Errorf("%q shows what may be a secret", err)
			}
		})
	}
}

// silent is a network that never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestNoCallTakesLongerThanTheMarginOfTheLease(t *testing.T) {
	for name, tc := range map[string]struct{ set, want time.Duration }{
		"when nothing is set":          {0, 4 * time.Second},
		"when more is set":             {time.Hour, 4 * time.Second},
		"when less is set":             {time.Second, time.Second},
		"when nonsense is set, either": {-1, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := connect(t, huawei.Options{Deadline: tc.set, CallsPerSecond: 1 / tc.want.Seconds(), Burst: 1, Transport: silent{}}, good())
				start := time.Now()
				if err := c.DeleteSession(t.Context(), someID); !cloud.IsAmbiguous(err) {
					t.Errorf("got %v, want an ambiguous error", err)
				}
				if got := time.Since(start); got != tc.want {
					t.Errorf("the call took %s, want %s", got, tc.want)
				}
			})
		})
	}
	t.Run("the limiter's wait included", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := connect(t, huawei.Options{CallsPerSecond: 1, Burst: 1, Transport: silent{}}, good())
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			_ = c.DeleteSession(ended, someID) // reserves nothing
			start := time.Now()
			done := make(chan time.Duration)
			for range 2 {
				go func() {
					_ = c.DeleteSession(t.Context(), someID)
					done <- time.Since(start)
				}()
			}
			if first, second := <-done, <-done; first != 4*time.Second || second != 4*time.Second {
				t.Errorf("the calls took %s and %s, want 4s each", first, second)
			}
		})
	})
}

func TestTwoFactoriesMayShareARegistry(t *testing.T) {
	o := fast
	o.Registerer = prometheus.NewRegistry()
	for range 2 {
		ok(t, serve(t, o, answer(204, "")).DeleteSession(t.Context(), someID))
	}
}

// hosts notes whom it is asked to send something to, and answers with nothing.
type hosts struct{ asked []string }

func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	h.asked = append(h.asked, r.URL.Scheme+"://"+r.URL.Host)
	return nil, errors.New("no way")
}

func TestTheECSServiceIsAskedAtTheRegionsOwnEndpointOrAtTheOneThatWasNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*cloud.Credentials)
		want   []string
	}{
		"beside the region's VPC API at that of the SDK's table": {func(c *cloud.Credentials) { c.Endpoint = "" },
			[]string{"https://ecs.cn-north-4.myhuaweicloud.com"}},
		"also where that was named": {func(c *cloud.Credentials) { c.Endpoint = "https://VPC.cn-north-4.myhuaweicloud.com/" },
			[]string{"https://ecs.cn-north-4.myhuaweicloud.com"}},
		"beside another VPC API at that one": {func(c *cloud.Credentials) { c.Endpoint = "http://10.0.0.1:8600" },
			[]string{"http://10.0.0.1:8600"}},
		"where it was named": {func(c *cloud.Credentials) {
			c.Endpoint, c.ECSEndpoint = "https://vpc.own.example", "https://ecs.own.example/"
		},
			[]string{"https://ecs.own.example"}},
		"nowhere, where the table lacks it": {func(c *cloud.Credentials) { c.Endpoint, c.Region = "", "ru-northwest-2" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h, o, c := &hosts{}, fast, good()
			o.Transport = h
			tc.change(&c)
			client := connect(t, o, c)
			for what, err := range map[string]error{
				"servers": func() error { _, err := client.ListServers(t.Context()); return err }(),
				"flavors": func() error { _, err := client.ListFlavors(t.Context()); return err }(),
			} {
				if class := cloud.ClassOf(err); (class == cloud.ClassUnsupported) != (tc.want == nil) {
					t.Errorf("%s give %v", what, err)
				}
			}
			if got := slices.Compact(h.asked); !slices.Equal(got, tc.want) {
				t.Errorf("it asked %v, want %v", got, tc.want)
			}
		})
	}
	t.Run("and a name that is none is the user's mistake", func(t *testing.T) {
		c := good()
		c.ECSEndpoint = "ecs"
		if _, err := huawei.NewFactory(fast).New(t.Context(), c); cloud.ClassOf(err) != cloud.ClassInvalid || !strings.Contains(err.Error(), "ecsEndpoint must be a URL") {
			t.Errorf("got %v, want Invalid", err)
		}
	})
}

func TestCallsOfTheECSServiceCountWithTheAccountsOthers(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, huawei.Options{CallsPerSecond: 0.001, Burst: 2, PageSize: 1000}, credentialsOf(s))
	must[[]cloud.Peering](t)(c.ListPeerings(t.Context()))
	must[[]cloud.Flavor](t)(c.ListFlavors(t.Context()))
	for what, call := range map[string]func(context.Context) error{
		"of the ECS service": func(ctx context.Context) error { _, err := c.ListFlavors(ctx); return err },
		"of the VPC service": func(ctx context.Context) error { _, err := c.ListPeerings(ctx); return err },
	} {
		if err := call(t.Context()); cloud.ClassOf(err) != cloud.ClassThrottled || !cloud.IsUnsent(err) {
			t.Errorf("one more call %s gives %v, want that the limit is used up", what, err)
		}
	}
}
