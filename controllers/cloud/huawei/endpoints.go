package huawei

import (
	"sync"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/region"
	ecsregion "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/region"
	elbregion "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/elb/v3/region"
	iamregion "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/region"
	vpcregion "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/region"

	"vpcmirror.io/operator/controllers/cloud"
)

// tables guards the SDK's tables of regions: they note without a lock what the environment
// adds to them.
var tables sync.Mutex

// UsualEndpoints gives the base URLs of a region's VPC API and identity service in the
// SDK's tables, empty where the region has none. The environment of the process can add to
// the tables (HUAWEICLOUD_SDK_REGION_..., see the SDK); nothing is asked.
func UsualEndpoints(region string) (vpc, iam string) {
	if !regionPattern.MatchString(region) {
		return "", ""
	}
	tables.Lock()
	defer tables.Unlock()
	if known, err := vpcregion.SafeValueOf(region); err == nil && known != nil && len(known.Endpoints) > 0 {
		vpc = known.Endpoints[0]
	}
	if known, err := iamregion.SafeValueOf(region); err == nil && known != nil && len(known.Endpoints) > 0 {
		iam = known.Endpoints[0]
	}
	return vpc, iam
}

// vpcEndpoint gives the base URL of the VPC API: the one named, else the region's in
// the SDK's table.
func vpcEndpoint(c cloud.Credentials) (string, error) {
	if c.Endpoint != "" {
		return baseURL("endpoint", c.Endpoint)
	}
	usual, _ := UsualEndpoints(c.Region)
	if usual == "" {
		return "", invalid(configure, "region %q is not known to this version: check the spelling, or give the endpoint of its VPC API", c.Region)
	}
	return baseURL("endpoint", usual)
}

// iamEndpoint gives the base URL of the identity service. The table's one is used
// only together with the table's VPC API: keys of one cloud are not sent to another.
func iamEndpoint(c cloud.Credentials, vpc string) (string, error) {
	if c.IAMEndpoint != "" {
		return baseURL("iamEndpoint", c.IAMEndpoint)
	}
	const remedy = "give projectID, or iamEndpoint so that it can be looked up"
	if usual, err := vpcEndpoint(cloud.Credentials{Region: c.Region}); err != nil || usual != vpc {
		return "", invalid(configure, "projectID is missing, and the endpoint %s is not the region's usual one: %s", vpc, remedy)
	}
	_, usual := UsualEndpoints(c.Region)
	if usual == "" {
		return "", invalid(configure, "projectID is missing, and no identity service is known for region %q: %s", c.Region, remedy)
	}
	return baseURL("iamEndpoint", usual)
}

// ecsEndpoint gives the base URL of the ECS service, see otherEndpoint.
func ecsEndpoint(c cloud.Credentials, vpc string) (string, error) {
	return otherEndpoint("ecsEndpoint", c, c.ECSEndpoint, vpc, ecsregion.SafeValueOf)
}

// elbEndpoint gives the base URL of the ELB service, see otherEndpoint.
func elbEndpoint(c cloud.Credentials, vpc string) (string, error) {
	return otherEndpoint("elbEndpoint", c, c.ELBEndpoint, vpc, elbregion.SafeValueOf)
}

// otherEndpoint gives the base URL of another service, empty where none is known: the one named;
// beside the region's VPC API in the SDK's table that of the service's table; and beside any other VPC API
// that one's own origin. So keys are sent to no server but the usual ones and those that were named.
func otherEndpoint(field string, c cloud.Credentials, named, vpc string, table func(string) (*region.Region, error)) (string, error) {
	if named != "" {
		return baseURL(field, named)
	}
	if usual, err := vpcEndpoint(cloud.Credentials{Region: c.Region}); err != nil || usual != vpc {
		return vpc, nil
	}
	tables.Lock()
	defer tables.Unlock()
	known, err := table(c.Region)
	if err != nil || known == nil || len(known.Endpoints) == 0 {
		return "", nil
	}
	return baseURL(field, known.Endpoints[0])
}

// baseURL checks an endpoint, and gives its one spelling. A path is refused, because the
// SDK would drop it.
func baseURL(field, value string) (string, error) {
	origin, err := cloud.ParseOrigin(value)
	if err != nil {
		return "", invalid(configure, "%s must be a URL like https://vpc.cn-north-4.myhuaweicloud.com, with http or https and without user, path or query", field)
	}
	return origin, nil
}
