package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Error is a mistake in a scenario file, as one sentence: where, which field, what is wrong and what would be right.
type Error struct {
	File    string
	Line    int // 1-based; 0 when the file as a whole is meant
	Field   string
	Message string
}

// Error renders "file:line: field: message".
func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where += ":" + strconv.Itoa(e.Line)
	}
	if e.Field != "" {
		where += ": " + e.Field
	}
	return where + ": " + e.Message
}

// decoder walks the YAML tree and keeps the first mistake. All its methods do nothing after that.
type decoder struct {
	file string
	err  *Error
}

func (d *decoder) fail(n node, format string, args ...any) {
	if d.err == nil {
		d.err = &Error{File: d.file, Line: n.line, Field: n.path, Message: fmt.Sprintf(format, args...)}
	}
}

// node is a place in the file: a value or, when yaml is nil, the place where one is missing.
type node struct {
	yaml *yaml.Node
	line int
	path string
}

func (n node) present() bool {
	return n.yaml != nil && (n.yaml.Kind != yaml.ScalarNode || n.yaml.Tag != "!!null")
}

// object is a mapping whose keys were checked against the allowed ones.
type object struct {
	node
	d      *decoder
	fields map[string]node
}

func (d *decoder) root(data []byte) node {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		line, message := syntaxError(err)
		d.fail(node{line: line}, "%s", message)
		return node{}
	}
	if len(doc.Content) == 0 {
		d.fail(node{}, "the file is empty; print an example with: cloudsim scenario")
		return node{}
	}
	return d.place(doc.Content[0], "")
}

// syntaxError takes the line out of the library's message, "yaml: line 3: what".
func syntaxError(err error) (int, string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, message, found := strings.Cut(rest, ": ")
		if line, convErr := strconv.Atoi(number); found && convErr == nil {
			return line, "not valid YAML: " + message
		}
	}
	return 0, "not valid YAML: " + text
}

func (d *decoder) place(y *yaml.Node, path string) node {
	for y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	return node{yaml: y, line: y.Line, path: path}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// object reads a mapping with no other keys than the allowed ones.
func (d *decoder) object(n node, allowed ...string) object {
	o := object{node: n, d: d, fields: map[string]node{}}
	if d.err != nil {
		return o
	}
	if n.yaml == nil || n.yaml.Kind != yaml.MappingNode {
		d.fail(n, "%s is given where a mapping is needed; write its fields: %s", describe(n.yaml), strings.Join(allowed, ", "))
		return o
	}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		key, val := n.yaml.Content[i], n.yaml.Content[i+1]
		place := d.place(val, join(n.path, key.Value))
		known := false
		for _, a := range allowed {
			known = known || a == key.Value
		}
		if !known {
			d.fail(node{line: key.Line, path: place.path}, "there is no such field; the fields here are %s", strings.Join(allowed, ", "))
			return o
		}
		if _, twice := o.fields[key.Value]; twice {
			d.fail(node{line: key.Line, path: place.path}, "the field is given twice; remove one of the two")
			return o
		}
		o.fields[key.Value] = place
	}
	return o
}

// at returns the place of a field, present or not.
func (o object) at(key string) node {
	if n, ok := o.fields[key]; ok {
		return n
	}
	return node{line: o.line, path: join(o.path, key)}
}

// list returns the places of a sequence's members; none when the field is absent.
func (o object) list(key string) []node {
	n := o.at(key)
	if o.d.err != nil || !n.present() {
		return nil
	}
	if n.yaml.Kind != yaml.SequenceNode {
		o.d.fail(n, "%s is given where a list is needed; begin each member with a dash", describe(n.yaml))
		return nil
	}
	out := make([]node, 0, len(n.yaml.Content))
	for i, y := range n.yaml.Content {
		out = append(out, o.d.place(y, fmt.Sprintf("%s[%d]", n.path, i)))
	}
	return out
}

func (d *decoder) scalar(n node) string {
	if d.err != nil || !n.present() {
		return ""
	}
	if n.yaml.Kind != yaml.ScalarNode {
		d.fail(n, "%s is given where a single value is needed", describe(n.yaml))
		return ""
	}
	return n.yaml.Value
}

func (o object) text(key string) string { return o.d.scalar(o.at(key)) }

// need reads a value that must not be empty.
func (o object) need(key string) string {
	text := o.text(key)
	if text == "" {
		o.d.fail(o.at(key), "the value is missing; give one")
	}
	return text
}

// number reads an integer within bounds, or fallback when absent.
func (o object) number(key string, low, high, fallback int) int {
	n := o.at(key)
	text := o.d.scalar(n)
	if text == "" {
		return fallback
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < low || v > high {
		o.d.fail(n, "%q is not a whole number of %d-%d", text, low, high)
		return fallback
	}
	return v
}

func (o object) boolean(key string, fallback bool) bool {
	n := o.at(key)
	text := o.d.scalar(n)
	switch text {
	case "":
		return fallback
	case "true":
		return true
	case "false":
		return false
	}
	o.d.fail(n, "%q is neither true nor false", text)
	return fallback
}

// parsed reads a value by a parser; remedy says what a right one looks like.
func parsed[T any](o object, key string, parse func(string) (T, error), remedy string) T {
	var zero T
	text := o.text(key)
	if text == "" {
		return zero
	}
	v, err := parse(text)
	if err != nil {
		o.d.fail(o.at(key), "%q is not right; %s", text, remedy)
		return zero
	}
	return v
}

func describe(y *yaml.Node) string {
	switch {
	case y == nil:
		return "nothing"
	case y.Kind == yaml.MappingNode:
		return "a mapping"
	case y.Kind == yaml.SequenceNode:
		return "a list"
	case y.Value == "":
		return "nothing"
	}
	return strconv.Quote(y.Value)
}
