package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// The keys of a Secret. The first two are required.
const (
	KeyAccessKey     = "accessKey"
	KeySecretKey     = "secretKey"
	KeySecurityToken = "securityToken"
	KeyRegion        = "region"
	KeyProjectID     = "projectID"
	KeyEndpoint      = "endpoint"
	KeyIAMEndpoint   = "iamEndpoint"
	KeyCABundle      = "caBundle"
	// KeyAgencyName and KeyAgencyDomain name the agency that is assumed with the keys, and the account it is in.
	KeyAgencyName   = "agencyName"
	KeyAgencyDomain = "agencyDomain"
)

// oneLine are the keys whose values are one word of visible ASCII each.
var oneLine = []string{KeyAccessKey, KeySecretKey, KeySecurityToken, KeyRegion, KeyProjectID, KeyEndpoint, KeyIAMEndpoint, KeyAgencyName, KeyAgencyDomain}

// keys are all of them.
var keys = append(slices.Clone(oneLine), KeyCABundle)

// Provider gives clients. It is safe for concurrent use.
type Provider struct {
	secrets  *Secrets
	factory  cloud.Factory
	own      Own
	rules    Rules
	clients  *clients
	agencies *agencies
}

// Rules are what the administrator allows.
type Rules struct {
	// Endpoints to which a Secret may lead. Those of the operator's own credentials are
	// the administrator's own.
	Endpoints Endpoints
	// Namespaces that the operator's own credentials serve; nil for none.
	Namespaces *Namespaces
	// Words are those of whoever asks; the zero value for a spec's.
	Words Words
}

// Words are how that is called, in messages, by which whoever asks says what he wants: the fields of a spec, or the
// flags of a program.
type Words struct {
	Secret, Region, ProjectID string
	// Allow is what is to be done to have an endpoint allowed.
	Allow string
}

var wordsOfSpec = Words{
	Secret: "spec.credentialsRef.name", Region: "spec.region", ProjectID: "spec.projectID",
	Allow: "have the administrator add it to --allowed-endpoints (chart: cloud.allowedEndpoints)",
}

// Assuming says how agencies are assumed.
type Assuming struct {
	// Assume gets the keys of one; nil where none are assumed.
	Assume Assume
	// Renewals hears of those that the operator's own credentials assume; nil for nobody.
	Renewals *Renewals
}

// AgencyIssuer is the issuer of the keys of agencies, in metrics.
const AgencyIssuer = "agency"

// NewProvider makes a provider. own are the operator's own credentials; without keys, every object must name a Secret.
// agency says how agencies are assumed.
func NewProvider(secrets *Secrets, factory cloud.Factory, own Own, rules Rules, agency Assuming) *Provider {
	rules.Endpoints = rules.Endpoints.remembering()
	rules.Words = cmp.Or(rules.Words, wordsOfSpec)
	return &Provider{
		secrets: secrets, factory: factory, own: own, rules: rules, clients: newClients(maxClients), agencies: newAgencies(agency.Assume, agency.Renewals.Of(AgencyIssuer)),
	}
}

// ClientFor gives the client for an object in namespace with this spec, by what reads of its
// Secret or of its namespace's labels showed that began at or after notBefore. A mistake in
// the credentials is an *Error; any other error is a fault of the API server or the
// cloud, which may pass. admit is asked before anything is sent, with a name for the
// servers that are asked; its error is given back.
func (p *Provider) ClientFor(ctx context.Context, namespace string, spec *v1alpha1.CloudSpec, notBefore time.Time,
	admit func(server string) error,
) (cloud.Client, error) {
	c, origin, err := p.resolve(ctx, namespace, spec, notBefore)
	if err != nil {
		return nil, err
	}
	if err := admit(p.rules.Endpoints.servers(c)); err != nil {
		return nil, err
	}
	if c, err = p.agencies.assumed(ctx, c, origin); err != nil {
		return nil, err
	}
	key := fingerprint(c)
	if found := p.clients.get(key); found != nil {
		return found, nil
	}
	made, err := p.factory(ctx, c)
	if err != nil {
		return nil, explain(err, origin)
	}
	return p.clients.put(key, made), nil
}

// Renewed reports whether the operator's own credentials are others by now than those of a client that it gave for an
// object without a Secret: what the cloud refuses to that client says nothing about the object then.
func (p *Provider) Renewed(ctx context.Context, namespace string, spec *v1alpha1.CloudSpec, notBefore time.Time, used cloud.Client) bool {
	if spec.CredentialsRef != nil || used == nil {
		return false
	}
	c, origin, err := p.resolve(ctx, namespace, spec, notBefore)
	if err != nil {
		return false // the next look says why
	}
	if c, err = p.agencies.assumed(ctx, c, origin); err != nil {
		return false
	}
	return p.clients.get(fingerprint(c)) != used
}

// resolve gives the credentials of an object in full, and where they come from, in words.
func (p *Provider) resolve(ctx context.Context, namespace string, spec *v1alpha1.CloudSpec, notBefore time.Time) (cloud.Credentials, string, error) {
	c, origin, err := p.find(ctx, namespace, spec.CredentialsRef, notBefore)
	if err != nil {
		return c, origin, err
	}
	if err := fill(&c.Region, spec.Region, p.rules.Words.Region, KeyRegion, origin); err != nil {
		return c, origin, err
	}
	if err := fill(&c.ProjectID, spec.ProjectID, p.rules.Words.ProjectID, KeyProjectID, origin); err != nil {
		return c, origin, err
	}
	if err := p.check(&c, spec.CredentialsRef == nil, origin); err != nil {
		return c, origin, err
	}
	p.rules.Endpoints.findOthers(&c)
	return c, origin, nil
}

// find gives the credentials and where they come from, in words.
func (p *Provider) find(ctx context.Context, namespace string, ref *v1alpha1.SecretReference, notBefore time.Time) (cloud.Credentials, string, error) {
	if ref != nil {
		return p.read(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, notBefore)
	}
	if fixed, ok := p.own.(Fixed); p.own == nil || ok && fixed.AccessKey == "" {
		return cloud.Credentials{}, "", &Error{Reason: NotFound, Message: fmt.Sprintf(
			"spec.credentialsRef names no Secret and the operator has no credentials of its own: "+
				"name a Secret in namespace %s, or start the operator with %s and %s", namespace, EnvAccessKey, EnvSecretKey)}
	}
	served, err := p.rules.Namespaces.Serve(ctx, namespace, notBefore)
	if err != nil {
		return cloud.Credentials{}, "", err
	}
	if !served {
		return cloud.Credentials{}, "", &Error{Reason: NotAllowed, Message: fmt.Sprintf(
			"spec.credentialsRef names no Secret, and the operator's own credentials don't serve the namespace %s: "+
				"name a Secret, or have the administrator select the namespace by a label (--own-credentials-namespaces, chart: credentials.namespaces)", namespace)}
	}
	own, err := p.own.Current(ctx)
	if err != nil {
		return cloud.Credentials{}, "", err
	}
	own.Shared = true
	return own, "the operator's own credentials", nil
}

func (p *Provider) read(ctx context.Context, name types.NamespacedName, notBefore time.Time) (cloud.Credentials, string, error) {
	origin := "Secret " + name.String()
	secret, err := p.secrets.Get(ctx, name, notBefore)
	if apierrors.IsNotFound(err) {
		return cloud.Credentials{}, "", &Error{Reason: NotFound, Cause: err, Message: fmt.Sprintf(
			"%s does not exist: create it with the keys %s and %s, or correct %s", origin, KeyAccessKey, KeySecretKey, p.rules.Words.Secret)}
	}
	if err != nil {
		return cloud.Credentials{}, "", fmt.Errorf("reading %s: %w", origin, err)
	}
	c, err := parse(secret.Data, origin)
	return c, origin, err
}

// parse reads the keys of a Secret, or of files that are named like them.
func parse(data map[string][]byte, origin string) (cloud.Credentials, error) {
	// Tools that write files often add a line break, which no value here may have.
	get := func(key string) string { return strings.TrimSpace(string(data[key])) }
	for _, key := range []string{KeyAccessKey, KeySecretKey} {
		if get(key) == "" {
			return cloud.Credentials{}, &Error{Reason: NotFound, Message: fmt.Sprintf(
				"%s has no key %s, or it is empty: add it", origin, key)}
		}
	}
	for _, key := range oneLine {
		if found := stranger(string(data[key])); found != "" {
			return cloud.Credentials{}, &Error{Reason: Invalid, Message: fmt.Sprintf(
				"%s of %s has %s, where only letters, digits and signs of ASCII can be: store the value without it", key, origin, found)}
		}
	}
	c := cloud.Credentials{
		AccessKey:     get(KeyAccessKey),
		SecretKey:     get(KeySecretKey),
		SecurityToken: get(KeySecurityToken),
		Region:        get(KeyRegion),
		ProjectID:     get(KeyProjectID),
		Endpoint:      get(KeyEndpoint),
		IAMEndpoint:   get(KeyIAMEndpoint),
		CABundle:      get(KeyCABundle),
		Agency:        cloud.Agency{Name: get(KeyAgencyName), Domain: get(KeyAgencyDomain)},
	}
	return c, checkAgency(c.Agency, KeyAgencyName, KeyAgencyDomain, origin)
}

// fill lets the spec fill what the credentials leave open. It may not contradict them:
// endpoint and project of the credentials belong to their region, and who may use the
// operator's credentials may not direct them at another project or region.
func fill(have *string, want, field, key, origin string) error {
	if want == "" || want == *have {
		return nil
	}
	if *have != "" {
		return &Error{Reason: Invalid, Message: fmt.Sprintf(
			"%s differs from %s of %s: make them equal, or leave one of them out", field, key, origin)}
	}
	*have = want
	return nil
}

// The bounds of region and project, in characters.
const (
	maxRegion    = 40
	maxProjectID = 64
)

// check finds the mistakes that need no adapter to be found, before anything is sent. own
// is true for the operator's own credentials.
func (p *Provider) check(c *cloud.Credentials, own bool, origin string) error {
	if c.Region == "" {
		return &Error{Reason: Invalid, Message: fmt.Sprintf(
			"the region is missing: set %s, or %s in %s", p.rules.Words.Region, KeyRegion, origin)}
	}
	// The account is written into the status, and is compared with it ever after.
	for _, field := range []struct {
		key, value string
		bound      int
	}{{KeyRegion, c.Region, maxRegion}, {KeyProjectID, c.ProjectID, maxProjectID}} {
		if len(field.value) > field.bound {
			return &Error{Reason: Invalid, Message: fmt.Sprintf(
				"%s of %s has %d characters, and can have %d at the most: correct it", field.key, origin, len(field.value), field.bound)}
		}
	}
	if !own {
		return p.rules.Endpoints.admit(c, origin, p.rules.Words.Allow)
	}
	for _, endpoint := range []struct {
		name  string
		value *string
	}{{EnvEndpoint, &c.Endpoint}, {EnvIAMEndpoint, &c.IAMEndpoint}} {
		if *endpoint.value == "" {
			continue
		}
		parsed, err := cloud.ParseOrigin(*endpoint.value)
		if err != nil {
			return &Error{Reason: Invalid, Cause: err, Message: fmt.Sprintf("%s of %s can't be used: %s", endpoint.name, origin, err)}
		}
		*endpoint.value = parsed
	}
	return nil
}

// explain names the origin in an error of the factory. What the adapter refuses
// without asking the cloud, or because the cloud's answer does not fit the
// credentials, is a mistake in them.
func explain(err error, origin string) error {
	e, ok := errors.AsType[*cloud.Error](err)
	if ok && e.Class == cloud.ClassInvalid && e.HTTPStatus == 0 {
		return &Error{Reason: Invalid, Message: origin + ": " + e.Message, Cause: err}
	}
	if e, ok := errors.AsType[*Error](err); ok { // of temporary keys
		return e
	}
	return fmt.Errorf("connecting with %s: %w", origin, err)
}
