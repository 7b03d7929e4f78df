package api

import (
	"net/http"
	"slices"
)

// listProjects is IAM's, not VPC's: the answer carries links instead of page_info. An IAM user needs a right for it.
func listProjects(c *call) response {
	return projectsOf(c, c.r.URL.Query().Get("name"), "/v3/projects")
}

// listAuthProjects lists the projects that the key may use, for which no right is needed. It takes no query.
func listAuthProjects(c *call) response { return projectsOf(c, "", "/v3/auth/projects") }

func projectsOf(c *call, name, self string) response {
	world := c.State.Snapshot()
	projects := []any{}
	for _, id := range slices.Sorted(slices.Values(c.account.Projects)) {
		p := world.Projects[id]
		if name != "" && p.Name != name {
			continue
		}
		projects = append(projects, map[string]any{
			"id": p.ID, "name": p.Name, "domain_id": p.DomainID, "parent_id": p.DomainID, "is_domain": false, "enabled": true,
			"description": "", "links": map[string]any{"self": "/v3/projects/" + p.ID},
		})
	}
	return iamAnswer(c, map[string]any{"projects": projects, "links": links(self)})
}

func listDomains(c *call) response {
	domain := map[string]any{
		"id": c.account.DomainID, "name": c.account.Name, "enabled": true, "description": "",
		"links": map[string]any{"self": "/v3/domains/" + c.account.DomainID},
	}
	return iamAnswer(c, map[string]any{"domains": []any{domain}, "links": links("/v3/auth/domains")})
}

func links(self string) map[string]any {
	return map[string]any{"self": self, "next": nil, "previous": nil}
}

func iamAnswer(c *call, body map[string]any) response {
	return response{status: http.StatusOK, body: body, header: http.Header{"X-Iam-Trace-Id": {"token_" + c.requestID}}}
}
