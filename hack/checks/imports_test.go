package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// permitted is a second reading of the table, plainer than the one that is tested: the
// names of the layers that a layer may import, those for its tests apart.
func permitted(l layer) (may, tests map[string]bool) {
	may, tests = map[string]bool{l.name: true}, map[string]bool{}
	for _, other := range layers {
		for _, entry := range l.may {
			if entry == other.name || strings.HasPrefix(other.name+"/", strings.TrimSuffix(entry, "...")) && strings.HasSuffix(entry, "...") {
				may[other.name] = true
			}
		}
		for _, entry := range l.tests {
			if entry == other.name || strings.HasPrefix(other.name+"/", strings.TrimSuffix(entry, "...")) && strings.HasSuffix(entry, "...") {
				tests[other.name] = true
			}
		}
	}
	return may, tests
}

func TestEveryImportThatTheTableForbidsIsFoundAndNoOther(t *testing.T) {
	for _, from := range layers {
		may, tests := permitted(from)
		for _, to := range layers {
			imported := module + "/" + to.name + "/part"
			for _, kind := range []struct {
				name    string
				give    goPackage
				allowed bool
			}{
				{"", goPackage{Imports: []string{"fmt", imported}}, may[to.name]},
				{" in a test", goPackage{TestImports: []string{"testing", imported}}, may[to.name] || tests[to.name]},
				{" in a test of another package", goPackage{XTestImports: []string{imported}}, may[to.name] || tests[to.name]},
			} {
				kind.give.ImportPath = module + "/" + from.name + "/made/up"
				found := importsOf(kind.give)
				if kind.allowed && len(found) > 0 {
					t.Errorf("%s may import %s%s, and it was found: %q", from.name, to.name, kind.name, found)
				}
				names := len(found) == 1 && strings.Contains(found[0], from.name+"/made/up") && strings.Contains(found[0], to.name+"/part")
				if !kind.allowed && !names {
					t.Errorf("%s may not import %s%s, and it was not found: %q", from.name, to.name, kind.name, found)
				}
			}
		}
	}
}

// What the table must never allow, whatever is written into it.
func TestTheTableForbids(t *testing.T) {
	for _, forbidden := range []struct{ from, to string }{
		{"api", "controllers/cloud"},
		{"controllers/cloud", "api"},
		{"controllers/cloud", "controllers/cloud/huawei"},
		{"controllers/plan", "controllers/cloud/huawei"},
		{"controllers/credentials", "controllers/cloud/huawei"},
		{"controllers/lifecycle", "controllers/cloud/huawei"},
		{"controllers/mirrorfilter", "controllers/cloud/huawei"},
		{"controllers/mirrorsession", "controllers/cloud/huawei"},
		{"controllers/mirrorfilter", "controllers/mirrorsession"},
		{"controllers/mirrorsession", "controllers/mirrorfilter"},
		{"controllers/verifier", "controllers/cloud"},
		{"controllers/verifier", "controllers/credentials"},
		{"cmd/verifier", "controllers/cloud"},
		{"cmd/verifier", "controllers/credentials"},
		{"cmd/manager", "controllers/verifier"},
		{"test/cloudsim", "api"},
		{"test/cloudsim", "controllers/cloud"},
		{"test/cloudsim", "controllers/cloud/huawei"},
		{"test/live", "api"},
		{"test/live", "controllers/cloud/huawei"},
		{"hack", "api"},
	} {
		from, to := layerOf(forbidden.from), layerOf(forbidden.to)
		if from.name != forbidden.from || to.name != forbidden.to || from.allows(forbidden.to, from.may) {
			t.Errorf("%s may import %s", forbidden.from, forbidden.to)
		}
	}
	for _, l := range layers {
		if l.name != "test/integration" && l.name != "test/demo" && l.name != "test/e2e" && l.name != "test/diagnosis" && slices.Contains(l.may, everything) {
			t.Errorf("%s may import everything", l.name)
		}
	}
}

func TestImportsPointOneWay(t *testing.T) {
	var visit func(l *layer, path []string)
	visit = func(l *layer, path []string) {
		if slices.Contains(path, l.name) {
			t.Fatalf("layers import each other: %s", strings.Join(append(path, l.name), " -> "))
		}
		for i := range layers {
			if to := &layers[i]; to.name != l.name && !slices.Contains(l.may, everything) && l.allows(to.name, l.may) {
				visit(to, append(slices.Clone(path), l.name))
			}
		}
	}
	for i := range layers {
		visit(&layers[i], nil)
	}
}

func TestTheTableNamesEachLayerOnceAndNoStrangers(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range layers {
		if seen[l.name] {
			t.Errorf("%s is in the table twice", l.name)
		}
		seen[l.name] = true
		if l.does == "" {
			t.Errorf("the table doesn't say what is done in %s", l.name)
		}
	}
	for _, l := range layers {
		for _, entry := range slices.Concat(l.may, l.tests) {
			fits := func(other layer) bool { return (&layer{}).allows(other.name, []string{entry}) }
			if !slices.ContainsFunc(layers, fits) {
				t.Errorf("%s may import %s, which is no layer", l.name, entry)
			}
		}
	}
	findings, err := checkLayers(t.Context(), "../..")
	if diff := cmp.Diff([]string(nil), findings); err != nil || diff != "" {
		t.Errorf("%v: layers without a folder (-want +got):\n%s", err, diff)
	}
}

func TestImports(t *testing.T) {
	tests := []struct {
		name string
		give goPackage
		want []string
	}{
		{
			name: "the finding names the package, the import and what is allowed",
			give: goPackage{
				ImportPath: module + "/controllers/verifier/report",
				Imports:    []string{module + "/controllers/cloud"},
			},
			want: []string{"controllers/verifier/report imports controllers/cloud: controllers/verifier may import api"},
		},
		{
			name: "the finding about a test names what tests may import",
			give: goPackage{
				ImportPath:  module + "/test/cloudsim/state",
				TestImports: []string{module + "/api/v1alpha1", module + "/test/env/need"},
			},
			want: []string{"test/cloudsim/state: its tests import api/v1alpha1: tests of test/cloudsim may import test/env/need"},
		},
		{
			name: "a folder whose name only begins like a layer is not that layer",
			give: goPackage{ImportPath: module + "/controllers/planner"},
			want: []string{"controllers/planner: this package is in no layer of the table in hack/checks/layers.go; move it into one, or add the layer"},
		},
		{
			name: "a package in no layer may be imported by none",
			give: goPackage{ImportPath: module + "/controllers/plan", Imports: []string{module + "/controllers/planner"}},
			want: []string{"controllers/plan imports controllers/planner: controllers/plan may import api and controllers/cloud"},
		},
		{
			name: "a module whose name only begins like ours is not ours",
			give: goPackage{ImportPath: module + "/api/v1alpha1", Imports: []string{module + "-sdk/client"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, importsOf(test.give)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAForbiddenPackageIsFoundByWhateverDetour(t *testing.T) {
	for _, c := range closures {
		for _, forbidden := range c.forbidden {
			give := []goPackage{{ImportPath: "fmt"}, {ImportPath: forbidden + "/part [x.test]"}, {ImportPath: forbidden + "less"}}
			want := []string{fmt.Sprintf("%s depends on %s/part: %s", c.pattern, forbidden, c.why)}
			if diff := cmp.Diff(want, c.find(give)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		}
	}
}
