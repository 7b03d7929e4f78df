// Package export turns what an account of the cloud has into manifests that import it: read with the keys of a Secret that
// the caller may read, and turned into specs by package plan, which is the same that the manager compares by. It writes
// nothing to the cloud and nothing to the API server, and no key to anywhere.
//
// It may import api, controllers/cloud, controllers/cloud/huawei, controllers/credentials and controllers/plan.
package export

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/credentials"
)

// Source says with which Secret which account is read.
type Source struct {
	Namespace, Secret string
	// Region and ProjectID are empty where the Secret says them.
	Region, ProjectID string
	// Endpoints are the servers that the caller allows a Secret to lead to, beside the region's usual ones.
	Endpoints []string
	// UserAgent is that of the calls to the cloud.
	UserAgent string
}

// words are those of the command line.
var words = credentials.Words{
	Secret: "--credentials", Region: "--region", ProjectID: "--project-id",
	Allow: "allow it with --allow-endpoint if you know that the keys belong there",
}

// here are the words of a program on somebody's own machine.
var here = huawei.Words{
	Way: "this machine's firewall", DNS: "this machine's DNS", Proxy: "HTTPS_PROXY (for http HTTP_PROXY) in the environment",
	Authorities: "this machine's store of authorities", Reason: "openssl s_client says why", Ended: "it was interrupted",
}

// Connect gives a client of the cloud that writes nothing. The Secret is read with the rights of secrets. The
// environment's proxy is obeyed, as kubectl does.
func Connect(ctx context.Context, secrets client.Reader, s Source) (cloud.Client, error) {
	allowed, err := credentials.ParseOrigins(s.Endpoints)
	if err != nil {
		return nil, fmt.Errorf("--allow-endpoint: %w", err)
	}
	proxy := httpproxy.FromEnvironment().ProxyFunc() // http's own reads the environment once for all
	factory := huawei.NewFactory(huawei.Options{
		UserAgent: s.UserAgent, Words: here, Proxy: func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
	})
	rules := credentials.Rules{Endpoints: credentials.Endpoints{Allowed: allowed, Usual: huawei.UsualEndpoints}, Words: words}
	provider := credentials.NewProvider(credentials.NewSecrets(secrets, time.Now), factory.New, nil, rules, credentials.Assuming{Assume: factory.Assume})
	spec := &v1alpha1.CloudSpec{CredentialsRef: &v1alpha1.SecretReference{Name: s.Secret}, Region: s.Region, ProjectID: s.ProjectID}
	c, err := provider.ClientFor(ctx, s.Namespace, spec, time.Time{}, func(string) error { return nil })
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not read the Secret %s: that needs the verb get on secrets in namespace %s (%w)", s.Secret, s.Namespace, errors.Unwrap(err))
	case err != nil:
		return nil, explained(err)
	}
	return cloud.ReadOnly(c), nil
}

// explained adds which right is missing, where the cloud says that one is.
func explained(err error) error {
	if action := cloud.ActionOf(err); action != "" {
		return fmt.Errorf("%w; the keys need the right %s", err, action)
	}
	return err
}

// Account is what an account of the cloud has.
type Account struct {
	cloud.Account
	Filters  []cloud.Filter
	Sessions []cloud.Session
	// Gone are the interfaces and the load balancers that sessions name and that the cloud does not have.
	Gone map[string]bool
	// Unseen is what could not be read of interfaces and load balancers, a sentence each.
	Unseen []string
}

// Read reads an account.
func Read(ctx context.Context, c cloud.Client) (Account, error) {
	a := Account{Account: c.Account(), Gone: map[string]bool{}}
	var err error
	if a.Filters, err = c.ListFilters(ctx); err != nil {
		return a, fmt.Errorf("list the filters: %w", explained(err))
	}
	if a.Sessions, err = c.ListSessions(ctx); err != nil {
		return a, fmt.Errorf("list the sessions: %w", explained(err))
	}
	if len(a.Sessions) > 0 {
		a.readInterfaces(ctx, c)
		a.readBalancers(ctx, c)
	}
	return a, ctx.Err()
}

// readInterfaces finds out which interfaces of sessions are gone.
func (a *Account) readInterfaces(ctx context.Context, c cloud.Client) {
	all, err := c.ListInterfaces(ctx)
	if err != nil {
		a.Unseen = append(a.Unseen, fmt.Sprintf("nobody looked whether the interfaces of sessions still exist: %v", explained(err)))
		return
	}
	there := map[string]bool{}
	for _, i := range all {
		there[i.ID] = true
	}
	for _, s := range a.Sessions {
		for _, id := range s.Sources {
			a.Gone[id] = !there[id]
		}
		if s.TargetType == cloud.TargetInterface {
			a.Gone[s.TargetID] = !there[s.TargetID]
		}
	}
}

// readBalancers finds out which load balancers of sessions are gone.
func (a *Account) readBalancers(ctx context.Context, c cloud.Client) {
	asked := map[string]bool{}
	for _, s := range a.Sessions {
		if s.TargetType != cloud.TargetLoadBalancer || asked[s.TargetID] {
			continue
		}
		asked[s.TargetID] = true
		_, err := c.GetLoadBalancer(ctx, s.TargetID)
		switch {
		case cloud.IsNotFound(err):
			a.Gone[s.TargetID] = true
		case err != nil:
			a.Unseen = append(a.Unseen, fmt.Sprintf("nobody looked whether the load balancers of sessions still exist: %v", explained(err)))
			return
		}
	}
}
