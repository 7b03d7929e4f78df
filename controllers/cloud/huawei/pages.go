package huawei

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

// How many objects of a kind fit into a page well within the bounds of an answer.
const (
	pageOfFilters  = 200  // of about 10 kB with 20 rules
	pageOfSessions = 1000 // of about 1.2 kB with 10 sources
	pageOfPorts    = 1000 // of about 1.5 kB
	pageOfServers  = 400  // of about 4 kB
	pageOfFlavors  = 400  // of about 3 kB
	pageOfRules    = 1000 // of about 600 bytes
	pageOfGroups   = 1000 // security groups, peerings, route tables without their routes
	pageOfACLs     = 500
	// A load balancer has some tens of listeners, and a pool some hundreds of members.
	pageOfListeners, pageOfMembers = 200, 1000
)

// page is how many objects a page of a list is asked to hold, of which so many fit well.
func (f *Factory) page(fitting int32) int32 {
	if f.pageSize > 0 {
		return f.pageSize
	}
	return fitting
}

// ask sends a request that the SDK describes, and reads the answer once, where the SDK makes three copies of
// a page. It is read into a type of our own where the SDK's fails a whole page for one time or number in
// another form, can't tell false from absent, or holds many times what is needed.
func ask[A any](hc *exchange, request any, call *def.HttpRequestDef) (*A, error) {
	call.Response = new(A) // which stays empty
	answer := new(A)
	hc.answer.into = func(body []byte) error {
		if len(bytes.TrimSpace(body)) == 0 {
			return empty("content")
		}
		return json.Unmarshal(body, answer)
	}
	if _, err := hc.Sync(request, call); err != nil {
		return nil, err
	}
	if hc.answer.misread != nil {
		return nil, hc.answer.misread
	}
	return answer, nil
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
// itself. A page that is too long for this process, as its objects are larger than usual, is asked for
// again with half as many in it, and so are all after it: limit is what page asks for. The whole list
// has a deadline, and a bound for what it holds. Its pages wait longer for the limiter than other calls,
// because a list that is given up has cost its pages for nothing.
func readPages[M any, T interface{ Size() int64 }](
	ctx context.Context, c *caller, op string, limit *int32, convert func(*M) (T, error),
	page func(hc *exchange, marker *string) (*[]M, *model.PageInfo, error),
) ([]T, error) {
	whole, cancel := context.WithTimeout(ctx, c.factory.listDeadline)
	defer cancel()
	hold := &holding{room: c.factory.lists, endpoint: c.endpoint, free: smallAnswer}
	defer hold.end()
	var all []T
	var pages pager
	held := int64(0)
	for more := true; more; {
		var asked error
		err := c.doWithin(whole, c.factory.listDeadline/3, op, read, func(hc *exchange) error {
			objects, info, err := page(hc, pages.marker)
			asked = err
			switch {
			case err != nil:
				return err
			case objects == nil && (info == nil || info.CurrentCount != 0 || info.NextMarker != nil && *info.NextMarker != ""):
				return empty("list")
			case objects == nil:
				more = false
				return nil
			}
			var size int64
			if all, size, err = converted(all, *objects, convert); err != nil {
				return err
			}
			held += size
			more, err = pages.next(info, len(*objects), *limit)
			return err
		})
		if halved(limit, asked) {
			continue
		}
		if err == nil {
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

// converted adds the objects of a page, as our types, to those before, and tells what they hold.
func converted[M any, T interface{ Size() int64 }](all []T, objects []M, convert func(*M) (T, error)) (_ []T, size int64, err error) {
	for i := range objects {
		one, err := convert(&objects[i])
		if err != nil {
			return nil, 0, err
		}
		all = append(all, one)
		size += one.Size()
	}
	return all, size, nil
}

// smallestPage is up to how many objects a page is not asked for again: that it is too long is then no
// matter of how many there are.
const smallestPage = 16

// halved halves how many objects a page is to have where an answer was longer than is read, and reports
// whether it is to be asked for again.
func halved(limit *int32, err error) bool {
	if !errors.Is(err, errTooLong) && !errors.Is(err, errTooMany) || *limit <= smallestPage {
		return false
	}
	*limit /= 2
	return true
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
	return &cloud.Error{Class: cloud.ClassServer, Op: op, Message: message, Unlisted: true}
}

// afterLast is the paging information of an answer that has none: after a full page one more
// follows, from its last object on.
func afterLast(count int, limit int32, last func() string) *model.PageInfo {
	info := &model.PageInfo{CurrentCount: int32(count)} // a page has 2000 objects at most
	if count >= int(limit) && count > 0 {
		info.NextMarker = new(last())
	}
	return info
}

// unique drops what a page repeats from an earlier one: an object that moves in the
// order while the list is read shows up twice. What has no ID stays.
func unique[T any](objects []T, id func(T) string) []T {
	seen := make(map[string]bool, len(objects))
	kept := objects[:0]
	for _, o := range objects {
		if id(o) == "" || !seen[id(o)] {
			seen[id(o)] = true
			kept = append(kept, o)
		}
	}
	return kept
}
