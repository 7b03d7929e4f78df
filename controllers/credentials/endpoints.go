package credentials

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/lru"

	"vpcmirror.io/operator/controllers/cloud"
)

// Endpoints says to which servers the credentials of a Secret may lead.
type Endpoints struct {
	// Allowed are the origins that the administrator allows, for the VPC API, the identity
	// service and the ECS service, as ParseOrigins gives them.
	Allowed []string
	// Usual gives the origins of a region that need no permission, empty where there is
	// none; nil knows no region.
	Usual func(region string) (vpc, iam string)
}

// ParseOrigins reads the administrator's list.
func ParseOrigins(values []string) ([]string, error) {
	origins := make([]string, 0, len(values))
	for _, value := range values {
		origin, err := cloud.ParseOrigin(value)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", value, err)
		}
		origins = append(origins, origin)
	}
	return origins, nil
}

// admit refuses the endpoints of a Secret that are not allowed, and leaves those that are
// in their one spelling, so that what was compared is what is used. allow is what is to be done to have one allowed.
func (e Endpoints) admit(c *cloud.Credentials, origin, allow string) error {
	usualVPC, usualIAM := e.usual(c.Region)
	for _, endpoint := range []struct {
		key, usual string
		value      *string
	}{{KeyEndpoint, usualVPC, &c.Endpoint}, {KeyIAMEndpoint, usualIAM, &c.IAMEndpoint}} {
		if *endpoint.value == "" {
			continue
		}
		parsed, err := cloud.ParseOrigin(*endpoint.value)
		if err == nil && (parsed == endpoint.usual || slices.Contains(e.Allowed, parsed)) {
			*endpoint.value = parsed
			continue
		}
		return &Error{Reason: EndpointNotAllowed, Cause: err, Message: refusal(endpoint.key, endpoint.usual, c.Region, origin, allow, err)}
	}
	return nil
}

// findOthers sets the origins of the ECS and the ELB service beside a VPC API that is not the region's usual
// one: those of the same name but for ecs and elb in place of vpc, where the administrator allows them. Nobody
// names them: they are asked only for load balancers that are targets, and to tell why copies don't come.
func (e Endpoints) findOthers(c *cloud.Credentials) {
	c.ECSEndpoint, c.ELBEndpoint = "", ""
	scheme, host, _ := strings.Cut(c.Endpoint, "://")
	rest, beginsWithVPC := strings.CutPrefix(host, "vpc.")
	if usual, _ := e.usual(c.Region); !beginsWithVPC || c.Endpoint == usual {
		return
	}
	for service, endpoint := range map[string]*string{"ecs": &c.ECSEndpoint, "elb": &c.ELBEndpoint} {
		if origin := scheme + "://" + service + "." + rest; slices.Contains(e.Allowed, origin) {
			*endpoint = origin
		}
	}
}

// servers names the servers that are asked with these credentials: the VPC API, and the
// identity service where it is to be asked for the project or for keys, and is not the usual one.
func (e Endpoints) servers(c cloud.Credentials) string {
	name := c.Endpoint
	if name == "" {
		name, _ = e.usual(c.Region)
	}
	if (c.ProjectID == "" || c.Agency != cloud.Agency{}) && c.IAMEndpoint != "" {
		name += " " + c.IAMEndpoint
	}
	return name
}

// usual gives the usual origins of a region, empty where there are none. A provider's are in their one
// spelling, see remembering.
func (e Endpoints) usual(region string) (vpc, iam string) {
	if e.Usual == nil {
		return "", ""
	}
	return e.Usual(region)
}

// maxRegions is of how many regions the usual endpoints are remembered: a Secret may name any.
const maxRegions = 256

// remembering are the same rules, with the usual origins in their one spelling, which is found once for
// each region: every look at an object asks.
func (e Endpoints) remembering() Endpoints {
	usual := e.Usual
	if usual == nil {
		return e
	}
	known := lru.New(maxRegions)
	e.Usual = func(region string) (vpc, iam string) {
		if found, ok := known.Get(region); ok {
			if is, ok := found.([2]string); ok {
				return is[0], is[1]
			}
		}
		vpc, iam = usual(region)
		vpc, iam = spelt(vpc), spelt(iam)
		known.Add(region, [2]string{vpc, iam})
		return vpc, iam
	}
	return e
}

// spelt is the one spelling of an origin, empty for what is none.
func spelt(value string) string {
	origin, err := cloud.ParseOrigin(value)
	if err != nil {
		return ""
	}
	return origin
}

// refusal does not repeat the endpoint: a key may have come into the wrong field.
func refusal(key, usual, region, origin, allow string, err error) string {
	why := "is none that is allowed"
	if err != nil {
		why = "can't be used, as " + err.Error()
	}
	way := allow
	if usual != "" {
		way = fmt.Sprintf("leave it out for the usual one of region %s, or ", region) + way
	}
	return fmt.Sprintf("%s of %s %s: nothing was sent; %s", key, origin, why, way)
}
