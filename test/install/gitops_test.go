package install

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/cel-go/cel"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// expressions are those by which Flux judges the objects of a kind in place of kstatus.
type expressions struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Current    string `json:"current"`
	Failed     string `json:"failed"`
	InProgress string `json:"inProgress"`
}

// expressionsOf are those of the recipe for sessions.
func expressionsOf(t *testing.T) expressions {
	t.Helper()
	for _, r := range recipes(t) {
		for _, u := range r.objects {
			checks, has, err := unstructured.NestedSlice(u.Object, "spec", "healthCheckExprs")
			if err != nil {
				t.Fatal(err)
			}
			if !has {
				continue
			}
			content, err := yaml.Marshal(checks[0])
			if err != nil {
				t.Fatal(err)
			}
			var e expressions
			if err := yaml.UnmarshalStrict(content, &e); err != nil {
				t.Fatal(err)
			}
			return e
		}
	}
	t.Fatal("no recipe has healthCheckExprs")
	return expressions{}
}

// judge says what Flux says of an object (its RFC 0009): the generation first, then the expressions in
// this order, whose variables are the fields of the object.
func (e expressions) judge(t *testing.T, object map[string]any) kstatus.Status {
	t.Helper()
	generation, _, _ := unstructured.NestedInt64(object, "metadata", "generation")
	if observed, has, _ := unstructured.NestedInt64(object, "status", "observedGeneration"); has && observed != generation {
		return kstatus.InProgressStatus
	}
	for _, check := range []struct {
		expression string
		verdict    kstatus.Status
	}{{e.InProgress, kstatus.InProgressStatus}, {e.Failed, kstatus.FailedStatus}, {e.Current, kstatus.CurrentStatus}} {
		if check.expression != "" && holds(t, check.expression, object) {
			return check.verdict
		}
	}
	return kstatus.InProgressStatus
}

func holds(t *testing.T, expression string, object map[string]any) bool {
	t.Helper()
	language, err := cel.NewEnv(cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true))
	if err != nil {
		t.Fatal(err)
	}
	parsed, issues := language.Parse(expression)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", expression, issues.Err())
	}
	program, err := language.Program(parsed)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	value, _, err := program.Eval(object)
	if err != nil {
		t.Fatalf("%s: %v: Flux waits for its timeout then", expression, err)
	}
	is, ok := value.Value().(bool)
	if !ok {
		t.Fatalf("%s gives %v, no yes or no", expression, value)
	}
	return is
}

// fixture is a status as it can be.
func fixture(t *testing.T, name string) map[string]any {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "config/health/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, string(content))
	return all[0].Object
}

func TestFluxJudgesByTheRecipesExpressionsAsKstatusDoesButWaitsWhereNoCopyCanComeThrough(t *testing.T) {
	sessions := expressionsOf(t)
	if sessions.APIVersion != "vpcmirror.io/v1alpha1" || sessions.Kind != "MirrorSession" {
		t.Errorf("the expressions are for %s of %s", sessions.Kind, sessions.APIVersion)
	}
	entries, err := os.ReadDir(filepath.Join(root, "config/health/testdata"))
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[string]kstatus.Status{}, map[string]kstatus.Status{}
	for _, entry := range entries {
		object := fixture(t, entry.Name())
		if object["status"] == nil { // the API server gives each object one, by a default
			continue
		}
		result, err := kstatus.Compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			t.Fatal(err)
		}
		if result.Status != kstatus.TerminatingStatus { // Flux judges what it applies, and applies nothing that goes
			got[entry.Name()], want[entry.Name()] = sessions.judge(t, object), result.Status
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 8 {
		t.Errorf("the verdicts of %d statuses (-kstatus +expressions):\n%s", len(want), diff)
	}

	blocked := fixture(t, "ready_quiet.yaml")
	conditions, _, err := unstructured.NestedSlice(blocked, "status", "conditions")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []struct {
		status string
		want   kstatus.Status
	}{{"True", kstatus.CurrentStatus}, {"Unknown", kstatus.CurrentStatus}, {"False", kstatus.InProgressStatus}} {
		with := append(slices.Clone(conditions), map[string]any{"type": "PathClear", "status": path.status, "reason": "TargetGroupDenies"})
		if err := unstructured.SetNestedSlice(blocked, with, "status", "conditions"); err != nil {
			t.Fatal(err)
		}
		if got := sessions.judge(t, blocked); got != path.want {
			t.Errorf("a session that is in the cloud, with PathClear %s, is %s, want %s", path.status, got, path.want)
		}
	}
}

func TestTheChartTakesTheValuesOfTheRecipes(t *testing.T) {
	found := 0
	for _, r := range recipes(t) {
		for _, u := range r.objects {
			for _, at := range [][]string{{"spec", "source", "helm", "valuesObject"}, {"spec", "values"}} {
				values, has, err := unstructured.NestedMap(u.Object, at...)
				if err != nil || !has {
					continue
				}
				found++
				content, err := yaml.Marshal(values)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := template(t, string(content)); err != nil {
					t.Errorf("%s of %s: %v", identity(u), r.folder, err)
				}
			}
		}
	}
	if found != 2 {
		t.Errorf("%d recipes have values of the chart, want those for Argo CD and Flux", found)
	}
}
