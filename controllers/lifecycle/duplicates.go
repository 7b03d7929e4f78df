package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// eldest chooses which of several with the part's mark is taken over: the one that was made
// first. The others go once it is in the status, see Surplus. One with another name is
// somebody's copy and never chosen, unless it is the only one.
func (p *Part[T]) eldest(own []T) (id string, err error) {
	if len(own) == 1 {
		return p.Collection.Identity(own[0]).ID, nil
	}
	var named []Identity
	for _, have := range own {
		if is := p.Collection.Identity(have); is.Name == p.Name {
			named = append(named, is)
		}
	}
	if len(named) == 0 {
		return "", Stall(v1alpha1.ReasonConflict,
			"the cloud has %d %ss with this object's mark, none of them with the name %q: %s. Delete those that are not in use, and the remaining one is taken",
			len(own), p.Collection.Kind, p.Name, strings.Join(p.idsOf(own), ", "))
	}
	return slices.MinFunc(named, func(a, b Identity) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	}).ID, nil
}

// Surplus looks for what else bears the part's mark in the list that is there anyway, and
// removes it: what a create made whose answer was lost, or a manager that was paused. It is
// called last, also where something keeps the part itself from matching the spec.
//
// What is removed was seen in two lists, so far apart that the second shows what was true
// at the first; it has the part's name, since a copy that somebody made has another; and
// right before, cloud and status both say that the part is the other one.
func (p *Part[T]) Surplus(ctx context.Context) error {
	stored := p.StoredID()
	since, seen := p.surplusSince()
	all, err := p.Collection.List(ctx, since)
	if err != nil {
		return fmt.Errorf("look for a second %s: %w", p.Collection.Kind, err)
	}
	own := p.withMark(all)
	ids := p.idsOf(own)
	if len(own) < 2 || !slices.Contains(ids, stored) {
		p.Expectations.SurplusGone(p.key())
		return nil
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == stored })
	for _, have := range own {
		is := p.Collection.Identity(have)
		if is.ID != stored && p.ImportID != "" { // none of ours: an imported one was never made by us
			return Stall(v1alpha1.ReasonConflict,
				"the %s %s bears this object's mark too, though spec.import.id names %s: it is neither changed nor deleted. Delete it, or take the mark %s off its description",
				p.Collection.Kind, is.ID, p.ImportID, p.mark())
		}
		if is.ID != stored && is.Name != p.Name {
			return Stall(v1alpha1.ReasonConflict,
				"the %s %s bears this object's mark too, but the name %q in place of %q: it is neither changed nor deleted. Delete it, or take the mark %s off its description; or set spec.cloudName to that name for a while, if it is what that was before",
				p.Collection.Kind, is.ID, is.Name, p.Name, p.mark())
		}
	}
	if !seen {
		p.Expectations.SurplusSeen(p.key())
		problem := Wait(v1alpha1.ReasonProgressing, "the cloud has a second %s with this object's mark, %s: looking once more before it is removed",
			p.Collection.Kind, strings.Join(ids, ", "))
		problem.After = p.Timing.Lag
		return problem
	}
	for _, id := range ids {
		if err := p.removeSurplus(ctx, id); err != nil {
			return err
		}
	}
	p.Expectations.SurplusGone(p.key())
	return nil
}

// requestedAge is how old a list may be in which somebody who asks for a reconcile finds a
// second object: one list serves all who ask at the same time.
const requestedAge = 30 * time.Second

// surplusSince is the earliest begin of a list in which a second object is looked for, and
// whether one was seen before.
func (p *Part[T]) surplusSince() (since time.Time, seen bool) {
	now := p.Clock()
	since, seen = p.Expectations.SurplusSince(p.key())
	since = later(since, now.Add(-p.Resync))
	if in, awaited := p.Expectations.Unanswered(p.Object.GetUID()); awaited && in <= 0 {
		since = later(since, now.Add(in)) // the effect that was awaited must show
	}
	if shown, until := p.Expectations.Inherited(); until <= 0 {
		since = later(since, shown)
	}
	if ReconcileRequested(p.Object) {
		since = later(since, now.Add(-requestedAge))
	}
	return since, seen
}

// removeSurplus deletes what bears the part's mark beside the part itself.
func (p *Part[T]) removeSurplus(ctx context.Context, id string) error {
	unclear := Retry(v1alpha1.ReasonProgressing, "the cloud has a second %s with this object's mark, %s: waiting until it is clear which one is in use", p.Collection.Kind, id)
	surplus, err := p.Collection.Get(ctx, id)
	switch {
	case cloud.IsNotFound(err):
		p.Collection.Forget(id)
		return nil // the list is of before
	case err != nil:
		return fmt.Errorf("read the %s %s: %w", p.Collection.Kind, id, err)
	case !p.bears(surplus):
		return unclear
	}
	have, err := p.read(ctx, p.StoredID())
	if err != nil {
		return err
	}
	if have == nil || !p.bears(*have) {
		return unclear
	}
	now := copyOf(p.Object)
	if err := p.Reader.Get(ctx, client.ObjectKeyFromObject(p.Object), now); err != nil {
		return fmt.Errorf("see which %s the status names: %w", p.Collection.Kind, err)
	}
	if unchanged, err := status.Unchanged(p.Stored, now); err != nil || !unchanged {
		return unclear
	}
	if err := p.EnsureLatest(ctx); err != nil {
		return err
	}
	if err := p.Collection.Delete(ctx, id); err != nil && !cloud.IsNotFound(err) {
		return fmt.Errorf("delete the second %s %s: %w", p.Collection.Kind, id, err)
	}
	p.Collection.Forget(id)
	p.Event(corev1.EventTypeWarning, "DuplicateRemoved", "Delete "+id,
		"the %s %s bore this object's mark beside %s, which the status names: it is deleted", p.Collection.Kind, id, p.StoredID())
	return nil
}

// bears reports whether something bears the part's mark and its name.
func (p *Part[T]) bears(have T) bool {
	is := p.Collection.Identity(have)
	ownership, _ := p.mark().OwnershipOf(is.Description)
	return ownership == plan.OwnershipOurs && is.Name == p.Name
}

// Disown takes the mark off what is retained when the object goes, so that it is nobody's
// from then on.
func (p *Part[T]) Disown(ctx context.Context) error {
	ids, err := p.everything(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		have, err := p.Collection.Get(ctx, id)
		if was := p.Collection.Identity(have).Description; err == nil && p.mark().Released(was) != was {
			err = p.Collection.Describe(ctx, id, p.mark().Released(was))
		}
		if err != nil && !cloud.IsNotFound(err) {
			return fmt.Errorf("take the mark off the %s %s: %w", p.Collection.Kind, id, err)
		}
	}
	return nil
}
