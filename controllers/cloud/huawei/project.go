package huawei

import (
	"context"
	"fmt"
	"net/http"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"

	"vpcmirror.io/operator/controllers/cloud"
)

// The SDK's own look-up of the project is not used: it knows no deadline, keeps its
// result for the life of the process by access key and region, whatever the identity
// service, and panics on an answer without projects. It also asks GET /v3/projects, for
// which an IAM user needs a right; GET /v3/auth/projects needs none, and lists the projects
// that the keys may use.
type projectsRequest struct{}

type projectsResponse struct {
	Projects *[]struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"projects,omitempty"`
	HttpStatusCode int `json:"-"` // the SDK sets the field by this name
}

func projectsCall() *def.HttpRequestDef {
	return def.NewHttpRequestDefBuilder().
		WithMethod(http.MethodGet).
		WithPath("/v3/auth/projects").
		WithContentType("application/json").
		WithResponse(new(projectsResponse)).
		Build()
}

// findProject asks the identity service for the project that is named like the region.
// There must be exactly one that the keys may use.
func (f *Factory) findProject(ctx context.Context, c cloud.Credentials, vpc string) (string, error) {
	const op = "KeystoneListAuthProjects"
	endpoint, err := iamEndpoint(c, vpc)
	if err != nil {
		return "", err
	}
	caller, err := f.newCaller(c, cloud.Account{Region: c.Region, Endpoint: endpoint}, endpoint, "identity")
	if err != nil {
		return "", err
	}
	var ids []string
	err = caller.do(ctx, op, read, func(hc *exchange) error {
		answer, err := hc.Sync(&projectsRequest{}, projectsCall())
		if err != nil {
			return err
		}
		projects, ok := answer.(*projectsResponse)
		if !ok || projects.Projects == nil {
			return empty("list of projects")
		}
		for _, p := range *projects.Projects {
			if p.Name == c.Region {
				ids = append(ids, p.ID)
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("looking up the region's project: %w", err)
	}
	if len(ids) != 1 {
		return "", invalid(op, "the keys may use %d projects named %s: give projectID", len(ids), c.Region)
	}
	return ids[0], nil
}
