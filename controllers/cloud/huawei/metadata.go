package huawei

import (
	"context"
	"net/http"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// MetadataService is where a server of the cloud asks about itself. The address leads to the host that the
// server runs on, and nowhere else.
const MetadataService = "http://169.254.169.254"

// Metadata issues the keys of the agency that is bound to the server (ECS) this process runs on.
type Metadata struct {
	// Endpoint is the origin of the service; MetadataService for the real one.
	Endpoint string
	// Transport carries the requests; nil for a direct one, past every proxy.
	Transport http.RoundTripper
}

// The paths of the service, and how long a token of it lasts, in seconds: for one request for keys.
const (
	metadataToken = "/meta-data/latest/api/token"
	metadataKeys  = "/openstack/latest/securitykey"
	metadataTTL   = "60"
)

// Issue gets the keys. The service's second version wants a token first; a server that has the first version alone
// says that there is no such call.
func (m Metadata) Issue(ctx context.Context) (cloud.Keys, error) {
	a := asking{
		transport: m.Transport, method: http.MethodPut, url: m.Endpoint + metadataToken,
		header: http.Header{"X-Metadata-Token-Ttl-Seconds": {metadataTTL}}, whom: "the metadata service of the server",
	}
	if a.transport == nil {
		a.transport = direct
	}
	token, err := a.ask(ctx)
	if err != nil {
		return cloud.Keys{}, err
	}
	a.method, a.url, a.header = http.MethodGet, m.Endpoint+metadataKeys, http.Header{}
	switch token.status {
	case http.StatusOK:
		value := strings.TrimSpace(string(token.body))
		if !isToken(value) {
			return cloud.Keys{}, a.failed(token.status, "its token can't be used")
		}
		a.header.Set("X-Metadata-Token", value)
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusServiceUnavailable:
	default:
		_, err := a.keys(answered{status: token.status})
		return cloud.Keys{}, err
	}
	got, err := a.ask(ctx)
	if err != nil {
		return cloud.Keys{}, err
	}
	a.remedy = "is an agency bound to the server?"
	return a.keys(got)
}
