package cases

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// given are the variables that a run begins with.
func given() Vars {
	vars := Vars{"mark": "vpcmirror-live-ABCDEFGHIJKL"}
	for _, name := range []string{"project", "region", "source", "source2", "target", "nothing1", "nothing2"} {
		vars[name] = "value-of-" + name
	}
	for i, name := range []string{"priority1", "priority2", "priority3", "priority4"} {
		vars[name] = string(rune('1' + i))
	}
	return vars
}

func TestEachCaseIsAQuestionWithANameOfItsOwnAndStepsThatAreToldApart(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		if seen[c.Name] || strings.ContainsAny(c.Name, " ,*/") {
			t.Errorf("%q is no name of a single case that --only can select", c.Name)
		}
		seen[c.Name] = true
		if !strings.HasSuffix(c.Asks, "?") || strings.Count(c.Asks, "?") != 1 && !strings.Contains(c.Asks, "name=") && !strings.Contains(c.Asks, "?name") {
			t.Errorf("%s asks %q, which is not one question", c.Name, c.Asks)
		}
		steps := map[string]bool{}
		for _, s := range c.Steps {
			if steps[s.Name] {
				t.Errorf("%s has two steps %q", c.Name, s.Name)
			}
			steps[s.Name] = true
			if s.Until != "" && (s.Method != http.MethodGet || s.Text == "") {
				t.Errorf("%s, %q waits for what no read can show", c.Name, s.Name)
			}
		}
	}
}

// A case uses what a run gives it or what a step before has saved, and names the ports that it needs.
func TestEachStepHasWhatItNeeds(t *testing.T) {
	for _, c := range All() {
		vars := given()
		for _, optional := range []string{"source", "source2", "target"} {
			if !slices.Contains(c.Needs, optional) {
				delete(vars, optional)
			}
		}
		for _, s := range c.Steps {
			_, _, _, err := vars.Of(s)
			if err == nil {
				_, err = vars.Text(s.Text)
			}
			if err != nil {
				t.Errorf("%s, %q: %v", c.Name, s.Name, err)
			}
			for name := range s.Saves {
				vars[name] = "value-of-" + name
			}
		}
	}
}

// A filter without rules copies nothing: so no session of ours ever copies a packet, on or off.
func TestNoFilterOfASessionHasARule(t *testing.T) {
	for _, c := range All() {
		made := map[string]bool{}
		for _, s := range c.Steps {
			switch {
			case s.Method != http.MethodPost:
			case strings.HasSuffix(s.Path, sessions.plural):
				made["session"] = true
			case strings.Contains(s.Path, rules.plural):
				made["rule"] = true
			}
		}
		if made["session"] && made["rule"] {
			t.Errorf("%s makes both a session and a rule", c.Name)
		}
	}
}

func TestTextsAreAsLongAsTheirNamesSay(t *testing.T) {
	if n := len(given()["mark"]); n != markLength {
		t.Fatalf("the mark has %d characters, the table counts with %d", n, markLength)
	}
	length := func(value string) (characters, size int) {
		text, err := given().Text(value)
		if err != nil {
			t.Fatal(err)
		}
		return utf8.RuneCountInString(text), len(text)
	}
	got := map[string][2]int{}
	for _, text := range append(texts(), names()...) {
		if text.name[0] >= '0' && text.name[0] <= '9' {
			characters, size := length(text.value)
			got[text.name] = [2]int{characters, size}
		}
	}
	want := map[string][2]int{
		"255-ascii": {255, 255}, "256-ascii": {256, 256}, "255-cjk": {255, 711}, "256-cjk": {256, 714}, "255-bytes-cjk": {103, 255},
		"64": {64, 64}, "65": {65, 65}, "64-cjk": {64, 138},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("characters and bytes (-want +got):\n%s", diff)
	}
}

func TestValuesAreFilledInAndSavedByTheirPath(t *testing.T) {
	vars := Vars{"id": "x y", "n": "7"}
	path, query, body, err := vars.Of(Step{
		Path: "/a/${id}", Query: map[string]string{"q": "${id}&"},
		Body: Fields{"o": Fields{"text": "<${id}>", "number": Number("n"), "list": []any{"${n}", 1, nil}, "gone": nil}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{path, query.Encode(), string(body)}
	want := []string{"/a/x y", "q=x+y%26", `{"o":{"gone":null,"list":["7",1,null],"number":7,"text":"\u003cx y\u003e"}}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("filled in (-want +got):\n%s", diff)
	}
	_, err = vars.Text("${none}")
	var unknown *UnknownError
	if !errors.As(err, &unknown) || unknown.Name != "none" {
		t.Errorf("a variable without a value gives %v", err)
	}
	vars.Save(Step{Saves: map[string]string{"a": "o.id", "b": "o.none", "c": "x.y"}}, []byte(`{"o":{"id":"1"}}`))
	if diff := cmp.Diff([]string{"a", "id", "n"}, slices.Sorted(maps.Keys(vars))); diff != "" {
		t.Errorf("saved (-want +got):\n%s", diff)
	}
}
