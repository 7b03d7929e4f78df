package install

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// health is Argo CD's verdict.
type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// judge runs the rule on an object as Argo CD does: only the libraries package, base and
// table are there (its VM.runLua), the object is the global obj, and the rule returns a
// table. Argo CD also gives a cut-down os, which the rule doesn't need.
func judge(t *testing.T, object map[string]any) health {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	state.SetContext(t.Context())
	state.SetGlobal("obj", toLua(t, state, object))
	if err := state.DoFile(filepath.Join(root, "config/health/health.lua")); err != nil {
		t.Fatalf("the rule failed: %v", err)
	}
	verdict, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the rule returned %v, no table", state.Get(-1))
	}
	return health{lua.LVAsString(verdict.RawGetString("status")), lua.LVAsString(verdict.RawGetString("message"))}
}

// toLua gives JSON values to Lua.
func toLua(t *testing.T, state *lua.LState, value any) lua.LValue {
	t.Helper()
	switch v := value.(type) {
	case nil:
		return lua.LNil
	case bool:
		return lua.LBool(v)
	case string:
		return lua.LString(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case []any:
		table := state.NewTable()
		for _, item := range v {
			table.Append(toLua(t, state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range v {
			table.RawSetString(key, toLua(t, state, item))
		}
		return table
	default:
		t.Fatalf("JSON has no %T", value)
		return nil
	}
}

// like are the verdicts of kstatus, by which Flux judges, that go with one of Argo CD.
var like = map[string][]kstatus.Status{
	"Healthy":     {kstatus.CurrentStatus},
	"Progressing": {kstatus.InProgressStatus, kstatus.TerminatingStatus},
	"Suspended":   {kstatus.InProgressStatus}, // kstatus knows no suspension
	"Degraded":    {kstatus.FailedStatus},
}

// agree fails the test where Flux would judge otherwise.
func agree(t *testing.T, verdict health, u *unstructured.Unstructured) {
	t.Helper()
	result, err := kstatus.Compute(u)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(like[verdict.Status], result.Status) {
		t.Errorf("Argo CD says %s, and kstatus %s (%s)", verdict.Status, result.Status, result.Message)
	}
}

func TestHealth(t *testing.T) {
	folder := filepath.Join(root, "config/health")
	content, err := os.ReadFile(filepath.Join(folder, "health_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Tests []struct {
			InputPath    string `json:"inputPath"`
			HealthStatus health `json:"healthStatus"`
		} `json:"tests"`
	}
	if err := yaml.UnmarshalStrict(content, &table); err != nil {
		t.Fatal(err)
	}

	var used []string
	for _, test := range table.Tests {
		used = append(used, test.InputPath)
		t.Run("Argo CD and Flux judge "+test.InputPath+" alike", func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join(folder, test.InputPath))
			if err != nil {
				t.Fatal(err)
			}
			u := objects(t, string(content))[0]
			verdict := judge(t, u.Object)
			if diff := cmp.Diff(test.HealthStatus, verdict); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if u.Object["status"] != nil { // the API server sets a default: none is never seen
				agree(t, verdict, u)
			}
		})
	}

	t.Run("each fixture is used", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(folder, "testdata/*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var there []string
		for _, file := range files {
			there = append(there, "testdata/"+filepath.Base(file))
		}
		slices.Sort(used)
		if diff := cmp.Diff(there, used); diff != "" {
			t.Errorf("files (-) and tests (+):\n%s", diff)
		}
	})
}

func TestHealthOfWhatTheManagerWrites(t *testing.T) {
	meta := func() metav1.ObjectMeta { return metav1.ObjectMeta{Name: "x", Namespace: "default", Generation: 7} }
	filter := func() status.Object { return &v1alpha1.MirrorFilter{ObjectMeta: meta()} }
	session := func() status.Object { return &v1alpha1.MirrorSession{ObjectMeta: meta()} }
	stuck := map[string]struct {
		write func(status.Object)
		want  string
	}{
		"is synced":     {func(o status.Object) { status.Synced(o, "as wanted") }, "Healthy"},
		"waits":         {func(o status.Object) { status.Waiting(o, v1alpha1.ReasonThrottled, "later") }, "Progressing"},
		"is stalled":    {func(o status.Object) { status.Stalled(o, v1alpha1.ReasonPermissionDenied, "arrears") }, "Degraded"},
		"is suspended":  {func(o status.Object) { o.Cloud().Suspend = true; status.Suspended(o) }, "Suspended"},
		"is not a word": {func(status.Object) {}, "Progressing"},
		"is synced again after it was stalled": {func(o status.Object) {
			status.Stalled(o, v1alpha1.ReasonPermissionDenied, "arrears")
			status.Synced(o, "as wanted")
		}, "Healthy"},
		"is being deleted": {func(o status.Object) {
			status.Synced(o, "as wanted")
			now := metav1.Now()
			o.SetDeletionTimestamp(&now)
		}, "Progressing"},
	}
	for said, test := range stuck {
		for kind, empty := range map[string]func() status.Object{"filter": filter, "session": session} {
			t.Run(fmt.Sprintf("a %s of which the manager says that it %s is %s", kind, said, test.want), func(t *testing.T) {
				o := empty()
				test.write(o)
				if s, ok := o.(*v1alpha1.MirrorSession); ok && len(s.Status.Conditions) > 0 {
					status.TrafficObserved(s, metav1.ConditionUnknown, v1alpha1.ReasonNoPackets, "none yet")
				}
				content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
				if err != nil {
					t.Fatal(err)
				}
				u := &unstructured.Unstructured{Object: content}
				u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Mirror" + kind))
				verdict := judge(t, u.Object)
				if verdict.Status != test.want {
					t.Errorf("Argo CD says %s (%s)", verdict.Status, verdict.Message)
				}
				if len(o.Common().Conditions) > 0 { // else the API server's default, in a fixture
					agree(t, verdict, u)
				}
			})
		}
	}
}
