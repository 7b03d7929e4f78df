package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// schema is shorter than its own name.
type schema = apiextensionsv1.JSONSchemaProps

// table writes a row for each field.
type table struct {
	out    *strings.Builder
	anchor string // begins the anchor of each row
	// seen are the fields that objects of one form were first described at, by that form:
	// the second time the table says "as" in place of describing it again.
	seen map[string]string
}

// rows writes the fields of an object: what is required first, then by name. part is spec
// or status, prefix how the object is called below that, with a dot at its end.
func (t *table) rows(part, prefix string, object schema) {
	names := slices.SortedFunc(maps.Keys(object.Properties), func(a, b string) int {
		needsA, needsB := slices.Contains(object.Required, a), slices.Contains(object.Required, b)
		switch {
		case needsA && !needsB:
			return -1
		case needsB && !needsA:
			return 1
		default:
			return strings.Compare(a, b)
		}
	})
	for _, name := range names {
		field := object.Properties[name]
		t.row(part, prefix+name, field, slices.Contains(object.Required, name))
	}
}

func (t *table) row(part, path string, field schema, required bool) {
	inner, shown := field, path
	if field.Items != nil && field.Items.Schema != nil && len(field.Items.Schema.Properties) > 0 {
		inner, shown = *field.Items.Schema, path+"[]"
	}
	text, descend := prose(field.Description), len(inner.Properties) > 0
	switch form := formOf(inner); {
	case !descend:
	case isCondition(inner):
		text, descend = text+" See [conditions](#conditions).", false
	case t.seen[form] != "":
		text, descend = fmt.Sprintf("%s Its fields are those of %s.", text, t.seen[form]), false
	default:
		t.seen[form] = fmt.Sprintf("[`%s`](#%s)", shown, t.anchorOf(part, path))
	}
	fmt.Fprintf(t.out, "| <a id=\"%s\"></a>`%s` | %s | %s | %s | %s |\n", t.anchorOf(part, path), shown, typeOf(field), defaultOf(field, required), bounds(field), text)
	if descend {
		t.rows(part, shown+".", inner)
	}
}

func (t *table) anchorOf(part, path string) string {
	return t.anchor + part + "-" + strings.ToLower(strings.NewReplacer("[]", "", ".", "-").Replace(path))
}

// formOf is the same for objects with the same fields, whatever is said of the object.
func formOf(object schema) string {
	content, err := json.Marshal(struct {
		Properties map[string]schema
		Required   []string
	}{object.Properties, object.Required})
	if err != nil {
		return "" // it came from JSON
	}
	return string(content)
}

// isCondition: everybody knows metav1.Condition.
func isCondition(object schema) bool {
	_, ok := object.Properties["lastTransitionTime"]
	return ok
}

func typeOf(field schema) string {
	switch {
	case field.Type == "array" && len(field.Items.Schema.Properties) == 0:
		return "list of " + typeOf(*field.Items.Schema)
	case field.Type == "array":
		return "list"
	case field.Format == "date-time":
		return "time"
	default:
		return field.Type
	}
}

func defaultOf(field schema, required bool) string {
	switch {
	case required:
		return "required"
	case field.Default != nil:
		return "`" + strings.Trim(string(field.Default.Raw), `"`) + "`"
	default:
		return ""
	}
}

// lineBreak separates the bounds in a cell.
const lineBreak = "<br>"

// bounds are what the API server holds a field to.
func bounds(field schema) string {
	var all []string
	if len(field.Enum) > 0 {
		var values []string
		for _, value := range field.Enum {
			values = append(values, "`"+strings.Trim(string(value.Raw), `"`)+"`")
		}
		all = append(all, strings.Join(values, ", "))
	}
	// Where a rule of ours says how long a text or a list may be, the definition's own limit is
	// wider, so that ours is the sentence that is read.
	rules := messages(field)
	if length := between(field.MinLength, field.MaxLength, "characters"); length != "" && len(field.Enum) == 0 && rules == "" {
		all = append(all, length)
	}
	if number := between(whole(field.Minimum), whole(field.Maximum), ""); number != "" {
		all = append(all, strings.TrimSpace(number))
	}
	if items := between(field.MinItems, field.MaxItems, "entries"); items != "" && rules == "" {
		all = append(all, items)
	}
	if rules != "" {
		all = append(all, rules)
	}
	if field.Items != nil && field.Items.Schema != nil {
		if text := bounds(*field.Items.Schema); text != "" {
			all = append(all, "each: "+text)
		}
	}
	return strings.Join(all, lineBreak)
}

func between(least, most *int64, unit string) string {
	switch {
	case least != nil && most != nil:
		return fmt.Sprintf("%d to %d %s", *least, *most, unit)
	case most != nil:
		return fmt.Sprintf("at most %d %s", *most, unit)
	case least != nil:
		return fmt.Sprintf("at least %d %s", *least, unit)
	default:
		return ""
	}
}

func whole(number *float64) *int64 {
	if number == nil {
		return nil
	}
	return new(int64(*number))
}

// messages are the sentences with which the API server refuses what no number bounds.
func messages(field schema) string {
	var all []string
	for _, rule := range field.XValidations {
		all = append(all, prose(rule.Message))
	}
	return strings.Join(all, lineBreak)
}

var (
	angle = strings.NewReplacer("<", "&lt;", ">", "&gt;", "|", "\\|", "*", "\\*")
	code  = regexp.MustCompile(`\b(?:spec|status)\.[a-zA-Z]+(?:\[[0-9]*\])?(?:\.[a-zA-Z]+)*|--[a-z]+(?:-[a-z]+)+(?:=[a-z0-9]+)?|\bvpcmirror\.io/[a-z-]+`)
)

// prose makes one line of a text, safe in a table of Markdown, with names of fields and
// flags as code.
func prose(text string) string {
	return code.ReplaceAllString(angle.Replace(strings.Join(strings.Fields(text), " ")), "`$0`")
}
