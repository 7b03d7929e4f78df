package huawei

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestTheObjectsOfAnAnswerAreCountedBeforeTheyAreMade(t *testing.T) {
	for text, want := range map[string]struct {
		objects int
		ok      bool
	}{
		"":                                  {0, true},
		`{"a":[{},{"b":{}}]}`:               {4, true},
		`{"a":"{{{{\"{{{{","b\\":{}}`:       {2, true},
		`not JSON {{`:                       {2, true},
		strings.Repeat("{},", maxObjects):   {maxObjects, true},
		strings.Repeat("{},", maxObjects+1): {maxObjects + 1, false},
		strings.Repeat(`"",`, maxValues):    {0, true},
		strings.Repeat(`0,`, maxValues+1):   {0, false},
		strings.Repeat(`[`, maxValues+1):    {0, false},
	} {
		objects, ok := countJSON([]byte(text))
		if objects != want.objects || ok != want.ok {
			t.Errorf("%.40q: got %d %t, want %d %t", text, objects, ok, want.objects, want.ok)
		}
	}
}

func TestEveryObjectOfAnyJSONIsCounted(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		text := rapid.Map(rapid.StringMatching(`[{}\[\]",:\\a]{0,6}`), func(s string) any { return s })
		if depth == 0 {
			return text
		}
		inner := rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) })
		return rapid.OneOf(text,
			rapid.Map(rapid.SliceOfN(inner, 0, 3), func(s []any) any { return s }),
			rapid.Map(rapid.MapOfN(rapid.StringMatching(`[{"\\a]{0,3}`), inner, 0, 3), func(m map[string]any) any { return m }))
	}
	var count func(v any) int
	count = func(v any) (n int) {
		switch v := v.(type) {
		case []any:
			for _, one := range v {
				n += count(one)
			}
		case map[string]any:
			n = 1
			for _, one := range v {
				n += count(one)
			}
		}
		return n
	}
	rapid.Check(t, func(t *rapid.T) {
		v := value(3).Draw(t, "value")
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := countJSON(text); got != count(v) || !ok {
			t.Fatalf("%s: got %d %t, want %d", text, got, ok, count(v))
		}
	})
}

// trickle gives its text in pieces of n bytes, and then the error.
type trickle struct {
	text string
	n    int
	end  error
}

func (r *trickle) Read(p []byte) (int, error) {
	n := copy(p[:min(r.n, len(p))], r.text)
	if r.text = r.text[n:]; r.text == "" {
		return n, r.end
	}
	return n, nil
}

func TestAnAnswerIsReadToItsEndWithinTheBounds(t *testing.T) {
	long := strings.Repeat("x", maxBody)
	for name, c := range map[string]struct {
		text     string
		declared int64
		end      error
		want     error
	}{
		"nothing":                        {"", -1, io.EOF, nil},
		"a little":                       {"abc", -1, io.EOF, nil},
		"a little of a declared length":  {"abc", 3, io.EOF, nil},
		"as much as may be":              {long, -1, io.EOF, nil},
		"as much as may be, declared":    {long, maxBody, io.EOF, nil},
		"one more":                       {long + "x", -1, io.EOF, errTooLong},
		"one more, declared":             {"", maxBody + 1, io.EOF, errTooLong},
		"one that is cut":                {"abc", 7, io.ErrUnexpectedEOF, errCut},
		"one that is cut, none declared": {long[:100_000], -1, io.ErrUnexpectedEOF, errCut},
		"too many objects":               {strings.Repeat("{}", maxObjects+1), -1, io.EOF, errTooMany},
	} {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1000, 64 << 10} {
				r := newRoom(answersOfAll, answersOfEndpoint)
				hold := &holding{room: r, endpoint: "e", free: smallAnswer}
				resp := &http.Response{ContentLength: c.declared, Body: io.NopCloser(&trickle{c.text, piece, c.end})}
				body, _, err := readBody(t.Context(), resp, hold)
				if !errors.Is(err, c.want) || err == nil && string(body) != c.text {
					t.Errorf("got %d bytes and %v, want %d and %v", len(body), err, len(c.text), c.want)
				}
				if hold.end(); r.used != 0 || len(r.by) != 0 {
					t.Errorf("%d bytes are held afterwards by %v", r.used, r.by)
				}
			}
		})
	}
}

func TestLargeAnswersWaitForEachOtherAndSmallOnesForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all, each, small = 100, 60, 10
		r := newRoom(all, each)
		hold := func(endpoint string) *holding { return &holding{room: r, endpoint: endpoint, free: small} }
		grow := func(h *holding, size int64) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return h.grow(ctx, size)
		}
		first, second, third := hold("slow"), hold("slow"), hold("honest")
		want := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		want("the first", grow(first, 60), nil)
		want("another of that endpoint", grow(second, 30), errCrowded)
		want("a small one of it", grow(second, 10), nil)
		want("one of another endpoint", grow(third, 60), nil)
		want("more than all may hold", grow(third, 65), errCrowded)
		go func() {
			<-time.After(500 * time.Millisecond)
			first.end()
		}()
		want("one that waits until another ends", grow(second, 60), nil)
		second.end()
		third.end()
		if r.used != 0 || len(r.by) != 0 {
			t.Errorf("%d bytes are held in the end, by %v", r.used, r.by)
		}
	})
}
