package huawei

import (
	"context"
	"regexp"
	"sync/atomic"

	vpc "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

// client is one account in one region. It is safe for concurrent use.
type client struct {
	*caller
	// ecs sends the calls of the ECS service, nil where that is not known.
	ecs *caller
	// elb sends those of the ELB service, nil where that is not known.
	elb *caller
	// oldPortsUntil is the Unix time in nanoseconds until which the region is taken
	// to lack v3 ports, so that it is not asked in vain each time.
	oldPortsUntil atomic.Int64
}

var _ cloud.Client = (*client)(nil)

// Account returns where this client works.
func (c *client) Account() cloud.Account { return c.account }

// vpc makes one call of the VPC API v3.
func (c *client) vpc(ctx context.Context, op string, k kind, send func(*vpc.VpcClient) error) error {
	return c.do(ctx, op, k, func(hc *exchange) error { return send(vpc.NewVpcClient(hc.HcHttpClient)) })
}

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// checkIDs refuses what is no UUID before it reaches a URL, where the SDK would put it
// unescaped.
func checkIDs(op string, ids ...string) error {
	for _, id := range ids {
		if !uuidPattern.MatchString(id) {
			return invalid(op, "%q is not an ID of the cloud: it must be a UUID like 01234567-89ab-cdef-0123-456789abcdef", shorten(id))
		}
	}
	return nil
}

// shorten bounds a text from outside for a message.
func shorten(s string) string {
	const enough = 64
	if runes := []rune(s); len(runes) > enough {
		return string(runes[:enough]) + "..."
	}
	return s
}

// GetQuota returns the account's limits for traffic mirroring.
func (c *client) GetQuota(ctx context.Context) (cloud.Quota, error) {
	var quota cloud.Quota
	err := c.vpc(ctx, "ShowQuota", read, func(v *vpc.VpcClient) error {
		answer, err := v.ShowQuota(&model.ShowQuotaRequest{})
		if err != nil {
			return err
		}
		if answer.Quota == nil {
			return empty("quota")
		}
		quota = cloud.Quota{
			Sessions:          limitOf(answer.Quota.TrafficMirrorSession),
			SourcesPerSession: limitOf(answer.Quota.TrafficMirrorSessionContainSources),
			SessionsPerSource: limitOf(answer.Quota.TrafficMirrorSourceReferredBySession),
			SessionsPerTarget: limitOf(answer.Quota.TrafficMirrorTargetEniReferredBySession),
			RulesPerDirection: limitOf(answer.Quota.TrafficMirrorFilterContainRulesEachDirection),
		}
		return nil
	})
	return quota, err
}

func limitOf(n *int32) int {
	if n == nil {
		return -1
	}
	return int(*n)
}
