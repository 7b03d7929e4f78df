package rehearsal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/mirrorfilter"
	"vpcmirror.io/operator/controllers/mirrorsession"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// rehearsal is what is played on one stage: a filter, or the sessions of a run one after the other.
type rehearsal struct {
	of    *lifecycle.Services
	began time.Time
	stage *stage
	// accounts are those of the cloud on this stage, and cloud is that of the object that is played now, nil until
	// its credentials were found.
	accounts map[cloud.Account]*account
	cloud    *stageCloud
	notes    notes
}

func newRehearsal(of *lifecycle.Services) *rehearsal {
	return &rehearsal{of: of, began: of.Clock(), stage: newStage(of.Client, of.Reader), accounts: map[cloud.Account]*account{}}
}

func (r *rehearsal) account(of cloud.Account) *account {
	if r.accounts[of] == nil {
		r.accounts[of] = newAccount()
	}
	return r.accounts[of]
}

// notes are the warnings among the events that the reconciler would make.
type notes struct{ warnings []v1alpha1.PlanWarning }

// Eventf notes a warning that is about packets, or about what goes: what Ready says stands in the plan itself.
func (n *notes) Eventf(_ runtime.Object, _ runtime.Object, kind, reason, _, note string, args ...any) {
	if kind == "Warning" && slices.Contains([]string{"VNIChanged", "DriftCorrected", "Updating", "MarkStays"}, reason) {
		n.warnings = append(n.warnings, v1alpha1.PlanWarning{Reason: reason, Message: fmt.Sprintf(note, args...)})
	}
}

// stageClients give the stage's cloud in the place of the real one.
type stageClients struct {
	lifecycle.ClientSource
	rehearsal *rehearsal
}

// ClientFor returns the stage's cloud for the account of the real client.
func (c stageClients) ClientFor(ctx context.Context, namespace string, spec *v1alpha1.CloudSpec, notBefore time.Time, admit func(string) error) (cloud.Client, error) {
	found, err := c.ClientSource.ClientFor(ctx, namespace, spec, notBefore, admit)
	if err != nil {
		return nil, err
	}
	r := c.rehearsal
	if r.cloud == nil {
		in := r.account(found.Account())
		in.begin()
		r.cloud = newStageCloud(found, r.of.Inventory, r.of.Clock, in)
	}
	return r.cloud, nil
}

// services are those of the real reconcilers, on a stage. What they remember begins empty: nothing was made on
// this stage before, so there is nothing whose effect is awaited.
func (r *rehearsal) services() *lifecycle.Services {
	o := r.of.Options
	o.Client, o.Reader = r.stage, past{r.stage}
	o.Clients = stageClients{r.of.Clients, r}
	o.Inventory = inventory.New(o.Clock)
	o.Recorder = &r.notes
	o.Tracing = nil
	o.Timing = lifecycle.Timing{CallDeadline: 1, Lag: 1, Recheck: 1}
	s := lifecycle.New(o)
	s.Expectations.Behind() // from now on an earlier process would count: there is none
	return s
}

// session rehearses a session that would have the spec of a copy, with its filter as a copy of that would have it, nil
// for as it is. Afterwards it stands on the stage as it would be.
func (r *rehearsal) session(ctx context.Context, copied *v1alpha1.MirrorSession, filter *v1alpha1.MirrorFilter) (*v1alpha1.Plan, error) {
	r.cloud, r.notes = nil, notes{}
	name := client.ObjectKey{Namespace: copied.Namespace, Name: v1alpha1.PlannedOf(copied)}
	is := &v1alpha1.MirrorSession{}
	err := wouldBe(ctx, past{r.stage}, name, is, copied, func(o *v1alpha1.MirrorSession) *v1alpha1.MirrorSessionSpec { return &o.Spec })
	if err != nil {
		return nil, err
	}
	if p := r.going(is); p != nil {
		return p, nil
	}
	if filter != nil {
		if err := r.giveFilter(ctx, filter); err != nil {
			return nil, err
		}
	}
	was := is.DeepCopy()
	r.stage.sessions[name] = is
	is, err = (&mirrorsession.Reconciler{Services: r.services()}).Rehearse(ctx, name)
	if err != nil {
		return nil, err
	}
	r.stage.sessions[name] = is
	return r.conclude(ctx, was, is, is.Status.Findings)
}

// filter rehearses a filter that would have the spec of a copy.
func (r *rehearsal) filter(ctx context.Context, copied *v1alpha1.MirrorFilter) (*v1alpha1.Plan, error) {
	is, err := r.wouldBeFilter(ctx, copied)
	if err != nil {
		return nil, err
	}
	if p := r.going(is); p != nil {
		return p, nil
	}
	was, name := is.DeepCopy(), client.ObjectKeyFromObject(is)
	r.stage.filters[name] = is
	if is, err = (&mirrorfilter.Reconciler{Services: r.services()}).Rehearse(ctx, name); err != nil {
		return nil, err
	}
	return r.conclude(ctx, was, is, nil)
}

// wouldBeFilter is the filter that a copy is of, as it would be with the copy's spec.
func (r *rehearsal) wouldBeFilter(ctx context.Context, copied *v1alpha1.MirrorFilter) (*v1alpha1.MirrorFilter, error) {
	is := &v1alpha1.MirrorFilter{}
	name := client.ObjectKey{Namespace: copied.Namespace, Name: v1alpha1.PlannedOf(copied)}
	return is, wouldBe(ctx, past{r.stage}, name, is, copied, func(o *v1alpha1.MirrorFilter) *v1alpha1.MirrorFilterSpec { return &o.Spec })
}

// wouldBe reads the object of the name into one that is empty, and gives it the spec of a copy. One that does not exist
// yet has the UID of the copy: what is made of it has another one.
func wouldBe[T status.Object, S any](ctx context.Context, reader client.Reader, name client.ObjectKey, is, copied T, spec func(T) *S) error {
	err := reader.Get(ctx, name, is)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read what is planned for, %s: %w", name, err)
	}
	is.Cloud().Suspend = false
	was := *spec(is)
	*spec(is) = *spec(copied.DeepCopyObject().(T)) // a copy has its original's type
	is.Cloud().Suspend = false
	is.SetAnnotations(nil)
	switch {
	case err != nil:
		is.SetNamespace(name.Namespace)
		is.SetName(name.Name)
		is.SetUID(copied.GetUID())
		is.SetGeneration(1)
		is.SetCreationTimestamp(copied.GetCreationTimestamp())
		is.SetResourceVersion(copied.GetResourceVersion())
	case !equality.Semantic.DeepEqual(was, *spec(is)):
		is.SetGeneration(is.GetGeneration() + 1)
	}
	return nil
}

// giveFilter has the stage show the filter that a copy is of, and its cloud hold that, as it would be once it is applied.
// One that would not be ready stays as it is in the cloud: its own plan says why.
func (r *rehearsal) giveFilter(ctx context.Context, copied *v1alpha1.MirrorFilter) error {
	name := client.ObjectKey{Namespace: copied.Namespace, Name: v1alpha1.PlannedOf(copied)}
	if r.stage.filters[name] != nil {
		return nil
	}
	f, err := r.wouldBeFilter(ctx, copied)
	if err != nil {
		return err
	}
	r.stage.filters[name] = f
	want, wrong := plan.FilterFrom(f, r.of.Mark(f, 1))
	theirs, unknown := r.of.Clients.ClientFor(ctx, f.Namespace, f.Cloud(), r.began, func(string) error { return nil })
	if wrong != nil || unknown != nil || !f.DeletionTimestamp.IsZero() {
		return nil //nolint:nilerr // its own plan says why
	}
	a := theirs.Account()
	if f.Status.Account == nil {
		f.Status.Account = &v1alpha1.Account{Region: a.Region, ProjectID: a.ProjectID, Endpoint: a.Endpoint}
	}
	if !plan.SameAccount(f.Status.Account, a) {
		return nil
	}
	in := r.account(a)
	if f.Status.ID = cmp.Or(f.Status.ID, f.Spec.ImportID()); f.Status.ID == "" {
		f.Status.ID = in.newID(aFilter)
	}
	status.Synced(f, "as it would be")
	if f.Spec.Observes() {
		return nil
	}
	have := cloud.Filter{ID: f.Status.ID, Name: want.Name, Description: want.Description}
	for _, rule := range want.Rules {
		have.Rules = append(have.Rules, cloud.Rule{ID: in.newID(aRule), RuleSpec: rule})
	}
	in.filters[have.ID] = &have
	return nil
}

// going is the answer for an object that is being deleted, nil for any other: no spec keeps it.
func (r *rehearsal) going(o status.Object) *v1alpha1.Plan {
	if o.GetDeletionTimestamp().IsZero() {
		return nil
	}
	return &v1alpha1.Plan{
		At: metav1.NewTime(r.of.Clock()), Ready: metav1.ConditionFalse, Reason: v1alpha1.ReasonDeleting,
		Message: fmt.Sprintf("%s is being deleted, and no change of its spec keeps it: ask again when it is gone", o.GetName()),
	}
}

// conclude makes the plan of what was noted: was and is are the object before and afterwards.
func (r *rehearsal) conclude(ctx context.Context, was, is status.Object, findings []v1alpha1.Finding) (*v1alpha1.Plan, error) {
	ready := meta.FindStatusCondition(is.Common().Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return nil, fmt.Errorf("the rehearsal of %s ended without a word", client.ObjectKeyFromObject(is))
	}
	p := &v1alpha1.Plan{
		At: metav1.NewTime(r.of.Clock()), Ready: ready.Status, Reason: ready.Reason, Message: ready.Message,
		Stalled: meta.IsStatusConditionTrue(is.Common().Conditions, v1alpha1.ConditionStalled),
	}
	warnings := r.notes.warnings
	if r.cloud != nil {
		name, shared := addresses(was, is), lifecycle.SharesAccount(was)
		calls, more := planned(r.cloud.calls, name, shared)
		p.Calls, p.MoreCalls = calls, int32(more)
		called := name.of
		if shared {
			called = name.own
		}
		warnings = append(warnings, meanwhile(r.cloud.calls, called)...)
		around, err := r.neighbours(ctx, was)
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, around.starved()...)
	}
	for _, f := range findings {
		if f.Reason != p.Reason && f.Severity != v1alpha1.SeverityInfo && (f.DecidedBy == v1alpha1.DecidedByRead || f.DecidedBy == v1alpha1.DecidedBySpec) {
			message := f.Message
			if f.Remedy != "" {
				message += "; remedy: " + f.Remedy
			}
			warnings = append(warnings, v1alpha1.PlanWarning{Reason: f.Reason, Message: message})
		}
	}
	p.Warnings = warnings[:min(len(warnings), v1alpha1.MaxPlanWarnings)]
	p.Message = withoutMadeUp(p.Message)
	for i := range p.Warnings {
		p.Warnings[i].Message = withoutMadeUp(p.Warnings[i].Message)
	}
	return p, nil
}

// addresses are those of the interfaces that the statuses show, by ID; empty where an address is not known.
func addresses(objects ...status.Object) naming {
	all := naming{}
	for _, o := range objects {
		s, is := o.(*v1alpha1.MirrorSession)
		if !is {
			continue
		}
		for _, i := range append(slices.Clone(s.Status.Sources), s.Status.Target.Receivers()...) {
			if all[i.InterfaceID] = ""; len(i.Addresses) > 0 {
				all[i.InterfaceID] = i.Addresses[0]
			}
		}
		if t := s.Status.Target; t != nil && all[t.ID()] == "" {
			all[t.ID()] = ""
		}
	}
	return all
}
