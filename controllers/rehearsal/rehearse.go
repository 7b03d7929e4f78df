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

// rehearsal is one plan that is being made.
type rehearsal struct {
	of    *lifecycle.Services
	stage *stage
	// cloud is nil until the credentials were found.
	cloud *stageCloud
	notes notes
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
		r.cloud = newStageCloud(found, r.of.Inventory, r.of.Clock)
		r.giveFilter(ctx, notBefore)
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

// session rehearses a session that would have the spec of a copy.
func (r *rehearsal) session(ctx context.Context, copied *v1alpha1.MirrorSession) (*v1alpha1.Plan, error) {
	name := client.ObjectKey{Namespace: copied.Namespace, Name: v1alpha1.PlannedOf(copied)}
	var err error
	if r.stage.session, err = r.wouldBeSession(ctx, name, copied); err != nil {
		return nil, err
	}
	if r.stage.filter, err = r.filterOfRun(ctx, copied); err != nil {
		return nil, err
	}
	if p := r.going(r.stage.session); p != nil {
		return p, nil
	}
	was := r.stage.session.DeepCopy()
	is, err := (&mirrorsession.Reconciler{Services: r.services()}).Rehearse(ctx, name)
	if err != nil {
		return nil, err
	}
	return r.conclude(ctx, was, is, is.Status.Findings)
}

// filter rehearses a filter that would have the spec of a copy.
func (r *rehearsal) filter(ctx context.Context, copied *v1alpha1.MirrorFilter) (*v1alpha1.Plan, error) {
	name := client.ObjectKey{Namespace: copied.Namespace, Name: v1alpha1.PlannedOf(copied)}
	var err error
	if r.stage.filter, err = r.wouldBeFilter(ctx, name, copied); err != nil {
		return nil, err
	}
	if p := r.going(r.stage.filter); p != nil {
		return p, nil
	}
	was := r.stage.filter.DeepCopy()
	is, err := (&mirrorfilter.Reconciler{Services: r.services()}).Rehearse(ctx, name)
	if err != nil {
		return nil, err
	}
	return r.conclude(ctx, was, is, nil)
}

// wouldBeSession is the session of the name as it would be with the spec of a copy.
func (r *rehearsal) wouldBeSession(ctx context.Context, name client.ObjectKey, copied *v1alpha1.MirrorSession) (*v1alpha1.MirrorSession, error) {
	is := &v1alpha1.MirrorSession{}
	return is, wouldBe(ctx, r.of.Reader, name, is, copied, func(o *v1alpha1.MirrorSession) *v1alpha1.MirrorSessionSpec { return &o.Spec })
}

// wouldBeFilter is the filter of the name as it would be with the spec of a copy.
func (r *rehearsal) wouldBeFilter(ctx context.Context, name client.ObjectKey, copied *v1alpha1.MirrorFilter) (*v1alpha1.MirrorFilter, error) {
	is := &v1alpha1.MirrorFilter{}
	return is, wouldBe(ctx, r.of.Reader, name, is, copied, func(o *v1alpha1.MirrorFilter) *v1alpha1.MirrorFilterSpec { return &o.Spec })
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

// filterOfRun is the filter of a session as the copy of it in the same run has it, and as it would be once that is
// applied; nil where there is none.
func (r *rehearsal) filterOfRun(ctx context.Context, session *v1alpha1.MirrorSession) (*v1alpha1.MirrorFilter, error) {
	run := session.Annotations[v1alpha1.PlanRunAnnotation]
	if run == "" {
		return nil, nil
	}
	var all v1alpha1.MirrorFilterList
	if err := r.of.Reader.List(ctx, &all, client.InNamespace(session.Namespace)); err != nil {
		return nil, fmt.Errorf("find the copy of the filter: %w", err)
	}
	for i := range all.Items {
		copied := &all.Items[i]
		if v1alpha1.PlannedOf(copied) != session.Spec.FilterRef.Name || copied.Annotations[v1alpha1.PlanRunAnnotation] != run {
			continue
		}
		return r.wouldBeFilter(ctx, client.ObjectKey{Namespace: session.Namespace, Name: session.Spec.FilterRef.Name}, copied)
	}
	return nil, nil
}

// giveFilter has the cloud of the stage hold the filter of the run, as it would be once that is applied. One that
// would not be ready stays as it is: its own plan says why.
func (r *rehearsal) giveFilter(ctx context.Context, notBefore time.Time) {
	f := r.stage.filter
	if f == nil || r.stage.session == nil || !f.DeletionTimestamp.IsZero() {
		return
	}
	want, wrong := plan.FilterFrom(f, r.of.Mark(f, 1))
	theirs, unknown := r.of.Clients.ClientFor(ctx, f.Namespace, f.Cloud(), notBefore, func(string) error { return nil })
	if wrong != nil || unknown != nil {
		return
	}
	a := theirs.Account()
	if f.Status.Account == nil {
		f.Status.Account = &v1alpha1.Account{Region: a.Region, ProjectID: a.ProjectID, Endpoint: a.Endpoint}
	}
	if !plan.SameAccount(f.Status.Account, a) {
		return
	}
	if f.Status.ID = cmp.Or(f.Status.ID, f.Spec.ImportID()); f.Status.ID == "" {
		f.Status.ID = r.cloud.newID(aFilter)
	}
	status.Synced(f, "as it would be")
	if f.Spec.Observes() || !plan.SameAccount(f.Status.Account, r.cloud.Account()) {
		return
	}
	have := cloud.Filter{ID: f.Status.ID, Name: want.Name, Description: want.Description}
	for _, rule := range want.Rules {
		have.Rules = append(have.Rules, cloud.Rule{ID: r.cloud.newID(aRule), RuleSpec: rule})
	}
	r.cloud.filters[have.ID] = &have
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
		name := addresses(was, is)
		calls, more := planned(r.cloud.calls, name, lifecycle.SharesAccount(was))
		p.Calls, p.MoreCalls = calls, int32(more)
		warnings = append(warnings, meanwhile(r.cloud.calls, name)...)
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

// neighbours are the sessions beside those of the object, by what the inventory knows.
func (r *rehearsal) neighbours(ctx context.Context, o status.Object) (*neighbours, error) {
	n := &neighbours{filters: map[string]cloud.Filter{}, interfaces: map[string]cloud.Interface{}, private: lifecycle.SharesAccount(o)}
	if _, is := o.(*v1alpha1.MirrorSession); !is || len(r.cloud.calls) == 0 {
		return n, nil
	}
	listed, err := r.of.Inventory.Sessions(ctx, r.cloud.real, r.cloud.since())
	if err != nil {
		return nil, fmt.Errorf("list the sessions: %w", err)
	}
	known := []string{}
	for i := range o.(*v1alpha1.MirrorSession).Status.Sessions {
		known = append(known, o.(*v1alpha1.MirrorSession).Status.Sessions[i].ID)
	}
	for id := range r.cloud.sessions {
		known = append(known, id)
	}
	for _, one := range listed.All() {
		if slices.Contains(known, one.ID) {
			n.before = append(n.before, one)
		} else {
			n.others = append(n.others, one)
		}
	}
	after, err := r.cloud.ListSessions(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range after {
		if !isOf(n.others, one.ID) {
			n.after = append(n.after, one)
		}
	}
	filters, err := r.cloud.ListFilters(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range filters {
		n.filters[f.ID] = f
	}
	return n, n.readInterfaces(ctx, r.cloud)
}

// readInterfaces reads those that sessions of the object and others have in common.
func (n *neighbours) readInterfaces(ctx context.Context, from *stageCloud) error {
	for _, other := range n.others {
		for _, id := range other.Sources {
			if !slices.ContainsFunc(n.after, func(s cloud.Session) bool { return slices.Contains(s.Sources, id) }) {
				continue
			}
			i, err := from.GetInterface(ctx, id)
			switch {
			case cloud.IsNotFound(err):
			case err != nil:
				return fmt.Errorf("read the interface %s: %w", id, err)
			default:
				n.interfaces[id] = i
			}
		}
	}
	return nil
}
