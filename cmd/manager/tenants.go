package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/credentials"
)

// tenants are the flags that say what the objects of a namespace may reach.
type tenants struct {
	allowedEndpoints []string
}

func (t *tenants) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&t.allowedEndpoints, "allowed-endpoints", nil, "`origins`, such as https://vpc.example.com, that a Secret may name as endpoint or iamEndpoint beside its region's usual ones; by default none")
}

func (t *tenants) check() error {
	if _, err := credentials.ParseOrigins(t.allowedEndpoints); err != nil {
		return fmt.Errorf("--allowed-endpoints: %w", err)
	}
	return nil
}

func (t *tenants) rules() (credentials.Rules, error) {
	allowed, err := credentials.ParseOrigins(t.allowedEndpoints)
	if err != nil {
		return credentials.Rules{}, fmt.Errorf("read the allowed endpoints: %w", err)
	}
	return credentials.Rules{Endpoints: credentials.Endpoints{Allowed: allowed, Usual: huawei.UsualEndpoints}}, nil
}
