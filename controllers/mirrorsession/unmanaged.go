package mirrorsession

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// compare observes the cloud's sessions, shows them in the status as the cloud has them, and says how they
// differ from the spec. It writes nothing to the cloud, whose client would refuse that.
func (s *scope) compare(ctx context.Context) error {
	if err := s.findParts(ctx); err != nil {
		return err
	}
	have := s.inCloud()
	if have == nil {
		return s.part(1).Unobserved()
	}
	s.Bind()
	unresolved, err := s.resolve(ctx, have)
	if err != nil {
		return err
	}
	if err := s.resolveAll(ctx, *have); err != nil {
		return err
	}
	s.noSource = false // that no source of the spec is there switches nothing off
	want := plan.ObservedSession(s.want(1, s.sourceIDs(), plan.Numbers{}), &s.session.Spec, s.Mark(s.session, 1), *have)
	s.changes.all, s.changes.wanted = &want, len(s.parts.have)
	s.chosen = plan.Numbers{VNI: want.VNI, Priority: want.Priority}
	for _, number := range s.order() {
		if is, there := s.parts.have[number]; there {
			s.record(number, is)
		} else {
			s.gone(number)
		}
	}
	s.showAll(*have)
	if err := s.compareVNI(ctx, *have); err != nil {
		return err
	}
	if differs := lifecycle.Diagnose(s.part(1).Differing(*have, plan.DiffSession(want, *have).Changes)); differs != nil {
		unresolved = slices.Insert(unresolved, 0, differs)
	}
	return joined(append(unresolved, s.partsDiffering(want)...))
}

// partsDiffering says how the parts behind the first differ from what is wanted of all: they divide the sources, and each has
// a priority of its own.
func (s *scope) partsDiffering(all plan.WantedSession) (differ []*lifecycle.Problem) {
	for i, number := range s.order() {
		have, there := s.parts.have[number]
		if i == 0 || !there {
			continue
		}
		want := all
		want.Name, want.Description, want.Sources, want.Priority = have.Name, have.Description, have.Sources, have.Priority
		if p := lifecycle.Diagnose(s.part(number).Differing(have, plan.DiffSession(want, have).Changes)); p != nil {
			differ = append(differ, p)
		}
	}
	return differ
}

// resolveAll finds the interfaces that the cloud's session has, whatever the spec names. One that can't be
// read is as it was.
func (s *scope) resolveAll(ctx context.Context, have cloud.Session) error {
	ids := slices.Clone(have.Sources)
	if have.TargetType == cloud.TargetInterface {
		ids = append(ids, have.TargetID)
	}
	since := s.interfacesSince(ctx)
	if have.TargetType == cloud.TargetLoadBalancer {
		if err := s.resolveBalancer(ctx, have.TargetID, since); err != nil {
			return err
		}
	}
	for _, id := range ids {
		is, seen := s.seen[id]
		if !seen && !s.absent[id] {
			var err error
			is, err = s.Inventory.Interface(ctx, s.Cloud, id, since)
			switch {
			case err == nil:
				s.seen[id], seen = is, true
			case cloud.IsNotFound(err):
				s.absent[id] = true
			case lifecycle.Diagnose(err) == nil:
				return fmt.Errorf("read the interface %s: %w", id, err)
			}
		}
		if !seen {
			is = s.kept(id)
		}
		r, err := s.asResolved(ctx, is)
		if err != nil {
			return err
		}
		if node := s.sourceNodes[id]; node != "" {
			r.NodeName = node
		}
		s.resolved[id] = r
	}
	return nil
}

// resolveBalancer finds the load balancer that the cloud's session has as its target, whatever the spec names. One that
// can't be read is as it was.
func (s *scope) resolveBalancer(ctx context.Context, id string, since time.Time) error {
	if s.balanced != nil && s.balanced.of.ID == id {
		return nil // the spec names it
	}
	s.balanced = nil
	found, err := s.Inventory.LoadBalancer(ctx, s.Cloud, id, since)
	if err == nil {
		s.balanced = &balanced{of: found}
		if s.resolved[id], err = s.asResolved(ctx, asInterface(found)); err != nil {
			return err
		}
		return s.findMembers(ctx, since)
	}
	if lifecycle.Diagnose(err) == nil {
		return fmt.Errorf("read the load balancer %s: %w", id, err)
	}
	return nil
}

// showAll puts all interfaces of the cloud's session into the status: those that the spec names first, in
// its order.
func (s *scope) showAll(have cloud.Session) {
	st := &s.session.Status
	st.Target, st.Sources = s.shownTarget(have.TargetID), nil
	var order []string
	for _, i := range s.sources {
		if slices.Contains(have.Sources, i.ID) {
			order = append(order, i.ID)
		}
	}
	for _, id := range append(order, sorted(have.Sources)...) {
		if !slices.ContainsFunc(st.Sources, func(r v1alpha1.ResolvedInterface) bool { return r.InterfaceID == id }) {
			st.Sources = append(st.Sources, s.resolved[id])
		}
	}
}

// compareVNI looks for another session with VNI and target of the cloud's.
func (s *scope) compareVNI(ctx context.Context, have cloud.Session) error {
	all, err := s.Inventory.Sessions(ctx, s.Cloud, sooner(s.FreshSince(), s.Clock().Add(-numbersAge)))
	if err != nil {
		return fmt.Errorf("list the sessions to compare their numbers: %w", err)
	}
	in := plan.NumbersInput{Session: s.storedSession(), Own: &have, InCloud: all, TargetID: have.TargetID, Cluster: s.Cluster}
	s.compared = true
	if s.sameVNI = in.SameVNI(have.VNI); s.sameVNI != nil {
		s.sameVNICalled = s.called(*s.sameVNI)
	}
	return s.noteLeftover(ctx, s.sameVNI)
}

// gone puts into the status that the cloud has a part no more, and makes nothing in its place.
func (s *scope) gone(number int) {
	s.vanished(number)
	s.drop(number)
	s.epoch()
}

// importID is the ID of what a part takes over or observes: the first one alone.
func (s *scope) importID(number int) string {
	if number == 1 {
		return s.session.Spec.ImportID()
	}
	return ""
}

// imported lets what is wanted of an imported session have what the spec leaves out as the cloud has it.
func (s *scope) imported(number int, want plan.WantedSession) plan.WantedSession {
	have, there := s.parts.have[number]
	if s.importID(number) == "" || !there {
		return want
	}
	return plan.ImportSession(want, &s.session.Spec.CloudSpec, s.Mark(s.session, number), have)
}

// notDeleted is that an imported session would have to be deleted for the sake of the spec, nil for any other. It is switched
// off, so that what the spec names no more is not copied, where it is taken over already.
func (s *scope) notDeleted(ctx context.Context, number int) error {
	id := s.importID(number)
	if id == "" {
		return nil
	}
	have := s.parts.have[number]
	is := "it stays as it is"
	if ownership, _ := s.Mark(s.session, number).OwnershipOf(have.Description); ownership == plan.OwnershipOurs {
		if err := s.switchPartOff(ctx, number, have, v1alpha1.ReasonSourceIsTarget, "the spec wants it gone or made anew, and spec.import.id names it"); err != nil {
			return err
		}
		s.show()
		s.epoch()
		is = "it is switched off in the cloud"
	}
	return lifecycle.Stall(v1alpha1.ReasonSourceIsTarget,
		"the session %s, which spec.import.id names, would have to be deleted, or made anew: its only source and its target exchange their roles, or none of its "+
			"sources is in spec.sources. Until then %s. Change one of the two, or keep one of its sources, or delete this object and create it anew without import", id, is)
}

// untaken is that a session is to be imported without saying what it copies from, nil where it is taken
// over: to leave out the sources must not switch off what somebody else has made.
func (s *scope) untaken() error {
	have := s.parts.have[1]
	ownership, _ := s.Mark(s.session, 1).OwnershipOf(have.Description)
	if s.importID(1) == "" || ownership == plan.OwnershipOurs {
		return nil
	}
	return lifecycle.Stall(v1alpha1.ReasonNoSources,
		"spec.sources is empty: name the elastic network interfaces that the session %s copies from, and it is taken over; until then it stays as it is", have.ID)
}

// outOfLine reports whether a filter in the cloud is to be looked at by its MirrorFilter, which was in line
// with it: it differs from what that asks for, or is only observed and was changed.
func outOfLine(f *v1alpha1.MirrorFilter, mark plan.Mark, have cloud.Filter) bool {
	want, err := plan.FilterFrom(f, mark)
	switch {
	case err != nil:
		return false // which its own conditions say
	case f.Spec.Observes():
		return plan.FilterBasis(have) != f.Status.EpochBasis
	case f.Spec.Import != nil:
		want = plan.ImportFilter(want, &f.Spec.CloudSpec, mark, have)
	}
	return len(plan.DiffFilter(want, have).Changes) > 0
}

// leftAlone reports whether nobody brings a filter in line with its MirrorFilter.
func leftAlone(f *v1alpha1.MirrorFilter) bool { return f.Spec.Suspend || f.Spec.Observes() }
