package rehearsal

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// accounts are clients of accounts, by the region that a spec names.
type accounts struct{ lifecycle.ClientSource }

// ClientFor returns a client of the account, and an error for a spec without a region.
func (accounts) ClientFor(_ context.Context, _ string, spec *v1alpha1.CloudSpec, _ time.Time, _ func(string) error) (cloud.Client, error) {
	if spec.Region == "" {
		return nil, errors.New("no such Secret")
	}
	return accountClient{region: spec.Region}, nil
}

// accountClient knows its account alone.
type accountClient struct {
	cloud.Client
	region string
}

// Account returns it.
func (c accountClient) Account() cloud.Account { return cloud.Account{Region: c.region} }

// newServices are some whose API server has the objects.
func newServices(t *testing.T, objects ...client.Object) *lifecycle.Services {
	t.Helper()
	s := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	server := fake.NewClientBuilder().WithScheme(s).WithObjects(objects...).WithStatusSubresource(&v1alpha1.MirrorFilter{}, &v1alpha1.MirrorSession{}).WithReturnManagedFields().Build()
	clock := func() time.Time { return noon }
	return lifecycle.New(lifecycle.Options{
		Client: server, Reader: server, Clients: accounts{}, Recorder: events.NewFakeRecorder(10), Clock: clock,
		Inventory: inventory.New(clock), Resync: 10 * time.Minute, Cluster: "0a1b2c3d",
	})
}

// question asks for a plan of the filter f since a time.
func question(age time.Duration) *v1alpha1.MirrorFilter {
	q := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{
		Namespace: "n", Name: "f-plan", UID: "5c1a0f6e-7d3b-4c52-9f0e-2f4d6a8b0c11", Generation: 1,
		CreationTimestamp: metav1.NewTime(noon.Add(-age)), Annotations: map[string]string{v1alpha1.PlanOfAnnotation: "f"},
	}}
	q.Spec.Suspend = true
	return q
}

func TestARehearsalThatFailsIsTriedAgainAndThenItsFailureIsTheAnswer(t *testing.T) {
	for name, row := range map[string]struct {
		age    time.Duration
		failed error
		again  bool
		want   *v1alpha1.Plan
	}{
		"at first": {time.Second, errors.New("the cloud is busy"), true, nil},
		"later": {patience, errors.New("the cloud is busy"), false, &v1alpha1.Plan{
			At: metav1.NewTime(noon), Ready: metav1.ConditionUnknown, Reason: "Unanswered", Message: "what would be done could not be found out: rehearse: the cloud is busy",
		}},
		"with a reason that is known": {patience, lifecycle.Wait(v1alpha1.ReasonThrottled, "the cloud throttles"), false, &v1alpha1.Plan{
			At: metav1.NewTime(noon), Ready: metav1.ConditionUnknown, Reason: v1alpha1.ReasonThrottled, Message: "what would be done could not be found out: the cloud throttles",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			q := question(row.age)
			services := newServices(t, q)
			a := &answerer[*v1alpha1.MirrorFilter]{services, func() *v1alpha1.MirrorFilter { return &v1alpha1.MirrorFilter{} }, func(context.Context, *v1alpha1.MirrorFilter) (*v1alpha1.Plan, error) {
				return nil, row.failed
			}}
			if _, err := a.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(q)}); (err != nil) != row.again {
				t.Errorf("the question is tried again for: %v", err)
			}
			var now v1alpha1.MirrorFilter
			if err := services.Client.Get(t.Context(), client.ObjectKeyFromObject(q), &now); err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(row.want, now.Status.Plan); diff != "" {
				t.Errorf("the answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheLogHasNothingOfWhatIsOnlyRehearsed(t *testing.T) {
	var lines []string
	ctx := log.IntoContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	a := &answerer[*v1alpha1.MirrorFilter]{services: newServices(t), rehearse: func(ctx context.Context, _ *v1alpha1.MirrorFilter) (*v1alpha1.Plan, error) {
		log.FromContext(ctx).Info("created the filter in the cloud")
		return &v1alpha1.Plan{}, nil
	}}
	if _, err := a.answer(ctx, question(0)); err != nil {
		t.Fatal(err)
	}
	if len(lines) > 0 {
		t.Errorf("the log has %q", lines)
	}
}

func TestThePlanOfWhatIsBeingDeletedSaysSo(t *testing.T) {
	was := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "f", Finalizers: []string{v1alpha1.Finalizer}, DeletionTimestamp: new(metav1.NewTime(noon))}}
	was.Spec.Region = "r"
	services := newServices(t, was)
	got, err := newRuns(services).filter(t.Context(), question(0))
	want := &v1alpha1.Plan{
		At: metav1.NewTime(noon), Ready: metav1.ConditionFalse, Reason: v1alpha1.ReasonDeleting,
		Message: "f is being deleted, and no change of its spec keeps it: ask again when it is gone",
	}
	if diff := gocmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestASessionOfARunGetsTheFilterThatTheRunWouldGive(t *testing.T) {
	const imported = "6f1f4c1e-9d7b-4c52-8f0e-2f4d6a8b0c22"
	for name, row := range map[string]struct {
		edit func(*v1alpha1.MirrorFilter)
		// want is its ID, and there is whether the cloud of the stage has it as the spec says.
		want  string
		there bool
		in    string
	}{
		"a new one":                  {func(*v1alpha1.MirrorFilter) {}, "new", true, "r"},
		"one that has an ID":         {func(f *v1alpha1.MirrorFilter) { f.Status.ID = "known" }, "known", true, "r"},
		"an imported one":            {func(f *v1alpha1.MirrorFilter) { f.Spec.Import = &v1alpha1.Import{ID: imported} }, imported, true, "r"},
		"one of another account":     {func(f *v1alpha1.MirrorFilter) { f.Spec.Region = "other" }, "new", false, "other"},
		"one whose credentials lack": {func(f *v1alpha1.MirrorFilter) { f.Spec.Region = "" }, "", false, ""},
		"one that no cloud would take": {func(f *v1alpha1.MirrorFilter) {
			f.Spec.Rules = []v1alpha1.FilterRule{{Source: &v1alpha1.RulePeer{CIDR: "no"}}}
		}, "", false, ""},
		"one that is observed alone": {func(f *v1alpha1.MirrorFilter) {
			f.Spec.Import, f.Spec.ManagementPolicy = &v1alpha1.Import{ID: imported}, v1alpha1.ManagementObserve
		}, imported, false, "r"},
		"one that lives in another region": {func(f *v1alpha1.MirrorFilter) { f.Status.Account = &v1alpha1.Account{Region: "other"} }, "", false, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			was := question(0)
			was.Name, was.Annotations, was.Spec.Region, was.Spec.Suspend = "f", nil, "r", false
			row.edit(was)
			copied := question(0)
			copied.Spec = *was.Spec.DeepCopy()
			copied.Spec.Suspend = true
			r := newRehearsal(newServices(t, was))
			if err := r.giveFilter(t.Context(), copied); err != nil {
				t.Fatal(err)
			}
			f := r.stage.filters[client.ObjectKey{Namespace: "n", Name: "f"}]
			region := ""
			if f.Status.Account != nil {
				region = f.Status.Account.Region
			}
			_, there := r.account(cloud.Account{Region: "r"}).filters[f.Status.ID]
			type outcome struct {
				ID, Region string
				There      bool
			}
			if diff := gocmp.Diff(outcome{row.want, row.in, row.there}, outcome{cmp.Or(newName(f.Status.ID), f.Status.ID), region, there}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatOthersHaveIsNotNamedInAnAccountThatIsShared(t *testing.T) {
	before, after := session("1", "theirs", true, "a", "theirs too"), session("1", "t", true, "a")
	before.FilterID = "their filter"
	calls := []call{{operation: "UpdateTrafficMirrorSession", session: &change[cloud.Session]{before, after}}}
	for shared, want := range map[bool][]v1alpha1.PlannedChange{
		false: {{Field: "filter", Have: "their filter", Want: "f"}, {Field: "target", Have: "theirs", Want: "t"}, {Field: "sources", Have: "theirs too"}},
		true:  {{Field: "filter", Have: "another", Want: "f"}, {Field: "target", Have: "another", Want: "t"}, {Field: "sources", Have: "another"}},
	} {
		got, _ := planned(calls, naming{"a": "10.0.0.1", "t": ""}, shared)
		if diff := gocmp.Diff(want, got[0].Changes); diff != "" {
			t.Errorf("shared is %v (-want +got):\n%s", shared, diff)
		}
	}
}
