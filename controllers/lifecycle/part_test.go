package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// thing is a cloud object of no particular kind.
type thing struct {
	id, name, description, content string
	created                        time.Time
}

// account is what the cloud has of things, and a journal of the calls.
type account struct {
	things []thing
	calls  []string
	noted  map[string]bool
	getErr error
}

// things are what a list shows.
type things []thing

func (all things) ByID(id string) (thing, bool) {
	if i := slices.IndexFunc(all, func(t thing) bool { return t.id == id }); i >= 0 {
		return all[i], true
	}
	return thing{}, false
}

func (all things) Marked(uid string) (marked []thing) {
	for _, t := range all {
		if mark, ok := plan.MarkOf(t.description); ok && mark.UID == uid {
			marked = append(marked, t)
		}
	}
	return marked
}

func (a *account) call(words ...string) { a.calls = append(a.calls, strings.Join(words, " ")) }

// journal returns the calls since it was last asked.
func (a *account) journal() []string {
	calls := a.calls
	a.calls = nil
	return calls
}

func (a *account) collection() Collection[thing] {
	gone := &cloud.Error{Class: cloud.ClassNotFound, Op: "Get"}
	at := func(id string) int { return slices.IndexFunc(a.things, func(t thing) bool { return t.id == id }) }
	return Collection[thing]{
		Kind: "thing",
		Identity: func(t thing) Identity {
			return Identity{ID: t.id, Name: t.name, Description: t.description, CreatedAt: t.created}
		},
		State: func(t thing) string { return t.id + t.name + t.description + t.content },
		List: func(context.Context, time.Time) (Listed[thing], error) {
			a.call("list")
			return things(slices.Clone(a.things)), nil
		},
		Get: func(_ context.Context, id string) (thing, error) {
			a.call("get", id)
			if a.getErr != nil {
				return thing{}, a.getErr
			}
			if i := at(id); i >= 0 {
				return a.things[i], nil
			}
			return thing{}, gone
		},
		Delete: func(_ context.Context, id string) error {
			a.call("delete", id)
			a.things = slices.DeleteFunc(a.things, func(t thing) bool { return t.id == id })
			return nil
		},
		Note:   func(thing) {},
		Forget: func(id string) { delete(a.noted, id) },
		Noted:  func(id string, _ time.Time) bool { return a.noted[id] },
	}
}

// partOf is a part of f whose cloud is a, and where the events go. Each begins a reconcile.
func partOf(t *testing.T, a *account, f *v1alpha1.MirrorFilter) (part *Part[thing], events func() []string, pass func(time.Duration)) {
	t.Helper()
	s := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	server := fake.NewClientBuilder().WithScheme(s).WithObjects(f).WithStatusSubresource(f).WithReturnManagedFields().Build()
	services, recorder := newTestServices()
	now := noon
	options := services.Options
	options.Client, options.Reader, options.Timing = server, server, quick
	options.Clock = func() time.Time {
		now = now.Add(1) // time passes between two readings
		return now
	}
	services = New(options)
	if err := server.Get(t.Context(), client.ObjectKeyFromObject(f), f); err != nil {
		t.Fatal(err)
	}
	scope := services.NewScope(t.Context(), f)
	scope.Cloud = accountOnly{account: cloud.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}}
	record := func(have thing) { f.Status.ID = have.id }
	return &Part[thing]{
		Scope: scope, Number: 1, Collection: a.collection(), Name: "n-f-u",
		StoredID: func() string { return f.Status.ID },
		Record:   record, Progress: record,
		Epoch: func(thing) bool { return false },
	}, func() []string { return eventsOf(recorder) }, func(d time.Duration) { now = now.Add(d) }
}

func marked(f *v1alpha1.MirrorFilter, id string) thing {
	return thing{id: id, name: "n-f-u", description: plan.Mark{Cluster: "0a1b2c3d", UID: string(f.UID)}.Describe("of ours")}
}

// find returns what Find gives, an error as the problem that it stands for.
func find(t *testing.T, p *Part[thing]) (*thing, *Problem) {
	t.Helper()
	have, err := p.Find(t.Context())
	return have, Diagnose(err)
}

func TestACreateWithoutAnAnswerIsLookedForUntilItsAbsenceCanBeBelieved(t *testing.T) {
	f, a := filter(), &account{}
	p, events, pass := partOf(t, a, f)
	lost := &cloud.Error{Class: cloud.ClassServer, Op: "Create", Ambiguous: true}
	_, err := p.Create(t.Context(), func(context.Context) (thing, error) { return thing{}, lost })
	same(t, "the error", error(lost), err, cmpopts.EquateErrors())
	same(t, "the recorded account", &v1alpha1.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}, f.Status.Account)

	_, problem := find(t, p)
	same(t, "what is waited for", &Problem{
		Reason: v1alpha1.ReasonProgressing, Retry: true,
		Message: "an earlier create may have taken effect without an answer: looking for what it made before creating again",
	}, problem)
	status.Waiting(f, v1alpha1.ReasonCloudUnavailable, "503")
	_, problem = find(t, p)
	same(t, "after a fault", &Problem{Reason: v1alpha1.ReasonCloudUnavailable, Message: "503", Retry: true}, problem)
	status.Stalled(f, v1alpha1.ReasonPermissionDenied, "403")
	_, problem = find(t, p)
	same(t, "after a refusal", &Problem{Reason: v1alpha1.ReasonPermissionDenied, Message: "403", Retry: true, Stalled: true}, problem)

	made := marked(f, "late")
	a.things = []thing{{id: "foreign"}, made}
	have, problem := find(t, p)
	same(t, "what it had made", &made, have, cmpopts.EquateComparable(thing{}))
	same(t, "the problem then", (*Problem)(nil), problem)
	same(t, "the ID in the status", "late", f.Status.ID)
	same(t, "the events", []string{"Normal Found found the thing late of an earlier attempt"}, events())

	a.things = nil
	pass(settledAfter)
	if have, problem = find(t, p); have != nil || problem != nil {
		t.Errorf("found %v with the problem %v after it was removed outside", have, problem)
	}
}

func TestAFirstCreateThatWasSurelyRefusedLeavesNoAccountBehind(t *testing.T) {
	f, a := filter(), &account{}
	p, _, _ := partOf(t, a, f)
	refused := &cloud.Error{Class: cloud.ClassInvalid, Op: "Create"}
	if _, err := p.Create(t.Context(), func(context.Context) (thing, error) { return thing{}, refused }); !errors.Is(err, refused) {
		t.Errorf("the error is %v", err)
	}
	same(t, "the recorded account", (*v1alpha1.Account)(nil), f.Status.Account)
}

func TestAnObjectThatAReadDeniesAndAListShowsIsNeitherMadeNorTakenOver(t *testing.T) {
	f := filter()
	f.Status.ID = "one"
	a := &account{things: []thing{marked(f, "one")}, getErr: &cloud.Error{Class: cloud.ClassNotFound, Op: "Get"}}
	p, _, _ := partOf(t, a, f)
	have, problem := find(t, p)
	same(t, "what was found", (*thing)(nil), have)
	same(t, "the problem", &Problem{
		Reason: v1alpha1.ReasonCloudUnavailable, Retry: true,
		Message: "the cloud says that the thing one does not exist, and lists it all the same: waiting until it is sure",
	}, problem)
	same(t, "the ID in the status", "one", f.Status.ID)
}

func TestAnObjectWhoseFinalizersWereTakenOffGetsThemBackAsSoonAsItIsFound(t *testing.T) {
	for name, id := range map[string]string{"by its ID": "one", "by its mark": ""} {
		t.Run(name, func(t *testing.T) {
			f := filter()
			f.Status.ID = id
			a := &account{things: []thing{marked(f, "one")}}
			p, _, _ := partOf(t, a, f)
			if _, problem := find(t, p); problem != nil {
				t.Fatal(problem)
			}
			same(t, "the finalizers", []string{v1alpha1.Finalizer}, f.Finalizers)
			same(t, "the ID in the status", "one", f.Status.ID)
		})
	}
}

func TestOfTwoObjectsWithOneMarkTheOlderWithTheNameIsTaken(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC) }
	for name, c := range map[string]struct {
		things   []thing
		want, is string // the ID in the status, and what the problem says
	}{
		"the older":                       {[]thing{{id: "one", name: "n", created: at(2)}, {id: "two", name: "n", created: at(1)}}, "two", ""},
		"of one age the first ID":         {[]thing{{id: "two", name: "n"}, {id: "one", name: "n"}}, "one", ""},
		"not the one that somebody made":  {[]thing{{id: "copy", name: "copied", created: at(1)}, {id: "one", name: "n", created: at(2)}}, "one", ""},
		"the only one, whatever its name": {[]thing{{id: "one", name: "renamed"}}, "one", ""},
		"none of two with other names": {[]thing{{id: "one", name: "a"}, {id: "two", name: "b"}}, "", "the cloud has 2 things with this object's mark, " +
			"none of them with the name \"n\": one, two. Delete those that are not in use, and the remaining one is taken"},
	} {
		t.Run(name, func(t *testing.T) {
			f := filter()
			a := &account{}
			for _, one := range c.things {
				one.description = marked(f, one.id).description
				a.things = append(a.things, one)
			}
			p, _, _ := partOf(t, a, f)
			p.Name = "n"
			_, problem := find(t, p)
			if c.is != "" {
				same(t, "the problem", &Problem{Reason: v1alpha1.ReasonConflict, Stalled: true, Message: c.is}, problem)
			} else if problem != nil {
				t.Error(problem)
			}
			same(t, "the ID in the status", c.want, f.Status.ID)
		})
	}
}

func TestWhatASharedListShowsIsConfirmedBeforeItIsChanged(t *testing.T) {
	f := filter()
	f.Status.ID = "one"
	status.Synced(f, "")
	changed := marked(f, "one")
	changed.content = "changed outside"
	a := &account{things: []thing{changed}}
	p, _, _ := partOf(t, a, f)
	have, err := p.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the calls of finding it in the steady state", []string{"list"}, a.journal())
	err = p.Converge(t.Context(), *have, func(have thing) ([]plan.Change, Mend[thing]) {
		if have.content == "" {
			return nil, nil
		}
		return []plan.Change{{Field: "content", Have: have.content}}, func(context.Context) (*thing, error) {
			a.call("mend")
			a.things[0].content = ""
			return nil, nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the calls of mending it", []string{"get one", "mend", "get one"}, a.journal())
}

func TestWhatTheAnswersOfWritesTellWholeIsNotReadAgain(t *testing.T) {
	for name, c := range map[string]struct {
		told string
		want []string
	}{
		"in line":                 {"", []string{"get one", "mend"}},
		"not yet as it should be": {"other", []string{"get one", "mend", "get one"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := filter()
			f.Status.ID = "one"
			wrong := marked(f, "one")
			wrong.content = "wrong"
			a := &account{things: []thing{wrong}}
			p, _, _ := partOf(t, a, f)
			have, err := p.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			recorded := thing{}
			p.Record = func(have thing) { recorded = have }
			err = p.Converge(t.Context(), *have, func(have thing) ([]plan.Change, Mend[thing]) {
				if have.content == "" {
					return nil, nil
				}
				return []plan.Change{{Field: "content"}}, func(context.Context) (*thing, error) {
					a.call("mend")
					a.things[0].content = ""
					told := have
					told.content = c.told
					return &told, nil
				}
			})
			same(t, "the error", error(nil), err)
			same(t, "what is recorded", "", recorded.content)
			same(t, "the calls", c.want, a.journal())
		})
	}
}

// A manager that ended amid its work may have changed what a read does not show yet.
func TestWhatWasNotInLineIsBelievedToBeOnlyOnceReadsShowWhatAnEarlierManagerDid(t *testing.T) {
	nothing := func(thing) ([]plan.Change, Mend[thing]) { return nil, nil }
	waits := func(problem *Problem) bool {
		return problem != nil && problem.Reason == v1alpha1.ReasonProgressing && problem.After > 0
	}
	for name, c := range map[string]struct {
		synced bool
		later  time.Duration
		mends  bool
		want   bool // whether it is looked at again
	}{
		"what needed nothing, right after the start": {want: true},
		"what was in line before":                    {synced: true},
		"once reads must show it":                    {later: quick.Lag},
		"what this manager has changed itself":       {mends: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := filter()
			f.Status.ID = "one"
			if c.synced {
				status.Synced(f, "")
			}
			a := &account{things: []thing{marked(f, "one")}}
			p, _, pass := partOf(t, a, f)
			have, err := p.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.Expectations.Behind() // the process begins to lead
			pass(c.later)
			diff := nothing
			if c.mends {
				diff = func(have thing) ([]plan.Change, Mend[thing]) {
					if have.content == "mended" {
						return nil, nil
					}
					return []plan.Change{{Field: "content"}}, func(context.Context) (*thing, error) { a.things[0].content = "mended"; return nil, nil }
				}
			}
			problem := Diagnose(p.Converge(t.Context(), *have, diff))
			if waits(problem) != c.want || problem != nil && !c.want {
				t.Errorf("the problem is %+v", problem)
			}
		})
	}
}

// What the spec wants now may be what was before this process changed it: a read that is old shows nothing to do then.
func TestWhatReadsMayNotShowYetOfThisProcessIsNotBelieved(t *testing.T) {
	for name, c := range map[string]struct {
		left   string        // what the last change is known to have left; unknown where it is empty
		ago    time.Duration // when that was
		synced bool
		wrong  bool   // the read shows something else than what is wanted
		listed string // what a list shows instead, if anything
		want   []string
		waits  bool
	}{
		"nothing to do after a change of which nothing is known":         {want: []string{"get one"}, waits: true},
		"nothing to do though something else was left":                   {left: "other", want: []string{"get one"}, waits: true},
		"nothing to do as this is what was left":                         {left: "one" + "content", want: []string{"get one"}},
		"nothing to do once reads must show it":                          {ago: quick.Lag, want: []string{"get one"}},
		"what is in line already":                                        {synced: true, want: []string{"list"}},
		"what was in line, and is read for what a list shows":            {synced: true, listed: "other", left: "other", want: []string{"list", "get one"}, waits: true},
		"what was mended is read back":                                   {wrong: true, want: []string{"get one", "mend", "get one"}},
		"what was mended is told whole where the read was to be trusted": {wrong: true, left: "onewrong", want: []string{"get one", "mend"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := filter()
			f.Status.ID = "one"
			if c.synced {
				status.Synced(f, "")
			}
			shown := marked(f, "one")
			shown.content = "content"
			if c.wrong {
				shown.content = "wrong"
			}
			a := &account{things: []thing{shown}}
			p, _, pass := partOf(t, a, f)
			p.Collection.State = func(t thing) string { return t.id + t.content }
			if c.listed != "" {
				noted := shown
				noted.content = c.listed
				p.Collection.List = func(context.Context, time.Time) (Listed[thing], error) {
					a.call("list")
					return things{noted}, nil
				}
			}
			p.Expectations.Behind() // the process begins to lead
			pass(quick.Lag)
			p.Expectations.Written(p.key(), c.left)
			pass(c.ago)
			have, err := p.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			problem := Diagnose(p.Converge(t.Context(), *have, func(have thing) ([]plan.Change, Mend[thing]) {
				if have.content == "content" {
					return nil, nil
				}
				return []plan.Change{{Field: "content"}}, func(context.Context) (*thing, error) {
					a.call("mend")
					a.things[0].content = "content"
					return &a.things[0], nil
				}
			}))
			same(t, "the calls", c.want, a.journal())
			if waits := problem != nil && problem.Reason == v1alpha1.ReasonProgressing && problem.After > 0 && problem.After <= quick.Lag; waits != c.waits || problem != nil && !waits {
				t.Errorf("the problem is %+v", problem)
			}
		})
	}
}

func TestAWriteRightAfterAnotherLetsTheObjectBeComparedOnceMore(t *testing.T) {
	refused := &cloud.Error{Class: cloud.ClassInvalid, Op: "Update"}
	for name, c := range map[string]struct {
		before bool
		ago    time.Duration
		err    error
		want   bool
	}{
		"the first one":                 {},
		"a second one":                  {before: true, want: true},
		"a second one that was refused": {before: true, err: refused},
		"one that comes much later":     {before: true, ago: quick.unsettled()},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, pass := partOf(t, &account{}, filter())
			if c.before {
				same(t, "the error of the first", error(nil), p.Did(nil))
			}
			pass(c.ago)
			same(t, "the error", c.err, p.DidOver(c.err), cmpopts.EquateErrors())
			_, awaited := p.Expectations.Recheck(p.Object.GetUID())
			same(t, "whether it is compared once more", c.want, awaited)
		})
	}
}

func TestAnObjectThatNeverConvergesIsGivenUpAfterAFewRounds(t *testing.T) {
	f := filter()
	f.Status.ID = "one"
	a := &account{things: []thing{marked(f, "one")}}
	p, _, _ := partOf(t, a, f)
	have, err := p.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rounds := 0
	err = p.Converge(t.Context(), *have, func(thing) ([]plan.Change, Mend[thing]) {
		return []plan.Change{{Field: "vni", Have: "1", Want: "2"}}, func(context.Context) (*thing, error) { rounds++; return nil, nil }
	})
	same(t, "the problem", &Problem{
		Reason: v1alpha1.ReasonProgressing, Message: "the thing one does not converge: still vni is 1, wanted 2", Retry: true,
	}, Diagnose(err))
	same(t, "the rounds", maxRounds, rounds)
}

func TestAnObjectThatGoesWhileItIsChangedIsLookedForAgainSoon(t *testing.T) {
	f := filter()
	f.Status.ID = "one"
	a := &account{things: []thing{marked(f, "one")}}
	p, _, _ := partOf(t, a, f)
	have, err := p.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = p.Converge(t.Context(), *have, func(thing) ([]plan.Change, Mend[thing]) {
		return []plan.Change{{Field: "vni"}}, func(context.Context) (*thing, error) { a.things = nil; return nil, nil }
	})
	same(t, "the problem", &Problem{
		Reason: v1alpha1.ReasonProgressing, Message: "the thing one went from the cloud while it was changed", Retry: true,
	}, Diagnose(err))
}

func TestDeletionGoesByTheIDElseByTheMarkAndIsReadBack(t *testing.T) {
	for name, id := range map[string]string{"by the ID in the status": "one", "by the mark": ""} {
		t.Run(name, func(t *testing.T) {
			f := filter()
			f.Status.ID = id
			a := &account{things: []thing{{id: "foreign"}, marked(f, "one")}}
			p, events, _ := partOf(t, a, f)
			if err := p.Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
			same(t, "what the cloud has", []thing{{id: "foreign"}}, a.things, cmpopts.EquateComparable(thing{}))
			calls := a.journal()
			same(t, "the last calls", []string{"delete one", "get one"}, calls[len(calls)-2:])
			evented := events()
			same(t, "the last event", "Normal Deleted deleted the thing one from the cloud", evented[len(evented)-1])
		})
	}
}
