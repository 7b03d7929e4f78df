package huawei

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"

	"vpcmirror.io/operator/controllers/cloud"
)

// securityTokens is the path that issues temporary keys.
const securityTokens = "/v3.0/OS-CREDENTIAL/securitytokens"

// The request, as the SDK encodes it.
type assumeRequest struct {
	Body *assumeBody `json:"body,omitempty"`
}

type assumeBody struct {
	Auth struct {
		Identity struct {
			Methods    []string      `json:"methods"`
			AssumeRole assumedAgency `json:"assume_role"`
		} `json:"identity"`
	} `json:"auth"`
}

type assumedAgency struct {
	DomainName      string `json:"domain_name"`
	AgencyName      string `json:"agency_name"`
	DurationSeconds int    `json:"duration_seconds"`
}

type assumeResponse struct {
	HttpStatusCode int `json:"-"` // the SDK sets the field by this name
}

func assumeCall() *def.HttpRequestDef {
	return def.NewHttpRequestDefBuilder().
		WithMethod(http.MethodPost).
		WithPath(securityTokens).
		WithContentType("application/json;charset=UTF-8").
		WithRequestField(def.NewFieldDef().WithName("Body").WithLocationType(def.Body)).
		WithResponse(new(assumeResponse)).
		Build()
}

// Assume gets the keys of the agency that c names, with the keys of c. They are asked for an hour.
func (f *Factory) Assume(ctx context.Context, c cloud.Credentials) (cloud.Keys, error) {
	const op = "CreateTemporaryAccessKeyByAgency"
	vpc, err := vpcEndpoint(c)
	if err != nil {
		return cloud.Keys{}, err
	}
	endpoint, err := iamEndpoint(c, vpc)
	if err != nil {
		return cloud.Keys{}, err
	}
	caller, err := f.newCaller(c, cloud.Account{Region: c.Region, Endpoint: endpoint}, endpoint, "identity")
	if err != nil {
		return cloud.Keys{}, err
	}
	request := &assumeRequest{Body: &assumeBody{}}
	request.Body.Auth.Identity.Methods = []string{"assume_role"}
	request.Body.Auth.Identity.AssumeRole = assumedAgency{c.Agency.Domain, c.Agency.Name, durationOfKeys}
	var keys cloud.Keys
	// It changes nothing that is mirrored, and may be made again: nothing of it is ambiguous.
	err = caller.do(ctx, op, read, func(hc *exchange) error {
		// The keys are taken from the answer itself: the SDK would keep them in a text of its own.
		hc.answer.into = func(body []byte) (failed error) {
			keys, failed = readIssued(body, hc.answer.header.Get("Date"), time.Now())
			return failed
		}
		if _, err := hc.Sync(request, assumeCall()); err != nil {
			return err
		}
		return hc.answer.misread
	})
	if e, ok := errors.AsType[*cloud.Error](err); ok {
		called := fmt.Sprintf("the agency %s of %s", c.Agency.Name, c.Agency.Domain)
		if c.Shared { // whoever reads it only uses the operator's own
			called = "the agency"
		}
		return cloud.Keys{}, fmt.Errorf("assuming %s: %w", called, e)
	}
	return keys, err
}
