package mirrorsession

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// create makes the cloud's session.
func (s *scope) create(ctx context.Context, part *lifecycle.Part[cloud.Session], want plan.WantedSession) (cloud.Session, error) {
	have, err := part.Create(ctx, func(ctx context.Context) (cloud.Session, error) {
		created, err := s.Cloud.CreateSession(ctx, want.SessionSpec, want.Sources)
		if err == nil {
			s.made(created)
		}
		return created, err
	})
	if err != nil {
		return have, err
	}
	s.Event(corev1.EventTypeNormal, "Created", "Create",
		"created the session %s in the cloud with VNI %d and priority %d", have.ID, have.VNI, have.Priority)
	return have, nil
}

// bringParts brings the sessions in the cloud in line with what each is to copy from. taken is that the priority which
// the spec names is another's, while one serves that is free.
func (s *scope) bringParts(ctx context.Context, sources map[int][]string) (taken *lifecycle.Problem, err error) {
	wants, interim, taken, err := s.wantParts(ctx, sources)
	if err != nil {
		return nil, err
	}
	for _, number := range s.numbersKnown() { // what is gone from the cloud and from the spec
		if _, there := s.parts.have[number]; !there && sources[number] == nil {
			s.drop(number)
		}
	}
	before, turn, after := plan.InTurn(wants, s.parts.have)
	if err := s.remove(ctx, before, wants); err != nil {
		return nil, err
	}
	again, failed := s.applyInTurn(ctx, turn, wants, interim)
	if failed == nil || lifecycle.Lasting(failed) { // what others lose does not wait for what some can't get
		failed = errors.Join(failed, s.remove(ctx, after, nil))
	}
	if failed == nil && len(again) > 0 {
		_, failed = s.applyInTurn(ctx, again, wants, interim)
	}
	switch {
	case failed != nil || !s.chosen.OfSibling:
		return taken, failed
	case s.swapped:
		return nil, lifecycle.Retry(v1alpha1.ReasonProgressing, "the session %s has yet to leave the priority %d", s.inCloud().ID, *s.session.Spec.Priority)
	default:
		s.swapped = true // another part has left the priority of the spec
		return s.bringParts(ctx, sources)
	}
}

// applyInTurn brings parts in line, one after the other. again are those that lack a source until no part has that as
// its target any more.
func (s *scope) applyInTurn(ctx context.Context, turn []int, wants map[int]plan.WantedSession, interim *cloud.Session) (again []int, failed error) {
	for _, number := range turn {
		want := plan.Meanwhile(wants[number], s.parts.have)
		if len(want.Sources) < len(wants[number].Sources) {
			again = append(again, number)
		}
		if err := s.apply(ctx, number, want, interim); err != nil {
			if failed = errors.Join(failed, err); !lifecycle.Lasting(err) {
				return nil, failed
			}
		}
	}
	return again, failed
}

// wantParts is what each part is to be, by number. interim is who has the priority that the spec names, where another
// serves for the first part meanwhile, and taken that problem.
func (s *scope) wantParts(ctx context.Context, sources map[int][]string) (wants map[int]plan.WantedSession, interim *cloud.Session, taken *lifecycle.Problem, err error) {
	wants = make(map[int]plan.WantedSession, len(sources))
	var leads *plan.Numbers
	for _, number := range s.firstToLast(sources) {
		numbers, err := s.numbers(ctx, number, leads, sources[number], wants)
		if err != nil {
			return nil, nil, nil, err
		}
		if leads == nil {
			have, there := s.parts.have[number]
			interim, taken = s.holding(&numbers, have, there)
			s.chosen = numbers
			if taken != nil && !there {
				if lost := s.session.Part(number); lost != nil {
					lost.Priority = 0 // it has left that, so whoever waits for it is woken
				}
				return nil, nil, nil, taken
			}
			leads = &numbers
		}
		wants[number] = s.imported(number, s.want(number, sources[number], numbers))
	}
	if leads != nil {
		s.changes.all = new(s.want(s.firstToLast(sources)[0], s.sourceIDs(), *leads))
		s.changes.wanted = len(wants)
	}
	return wants, interim, taken, nil
}

// firstToLast are the numbers of the parts that are to be there, the first part's first.
func (s *scope) firstToLast(sources map[int][]string) []int {
	numbers := slices.DeleteFunc(s.order(), func(number int) bool { return sources[number] == nil })
	for _, number := range slices.Sorted(maps.Keys(sources)) {
		if !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// apply makes the cloud's session of a part what is wanted of it.
func (s *scope) apply(ctx context.Context, number int, want plan.WantedSession, interim *cloud.Session) error {
	s.changes.want, s.changes.part, s.changes.changing = &want, number, nil
	if s.parts.known[number] == nil {
		if err := s.findPart(ctx, number); err != nil {
			return err
		}
	}
	part := s.parts.known[number]
	have, there := s.parts.have[number]
	if there && plan.MustReplace(want, have) {
		now, err := s.replace(ctx, part, want, have)
		if err != nil {
			return err
		}
		if there = now != nil; there {
			have = *now
		}
	}
	if !there {
		created, err := s.create(ctx, part, want)
		if err != nil {
			return err
		}
		have = created
	}
	if err := part.Converge(ctx, have, s.mend(part, want, interim)); err != nil {
		return err
	}
	s.changed(asCloud(want, s.parts.have[number].ID))
	return nil
}

// replace deletes a session whose source and target exchange their roles, so that it can be made anew,
// and returns nil; it returns what the cloud has where that need not be.
func (s *scope) replace(ctx context.Context, part *lifecycle.Part[cloud.Session], want plan.WantedSession, have cloud.Session) (*cloud.Session, error) {
	now, err := part.Confirm(ctx, have)
	if err != nil || now == nil || !plan.MustReplace(want, *now) {
		return now, err
	}
	if err := s.notDeleted(ctx, part.Number); err != nil {
		return nil, err
	}
	if err := s.EnsureLatest(ctx); err != nil {
		return nil, err
	}
	s.Event(corev1.EventTypeWarning, "Updating", "Replace",
		"the source and the target of the session %s exchange their roles: it is deleted and made anew, and nothing is copied for a moment", now.ID)
	if err := part.Delete(ctx); err != nil {
		return nil, err
	}
	s.replaced(now.ID)
	delete(s.parts.have, part.Number)
	return nil, nil
}

// switchOff switches the sessions off that the cloud has, because the spec names no source
// any more. They are not deleted, so that their IDs and numbers stay; and the last source
// is not removed, because the cloud may then blank the target.
func (s *scope) switchOff(ctx context.Context) error {
	s.session.Status.Sources = nil
	const remedy = "spec.sources is empty: name at least one elastic network interface to copy from"
	if err := s.findParts(ctx); err != nil {
		return err
	}
	if len(s.parts.have) == 0 {
		s.epoch()
		return lifecycle.Stall(v1alpha1.ReasonNoSources, remedy)
	}
	if err := s.untaken(); err != nil {
		return err
	}
	var ids []string
	for _, number := range s.order() {
		if have, there := s.parts.have[number]; there {
			ids = append(ids, have.ID)
			if err := s.switchPartOff(ctx, number, have, v1alpha1.ReasonNoSources, "spec.sources is empty"); err != nil {
				return err
			}
		}
	}
	s.epoch()
	are := "session " + ids[0] + " is"
	if len(ids) > 1 {
		are = "sessions " + strings.Join(ids, ", ") + " are"
	}
	return s.orSurplus(ctx, lifecycle.Stall(v1alpha1.ReasonNoSources, "%s. Until then the %s switched off in the cloud", remedy, are))
}

// switchPartOff switches a part off that the cloud has, and says why.
func (s *scope) switchPartOff(ctx context.Context, number int, have cloud.Session, reason, why string) error {
	if !have.Enabled {
		return nil
	}
	s.changes.changing = new(have)
	part := s.parts.known[number]
	if err := part.Foresee(ctx, have); err != nil {
		return err
	}
	off := false
	if err := part.DidOver(do(ctx, s.Cloud, have.ID, plan.SessionStep{Update: &cloud.SessionUpdate{Enabled: &off}})); err != nil {
		return err
	}
	s.Event(corev1.EventTypeWarning, reason, "Update", "switched the session %s off, because %s", have.ID, why)
	have.Enabled = false
	s.changed(have)
	s.parts.have[number] = have
	return nil
}

// mend does what brings the cloud's session in line with want. interim is who has the
// priority that the spec names when want has another one for a while, nil otherwise.
func (s *scope) mend(part *lifecycle.Part[cloud.Session], want plan.WantedSession, interim *cloud.Session) func(cloud.Session) ([]plan.Change, lifecycle.Mend[cloud.Session]) {
	return func(have cloud.Session) ([]plan.Change, lifecycle.Mend[cloud.Session]) {
		diff := plan.DiffSession(want, have)
		return diff.Changes, func(ctx context.Context) (*cloud.Session, error) {
			s.announce(have, want, diff.Changes, interim)
			s.begins(have)
			// The limit matters for the order alone, so what does not differ need not ask.
			for _, step := range diff.Steps(s.sourceLimit(ctx)) {
				if err := part.DidOver(do(ctx, s.Cloud, have.ID, step)); err != nil {
					return nil, s.narrow(ctx, part, want, have.ID, err)
				}
			}
			return nil, nil
		}
	}
}

// narrow switches off and takes sources away as the spec wants it, after a step that failed
// in a way that does not end soon, and returns why.
func (s *scope) narrow(ctx context.Context, part *lifecycle.Part[cloud.Session], want plan.WantedSession, id string, why error) error {
	if !lifecycle.Lasting(why) {
		return why
	}
	// Some steps were done, so it is compared anew.
	now, err := s.Cloud.GetSession(ctx, id)
	if err != nil {
		return why
	}
	diff := plan.DiffSession(want, now)
	for _, step := range diff.Narrowing() {
		err = errors.Join(err, part.DidOver(do(ctx, s.Cloud, id, step)))
	}
	return errors.Join(err, why) // the first decides when it is tried again
}

// announce makes an event of drift or an edit.
func (s *scope) announce(have cloud.Session, want plan.WantedSession, changes []plan.Change, interim *cloud.Session) {
	summary, n := s.Summary(changes), s.chosen
	switch {
	case n.SameVNI != nil && have.VNI != n.VNI && s.session.Spec.VNI == nil:
		s.Event(corev1.EventTypeWarning, "VNIChanged", "Take another VNI",
			"%s to the same target has VNI %d too, and is older: this one's VNI changes from %d to %d", s.called(*n.SameVNI), have.VNI, have.VNI, n.VNI)
	case interim != nil && want.Priority == n.Priority:
		s.Event(corev1.EventTypeNormal, "Updating", "Take another priority",
			"%s: this priority serves until %s has left priority %d", summary, s.called(*interim), interim.Priority)
	case s.WasSynced:
		s.Event(corev1.EventTypeWarning, "DriftCorrected", lifecycle.Restoring(changes), "changed outside: %s; restoring", summary)
	default:
		s.Event(corev1.EventTypeNormal, "Updating", "Update", "%s", summary)
	}
}

// called is how messages call a session of the cloud that is not this object's. With the operator's
// own credentials it can be anybody's, and has no name.
func (s *scope) called(other cloud.Session) string {
	if lifecycle.SharesAccount(s.session) {
		return "another session"
	}
	return s.nameInCloud(other)
}

// sourceLimit is the quota of sources for a session, or unknown where the cloud does not
// have it: not knowing a limit must not stop a change.
func (s *scope) sourceLimit(ctx context.Context) int {
	quota, err := s.Inventory.Quota(ctx, s.Cloud, s.Clock().Add(-s.Resync))
	if err != nil {
		return 0
	}
	return quota.SourcesPerSession
}

// do makes one call.
func do(ctx context.Context, c cloud.Client, id string, step plan.SessionStep) error {
	switch {
	case step.Update != nil:
		return lifecycle.Doing("update the session "+id, c.UpdateSession(ctx, id, *step.Update))
	case len(step.AddSources) > 0:
		return lifecycle.Doing("add sources to the session "+id, c.AddSources(ctx, id, step.AddSources))
	case len(step.RemoveSources) > 0:
		return lifecycle.Doing("remove sources from the session "+id, c.RemoveSources(ctx, id, step.RemoveSources))
	default:
		return nil
	}
}
