package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/credentials"
)

// Where the operator's own credentials can come from.
const (
	fromEnvironment = "environment"
	fromFile        = "file"
	fromMetadata    = "metadata"
	fromPod         = "podIdentity"
	fromWorkload    = "workloadIdentity"
)

var origins = []string{fromEnvironment, fromFile, fromMetadata, fromPod, fromWorkload}

// The variables of the ways to temporary keys. All but the first are those of the cloud's SDKs, and of the cluster's
// webhook that sets them.
const (
	envMetadata   = "VPCMIRROR_METADATA_ENDPOINT"
	envPodAgent   = "HC_CONTAINER_CREDENTIALS_FULL_URI"
	envPodToken   = "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE" // the name of a variable
	envProvider   = "HUAWEICLOUD_SDK_IDP_ID"
	envTokenFile  = "HUAWEICLOUD_SDK_ID_TOKEN_FILE" // the name of a variable
	setItOrChoose = "set it, or choose another --own-credentials"
)

// own are the flags about the operator's own credentials.
type own struct {
	from      string
	directory string
}

func (o *own) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.from, "own-credentials", fromEnvironment, "`where` the operator's own keys come from: environment, file (--own-credentials-dir), metadata (the agency of the server), podIdentity (CCE's agent on the node) or workloadIdentity (the identity service, for a token of the service account); those of the last three are temporary and renewed")
	flags.StringVar(&o.directory, "own-credentials-dir", "", "`directory` of --own-credentials=file, such as a mounted Secret, with files named like the keys of a Secret: accessKey, secretKey, securityToken, region, ...; a change counts at once")
}

func (o *own) check() error {
	switch {
	case !slices.Contains(origins, o.from):
		return fmt.Errorf("--own-credentials=%q: choose one of %s", o.from, strings.Join(origins, ", "))
	case o.from == fromFile && o.directory == "":
		return fmt.Errorf("--own-credentials=%s needs --own-credentials-dir: name the directory of the files", fromFile)
	case o.from != fromFile && o.directory != "":
		return fmt.Errorf("--own-credentials-dir is for --own-credentials=%s, and it is %s: give one of both", fromFile, o.from)
	}
	return nil
}

// source gives the credentials, and what has to run to keep them in force; nil for nothing.
func (o *own) source(getenv func(string) string, factory *huawei.Factory, renewals *credentials.Renewals) (credentials.Own, *credentials.Keeper, error) {
	if o.from == fromFile {
		return credentials.Directory{Path: o.directory}, nil, nil
	}
	settings, err := credentials.FromEnvironment(getenv)
	if err != nil {
		return nil, nil, fmt.Errorf("read the operator's own credentials: %w", err)
	}
	if o.from == fromEnvironment {
		return credentials.Fixed(settings), nil, nil
	}
	if settings.AccessKey != "" {
		return nil, nil, fmt.Errorf("--own-credentials=%s gets keys by itself, and %s gives others: leave one of them out", o.from, credentials.EnvAccessKey)
	}
	whom, issue, err := o.issuer(getenv, factory, settings)
	if err != nil {
		return nil, nil, err
	}
	keeper := credentials.NewKeeper(whom, issue, renewals.Of(o.from))
	return credentials.Issued{Settings: settings, Keeper: keeper}, keeper, nil
}

// issuer is who issues temporary keys, in words too.
func (o *own) issuer(getenv func(string) string, factory *huawei.Factory, settings cloud.Credentials) (string, cloud.Issuer, error) {
	needed := func(names ...string) (values []string, err error) {
		for _, name := range names {
			value := strings.TrimSpace(getenv(name))
			if value == "" {
				return nil, fmt.Errorf("--own-credentials=%s needs the variable %s: %s", o.from, name, setItOrChoose)
			}
			values = append(values, value)
		}
		return values, nil
	}
	switch o.from {
	case fromPod:
		set, err := needed(envPodAgent, envPodToken)
		if err != nil {
			return "", nil, err
		}
		return "the agent for pod identities", huawei.PodIdentity{URL: set[0], File: set[1]}.Issue, nil
	case fromWorkload:
		set, err := needed(credentials.EnvRegion, envProvider, envTokenFile)
		if err != nil {
			return "", nil, err
		}
		w := huawei.WorkloadIdentity{Provider: set[1], File: set[2], Credentials: settings}
		return "the identity service", func(ctx context.Context) (cloud.Keys, error) { return factory.IssueByToken(ctx, w) }, nil
	default:
		endpoint := huawei.MetadataService
		if set := getenv(envMetadata); set != "" {
			var err error
			if endpoint, err = cloud.ParseOrigin(set); err != nil {
				return "", nil, fmt.Errorf("%s: %w", envMetadata, err)
			}
		}
		return "the metadata service", huawei.Metadata{Endpoint: endpoint}.Issue, nil
	}
}

// keep lets the manager keep temporary keys in force, also while it stands by: whoever takes over has some.
func keep(mgr manager.Manager, keeper *credentials.Keeper) error {
	if keeper == nil {
		return nil
	}
	if err := mgr.Add(standing{keeper}); err != nil {
		return fmt.Errorf("add what renews the operator's own keys: %w", err)
	}
	return nil
}

// standing runs on every manager, not only on the one that leads.
type standing struct{ *credentials.Keeper }

// Start runs until ctx ends.
func (s standing) Start(ctx context.Context) error { return s.Run(ctx) }

// NeedLeaderElection says that it needs none.
func (standing) NeedLeaderElection() bool { return false }
