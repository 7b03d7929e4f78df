package compare

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Kind is in what two answers differ.
type Kind string

// The kinds.
const (
	Status  Kind = "status"
	Code    Kind = "code"
	Message Kind = "message"
	Header  Kind = "header"
	// Field is one that only one of them has.
	Field Kind = "field"
	// Type is a field of another JSON type.
	Type  Kind = "type"
	Value Kind = "value"
	// Looks is how soon a change is seen.
	Looks Kind = "looks"
	// Asked is a step that only one of them was asked.
	Asked Kind = "asked"
)

// Decides reports whether such a difference is one of the contract: words are for people.
func (k Kind) Decides() bool { return k != Message }

// ItemsSuffix ends the path under which the number of objects of a list is noted: 0, 1 or several.
const ItemsSuffix = ": items"

// Absent stands for a field that is not there.
const Absent = "(absent)"

// Step is what one side answered in one step of a case. Skipped says why it was not asked.
type Step struct {
	Name        string      `json:"name"`
	Skipped     string      `json:"skipped,omitempty"`
	Observation Observation `json:"observation"`
}

// Difference is one, between the left and the right side.
type Difference struct {
	// Cases are those that show it, in order.
	Cases []string `json:"cases"`
	Step  string   `json:"step"`
	Kind  Kind     `json:"kind"`
	// Field is the path of the field or the name of the header.
	Field string `json:"field,omitempty"`
	Left  string `json:"left"`
	Right string `json:"right"`
	// Explained are the switches of the simulator that make the first of the cases the same.
	Explained []string `json:"explained_by,omitempty"`
}

// Name names the difference, the same in each run.
func (d Difference) Name() string {
	name := strings.ReplaceAll(d.Step, " ", "-") + ":" + string(d.Kind)
	if d.Field != "" {
		name += ":" + d.Field
	}
	if len(d.Cases) > 0 {
		name = d.Cases[0] + "/" + name
	}
	return name
}

// Case compares the steps of one case. Once a step differs in its status, what follows from it is not compared where only one
// side could be asked.
func Case(name string, left, right []Step) []Difference {
	var out []Difference
	diverged := false
	for i := range max(len(left), len(right)) {
		l, r := at(left, i), at(right, i)
		step := cmp.Or(l.Name, r.Name)
		add := func(kind Kind, field, a, b string) {
			if a != b {
				out = append(out, Difference{Cases: []string{name}, Step: step, Kind: kind, Field: field, Left: a, Right: b})
			}
		}
		if l.Skipped != "" || r.Skipped != "" {
			if !diverged {
				add(Asked, "", asked(l), asked(r))
			}
			continue
		}
		diverged = diverged || l.Observation.Status != r.Observation.Status
		observations(l.Observation, r.Observation, add)
	}
	return out
}

func at(steps []Step, i int) Step {
	if i < len(steps) {
		return steps[i]
	}
	return Step{Skipped: "the case ended before"}
}

func asked(s Step) string {
	if s.Skipped != "" {
		return s.Skipped
	}
	return "asked"
}

// observations compares two. Where the statuses differ, so must the bodies, which then say nothing more.
func observations(l, r Observation, add func(kind Kind, field, a, b string)) {
	add(Looks, "", l.Looks, r.Looks)
	if l.Status != r.Status {
		add(Status, "", statusOf(l), statusOf(r))
		return
	}
	add(Code, "", l.Code, r.Code)
	add(Message, "", l.Message, r.Message)
	for _, name := range keys(l.Headers, r.Headers) {
		add(Header, name, orAbsent(l.Headers, name), orAbsent(r.Headers, name))
	}
	fields(l.Fields, r.Fields, add)
}

// fields compares the leaves of two bodies. What follows from an object of a list, or from a whole list, that only one side has
// is that one difference.
func fields(l, r map[string]string, add func(kind Kind, field, a, b string)) {
	var without []string
	for _, path := range keys(l, r) {
		a, b := orAbsent(l, path), orAbsent(r, path)
		list, isCount := strings.CutSuffix(path, ItemsSuffix)
		if isCount && a != b && (a == "0" || b == "0") {
			without = append(without, list+"[", "page_info.")
		}
		if strings.HasSuffix(path, ">]") && (a == Absent || b == Absent) {
			without = append(without, path+".")
		}
	}
	for _, path := range keys(l, r) {
		if slices.ContainsFunc(without, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
			continue
		}
		a, b := orAbsent(l, path), orAbsent(r, path)
		add(kindOf(a, b), path, a, b)
	}
}

func statusOf(o Observation) string {
	if o.Status == 0 {
		return "no answer: " + o.Failure
	}
	return strings.TrimRight(strings.Join([]string{strconv.Itoa(o.Status), o.Code, o.Message}, " "), " ")
}

func keys(a, b map[string]string) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func orAbsent(fields map[string]string, key string) string {
	if value, has := fields[key]; has {
		return value
	}
	return Absent
}

func kindOf(a, b string) Kind {
	switch {
	case a == Absent || b == Absent:
		return Field
	case typeOf(a) != typeOf(b):
		return Type
	}
	return Value
}

// typeOf tells the JSON type of a leaf as it was written.
func typeOf(leaf string) string {
	switch {
	case leaf == "":
		return "nothing"
	case leaf == "null":
		return "null"
	case leaf == "true" || leaf == "false":
		return "boolean"
	case leaf[0] == '"':
		return "string"
	case leaf[0] == '[':
		return "list"
	case leaf[0] == '{':
		return "object"
	}
	return "number or shape"
}

// Group joins the same difference of several cases into one, in the order of the first.
func Group(all []Difference) []Difference {
	type key struct {
		step, field, left, right, explained string
		kind                                Kind
	}
	var out []Difference
	index := map[key]int{}
	for _, d := range all {
		k := key{d.Step, d.Field, d.Left, d.Right, strings.Join(d.Explained, ","), d.Kind}
		i, seen := index[k]
		if !seen {
			index[k] = len(out)
			d.Cases = slices.Clone(d.Cases)
			out = append(out, d)
			continue
		}
		out[i].Cases = append(out[i].Cases, d.Cases...)
	}
	for i := range out {
		out[i].Cases = slices.Compact(out[i].Cases)
	}
	return out
}

// Deciding counts the differences that are of the contract.
func Deciding(all []Difference) int {
	n := 0
	for _, d := range all {
		if d.Kind.Decides() {
			n++
		}
	}
	return n
}

// Explain looks for the switches that make a case the same on both sides: the one that leaves the fewest differences, then a
// further one, as long as each leaves fewer. left returns how many deciding differences remain with a set of switches.
// Where none helps it returns nil, and else what it found and how many remain.
func Explain(before int, switches []string, left func(on []string) (int, error)) (on []string, remain int, err error) {
	remain = before
	for remain > 0 {
		best := ""
		for _, s := range switches {
			if slices.Contains(on, s) {
				continue
			}
			n, err := left(append(slices.Clone(on), s))
			if err != nil {
				return nil, 0, err
			}
			if n < remain {
				best, remain = s, n
			}
		}
		if best == "" {
			break
		}
		on = append(on, best)
	}
	return on, remain, nil
}
