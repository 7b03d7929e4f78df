package lifecycle

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// importOf is a part of an object that names the thing "one" by spec.import.
func importOf(t *testing.T, a *account, f *v1alpha1.MirrorFilter) *Part[thing] {
	t.Helper()
	f.Spec.Import = &v1alpha1.Import{ID: "one"}
	p, _, _ := partOf(t, a, f)
	p.ImportID, p.Absent = "one", func() { f.Status.ID = "" }
	return p
}

func TestWhoseWhatIsImportedIs(t *testing.T) {
	foreign := plan.Mark{Cluster: "ffffffff", UID: "somebody", Part: 1}
	for name, c := range map[string]struct {
		things     []thing
		policy     v1alpha1.ManagementPolicy
		found      bool
		reason     string
		stalled    bool
		finalizers []string
		calls      []string
	}{
		"without a mark it is taken over": {
			things: []thing{{id: "one", name: "tf"}}, found: true, finalizers: []string{v1alpha1.Finalizer}, calls: []string{"get one"},
		},
		"with another's mark it is a conflict": {
			things: []thing{{id: "one", name: "tf", description: foreign.Describe("")}}, reason: v1alpha1.ReasonConflict, stalled: true, calls: []string{"get one"},
		},
		"with another's mark it is observed all the same": {
			things: []thing{{id: "one", name: "tf", description: foreign.Describe("")}}, policy: v1alpha1.ManagementObserve, found: true, calls: []string{"get one"},
		},
		"what is observed gets no finalizer": {
			things: []thing{{id: "one", name: "tf"}}, policy: v1alpha1.ManagementObserve, found: true, calls: []string{"get one"},
		},
		"what is absent is not looked for by its mark": {
			things: []thing{marked(filter(), "two")}, reason: v1alpha1.ReasonImportNotFound, calls: []string{"get one", "list"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := filter()
			f.Spec.ManagementPolicy = c.policy
			a := &account{things: c.things}
			p := importOf(t, a, f)
			have, problem := find(t, p)
			type outcome struct {
				Found, Stalled    bool
				Reason            string
				Finalizers, Calls []string
			}
			got := outcome{Found: problem == nil && have != nil, Finalizers: f.Finalizers, Calls: a.journal()}
			if problem != nil {
				got.Reason, got.Stalled = problem.Reason, problem.Stalled
			}
			same(t, "the outcome", outcome{c.found, c.stalled, c.reason, c.finalizers, c.calls}, got)
		})
	}
}

func TestWhatIsImportedIsNotMadeEvenIfItIsAskedFor(t *testing.T) {
	a := &account{}
	p := importOf(t, a, filter())
	_, err := p.Create(t.Context(), func(context.Context) (thing, error) {
		t.Error("it is made")
		return thing{}, nil
	})
	same(t, "the reason", v1alpha1.ReasonImportNotFound, Diagnose(err).Reason)
}

func TestAnImportThatAReadDeniesAndAListShowsIsNotGone(t *testing.T) {
	f := filter()
	f.Status.ID = "one"
	a := &account{things: []thing{{id: "one", name: "tf"}}, getErr: &cloud.Error{Class: cloud.ClassNotFound, Op: "Get"}}
	_, problem := find(t, importOf(t, a, f))
	same(t, "the reason", v1alpha1.ReasonCloudUnavailable, problem.Reason)
	same(t, "the ID in the status", "one", f.Status.ID)
}

func TestOfTwoThatTakeOneThingOverTheFirstHasItUntilReadsShowItsMark(t *testing.T) {
	var all takeovers
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one := takeover{kind: "thing", id: "one"}
	for _, c := range []struct {
		what  takeover
		uid   types.UID
		after time.Duration
		want  bool
	}{
		{one, "a", 0, true},
		{one, "b", time.Second, false},
		{takeover{kind: "thing", id: "two"}, "b", time.Second, true},
		{one, "a", 2 * time.Second, true},
		{one, "b", settledAfter + time.Second, false},
		{one, "b", settledAfter + 3*time.Second, true},
		{one, "a", settledAfter + 4*time.Second, false},
	} {
		if got := all.take(c.what, c.uid, at.Add(c.after)); got != c.want {
			t.Errorf("%s takes %s after %s: %t, want %t", c.uid, c.what.id, c.after, got, c.want)
		}
	}
}
