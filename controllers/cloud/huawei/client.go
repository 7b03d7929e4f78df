package huawei

import (
	"context"
	"fmt"
	"regexp"
	"sync/atomic"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core"
	vpc "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

// client is one account in one region. It is safe for concurrent use.
type client struct {
	*caller
	// oldPortsUntil is the Unix time in nanoseconds until which the region is taken
	// to lack v3 ports, so that it is not asked in vain each time.
	oldPortsUntil atomic.Int64
}

var _ cloud.Client = (*client)(nil)

// Account returns where this client works.
func (c *client) Account() cloud.Account { return c.account }

// vpc makes one call of the VPC API v3.
func (c *client) vpc(ctx context.Context, op string, k kind, send func(*vpc.VpcClient) error) error {
	return c.do(ctx, op, k, func(hc *core.HcHttpClient) error { return send(vpc.NewVpcClient(hc)) })
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

// maxPages bounds a list: 20000 sessions, the cloud's limit, in pages of 20.
const maxPages = 1000

// pager walks a list by its markers.
type pager struct {
	marker *string
	seen   map[string]bool
	pages  int
}

// next notes the end of a page of count objects and reports whether one more follows.
// A marker that was there before would loop for ever, and a full page without any
// paging information may be a part of the list: both are errors, because a list must
// be complete.
func (p *pager) next(info *model.PageInfo, count int, limit int32) (more bool, err error) {
	if p.pages++; p.pages > maxPages {
		return false, unreadable("the list has more than %d pages", maxPages)
	}
	if info == nil {
		if limit > 0 && count >= int(limit) {
			return false, unreadable("a full page of %d objects does not say whether more follow", count)
		}
		return false, nil
	}
	if info.NextMarker == nil || *info.NextMarker == "" {
		return false, nil
	}
	if p.seen[*info.NextMarker] {
		return false, unreadable("the list's marker %q comes again: the list can't be read to its end", shorten(*info.NextMarker))
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	p.seen[*info.NextMarker] = true
	p.marker = info.NextMarker
	return true, nil
}

// readPages reads a list to its end: page sends the request for one page, and convert
// reads an object of it. An answer without a list is fine only when it counts to zero
// itself. The whole list has a deadline, and a bound for what it holds.
func readPages[M, T any](
	ctx context.Context, c *client, op string, limit int32, convert func(*M) (T, error),
	page func(hc *core.HcHttpClient, marker *string) (*[]M, *model.PageInfo, error),
) ([]T, error) {
	whole, cancel := context.WithTimeout(ctx, c.factory.listDeadline)
	defer cancel()
	hold := &holding{room: c.factory.lists, endpoint: c.endpoint, free: smallAnswer}
	defer hold.end()
	var all []T
	var pages pager
	held := int64(0)
	for more := true; more; {
		size, err := c.ask(whole, op, read, func(hc *core.HcHttpClient) error {
			objects, info, err := page(hc, pages.marker)
			switch {
			case err != nil:
				return err
			case objects == nil && (info == nil || info.CurrentCount != 0 || info.NextMarker != nil && *info.NextMarker != ""):
				return empty("list")
			case objects == nil:
				more = false
				return nil
			}
			for i := range *objects {
				one, err := convert(&(*objects)[i])
				if err != nil {
					return err
				}
				all = append(all, one)
			}
			more, err = pages.next(info, len(*objects), limit)
			return err
		})
		if err == nil {
			held += size
			err = keepPage(whole, hold, op, held)
		}
		if whole.Err() != nil && ctx.Err() == nil {
			return nil, listError(op, fmt.Sprintf("the list was not read to its end within %s", c.factory.listDeadline))
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// keepPage keeps what was read of a list so far, within its bound and as there is room.
func keepPage(ctx context.Context, hold *holding, op string, held int64) error {
	if held > maxList {
		return listError(op, fmt.Sprintf("the list is longer than this operator reads (%d MiB)", maxList>>20))
	}
	if err := hold.grow(ctx, held); err != nil {
		return listError(op, err.Error())
	}
	return nil
}

// listError is what goes wrong with a list beside its calls.
func listError(op, message string) error {
	return &cloud.Error{Class: cloud.ClassServer, Op: op, Message: message}
}

// unique drops what a page repeats from an earlier one: an object that moves in the
// order while the list is read shows up twice.
func unique[T any](objects []T, id func(T) string) []T {
	seen := make(map[string]bool, len(objects))
	kept := objects[:0]
	for _, o := range objects {
		if !seen[id(o)] {
			seen[id(o)] = true
			kept = append(kept, o)
		}
	}
	return kept
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
