package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	filterID = "3691dc8e-0dee-4d37-98e1-97fc39949787"
	otherID  = "929ca077-e942-4afe-b8e4-efcb4bfd5c34"
	project  = "0123456789abcdef0123456789abcdef"
)

var names = Names{filterID: "filter", project: "project", "vpcmirror-live-AB": "mark", "32766": "priority1"}

func TestAnAnswerIsObservedWithoutWhatIsAnotherTheNextTime(t *testing.T) {
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "X-Request-Id": {"a"}, "Date": {"today"}}
	for _, c := range []struct {
		name   string
		status int
		view   View
		body   string
		want   Observation
	}{
		{
			"an object, whole", 201, Whole,
			`{"traffic_mirror_filter":{"id":"` + filterID + `","project_id":"` + project + `","name":"vpcmirror-live-AB-f","description":"a <b> 镜","source_port_range":null,
			"ingress_rules":[],"priority":32766,"vni":32766.0,"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05.123Z","on":true},"request_id":"x-1"}`,
			Observation{Fields: map[string]string{
				"traffic_mirror_filter.id": `"<filter>"`, "traffic_mirror_filter.project_id": `"<project>"`, "traffic_mirror_filter.name": `"<mark>-f"`,
				"traffic_mirror_filter.description": `"a <b> 镜"`, "traffic_mirror_filter.source_port_range": "null", "traffic_mirror_filter.ingress_rules": "[]",
				"traffic_mirror_filter.priority": "<priority1>", "traffic_mirror_filter.vni": "32766.0", "traffic_mirror_filter.created_at": `"<time>"`,
				"traffic_mirror_filter.updated_at": `"<time with fractions>"`, "traffic_mirror_filter.on": "true", "request_id": `"<request id>"`,
			}},
		},
		{
			"the account's own, by shape", 200, Shape, `{"ports":[{"id":"` + otherID + `","tags":[],"flavor":null},{"id":"b","flavor":"c7t","n":1}],"more":{}}`,
			Observation{Fields: map[string]string{
				"ports[].id": "string", "ports[].tags": "list", "ports[].flavor": "null or string", "ports[].n": "number", "more": "object",
			}},
		},
		{
			"a list, of which one is ours", 200, Ours, `{"filters":[{"id":"` + filterID + `","name":"a"},{"id":"` + otherID + `","name":"theirs"}],"page_info":{"current_count":2,"previous_marker":"` + filterID + `"},"request_id":"r"}`,
			Observation{Fields: map[string]string{
				"filters[<filter>]": "listed", "filters[<filter>].id": `"<filter>"`, "filters[<filter>].name": `"a"`, "filters: items": "several",
				"filters: sorted by ID": "true", "page_info.current_count": "number", "page_info.previous_marker": "string", "request_id": `"<request id>"`,
			}},
		},
		{
			"a page, by shape", 200, Page, `{"filters":[{"id":"` + otherID + `"},{"id":"` + filterID + `","name":"a"}]}`,
			Observation{Fields: map[string]string{
				"filters[<filter>]": "listed", "filters[].id": "string", "filters[].name": "string", "filters: items": "several", "filters: sorted by ID": "false",
			}},
		},
		{
			"an error", 404, Whole, `{"error_code":"VPC.9904","error_msg":"Filter ` + otherID + ` of ` + project + ` must be in 1-32766","request_id":"r"}`,
			Observation{
				Code: "VPC.9904", Message: "Filter <uuid> of <project> must be in 1-32766",
				Fields: map[string]string{"error_code": "string", "error_msg": "string", "request_id": "string"},
			},
		},
		{"a page of HTML", 502, Whole, "<html>", Observation{Fields: map[string]string{"": "not JSON"}}},
		{"no body", 204, Whole, "", Observation{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Status = c.status
			c.want.Headers = map[string]string{"Content-Type": "application/json", "X-Request-Id": "sent"}
			got := Observe(Answer{Status: c.status, Header: header, Body: []byte(c.body)}, c.view, names)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoAnswerIsObservedAsSuch(t *testing.T) {
	got := Observe(Answer{Failure: "reset by " + otherID}, Whole, names)
	if diff := cmp.Diff(Observation{Failure: "reset by <uuid>"}, got); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}

// Two answers that are the same but for their IDs and times differ in nothing, and one changed leaf is one difference.
func TestOtherIDsAndTimesAreNoDifferenceAndAnotherValueIsOne(t *testing.T) {
	leaf := rapid.SampledFrom([]any{"text", "", nil, true, 7, "ID", "TIME"})
	rapid.Check(t, func(rt *rapid.T) {
		fields := rapid.MapOfN(rapid.StringMatching(`[a-z_]{1,6}`), leaf, 1, 6).Draw(rt, "fields")
		body := func(id, at string, change string) []byte {
			out := map[string]any{}
			for key, value := range fields {
				switch value {
				case "ID":
					value = id
				case "TIME":
					value = at
				}
				if key == change {
					value = []any{"something else"}
				}
				out[key] = value
			}
			data, err := json.Marshal(map[string]any{"object": out})
			if err != nil {
				rt.Fatal(err)
			}
			return data
		}
		step := func(body []byte, id string) []Step {
			return []Step{{Name: "show", Observation: Observe(Answer{Status: 200, Body: body}, Whole, Names{id: "object"})}}
		}
		left := step(body(filterID, "2026-01-02T03:04:05Z", ""), filterID)
		if got := Case("case", left, step(body(otherID, "2031-12-02T03:04:05Z", ""), otherID)); len(got) != 0 {
			rt.Fatalf("the same with other IDs differs: %v", got)
		}
		change := rapid.SampledFrom(slices.Sorted(maps.Keys(fields))).Draw(rt, "change")
		if got := Case("case", left, step(body(otherID, "2031-12-02T03:04:05Z", change), otherID)); Deciding(got) == 0 {
			rt.Fatalf("another %s is no difference", change)
		}
	})
}

func answered(name string, o Observation) Step { return Step{Name: name, Observation: o} }

func TestTwoCasesDifferInWhatIsOfTheContract(t *testing.T) {
	ok := func(fields ...string) Observation {
		o := Observation{Status: 200, Fields: map[string]string{}}
		for i := 0; i+1 < len(fields); i += 2 {
			o.Fields[fields[i]] = fields[i+1]
		}
		return o
	}
	refused := func(status int, code, message string) Observation {
		return Observation{Status: status, Code: code, Message: message}
	}
	difference := func(step string, kind Kind, field, left, right string) Difference {
		return Difference{Cases: []string{"case"}, Step: step, Kind: kind, Field: field, Left: left, Right: right}
	}
	for _, c := range []struct {
		name        string
		left, right []Step
		want        []Difference
	}{
		{"the same", []Step{answered("a", ok("x", "1"))}, []Step{answered("a", ok("x", "1"))}, nil},
		{
			"another status is one difference, whatever follows", []Step{answered("a", ok("x", "1")), answered("b", ok())},
			[]Step{answered("a", refused(409, "VPC.1", "no")), {Name: "b", Skipped: "not asked: x is not known"}},
			[]Difference{difference("a", Status, "", "200", "409 VPC.1 no")},
		},
		{
			"a step that only one was asked", []Step{answered("a", ok())}, []Step{{Name: "a", Skipped: "not asked: x is not known"}},
			[]Difference{difference("a", Asked, "", "asked", "not asked: x is not known")},
		},
		{
			"another code and other words", []Step{answered("a", refused(400, "VPC.1", "no"))}, []Step{answered("a", refused(400, "VPC.2", "never"))},
			[]Difference{difference("a", Code, "", "VPC.1", "VPC.2"), difference("a", Message, "", "no", "never")},
		},
		{
			"fields", []Step{answered("a", ok("gone", "1", "typed", `"1"`, "valued", "1"))}, []Step{answered("a", ok("more", "null", "typed", "1", "valued", "2"))},
			[]Difference{
				difference("a", Field, "gone", "1", Absent), difference("a", Field, "more", Absent, "null"), difference("a", Type, "typed", `"1"`, "1"),
				difference("a", Value, "valued", "1", "2"),
			},
		},
		{
			"an object that only one lists", []Step{answered("a", ok("l[<f>]", "listed", "l[<f>].id", "1", "l[<g>]", "listed"))}, []Step{answered("a", ok("l[<g>]", "listed"))},
			[]Difference{difference("a", Field, "l[<f>]", "listed", Absent)},
		},
		{
			"a list that only one has anything in", []Step{answered("a", ok("l: items", "1", "l[<f>]", "listed", "l[].id", "string", "page_info.previous_marker", "string"))},
			[]Step{answered("a", ok("l: items", "0"))},
			[]Difference{difference("a", Value, "l: items", "1", "0")},
		},
		{
			"a change that is seen later", []Step{answered("a", Observation{Status: 200, Looks: "at once"})}, []Step{answered("a", Observation{Status: 200, Looks: "later"})},
			[]Difference{difference("a", Looks, "", "at once", "later")},
		},
		{
			"a header", []Step{answered("a", Observation{Status: 200, Headers: map[string]string{"X-Request-Id": "sent"}})}, []Step{answered("a", Observation{Status: 200})},
			[]Difference{difference("a", Header, "X-Request-Id", "sent", Absent)},
		},
		{
			"no answer", []Step{answered("a", ok())}, []Step{answered("a", Observation{Failure: "reset"})},
			[]Difference{difference("a", Status, "", "200", "no answer: reset")},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Case("case", c.left, c.right)); diff != "" {
				t.Errorf("the differences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSameDifferenceOfSeveralCasesIsToldOnce(t *testing.T) {
	one := Difference{Cases: []string{"a"}, Step: "create filter", Kind: Field, Field: "filter.type", Left: `"eni"`, Right: Absent}
	other, known := one, one
	other.Cases, known.Cases, known.Explained = []string{"b"}, []string{"c"}, []string{"trim-texts"}
	want := []Difference{one, known}
	want[0].Cases = []string{"a", "b"}
	if diff := cmp.Diff(want, Group([]Difference{one, other, known})); diff != "" {
		t.Errorf("grouped (-want +got):\n%s", diff)
	}
	if name := want[0].Name(); name != "a/create-filter:field:filter.type" {
		t.Errorf("it has the name %s", name)
	}
}

func TestAnExplanationIsTheFewestSwitchesThatLeaveTheFewestDifferences(t *testing.T) {
	left := func(on []string) (int, error) { // a and b take one difference each, c takes none, the third stays
		n := 3
		for _, s := range on {
			if strings.Contains("ab", s) {
				n--
			}
		}
		return n, nil
	}
	on, remain, err := Explain(3, []string{"c", "a", "b"}, left)
	if diff := cmp.Diff([]string{"a", "b"}, on); diff != "" || remain != 1 || err != nil {
		t.Errorf("%d remain, %v, switches (-want +got):\n%s", remain, err, diff)
	}
	if on, remain, err = Explain(3, []string{"c"}, left); on != nil || remain != 3 || err != nil {
		t.Errorf("what does not help explains: %v, %d, %v", on, remain, err)
	}
	if _, _, err = Explain(1, []string{"c"}, func([]string) (int, error) { return 0, fmt.Errorf("broken") }); err == nil {
		t.Error("an error is lost")
	}
}
