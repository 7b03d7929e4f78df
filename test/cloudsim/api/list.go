package api

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpcmirror.io/operator/test/cloudsim/state"
)

const maxLimit = 2000

// listing says how objects of one kind are listed.
type listing[T any] struct {
	plural string
	id     func(T) string
	// fields are the query keys that select, with the values that an object has for them. Repeated keys mean "one of".
	fields map[string]func(T) []string
	view   func(T) any
	// whole: without a limit everything comes at once, since the SDK's request has none.
	whole bool
	// bare: the answer has no page_info.
	bare bool
	// links is the path that a link to the next page names, where the answer has links instead of page_info.
	links string
}

func one[T any](f func(T) string) func(T) []string {
	return func(t T) []string { return []string{f(t)} }
}

// serve answers a list call: select, sort by ID, cut out the page.
func (l listing[T]) serve(c *call, items []T) response {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return refusal(badField("query", "'%s' cannot be read", c.r.URL.RawQuery))
	}
	limit, err := c.limit(query, l.whole)
	if err != nil {
		return refusal(err)
	}
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(l.id(a), l.id(b)) })
	after := query.Get("marker")
	if after != "" && !slices.ContainsFunc(items, func(t T) bool { return l.id(t) == after }) {
		return refusal(badField("marker", "'%s' is not the ID of an object of this list", after))
	}
	var page []T
	more := false
	for _, item := range items {
		if l.id(item) <= after && after != "" || !l.selected(item, query) {
			continue
		}
		if len(page) == limit {
			more = true
			break
		}
		page = append(page, item)
	}
	return response{status: http.StatusOK, body: l.render(page, more)}
}

func (l listing[T]) render(page []T, more bool) map[string]any {
	views := make([]any, 0, len(page))
	for _, item := range page {
		views = append(views, l.view(item))
	}
	out := map[string]any{l.plural: views}
	if l.links != "" {
		links := []any{}
		if more {
			next := url.Values{"marker": {l.id(page[len(page)-1])}, "limit": {strconv.Itoa(len(page))}}
			links = append(links, map[string]any{"rel": "next", "href": l.links + "?" + next.Encode()})
		}
		out[l.plural+"_links"] = links
		return out
	}
	if l.bare {
		return out
	}
	info := map[string]any{"current_count": len(page)}
	if len(page) > 0 {
		info["previous_marker"] = l.id(page[0])
	}
	if more {
		info["next_marker"] = l.id(page[len(page)-1])
	}
	out["page_info"] = info
	return out
}

func (l listing[T]) selected(item T, query url.Values) bool {
	for key, wanted := range query {
		values, known := l.fields[key]
		if !known {
			continue // unknown keys do not select
		}
		have := values(item)
		if !slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(have, w) }) {
			return false
		}
	}
	return true
}

// limit reads the page's size; 0 and absent mean the default.
func (c *call) limit(query url.Values, whole bool) (int, error) {
	limit := 0
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxLimit {
			return 0, badField("limit", "'%s' must be in 0-%d", text, maxLimit)
		}
		limit = n
	}
	if whole {
		if limit == 0 {
			limit = maxLimit
		}
		return limit, nil
	}
	if limit == 0 {
		limit = c.PageSize
	}
	if c.PageCap > 0 {
		limit = min(limit, c.PageCap)
	}
	return limit, nil
}

// mine returns the values of a map that belong to the project.
func mine[T any](all map[string]T, project string, of func(T) string) []T {
	var out []T
	for _, v := range all {
		if of(v) == project {
			out = append(out, v)
		}
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// orNull shows an unset field as null.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func ok(key string, view any) response {
	return response{status: http.StatusOK, body: map[string]any{key: view}}
}

// result answers a call that returns one object.
func result[T any](status int, key string, v T, err error, view func(T) any) response {
	if err != nil {
		return refusal(err)
	}
	return response{status: status, body: map[string]any{key: view(v)}}
}

// gone answers a delete: 204 and nothing else.
func gone(err error) response {
	if err != nil {
		return refusal(err)
	}
	return response{status: http.StatusNoContent}
}

func upper(f func(state.Rule) string) func(state.Rule) []string {
	return func(r state.Rule) []string { return []string{f(r), strings.ToUpper(f(r)), strings.ToLower(f(r))} }
}
