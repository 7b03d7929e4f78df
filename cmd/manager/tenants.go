package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/credentials"
)

// tenants are the flags that say what the objects of a namespace may reach.
type tenants struct {
	allowedEndpoints []string
	ownNamespaces    string
}

func (t *tenants) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&t.allowedEndpoints, "allowed-endpoints", nil, "`origins`, such as https://vpc.example.com, that a Secret may name as endpoint or iamEndpoint beside its region's usual ones; by default none")
	flags.StringVar(&t.ownNamespaces, "own-credentials-namespaces", "", "label `selector` of the namespaces whose objects may use the operator's own credentials, such as team=network; by default none")
}

func (t *tenants) check() error {
	if _, err := credentials.ParseOrigins(t.allowedEndpoints); err != nil {
		return fmt.Errorf("--allowed-endpoints: %w", err)
	}
	if _, err := credentials.ParseSelector(t.ownNamespaces); err != nil {
		return fmt.Errorf("--own-credentials-namespaces: %w", err)
	}
	return nil
}

// rules are what the flags allow; reader reads namespaces past the cache.
func (t *tenants) rules(reader client.Reader) (credentials.Rules, error) {
	allowed, err := credentials.ParseOrigins(t.allowedEndpoints)
	if err != nil {
		return credentials.Rules{}, fmt.Errorf("read the allowed endpoints: %w", err)
	}
	selector, err := credentials.ParseSelector(t.ownNamespaces)
	if err != nil {
		return credentials.Rules{}, fmt.Errorf("read which namespaces may use the operator's own credentials: %w", err)
	}
	return credentials.Rules{
		Endpoints:  credentials.Endpoints{Allowed: allowed, Usual: huawei.UsualEndpoints},
		Namespaces: credentials.NewNamespaces(reader, selector, time.Now),
	}, nil
}
