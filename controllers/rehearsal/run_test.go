package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// asking is a question for the session of the name, of a run, at a place in it.
func asking(name, run, place string) *v1alpha1.MirrorSession {
	q := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{
		Namespace: "n", Name: name + "-plan", UID: types.UID("uid-of-" + name), CreationTimestamp: metav1.NewTime(noon),
		Annotations: map[string]string{v1alpha1.PlanOfAnnotation: name, v1alpha1.PlanOrderAnnotation: place},
	}}
	if run != "" {
		q.Labels = map[string]string{v1alpha1.PlanLabel: run}
	}
	q.Spec.Suspend, q.Spec.Region = true, "r"
	return q
}

func TestARunHasTheSessionsOfItsLabelInTheirOrder(t *testing.T) {
	other := asking("other", "another", "0")
	elsewhere := asking("elsewhere", "run", "0")
	elsewhere.Namespace = "m"
	asked := asking("asked", "run", "9")
	awake := asking("awake", "run", "1")
	awake.Spec.Suspend = false
	filter := question(0)
	filter.Labels = map[string]string{v1alpha1.PlanLabel: "run"}
	objects := []client.Object{asked, other, elsewhere, awake, filter, asking("tenth", "run", "10"), asking("first", "run", "2"), asking("unplaced", "run", "")}
	r := newRuns(newServices(t, objects...)).runOf(asked)
	if err := r.read(t.Context(), asked); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range r.sessions {
		got = append(got, v1alpha1.PlannedOf(&r.sessions[i]))
	}
	if diff := gocmp.Diff([]string{"first", "asked", "tenth", "unplaced"}, got); diff != "" {
		t.Errorf("the sessions (-want +got):\n%s", diff)
	}
	using := &v1alpha1.MirrorSession{Spec: v1alpha1.MirrorSessionSpec{FilterRef: v1alpha1.FilterReference{Name: "f"}}}
	if f := r.filterOf(using); f == nil || f.Name != "f-plan" {
		t.Errorf("the copy of the filter f is %v", f)
	}
}

func TestOneWithoutARunIsByItself(t *testing.T) {
	runs := newRuns(newServices(t))
	a, b := asking("a", "", ""), asking("b", "", "")
	in := runs.runOf(a)
	if in == runs.runOf(b) || len(runs.known) > 0 {
		t.Errorf("questions without a run have one: %v", runs.known)
	}
	if err := in.read(t.Context(), a); err != nil || len(in.sessions) != 1 {
		t.Errorf("%v: %d sessions", err, len(in.sessions))
	}
}

func TestRunsAreForgottenAfterAWhileAndWhenTheyAreMany(t *testing.T) {
	now := noon
	services := newServices(t)
	options := services.Options
	options.Clock = func() time.Time { return now }
	runs := newRuns(lifecycle.New(options))
	first := runs.runOf(asking("s", "first", ""))
	for i := range maxRuns - 1 {
		now = now.Add(time.Second)
		runs.runOf(asking("s", fmt.Sprint(i), ""))
	}
	if runs.runOf(asking("t", "first", "")) != first {
		t.Error("a run is not remembered")
	}
	runs.runOf(asking("s", "one too many", ""))
	if len(runs.known) != maxRuns || runs.runOf(asking("s", "first", "")) == first {
		t.Errorf("the oldest is still known, of %d", len(runs.known))
	}
	now = now.Add(runLifetime + time.Minute)
	runs.runOf(asking("s", "last", ""))
	if len(runs.known) != 1 {
		t.Errorf("%d are known after their time", len(runs.known))
	}
}

// The session before has failed: nothing of what it has left on the stage counts, and it holds up nobody for ever.
func TestASessionOfARunThatCanNotBePlannedIsLeftOutOnceItHasFailedForLong(t *testing.T) {
	before, asked := asking("before", "run", "0"), asking("asked", "run", "1")
	asked.Spec.Region = "" // it has no credentials
	services := newServices(t, before, asked)
	now, failing := noon, errors.New("the API server is away")
	options := services.Options
	options.Clock = func() time.Time { return now }
	options.Reader = failingFor{options.Reader, "before", failing}
	in := newRun(lifecycle.New(options), now)
	in.sessions = []v1alpha1.MirrorSession{*before, *asked}
	in.rehearsal.account(cloud.Account{Region: "r"}).sessions["left"] = nil
	if _, err := in.upTo(t.Context(), asked); !errors.Is(err, failing) {
		t.Errorf("at first the error is %v", err)
	}
	if len(in.rehearsal.accounts) > 0 || in.failed[before.UID] {
		t.Errorf("after a failure the stage has %v, and failed are %v", in.rehearsal.accounts, in.failed)
	}
	now = noon.Add(patience)
	if _, err := in.upTo(t.Context(), asked); err == nil || !strings.Contains(err.Error(), "no such Secret") || !in.failed[before.UID] {
		t.Errorf("later the error is %v, and failed are %v", err, in.failed)
	}
}

// failingFor is a reader that fails for an object of a name.
type failingFor struct {
	client.Reader
	name string
	err  error
}

// Get fails for the name.
func (f failingFor) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if key.Name == f.name {
		return f.err
	}
	return f.Reader.Get(ctx, key, o, options...)
}

func TestTheStageListsSessionsAsTheyWouldBeByWhatIsAskedFor(t *testing.T) {
	session := func(namespace, name string, priority int32) *v1alpha1.MirrorSession {
		return &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.MirrorSessionSpec{Priority: &priority}}
	}
	services := newServices(t, session("n", "stays", 40), session("n", "changes", 40))
	s := newStage(services.Client, services.Reader)
	for _, would := range []*v1alpha1.MirrorSession{session("n", "changes", 400), session("n", "new", 40), session("m", "elsewhere", 40)} {
		s.sessions[client.ObjectKeyFromObject(would)] = would
	}
	list := func(from client.Reader, options ...client.ListOption) (got []string) {
		t.Helper()
		var all v1alpha1.MirrorSessionList
		if err := from.List(t.Context(), &all, options...); err != nil {
			t.Fatal(err)
		}
		for i := range all.Items {
			got = append(got, fmt.Sprint(all.Items[i].Name, " ", *all.Items[i].Spec.Priority))
		}
		return got
	}
	everything := []string{"stays 40", "elsewhere 40", "changes 400", "new 40"}
	for name, got := range map[string][]string{"from the cache": list(s), "past it": list(past{s})} {
		if diff := gocmp.Diff(everything, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := gocmp.Diff([]string(nil), list(s, client.MatchingLabels{"a": "b"})); diff != "" {
		t.Errorf("with a label that none has (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]string{"stays 40", "changes 400", "new 40"}, list(s, client.InNamespace("n"))); diff != "" {
		t.Errorf("of a namespace (-want +got):\n%s", diff)
	}
	var indexed []string
	for _, key := range []string{"changes", "new"} {
		is := s.sessions[client.ObjectKey{Namespace: "n", Name: key}]
		if isAsked(is, &client.ListOptions{FieldSelector: fields.OneTermEqualSelector("vpcmirror.io/choice", "named")}) &&
			isAsked(is, &client.ListOptions{FieldSelector: fields.OneTermEqualSelector("vpcmirror.io/priority", "1")}) {
			indexed = append(indexed, key)
		}
	}
	if diff := gocmp.Diff([]string{"new"}, indexed); diff != "" {
		t.Errorf("by an index (-want +got):\n%s", diff)
	}
}

// Whoever uses one label for one question after the other, such as by hand, is told of the cloud, not of what was asked before.
func TestWhatWasAskedBeforeDoesNotCountOnceItsCopyIsGone(t *testing.T) {
	before, asked := asking("before", "run", "0"), asking("asked", "run", "1")
	in := newRun(newServices(t, asked), noon)
	in.plans[before.UID] = &v1alpha1.Plan{}
	in.rehearsal.account(cloud.Account{Region: "r"}).sessions["left"] = nil
	if err := in.read(t.Context(), asked); err != nil {
		t.Fatal(err)
	}
	if len(in.plans) > 0 || len(in.rehearsal.accounts) > 0 {
		t.Errorf("still there are the plans %v, and on the stage %v", in.plans, in.rehearsal.accounts)
	}
}

func TestAQuestionWhoseTimeIsOverLeavesTheStageAsItIs(t *testing.T) {
	before, asked := asking("before", "run", "0"), asking("asked", "run", "1")
	in := newRun(newServices(t, before, asked), noon)
	in.sessions = []v1alpha1.MirrorSession{*before, *asked}
	in.plans[before.UID] = &v1alpha1.Plan{}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.upTo(over, asked); !errors.Is(err, context.Canceled) || len(in.plans) != 1 {
		t.Errorf("%v, and the plans are %v", err, in.plans)
	}
}

func TestAPlanNamesNoIDThatTheCloudDoesNotHave(t *testing.T) {
	const theirs = "5a1f0c7e-0000-4000-8000-000000000164"
	got := withoutMadeUp(`the session "s0" (` + (&account{made: map[kind]int{}, turn: 3}).newID(aSession) + `) is tried before ` + theirs)
	if want := `the session "s0" (new) is tried before ` + theirs; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
