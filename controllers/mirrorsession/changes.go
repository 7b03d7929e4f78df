package mirrorsession

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/diagnosis/history"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// changes are what one reconcile knows of changes, for status.changes.
type changes struct {
	// told are those that were found, and earlier ones that could not be stored.
	told []v1alpha1.Change
	// all is what the cloud is to have of all parts together, as one session, nil before that is known, and
	// wanted how many parts. want is what it is to have of the part with that number, the one that is
	// brought in line.
	all    *plan.WantedSession
	wanted int
	want   *plan.WantedSession
	part   int
	// changing is what the cloud had before this reconcile began to change it, nil while it has not.
	changing *cloud.Session
	// edited is true when the spec is another one than the last reconcile's, and nobody knows
	// what that was.
	edited bool
}

// changeMemo is what a process remembers of a session between reconciles, for its changes. The
// status is the memory of what was said; this is of what it was said from.
type changeMemo struct {
	// spec is the last one that was seen, nil for none.
	spec *v1alpha1.MirrorSessionSpec
	// filter is what the session used last, and filterChange the number of the last of its
	// changes that was told.
	filter       types.UID
	filterChange int64
	// path is what the next look at the way of the copies is compared with, nil before the first.
	path *diagnosis.Path
	// unstored are changes that were found, and whose status could not be stored.
	unstored []v1alpha1.Change
}

// recallChanges begins a reconcile: what could not be stored is said again, and an edit of the spec
// is told by what it changed.
func (s *scope) recallChanges() {
	if !s.session.DeletionTimestamp.IsZero() {
		return
	}
	memo := s.reconciler.observed.of(s.session)
	s.tell(memo.changes.unstored)
	observed := s.session.Status.ObservedGeneration
	if before := memo.changes.spec; before == nil {
		s.changes.edited = observed > 0 && observed != s.session.Generation
	} else {
		s.tellAs(v1alpha1.ChangedBySpec, specChanges(before, &s.session.Spec))
	}
	if memo.changes.spec == nil || !reflect.DeepEqual(memo.changes.spec, &s.session.Spec) {
		memo.changes.spec = s.session.Spec.DeepCopy()
	}
	s.reconciler.observed.keep(s.session, memo)
}

// rememberChanges ends a reconcile: what could not be stored is kept.
func (s *scope) rememberChanges() {
	if !s.session.DeletionTimestamp.IsZero() {
		return
	}
	memo := s.reconciler.observed.of(s.session)
	memo.changes.unstored = nil
	if !slices.Equal(s.storedSession().Status.Changes, s.session.Status.Changes) {
		memo.changes.unstored = s.changes.told
	}
	if memo.told != nil && len(s.session.Status.Findings) == 0 && status.Same(s.Stored, s.session) {
		memo.told = nil // the status says it; of a finding that may be cut to its bounds
	}
	s.reconciler.observed.keep(s.session, memo)
}

// tell puts changes into the status. It does not store that.
func (s *scope) tell(changes []v1alpha1.Change) {
	s.changes.told = append(s.changes.told, changes...)
	s.session.Status.Changes = history.WithChanges(s.session.Status.Changes, changes)
}

// foundInCloud reports whether this reconcile tells of something that somebody changed in the cloud.
func (s *scope) foundInCloud() bool {
	return slices.ContainsFunc(s.changes.told, func(c v1alpha1.Change) bool { return c.By == v1alpha1.ChangedByCloud })
}

// tellAs puts what one who knows what he wants has changed into the status, as one change.
func (s *scope) tellAs(by v1alpha1.ChangedBy, texts []string) {
	var changes []v1alpha1.Change
	for _, text := range texts {
		changes = append(changes, v1alpha1.Change{By: by, What: text})
	}
	s.tell(history.Joined(by, history.AtOnce(s.Clock(), changes)))
}

// difference is what differs between two states of the session in the cloud. What is neither the
// spec's nor was recorded as the session's may be anybody's.
func (s *scope) difference(was, is cloud.Session) []v1alpha1.Change {
	known := slices.Clone(s.sources)
	for _, r := range s.storedSession().Status.Sources {
		known = append(known, fromStatus(r))
	}
	before := &diagnosis.Path{Session: was, Sources: known, Private: lifecycle.SharesAccount(s.session)}
	before.Target = &s.target // of one that stays only the name is asked: it was not read twice
	if target := s.storedSession().Status.Target; target != nil && target.ID() != s.target.ID {
		before.Target = new(fromTarget(*target))
	}
	return history.Changed(before, &diagnosis.Path{Session: is, Target: &s.target, Sources: known, Private: before.Private}, s.Clock())
}

// begins comes before the session is changed in the cloud, which has that for certain. What differs
// from the spec is by somebody else where the spec was in the cloud before.
func (s *scope) begins(have cloud.Session) {
	if s.changes.changing != nil || s.changes.want == nil {
		return
	}
	s.changes.changing = &have
	want := asCloud(*s.changes.want, have.ID)
	switch {
	case s.WasSynced:
		s.tell(s.difference(asLeft(s.storedSession(), s.changes.part, want), have))
	case s.changes.edited:
		if asks := s.difference(have, want); len(asks) > 0 {
			s.tellAs(v1alpha1.ChangedBySpec, []string{"the spec was edited: " + history.Joined(v1alpha1.ChangedBySpec, asks)[0].What})
		}
	}
}

// changed tells what this reconcile changed in the cloud, which now has that.
func (s *scope) changed(now cloud.Session) {
	if was := s.changes.changing; was != nil {
		s.tell(history.Joined(v1alpha1.ChangedByOperator, s.difference(*was, now)))
	}
	s.changes.changing = nil
}

// asLeft is a wanted session as the operator left it in the cloud, in line with the same spec: what
// that names may stand for other interfaces now, or for none.
func asLeft(s *v1alpha1.MirrorSession, number int, want cloud.Session) cloud.Session {
	if s.Status.Target != nil {
		want.TargetID = s.Status.Target.ID()
	}
	if part := s.Part(number); part != nil {
		want.Sources = part.Sources
	}
	want.Enabled = s.Spec.Enabled == nil || *s.Spec.Enabled
	return want
}

// asCloud is a wanted session as the cloud has it.
func asCloud(want plan.WantedSession, id string) cloud.Session {
	return cloud.Session{ID: id, SessionSpec: want.SessionSpec, Sources: want.Sources}
}

// made tells that the session was made in the cloud.
func (s *scope) made(have cloud.Session) {
	s.tellAs(v1alpha1.ChangedByOperator, []string{
		fmt.Sprintf("the session %s was made, with the VNI %d and the priority %d", have.ID, have.VNI, have.Priority),
	})
}

// replaced tells that the session was deleted to be made anew.
func (s *scope) replaced(id string) {
	s.tellAs(v1alpha1.ChangedByOperator, []string{fmt.Sprintf("the session %s was deleted, to be made anew with source and target exchanged", id)})
}

// vanished tells once that the cloud surely has the session of a part no more that the status names.
func (s *scope) vanished(number int) {
	part := s.session.Part(number)
	if part == nil || part.ID == "" {
		return
	}
	for _, gone := range s.difference(cloud.Session{ID: part.ID}, cloud.Session{}) {
		if !slices.ContainsFunc(s.session.Status.Changes, func(c v1alpha1.Change) bool { return c.What == gone.What }) {
			s.tell([]v1alpha1.Change{gone})
		}
	}
}

// followFilter takes over what changed of the filter since the session is there and uses it.
func (s *scope) followFilter(memo *changeMemo) {
	if s.filter == nil {
		return
	}
	news, upTo := s.FilterChanges.Since(s.filter.UID, memo.filterChange)
	if memo.filter != "" && memo.filter != s.filter.UID {
		news = nil // it is told that the filter is another one
	}
	memo.filter, memo.filterChange = s.filter.UID, upTo
	s.tell(slices.DeleteFunc(news, func(c v1alpha1.Change) bool { return c.At.Before(&s.session.CreationTimestamp) }))
}

// tellPath tells what changed of the way of the copies since the last look at it. What became of the
// session itself is told where it is compared with the spec, and what became of a filter's rules
// where that is; so here only those of one that nobody puts back, as it is suspended or observed.
func (s *scope) tellPath(memo *changeMemo, now *diagnosis.Path) {
	if before := memo.path; before != nil {
		was := *before
		if !s.Observes() {
			was.Session = now.Session
		}
		if s.filter == nil || !leftAlone(s.filter) {
			was.Filter = now.Filter
		}
		s.tell(history.Changed(&was, now, s.Clock()))
	}
	memo.path = history.Baseline(memo.path, now)
}

// specChanges say how two specs differ in what decides about copies, or about whether the cloud is
// kept in line.
func specChanges(was, is *v1alpha1.MirrorSessionSpec) []string {
	var out []string
	note := func(field, was, is string) {
		switch {
		case was == is:
		case was == "":
			out = append(out, fmt.Sprintf("spec.%s was set to %s", field, is))
		case is == "":
			out = append(out, fmt.Sprintf("spec.%s was left out, it was %s", field, was))
		default:
			out = append(out, fmt.Sprintf("spec.%s was changed from %s to %s", field, was, is))
		}
	}
	note("filterRef.name", was.FilterRef.Name, is.FilterRef.Name)
	before, now := selectorTexts(was.Sources), selectorTexts(is.Sources)
	for _, text := range before {
		if !slices.Contains(now, text) {
			out = append(out, text+" was taken from spec.sources")
		}
	}
	for _, text := range now {
		if !slices.Contains(before, text) {
			out = append(out, text+" was added to spec.sources")
		}
	}
	note("target", targetText(was.Target), targetText(is.Target))
	note("vni", textOf(was.VNI), textOf(is.VNI))
	note("enabled", textOf(was.Enabled), textOf(is.Enabled))
	note("suspend", fmt.Sprint(was.Suspend), fmt.Sprint(is.Suspend))
	note("managementPolicy", string(was.ManagementPolicy), string(is.ManagementPolicy))
	note("packetLength", textOf(was.PacketLength), textOf(is.PacketLength))
	note("priority", textOf(was.Priority), textOf(is.Priority))
	note("credentialsRef.name", secretText(was.CredentialsRef), secretText(is.CredentialsRef))
	note("region", was.Region, is.Region)
	note("projectID", was.ProjectID, is.ProjectID)
	return out
}

func textOf[T any](value *T) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(*value)
}

func secretText(ref *v1alpha1.SecretReference) string {
	if ref == nil {
		return ""
	}
	return ref.Name
}

// selectorTexts are how sentences call sources, sorted.
func selectorTexts(sources []v1alpha1.SourceSelector) []string {
	var out []string
	for _, s := range sources {
		if s.NodeSelector != nil {
			out = append(out, "the nodes with "+s.NodeSelector.String())
			continue
		}
		out = append(out, selectorText(s.InterfaceSelector))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func targetText(t v1alpha1.TargetSelector) string {
	if t.LoadBalancerID != "" {
		return "the load balancer " + t.LoadBalancerID
	}
	return selectorText(t.InterfaceSelector)
}

func selectorText(s v1alpha1.InterfaceSelector) string {
	switch {
	case s.Address != nil:
		return strings.TrimSuffix(s.Address.IP+" in VPC "+s.Address.VPCID, " in VPC ")
	case s.NodeName != "":
		return "the node " + s.NodeName
	default:
		return s.InterfaceID
	}
}
