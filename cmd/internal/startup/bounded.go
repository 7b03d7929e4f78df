package startup

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
)

// What one call to the API server may take, its answer included: of one object, and of a
// list, which can be long. A watch has no end.
const (
	callDeadline = 10 * time.Second
	listDeadline = time.Minute
)

// bounded ends calls to the API server that get no answer. client-go bounds none of them,
// and its own setting would end watches too.
type bounded struct {
	next       http.RoundTripper
	call, list time.Duration
}

// collection is the path of a list: it ends with a resource and no name.
var collection = regexp.MustCompile(`/(api|apis/[^/]+)/[^/]+/(namespaces/[^/]+/)?[^/]+/?$`)

// RoundTrip sends a request and bounds it until its answer is read.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	limit := b.call
	switch {
	case query.Has("watch") && query.Get("watch") != "false":
		return b.next.RoundTrip(req)
	case req.Method == http.MethodGet && collection.MatchString(req.URL.Path):
		limit = b.list
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), limit, fmt.Errorf("the API server gave no answer within %s", limit))
	resp, err := b.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		defer cancel()
		if cause := context.Cause(ctx); cause != nil {
			return nil, fmt.Errorf("%w: %w", cause, err)
		}
		return nil, err
	}
	resp.Body = &boundedBody{resp.Body, cancel}
	return resp, nil
}

// boundedBody ends the bound with the answer.
type boundedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close ends the answer.
func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
