// Package compare is pure: it turns the answers of a cloud into observations, in which IDs, times and names have
// placeholders, and says how two observations differ. It does no I/O and asks no clock.
//
// It may import nothing of ours.
package compare

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// View says how much of a body is compared.
type View string

// The views.
const (
	// Whole compares every field and its value.
	Whole View = "whole"
	// Shape compares which fields there are and of which type: the values are the account's own.
	Shape View = "shape"
	// Ours compares a list: the objects of this run by all of their fields, of the others nothing.
	Ours View = "ours"
	// Page compares a page of a list: which objects of ours it has, by the order of their IDs, and the shape of all.
	Page View = "page"
)

// Answer is what came of a call, raw.
type Answer struct {
	// Status is 0 where no answer came.
	Status int
	Header http.Header
	Body   []byte
	// Failure says why no answer came.
	Failure string
}

// Observation is what an answer says that is the same however often it is asked. Where something has been waited for, Looks
// says how that went.
type Observation struct {
	Status  int               `json:"status"`
	Code    string            `json:"code,omitempty"`
	Message string            `json:"message,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	// Fields are the leaves of the body by their path, as JSON with placeholders. Of an error's body only the keys are
	// here.
	Fields map[string]string `json:"fields,omitempty"`
	// Looks is "at once", "later" or "never".
	Looks   string `json:"looks,omitempty"`
	Failure string `json:"failure,omitempty"`
}

// Names are the values of a run that have placeholders: IDs, mark, project, and so on.
type Names map[string]string

var patterns = []struct {
	pattern     *regexp.Regexp
	placeholder string
}{
	{regexp.MustCompile(`\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b`), "<uuid>"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "<hex>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "<time>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z`), "<time with fractions>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00)?\b`), "<time without Z>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\b`), "<time with a blank>"},
}

// Text puts placeholders into a text: those of the names, the longest first, then those of whatever looks like an ID or a
// time.
func (n Names) Text(text string) string {
	values := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	for _, value := range values {
		if strings.Trim(value, "0123456789") != "" { // a number may be part of another
			text = strings.ReplaceAll(text, value, "<"+n[value]+">")
		}
	}
	for _, p := range patterns {
		text = p.pattern.ReplaceAllString(text, p.placeholder)
	}
	return text
}

// Observe reads an answer.
func Observe(a Answer, view View, names Names) Observation {
	o := Observation{Status: a.Status, Failure: names.Text(a.Failure)}
	if a.Status == 0 {
		return o
	}
	o.Headers = headers(a.Header)
	if len(a.Body) == 0 {
		return o
	}
	decoder := json.NewDecoder(bytes.NewReader(a.Body))
	decoder.UseNumber()
	var body any
	if err := decoder.Decode(&body); err != nil {
		o.Fields = map[string]string{"": "not JSON"}
		return o
	}
	if a.Status >= http.StatusBadRequest {
		view = Shape // what an error says is code and message
		o.Code, o.Message = ErrorOf(a.Body)
		o.Message = names.Text(o.Message)
	}
	out := leaves{names: names, into: map[string]string{}}
	switch view {
	case Shape:
		out.shape("", body)
	case Ours, Page:
		out.listed(body, view == Ours)
	default:
		out.whole("", body)
	}
	o.Fields = out.into
	return o
}

// headers are those that a client may go by.
func headers(h http.Header) map[string]string {
	out := map[string]string{}
	if media, _, err := mime.ParseMediaType(h.Get("Content-Type")); err == nil {
		out["Content-Type"] = media
	}
	for _, name := range []string{"X-Request-Id", "Retry-After", "Location"} {
		if h.Get(name) != "" {
			out[name] = "sent"
		}
	}
	return out
}

// leaves collects the leaves of a body.
type leaves struct {
	names Names
	into  map[string]string
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (l leaves) whole(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			l.into[path] = "{}"
		}
		for key, inner := range v {
			l.whole(join(path, key), inner)
		}
	case []any:
		if len(v) == 0 {
			l.into[path] = "[]"
		}
		for i, inner := range v {
			l.whole(path+"["+strconv.Itoa(i)+"]", inner)
		}
	default:
		l.into[path] = l.leaf(path, v)
	}
}

// leaf writes a value as JSON, with placeholders.
func (l leaves) leaf(path string, value any) string {
	switch v := value.(type) {
	case string:
		if path == "request_id" {
			return `"<request id>"`
		}
		return quoted(l.names.Text(v))
	case json.Number:
		if name, is := l.names[v.String()]; is {
			return "<" + name + ">"
		}
		return v.String()
	}
	return fmt.Sprint(jsonOf(value))
}

// quoted writes a text as JSON, all signs as they are but those that JSON can't have in a text.
func quoted(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		return strconv.Quote(text)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func jsonOf(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

// shape notes which type each leaf has; items of a list are merged.
func (l leaves) shape(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			l.add(path, "object")
		}
		for key, inner := range v {
			l.shape(join(path, key), inner)
		}
	case []any:
		if len(v) == 0 {
			l.add(path, "list")
		}
		for _, inner := range v {
			l.shape(path+"[]", inner)
		}
	case string:
		l.add(path, "string")
	case json.Number:
		l.add(path, "number")
	case bool:
		l.add(path, "boolean")
	case nil:
		l.add(path, "null")
	}
}

// add joins the types that the items of a list have.
func (l leaves) add(path, kind string) {
	var kinds []string
	if had := l.into[path]; had != "" {
		kinds = strings.Split(had, " or ")
	}
	if !slices.Contains(kinds, kind) {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	l.into[path] = strings.Join(kinds, " or ")
}

// listed reads the answer of a list, in which there may be objects that are none of ours; whole shows those that are with all
// of their fields.
func (l leaves) listed(body any, whole bool) {
	fields, is := body.(map[string]any)
	if !is {
		l.into[""] = "not an object"
		return
	}
	for key, value := range fields {
		switch v := value.(type) {
		case []any:
			l.items(key, v, whole)
		case map[string]any:
			l.shape(key, v)
		default:
			l.into[key] = l.leaf(key, value)
		}
	}
}

// items writes the objects of a list that are ours by their placeholders, and how the page as a whole looks.
func (l leaves) items(key string, items []any, whole bool) {
	var ids []string
	for _, item := range items {
		object, is := item.(map[string]any)
		id, _ := object["id"].(string)
		if !is {
			l.into[key+"[]"] = "not an object"
			continue
		}
		ids = append(ids, id)
		name, known := l.names[id]
		if !known {
			continue
		}
		l.into[key+"[<"+name+">]"] = "listed"
		if whole {
			l.whole(key+"[<"+name+">]", object)
		} else {
			l.shape(key+"[]", object)
		}
	}
	l.into[key+ItemsSuffix] = count(len(items))
	l.into[key+": sorted by ID"] = strconv.FormatBool(slices.IsSorted(ids))
}

// count bounds a number that depends on what else the account has.
func count(n int) string {
	if n > 1 {
		return "several"
	}
	return strconv.Itoa(n)
}
