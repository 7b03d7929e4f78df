// Package cases is the table of what a cloud is asked: each case is a question and the calls that answer it, as data.
//
// It may import test/live/compare.
package cases

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"vpcmirror.io/operator/test/live/compare"
)

// Case is one question, with all that it needs: it makes its own objects, and what it made is deleted before the next.
type Case struct {
	// Name is in every report, and what --only selects.
	Name string
	// Asks is the question, in one sentence.
	Asks string
	// Needs names the variables without which it can't be asked, such as source2.
	Needs []string
	Steps []Step
}

// Step is one call.
type Step struct {
	Name string
	// IAM asks that service in place of VPC.
	IAM    bool
	Method string
	// Path, the values of Query and the texts of Body may have variables, such as ${filter}.
	Path  string
	Query map[string]string
	// Body is encoded as JSON; nil for none.
	Body any
	// Saves gives variables the values at these paths of the answer, such as "traffic_mirror_filter.id".
	Saves map[string]string
	// View says how much of the answer is compared; Whole where empty.
	View compare.View
	// Until repeats a read until the answer has Text or no longer has it, for a bounded time.
	Until Until
	// Text is what a step with Until looks for, such as ${filter}.
	Text string
}

// Until is what a step waits for.
type Until string

// What can be waited for.
const (
	// Shown: the answer is 200 and has the text.
	Shown Until = "shown"
	// Gone: the answer is 404, or 200 without the text.
	Gone Until = "gone"
)

// Number is the value of a variable as a JSON number.
type Number string

// Vars are the values of variables.
type Vars map[string]string

var variable = regexp.MustCompile(`\$\{([a-z0-9 ]+)\}`)

// UnknownError means that a variable has no value: a step before did not give it one.
type UnknownError struct{ Name string }

// Error names the variable.
func (e *UnknownError) Error() string { return fmt.Sprintf("%s is not known", e.Name) }

// Text puts the values into a text. The error is an *UnknownError.
func (v Vars) Text(text string) (string, error) {
	var missing error
	out := variable.ReplaceAllStringFunc(text, func(match string) string {
		name := match[2 : len(match)-1]
		value, has := v[name]
		if !has && missing == nil {
			missing = &UnknownError{Name: name}
		}
		return value
	})
	return out, missing
}

// Of returns path, query and body of a step with the values put in.
func (v Vars) Of(s Step) (path string, query url.Values, body []byte, err error) {
	if path, err = v.Text(s.Path); err != nil {
		return "", nil, nil, err
	}
	query = url.Values{}
	for _, key := range slices.Sorted(maps.Keys(s.Query)) {
		value, err := v.Text(s.Query[key])
		if err != nil {
			return "", nil, nil, err
		}
		query.Set(key, value)
	}
	if s.Body == nil {
		return path, query, nil, nil
	}
	filled, err := v.value(s.Body)
	if err != nil {
		return "", nil, nil, err
	}
	if body, err = json.Marshal(filled); err != nil {
		return "", nil, nil, fmt.Errorf("encode the body of %q: %w", s.Name, err)
	}
	return path, query, body, nil
}

func (v Vars) value(in any) (any, error) {
	switch in := in.(type) {
	case string:
		return v.Text(in)
	case Number:
		text, err := v.Text("${" + string(in) + "}")
		return json.Number(text), err
	case Fields:
		return v.value(map[string]any(in))
	case map[string]any:
		out := make(map[string]any, len(in))
		for _, key := range slices.Sorted(maps.Keys(in)) {
			value, err := v.value(in[key])
			if err != nil {
				return nil, err
			}
			out[key] = value
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(in))
		for _, item := range in {
			value, err := v.value(item)
			if err != nil {
				return nil, err
			}
			out = append(out, value)
		}
		return out, nil
	}
	return in, nil
}

// Save reads the values that a step saves out of an answer. One that is not there stays unknown.
func (v Vars) Save(s Step, body []byte) {
	var answer any
	if len(s.Saves) == 0 || json.Unmarshal(body, &answer) != nil {
		return
	}
	for name, path := range s.Saves {
		value := answer
		for key := range strings.SplitSeq(path, ".") {
			object, _ := value.(map[string]any)
			value = object[key]
		}
		if text, is := value.(string); is && text != "" {
			v[name] = text
		}
	}
}

// Fields are those of a body, by the API's names. A value of Without takes a field away.
type Fields map[string]any

type without struct{}

// Without takes a field out of what a call has otherwise.
var Without = without{}

// with lays the fields over the base.
func (f Fields) with(more Fields) Fields {
	out := maps.Clone(f)
	for key, value := range more {
		if value == Without {
			delete(out, key)
			continue
		}
		out[key] = value
	}
	return out
}
