package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/state"
)

// body reads the fields of a request's inner object and keeps the first mistake. Unknown fields are ignored, null counts
// as absent, and numbers and booleans may be written as strings: the Go SDK does so in some calls, Terraform never does.
type body struct {
	fields map[string]json.RawMessage
	err    error
}

func badBody(format string, args ...any) error {
	return &state.Error{Reason: state.Invalid, Message: "Invalid input for request body. Reason: " + fmt.Sprintf(format, args...) + "."}
}

func badField(field, format string, args ...any) error {
	return &state.Error{Reason: state.Invalid, Message: fmt.Sprintf("Invalid input for %s. Reason: %s.", field, fmt.Sprintf(format, args...))}
}

// decodeBody unwraps {"<wrapper>": {...}}.
func decodeBody(data []byte, wrapper string) *body {
	b := &body{}
	var outer map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&outer); err != nil {
		b.err = badBody("it is not a JSON object")
		return b
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		b.err = badBody("something follows the JSON object")
		return b
	}
	inner, ok := outer[wrapper]
	if !ok {
		b.err = badBody("the key %s is missing", wrapper)
		return b
	}
	if err := json.Unmarshal(inner, &b.fields); err != nil || b.fields == nil {
		b.err = badField(wrapper, "it is not an object")
	}
	return b
}

// decodeFields reads a body without a wrapper.
func decodeFields(data []byte) *body {
	b := &body{}
	if err := json.Unmarshal(data, &b.fields); err != nil || b.fields == nil {
		b.err = badBody("it is not a JSON object")
	}
	return b
}

// object reads an object; nil when the field is absent.
func (b *body) object(field string) *body {
	raw, ok := b.raw(field)
	if !ok {
		return nil
	}
	o := &body{}
	if err := json.Unmarshal(raw, &o.fields); err != nil {
		b.fail(badField(field, "'%s' is not an object", clip(raw)))
		return nil
	}
	return o
}

// objects reads a list of objects; nil when the field is absent.
func (b *body) objects(field string) []*body {
	raw, ok := b.raw(field)
	if !ok {
		return nil
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		b.fail(badField(field, "'%s' is not a list of objects", clip(raw)))
		return nil
	}
	out := make([]*body, 0, len(list))
	for _, fields := range list {
		out = append(out, &body{fields: fields})
	}
	return out
}

// ids reads a list of objects of which only the id matters; nil when the field is absent.
func (b *body) ids(field string) []string {
	var out []string
	for _, o := range b.objects(field) {
		id := o.text("id")
		if id == nil {
			b.fail(badField(field, "an id is missing"))
			return nil
		}
		out = append(out, *id)
	}
	return out
}

func (b *body) raw(field string) (json.RawMessage, bool) {
	v, ok := b.fields[field]
	return v, ok && b.err == nil && string(v) != "null"
}

func (b *body) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *body) text(field string) *string {
	raw, ok := b.raw(field)
	if !ok {
		return nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		b.fail(badField(field, "'%s' is not a string", clip(raw)))
		return nil
	}
	return &s
}

func (b *body) texts(field string) *[]string {
	raw, ok := b.raw(field)
	if !ok {
		return nil
	}
	var list []*string
	if err := json.Unmarshal(raw, &list); err != nil {
		b.fail(badField(field, "'%s' is not a list of strings", clip(raw)))
		return nil
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s == nil {
			b.fail(badField(field, "'%s' is not a list of strings", clip(raw)))
			return nil
		}
		out = append(out, *s)
	}
	return &out
}

// number takes 7, 7.0 and "7".
func (b *body) number(field string) *int {
	raw, ok := b.raw(field)
	if !ok {
		return nil
	}
	text := string(raw)
	var s string
	if err := json.Unmarshal(raw, &s); err == nil {
		text = s
	}
	if n, err := strconv.Atoi(text); err == nil && !strings.HasPrefix(text, "+") {
		return &n
	}
	var f float64
	if err := json.Unmarshal(raw, &f); err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		n := int(f)
		return &n
	}
	b.fail(badField(field, "'%s' is not an integer", clip(raw)))
	return nil
}

// boolean takes true, "true" and "True".
func (b *body) boolean(field string) *bool {
	raw, ok := b.raw(field)
	if !ok {
		return nil
	}
	text := strings.ToLower(strings.Trim(string(raw), `"`))
	if text != "true" && text != "false" {
		b.fail(badField(field, "'%s' is not a boolean", clip(raw)))
		return nil
	}
	v := text == "true"
	return &v
}

func clip(raw []byte) string {
	const most = 80
	if len(raw) > most {
		return strings.ToValidUTF8(string(raw[:most]), "") + "..."
	}
	return string(raw)
}
