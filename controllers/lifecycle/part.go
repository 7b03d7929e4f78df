package lifecycle

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// Collection is what one account has of one kind of cloud object: the calls of the cloud,
// and what the inventory keeps of their answers.
type Collection[T any] struct {
	// Kind is what people call it, such as "filter".
	Kind string
	// Identity returns an object's ID and its description, which bears the mark.
	Identity func(T) (id, description string)
	// List returns all of them, from a list that began at or after notBefore.
	List func(ctx context.Context, notBefore time.Time) ([]T, error)
	// Get reads one and Delete deletes one; a cloud.ClassNotFound says that it is gone.
	Get    func(ctx context.Context, id string) (T, error)
	Delete func(ctx context.Context, id string) error
	// Note and Forget record what a call has shown; Noted reports whether one was noted
	// after since.
	Note   func(T)
	Forget func(id string)
	Noted  func(id string, since time.Time) bool
}

// Part is one object in the cloud that an object of ours owns.
type Part[T any] struct {
	*Scope
	// Number is 1 for the first part. It is in the mark of every other.
	Number     int
	Collection Collection[T]
	// StoredID returns the ID that the status has, empty for none.
	StoredID func() string
	// Record puts what the cloud has into the status, Clear takes it out. After a change
	// that failed halfway, Progress puts there what of it is worth showing. None of them
	// stores the status.
	Record   func(T)
	Progress func(T)
	Clear    func()

	// confirmed is true when the last observation is an answer about this object alone,
	// not an item of a shared list.
	confirmed bool
}

func (p *Part[T]) key() PartKey { return PartKey{UID: p.Object.GetUID(), Part: p.Number} }

func (p *Part[T]) mark() plan.Mark { return p.Mark(p.Object, p.Number) }

// Find observes the part: by the ID in the status, else by the ownership mark. It returns
// nil only when the cloud surely has none; not knowing is an error.
func (p *Part[T]) Find(ctx context.Context) (*T, error) {
	lost := p.StoredID()
	if lost != "" {
		have, err := p.byID(ctx, lost)
		if have != nil || err != nil {
			return have, err
		}
		p.Expectations.ExpectAbsence(p.key())
	}
	have, err := p.byMark(ctx)
	if have != nil || err != nil {
		return have, err
	}
	if lost != "" {
		p.Event(corev1.EventTypeWarning, "DriftCorrected", "Create", "the %s %s is gone from the cloud: making a new one", p.Collection.Kind, lost)
		p.Clear()
	}
	return nil, nil
}

// byID takes the shared list in the steady state and reads the part itself otherwise.
func (p *Part[T]) byID(ctx context.Context, id string) (*T, error) {
	if p.steady() {
		all, err := p.Collection.List(ctx, p.FreshSince())
		if err != nil {
			return nil, fmt.Errorf("list the %ss: %w", p.Collection.Kind, err)
		}
		for _, have := range all {
			if other, _ := p.Collection.Identity(have); other == id {
				p.confirmed = false
				return &have, nil
			}
		}
	}
	return p.read(ctx, id)
}

// Settled is the age after which "not found" is believed for something that this
// process itself has made or seen: reads of the cloud may lag behind writes.
const Settled = 30 * time.Second

// read asks the cloud for the part itself; nil means surely absent.
func (p *Part[T]) read(ctx context.Context, id string) (*T, error) {
	have, err := p.Collection.Get(ctx, id)
	switch {
	case cloud.IsNotFound(err):
		if p.Collection.Noted(id, p.Clock().Add(-Settled)) {
			return nil, fmt.Errorf("the %s %s was there a moment ago: %w", p.Collection.Kind, id, err)
		}
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the %s %s: %w", p.Collection.Kind, id, err)
	}
	p.Collection.Note(have)
	p.confirmed = true
	return &have, nil
}

// byMark looks for what an earlier create has made, and stores its ID at once.
func (p *Part[T]) byMark(ctx context.Context) (*T, error) {
	kind := p.Collection.Kind
	since, conclusive := p.Expectations.Freshness(p.key(), p.Object.Common().Account != nil)
	all, err := p.Collection.List(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("look for an earlier creation of the %s: %w", kind, err)
	}
	var own []T
	var ids []string
	for _, have := range all {
		id, description := p.Collection.Identity(have)
		if m, ok := plan.MarkOf(description); ok && m == p.mark() {
			own, ids = append(own, have), append(ids, id)
		}
	}
	switch {
	case len(own) > 1:
		return nil, Stall(v1alpha1.ReasonConflict,
			"the cloud has %d %ss with this object's mark: %s. Delete those that are not in use, and the remaining one is taken",
			len(own), kind, strings.Join(ids, ", "))
	case len(own) == 0 && !conclusive:
		return nil, p.uncertain()
	case len(own) == 0:
		return nil, nil
	case ids[0] == p.StoredID():
		// A read has just said that it is gone, and a list still shows it: nobody knows,
		// so nothing is done until they agree.
		return nil, Retry(v1alpha1.ReasonCloudUnavailable,
			"the cloud says that the %s %s does not exist, and lists it all the same: waiting until it is sure", kind, ids[0])
	}
	if err := p.store(ctx, own[0]); err != nil {
		return nil, err
	}
	p.confirmed = false
	p.Event(corev1.EventTypeNormal, "Found", "Create", "found the %s %s of an earlier attempt", kind, ids[0])
	return &own[0], nil
}

// uncertain waits until the absence of an earlier creation can be believed. Why the create
// had no answer stays in the status meanwhile, where it is there.
func (p *Part[T]) uncertain() error {
	o := p.Object
	problem := Retry(v1alpha1.ReasonProgressing,
		"an earlier create may have taken effect without an answer: looking for what it made before creating again")
	if c := readyOf(o); c != nil && c.Status == metav1.ConditionFalse && c.ObservedGeneration == o.GetGeneration() {
		problem.Reason, problem.Message = c.Reason, c.Message
		problem.Stalled = meta.IsStatusConditionTrue(o.Common().Conditions, v1alpha1.ConditionStalled)
	}
	return problem
}

// Create makes the part and stores its ID at once. The account is stored before: an object
// without a recorded account has nothing in the cloud.
func (p *Part[T]) Create(ctx context.Context, create func(context.Context) (T, error)) (have T, err error) {
	first := p.Object.Common().Account == nil
	if first {
		bind(p.Object, p.Cloud.Account())
		if err := p.Store(ctx); err != nil {
			return have, err
		}
	}
	p.Expectations.ExpectCreation(p.key())
	have, err = create(ctx)
	if err != nil {
		if !cloud.IsAmbiguous(err) {
			p.Expectations.CreationRefused(p.key())
		}
		if first {
			unbind(p.Object, err)
		}
		return have, fmt.Errorf("create the %s: %w", p.Collection.Kind, err)
	}
	p.Collection.Note(have)
	p.confirmed = true
	return have, p.store(ctx, have)
}

// store stores the identity of what the cloud has: from then on it is found by its ID.
func (p *Part[T]) store(ctx context.Context, have T) error {
	bind(p.Object, p.Cloud.Account())
	p.Record(have)
	if err := p.Store(ctx); err != nil {
		return err
	}
	p.Expectations.CreationObserved(p.key())
	return nil
}

// maxRounds bounds how often is planned; the longest plan needs two.
const maxRounds = 4

// Converge mends what differs until nothing does, and records what the cloud then has.
// diff returns the differences of what the cloud has, and what mends them. What a shared
// list has shown is confirmed before anything is done about it.
func (p *Part[T]) Converge(ctx context.Context, have T, diff func(have T) (changes []plan.Change, mend func(context.Context) error)) error {
	id, _ := p.Collection.Identity(have)
	for round := 0; ; {
		changes, mend := diff(have)
		if len(changes) == 0 {
			p.Record(have)
			return nil
		}
		if p.confirmed {
			if round == maxRounds {
				return Retry(v1alpha1.ReasonProgressing, "the %s %s does not converge: still %s", p.Collection.Kind, id, plan.Summary(changes))
			}
			if err := mend(ctx); err != nil {
				if now, failed := p.read(ctx, id); failed == nil && now != nil {
					p.Progress(*now)
				}
				return err
			}
			round++
		}
		now, err := p.read(ctx, id)
		if err != nil {
			return err
		}
		if now == nil {
			return Retry(v1alpha1.ReasonProgressing, "the %s %s went from the cloud while it was changed", p.Collection.Kind, id)
		}
		have = *now
	}
}

// Delete removes the part, found by the identity in the status and else by its mark, never
// by the spec's references, which may be gone already.
func (p *Part[T]) Delete(ctx context.Context) error {
	kind, id := p.Collection.Kind, p.StoredID()
	if id == "" {
		have, err := p.byMark(ctx)
		if have == nil || err != nil {
			return err
		}
		id, _ = p.Collection.Identity(*have)
	}
	if err := p.Collection.Delete(ctx, id); err != nil && !cloud.IsNotFound(err) {
		return fmt.Errorf("delete the %s %s: %w", kind, id, err)
	}
	// A good status is no proof: something between us and the cloud may have given it.
	switch _, err := p.Collection.Get(ctx, id); {
	case err == nil:
		return Retry(v1alpha1.ReasonDeleting, "the cloud still has the %s %s after it took its deletion", kind, id)
	case !cloud.IsNotFound(err):
		return fmt.Errorf("see whether the %s %s is gone: %w", kind, id, err)
	}
	p.Collection.Forget(id)
	p.Event(corev1.EventTypeNormal, "Deleted", "Delete", "deleted the %s %s from the cloud", kind, id)
	return nil
}
