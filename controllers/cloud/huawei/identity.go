package huawei

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// PodIdentity issues the keys of the agency that is bound to the pod's service account, by the cluster's agent on the node.
type PodIdentity struct {
	// URL of the agent, and the File with the token for it: what the cluster puts into the pod's environment.
	URL, File string
	// Transport carries the requests; nil for a direct one, past every proxy.
	Transport http.RoundTripper
}

// direct is shared by those who ask on the same server or node.
var direct = directTransport()

// Issue gets the keys.
func (p PodIdentity) Issue(ctx context.Context) (cloud.Keys, error) {
	a := asking{
		transport: p.Transport, method: http.MethodPost, url: p.URL, body: []byte("{}"), whom: "the agent for pod identities",
		remedy: "is an agency bound to the service account?",
	}
	if a.transport == nil {
		a.transport = direct
	}
	token, err := readToken(p.File)
	if err != nil {
		return cloud.Keys{}, a.failed(0, err.Error())
	}
	a.header = http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Authorization": {token}}
	got, err := a.ask(ctx)
	if err != nil {
		return cloud.Keys{}, err
	}
	return a.keys(got)
}

// WorkloadIdentity issues keys for a token of a service account that the identity service trusts, because
// the cluster is one of its identity providers.
type WorkloadIdentity struct {
	// Provider is the ID of the identity provider, and File has the token.
	Provider, File string
	// Region and Endpoint as of cloud.Credentials, and IAMEndpoint.
	Credentials cloud.Credentials
}

// durationOfKeys is how long keys are asked for, in seconds. Shorter ones are of less use to a thief, and
// an hour leaves 20 minutes for an identity service that is away.
const durationOfKeys = 3600

// IssueByToken exchanges the token for one of the identity service, and that for keys.
func (f *Factory) IssueByToken(ctx context.Context, w WorkloadIdentity) (cloud.Keys, error) {
	a := asking{method: http.MethodPost, whom: "the identity service"}
	vpc, err := vpcEndpoint(w.Credentials)
	if err != nil {
		return cloud.Keys{}, err
	}
	endpoint, err := iamEndpoint(w.Credentials, vpc)
	if err != nil {
		return cloud.Keys{}, err
	}
	if a.transport, err = f.transports.trusting(w.Credentials.CABundle); err != nil {
		return cloud.Keys{}, err
	}
	token, err := readToken(w.File)
	if err != nil {
		return cloud.Keys{}, a.failed(0, err.Error())
	}
	a.url, a.remedy = endpoint+"/v3.0/OS-AUTH/id-token/tokens", "is the cluster an identity provider there, of this ID, and has it a rule for the service account?"
	a.header = http.Header{"Content-Type": {"application/json;charset=UTF-8"}, "X-Idp-Id": {w.Provider}}
	a.body = encoded(map[string]any{"auth": map[string]any{"id_token": map[string]string{"id": token}}})
	got, err := a.ask(ctx)
	if err != nil {
		return cloud.Keys{}, err
	}
	subject := got.header.Get("X-Subject-Token")
	if got.status < 200 || got.status > 299 {
		return a.keys(got)
	}
	if !isToken(subject) {
		return cloud.Keys{}, a.failed(got.status, "its answer holds no token")
	}
	a.url, a.header = endpoint+securityTokens, http.Header{"Content-Type": {"application/json;charset=UTF-8"}}
	a.body = encoded(map[string]any{"auth": map[string]any{"identity": map[string]any{
		"methods": []string{"token"}, "token": map[string]any{"id": subject, "duration_seconds": durationOfKeys},
	}}})
	if got, err = a.ask(ctx); err != nil {
		return cloud.Keys{}, err
	}
	return a.keys(got)
}

// encoded is JSON of what can't fail to be.
func encoded(value any) []byte {
	var out strings.Builder
	_ = json.NewEncoder(&out).Encode(value)
	return []byte(out.String())
}
