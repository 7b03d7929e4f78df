package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// findImported observes the one object in the cloud that spec.import names. Unless it is only observed
// it is taken over: what leads to it is stored before its mark is written, which Converge does.
func (p *Part[T]) findImported(ctx context.Context) (*T, error) {
	have, err := p.byID(ctx, p.ImportID)
	if err != nil {
		return nil, err
	}
	if have == nil {
		return nil, p.importGone(ctx)
	}
	is := p.Collection.Identity(*have)
	if err := p.checkImported(is); err != nil || p.Observes() {
		return have, err
	}
	if p.Object.Cloud().CloudName == "" {
		p.Name = is.Name // it keeps the name that it has
	}
	ownership, _ := p.mark().OwnershipOf(is.Description)
	if ownership == plan.OwnershipUnmarked && !p.takes.take(p.takeover(), p.Object.GetUID(), p.Clock()) {
		problem := Wait(v1alpha1.ReasonConflict, "another object of this cluster takes over the %s %s, which spec.import.id names, at this moment: "+
			"let one object alone import it", p.Collection.Kind, is.ID)
		problem.After = p.Timing.Lag
		return nil, problem
	}
	// Nothing is created, so nothing else would store what was to be stored with the finalizers, and was not.
	first := !p.owned() || p.Object.Common().Account == nil
	if first {
		if err := p.claim(ctx); err != nil {
			return nil, err
		}
		p.Event(corev1.EventTypeNormal, "Imported", "Import", "takes over the %s %s, which spec.import.id names", p.Collection.Kind, is.ID)
	}
	return have, nil
}

// checkImported decides whether this object may have what spec.import names: it bears no other object's
// mark. To observe it, it may. Anything else in the cloud is this object's by its mark alone.
func (p *Part[T]) checkImported(is Identity) error {
	ownership, found := p.mark().OwnershipOf(is.Description)
	switch {
	case p.Observes() && is.ID == p.ImportID, ownership == plan.OwnershipOurs:
		return nil
	case is.ID != p.ImportID:
		return Stall(v1alpha1.ReasonConflict, "the %s %s, which status names, is not %s, which spec.import.id names: it is neither changed nor deleted",
			p.Collection.Kind, is.ID, p.ImportID)
	case ownership == plan.OwnershipUnmarked:
		return nil
	}
	bears := "the mark " + found.String() + " of another object"
	if SharesAccount(p.Object) {
		bears = "the mark of another object"
	}
	return Stall(v1alpha1.ReasonConflict,
		"the %s %s, which spec.import.id names, bears %s: it is neither changed nor deleted. Delete that object with spec.deletionPolicy Retain, which takes "+
			"its mark off; if there is no such object any more, take the mark off the description in the cloud; or set spec.managementPolicy to Observe, or delete this object",
		p.Collection.Kind, is.ID, bears).Probed()
}

// importGone is that the cloud does not have what spec.import names, once a list says so too.
func (p *Part[T]) importGone(ctx context.Context) error {
	all, err := p.Collection.List(ctx, p.began)
	if err != nil {
		return fmt.Errorf("list the %ss: %w", p.Collection.Kind, err)
	}
	if _, shown := all.ByID(p.ImportID); shown {
		return Retry(v1alpha1.ReasonCloudUnavailable,
			"the cloud says that the %s %s does not exist, and lists it all the same: waiting until it is sure", p.Collection.Kind, p.ImportID)
	}
	p.Absent()
	return p.noImport()
}

func (p *Part[T]) noImport() error {
	a := p.Cloud.Account()
	problem := Wait(v1alpha1.ReasonImportNotFound,
		"spec.import.id names the %s %s, which project %s in region %s does not have: none is made in its place. Check region, project and ID; "+
			"or delete this object, and create it anew with another ID, or without import to have one made",
		p.Collection.Kind, p.ImportID, a.ProjectID, a.Region)
	problem.After = AbsentProbe
	return problem
}

// FindObserved observes a part that is only observed. It never returns nil without an error.
func (p *Part[T]) FindObserved(ctx context.Context) (*T, error) {
	have, err := p.Find(ctx)
	if err != nil {
		return nil, err
	}
	if have == nil {
		return nil, p.Unobserved()
	}
	p.Bind()
	return have, nil
}

// Unobserved is that the cloud has nothing of an object that is only observed.
func (p *Part[T]) Unobserved() error {
	p.Absent()
	problem := Wait(v1alpha1.ReasonNothingToObserve,
		"spec.managementPolicy is Observe, and the cloud has no %s of this object: set it to Managed to have one made, or create the object anew with spec.import.id",
		p.Collection.Kind)
	problem.After = AbsentProbe
	return problem
}

// Differing is how a part that is only observed differs from the spec, nil for not at all. It may have been managed a
// moment ago, so that a read shows neither.
func (p *Part[T]) Differing(have T, changes []plan.Change) error {
	if unshown := p.unshown(have); unshown > 0 {
		return p.lookAgain(unshown)
	}
	if len(changes) == 0 {
		return nil
	}
	return Stall(v1alpha1.ReasonDiffers, "the %s %s is not as the spec says: %s. It stays so, as spec.managementPolicy is Observe",
		p.Collection.Kind, p.Collection.Identity(have).ID, p.Summary(changes))
}

// Observes reports whether nothing is written to the cloud for the object.
func (s *Scope) Observes() bool { return s.Object.Cloud().Observes() }

// Leave lets an object go that only observes what the cloud has, without asking the cloud. It has our
// finalizer, so it was managed before, and what it bears since then stays.
func (s *Scope) Leave() {
	s.Event(corev1.EventTypeWarning, "MarkStays", "Leave",
		"what the cloud has of this object stays as it is, because spec.managementPolicy is Observe, and still bears its mark %s, by which it counts as left over: "+
			"take the mark off its description before anybody lets the manager delete what is left over (--delete-orphans)", s.Mark(s.Object, 1))
}

// takeovers are the imports that began a short time ago: two objects that name one thing must not both
// take it over because reads show neither mark yet. The zero value is ready.
type takeovers struct {
	mu    sync.Mutex
	under map[takeover]taker
}

// takeover names what is taken over.
type takeover struct {
	account  cloud.Account
	kind, id string
}

type taker struct {
	uid   types.UID
	until time.Time
}

func (p *Part[T]) takeover() takeover {
	return takeover{p.Cloud.Account(), p.Collection.Kind, p.ImportID}
}

// take reports whether an object may take something over, and keeps others from it until reads show
// what came of it.
func (t *takeovers) take(what takeover, uid types.UID, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for other, by := range t.under {
		if now.After(by.until) {
			delete(t.under, other)
		}
	}
	if by, is := t.under[what]; is && by.uid != uid {
		return false
	}
	if t.under == nil {
		t.under = map[takeover]taker{}
	}
	t.under[what] = taker{uid, now.Add(settledAfter)}
	return true
}

// forget lets others take over what an object took: it is gone, and what it had was let go before.
func (t *takeovers) forget(uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.under, func(_ takeover, by taker) bool { return by.uid == uid })
}
