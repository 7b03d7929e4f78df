package huawei

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

const (
	// maxBody bounds one answer. A page of 1000 sessions with 10 sources is about 1.2 MB, a
	// page of 200 filters with 20 rules about 2 MiB.
	maxBody = 4 << 20
	// maxObjects bounds the JSON objects in one answer: a page of 200 filters with 40 rules
	// has 8200. Objects may be far larger once they are read than they were as text.
	maxObjects = 20_000
	// maxValues bounds what is between commas, colons and brackets there.
	maxValues = 500_000

	// smallAnswer is what an answer may hold without asking for room.
	smallAnswer = 256 << 10

	// maxList bounds what the pages of one list hold: 20000 sessions, the cloud's limit,
	// hold 18 MiB.
	maxList = 20 << 20
)

var (
	errTooLong = fmt.Errorf("the answer is longer than %d MiB", maxBody>>20)
	errTooMany = fmt.Errorf("the answer has more than %d objects or %d values", maxObjects, maxValues)
	errCut     = errors.New("the connection broke while the answer was read")
	errCrowded = errors.New("there was no room for the answer beside other large ones in time")
)

// heldWhileRead is about what an answer holds of memory until it is our types: its text, the
// SDK's copy of that, and what the SDK makes of it.
func heldWhileRead(bytes, objects int) int64 { return 3*int64(bytes) + 600*int64(objects) }

// readBody reads an answer to its end, within the bounds and as there is room.
func readBody(ctx context.Context, resp *http.Response, hold *holding) (body []byte, objects int, err error) {
	if resp.ContentLength > maxBody {
		return nil, 0, errTooLong
	}
	size := 16 << 10
	if resp.ContentLength >= 0 {
		size = int(resp.ContentLength) + 1 // bounded above; one more, to see the end
	}
	for {
		if len(body) > maxBody {
			return nil, 0, errTooLong
		}
		if len(body) == cap(body) {
			if err := hold.grow(ctx, heldWhileRead(size, 0)); err != nil {
				return nil, 0, err
			}
			body = append(make([]byte, 0, size), body...)
			size = min(2*size, maxBody+1)
		}
		n, err := resp.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) && len(body) <= maxBody {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("%w: %w", errCut, err)
		}
	}
	objects, ok := countJSON(body)
	if !ok {
		return nil, 0, errTooMany
	}
	return body, objects, hold.grow(ctx, heldWhileRead(cap(body), objects))
}

// countJSON counts the objects in a text, and reports whether they and its values are
// within the bounds. What is no JSON is counted as if it were.
func countJSON(text []byte) (objects int, ok bool) {
	values, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			objects++
			values++
		case c == '[', c == ',', c == ':':
			values++
		}
	}
	return objects, objects <= maxObjects && values <= maxValues
}
