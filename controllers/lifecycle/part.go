package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// Identity is how a cloud object is recognised.
type Identity struct {
	ID, Name string
	// Description bears the ownership mark.
	Description string
	// CreatedAt is when the cloud made it, zero where it does not say.
	CreatedAt time.Time
}

// FilterIdentity is how a filter is recognised.
func FilterIdentity(f cloud.Filter) Identity {
	return Identity{ID: f.ID, Name: f.Name, Description: f.Description, CreatedAt: f.CreatedAt}
}

// SessionIdentity is how a session is recognised.
func SessionIdentity(s cloud.Session) Identity {
	return Identity{ID: s.ID, Name: s.Name, Description: s.Description, CreatedAt: s.CreatedAt}
}

// Collection is what one account has of one kind of cloud object: the calls of the cloud,
// and what the inventory keeps of their answers.
type Collection[T any] struct {
	// Kind is what people call it, such as "filter".
	Kind     string
	Identity func(T) Identity
	// State is the same text for two of them exactly when all is the same that a spec says of one.
	State func(T) string
	// List returns all of them, from a list that began at or after notBefore.
	List func(ctx context.Context, notBefore time.Time) (Listed[T], error)
	// Get reads one and Delete deletes one; a cloud.ClassNotFound says that it is gone.
	Get    func(ctx context.Context, id string) (T, error)
	Delete func(ctx context.Context, id string) error
	// Describe changes the description of one.
	Describe func(ctx context.Context, id, description string) error
	// Note and Forget record what a call has shown; Noted reports whether one was noted
	// after since.
	Note   func(T)
	Forget func(id string)
	Noted  func(id string, since time.Time) bool
}

// Listed is what a list shows of one kind. No look at one object walks over all of it.
type Listed[T any] interface {
	// ByID returns the one that has an ID, Marked those that bear the mark of the Kubernetes object with
	// that UID, of whatever cluster and part, in an order that does not change.
	ByID(id string) (T, bool)
	Marked(uid string) []T
}

// Part is one object in the cloud that an object of ours owns.
type Part[T any] struct {
	*Scope
	// Number is 1 for the first part. It is in the mark of every other.
	Number     int
	Collection Collection[T]
	// Name is what the part is called in the cloud.
	Name string
	// ImportID is the ID of the only object in the cloud that the part may be, empty for any that
	// bears the mark.
	ImportID string
	// StoredID returns the ID that the status has, empty for none.
	StoredID func() string
	// Record puts what the cloud has into the status. After a change that failed halfway,
	// Progress puts there what of it is worth showing. Neither stores the status.
	Record   func(T)
	Progress func(T)
	// Epoch begins a new epoch in the status when what the cloud has is not what the present
	// one stands for, and reports whether the present one has yet to be stored. It does not store
	// the status.
	Epoch func(T) bool
	// Absent puts into the status that the cloud surely has nothing of what it is to have by itself.
	Absent func()

	// confirmed is true when the last observation is an answer about this object alone,
	// not an item of a shared list.
	confirmed bool
	// wrote is true when this reconcile has made or changed the part.
	wrote bool
	// deleted is true when this reconcile has deleted the part, to make it anew.
	deleted bool
}

func (p *Part[T]) key() PartKey { return PartKey{UID: p.Object.GetUID(), Part: p.Number} }

func (p *Part[T]) mark() plan.Mark { return p.Mark(p.Object, p.Number) }

// Find observes the part: by the ID in the status, else by the ownership mark. It returns
// nil only when the cloud surely has none; not knowing is an error, and so is an object
// that has the ID, but is not ours.
func (p *Part[T]) Find(ctx context.Context) (*T, error) {
	if p.ImportID != "" {
		return p.findImported(ctx)
	}
	stored := p.StoredID()
	var foreign error
	if stored != "" {
		have, err := p.byID(ctx, stored)
		if err != nil {
			return nil, err
		}
		if have != nil {
			if foreign = p.checkOwner(*have); foreign == nil {
				return have, p.reclaim(ctx)
			}
		} else {
			p.Expectations.ExpectAbsence(p.key())
		}
	}
	have, err := p.byMark(ctx)
	switch {
	case have != nil:
		return have, err
	case foreign != nil:
		return nil, foreign
	default:
		return nil, err
	}
}

// reclaim stores the finalizers again where somebody has taken them off: the cloud has
// something of the object.
func (p *Part[T]) reclaim(ctx context.Context) error {
	if p.owned() || p.Observes() {
		return nil
	}
	return p.claim(ctx)
}

// Confirm returns what the cloud itself says of a part that a shared list has shown, nil
// when that is gone.
func (p *Part[T]) Confirm(ctx context.Context, have T) (*T, error) {
	if p.confirmed {
		return &have, nil
	}
	return p.read(ctx, p.Collection.Identity(have).ID)
}

// checkOwner decides whether an object that has the ID in the status is ours. The mark
// decides: a status can come from a backup, or have been written by hand. An object without
// a mark is ours by its ID together with its name, and gets its mark back.
func (p *Part[T]) checkOwner(have T) error {
	is := p.Collection.Identity(have)
	if p.ImportID != "" {
		return p.checkImported(is)
	}
	ownership, found := p.mark().OwnershipOf(is.Description)
	bears, called := "the mark "+found.String()+" of another object", fmt.Sprintf("the name %q in place of %q", is.Name, p.Name)
	if SharesAccount(p.Object) {
		bears, called = "the mark of another object", fmt.Sprintf("another name than %q", p.Name)
	}
	switch {
	case ownership == plan.OwnershipForeign:
		return Stall(v1alpha1.ReasonConflict,
			"the %s %s, which status names, bears %s: it is neither changed nor deleted. "+
				"If this object is a copy, such as one restored from a backup together with its status, delete it; the %s stays with its owner",
			p.Collection.Kind, is.ID, bears, p.Collection.Kind)
	case ownership == plan.OwnershipUnmarked && is.Name != p.Name:
		return Stall(v1alpha1.ReasonConflict,
			"the %s %s, which status names, bears no mark and %s: it is neither changed nor deleted. "+
				"If it belongs to this object, end its description in the cloud with %s; else delete this object",
			p.Collection.Kind, is.ID, called, p.mark())
	default:
		return nil
	}
}

func (p *Part[T]) ours(have T) bool { return p.checkOwner(have) == nil }

// byID takes the shared list in the steady state, as long as that shows an object of ours,
// and reads the part itself otherwise.
func (p *Part[T]) byID(ctx context.Context, id string) (*T, error) {
	if p.steady() {
		since := p.FreshSince()
		if shown, until := p.Expectations.Inherited(); until <= 0 {
			since = later(since, shown)
		}
		all, err := p.Collection.List(ctx, since)
		if err != nil {
			return nil, fmt.Errorf("list the %ss: %w", p.Collection.Kind, err)
		}
		if have, ok := all.ByID(id); ok && p.ours(have) {
			p.confirmed = false
			return &have, nil
		}
	}
	return p.read(ctx, id)
}

// settledAfter is the age after which "not found" is believed for something that this
// process itself has made or seen: reads of the cloud may lag behind writes.
const settledAfter = 30 * time.Second

// read asks the cloud for the part itself; nil means surely absent.
func (p *Part[T]) read(ctx context.Context, id string) (*T, error) {
	have, err := p.Collection.Get(ctx, id)
	switch {
	case cloud.IsNotFound(err):
		if p.Collection.Noted(id, p.Clock().Add(-settledAfter)) && !p.Expectations.HasDeleted(p.key(), id) {
			return nil, fmt.Errorf("the %s %s was there a moment ago: %w", p.Collection.Kind, id, err)
		}
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the %s %s: %w", p.Collection.Kind, id, err)
	}
	if p.ours(have) {
		p.Collection.Note(have)
	}
	p.confirmed = true
	return &have, nil
}

// byMark looks for what an earlier create has made, and stores its ID at once.
func (p *Part[T]) byMark(ctx context.Context) (*T, error) {
	kind := p.Collection.Kind
	own, conclusive, err := p.marked(ctx, time.Time{})
	if err == nil && len(own) > 1 {
		own, conclusive, err = p.marked(ctx, p.Clock()) // somebody may have mended it
	}
	if err != nil {
		return nil, err
	}
	switch {
	case len(own) == 0 && !conclusive:
		return nil, p.uncertain()
	case len(own) == 0:
		return nil, nil
	case slices.Contains(p.idsOf(own), p.StoredID()):
		// A read has just said that it is gone, and a list still shows it: nobody knows,
		// so nothing is done until they agree.
		return nil, Retry(v1alpha1.ReasonCloudUnavailable,
			"the cloud says that the %s %s does not exist, and lists it all the same: waiting until it is sure", kind, p.StoredID())
	}
	id, err := p.eldest(own)
	if err != nil {
		return nil, err
	}
	have, err := p.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if have == nil || !p.ours(*have) {
		p.Expectations.ExpectAbsence(p.key()) // the list is of before
		return nil, p.uncertain()
	}
	if err := p.reclaim(ctx); err != nil {
		return nil, err
	}
	if err := p.store(ctx, *have); err != nil {
		return nil, err
	}
	p.Event(corev1.EventTypeNormal, "Found", "Create", "found the %s %s of an earlier attempt", kind, id)
	return have, nil
}

// marked returns what a list shows with the part's mark that began at or after notBefore,
// and whether the absence of anything else can be believed.
func (p *Part[T]) marked(ctx context.Context, notBefore time.Time) (own []T, conclusive bool, err error) {
	since, conclusive := p.Expectations.Freshness(p.key(), p.owned())
	since = later(later(since, notBefore), p.Clock().Add(-p.Resync))
	all, err := p.Collection.List(ctx, since)
	if err != nil {
		return nil, false, fmt.Errorf("look for an earlier creation of the %s: %w", p.Collection.Kind, err)
	}
	return p.withMark(all), conclusive, nil
}

// withMark returns those of a list that bear the part's mark.
func (p *Part[T]) withMark(all Listed[T]) (own []T) {
	for _, have := range all.Marked(string(p.Object.GetUID())) {
		if ownership, _ := p.mark().OwnershipOf(p.Collection.Identity(have).Description); ownership == plan.OwnershipOurs {
			own = append(own, have)
		}
	}
	return own
}

func (p *Part[T]) idsOf(all []T) []string {
	ids := make([]string, 0, len(all))
	for _, have := range all {
		ids = append(ids, p.Collection.Identity(have).ID)
	}
	return ids
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

// Create makes the part and stores its ID at once. What leads to it is stored before.
func (p *Part[T]) Create(ctx context.Context, create func(context.Context) (T, error)) (have T, err error) {
	if p.ImportID != "" {
		return have, p.noImport()
	}
	if err := p.EnsureLatest(ctx); err != nil {
		return have, err
	}
	if lost := p.StoredID(); lost != "" && !p.deleted && !p.Expectations.HasDeleted(p.key(), lost) {
		p.Event(corev1.EventTypeWarning, "DriftCorrected", "Create", "the %s %s is gone from the cloud: making a new one", p.Collection.Kind, lost)
	}
	first := !p.owned()
	if status.IsSynced(p.Object) {
		status.Waiting(p.Object, v1alpha1.ReasonProgressing, fmt.Sprintf("the %s is not in the cloud: it is being made", p.Collection.Kind))
	}
	if err := p.claim(ctx); err != nil {
		return have, err
	}
	if first {
		p.Expectations.Claimed(p.Object.GetUID())
	}
	p.Expectations.ExpectCreation(p.key())
	have, err = create(ctx)
	if err != nil {
		err = fmt.Errorf("create the %s: %w", p.Collection.Kind, err)
		p.Expectations.CreationEnded(p.key(), !cloud.IsAmbiguous(err))
		if first && surelyRefused(err) {
			if failed := p.letGo(ctx); failed != nil {
				return have, failed
			}
		}
		return have, err
	}
	p.Collection.Note(have)
	p.Expectations.Written(p.key(), p.Collection.State(have))
	p.confirmed, p.wrote = true, true
	return have, p.store(ctx, have)
}

// store stores the identity of what the cloud has: from then on it is found by its ID.
func (p *Part[T]) store(ctx context.Context, have T) error {
	p.Bind()
	p.Record(have)
	if status.IsSynced(p.Object) {
		// What is true of the one before is not yet true of this one.
		status.Waiting(p.Object, v1alpha1.ReasonProgressing, fmt.Sprintf("the %s is another one now: bringing it in line with the spec", p.Collection.Kind))
	}
	if err := p.Store(ctx); err != nil {
		return err
	}
	p.Expectations.CreationObserved(p.key())
	return nil
}

// maxRounds bounds how often is planned; the longest plan needs two.
const maxRounds = 4

// Mend does what brings the cloud in line, and tells Did or DidOver of each write. It returns what the cloud has then where the answers of
// its writes tell that whole, nil where it has to be read.
type Mend[T any] func(context.Context) (*T, error)

// Converge mends what differs until nothing does, and records what the cloud then has.
// diff returns the differences of what the cloud has, and what mends them. What a shared
// list has shown is confirmed before anything is done about it.
func (p *Part[T]) Converge(ctx context.Context, have T, diff func(have T) (changes []plan.Change, mend Mend[T])) error {
	id := p.Collection.Identity(have).ID
	unshown := p.unshown(have)
	for round := 0; ; {
		changes, mend := diff(have)
		if len(changes) == 0 {
			return p.converged(have, unshown)
		}
		if p.confirmed {
			if round == maxRounds {
				return Retry(v1alpha1.ReasonProgressing, "the %s %s does not converge: still %s", p.Collection.Kind, id, p.Summary(changes))
			}
			told, err := p.change(ctx, have, round == 0, mend)
			if err != nil {
				return err
			}
			if told != nil && unshown <= 0 {
				if changes, _ := diff(*told); len(changes) == 0 {
					p.Collection.Note(*told)
					return p.converged(*told, 0)
				}
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
		if err := p.checkOwner(*now); err != nil {
			return err
		}
		have = *now
		if unshown = 0; round == 0 { // else it shows what this reconcile has written, and so all before that
			unshown = p.unshown(have)
		}
	}
}

// unshown is for how long it is not to be believed that the part is as a read has shown it: this process has
// changed it a moment ago, and did not leave it so. What the spec wants now may be what was before that change.
// Not above zero where it is believed, as what a shared list shows, which what was noted of this process's changes is laid over.
func (p *Part[T]) unshown(have T) time.Duration {
	if !p.confirmed {
		return 0
	}
	return p.Expectations.Unshown(p.key(), p.Collection.State(have))
}

// converged records what the cloud has. An earlier process may have ended amid its work, and reads
// may not show the last of that yet: what was not in line then, and needed nothing now, is
// looked at again before it counts as in line. So is what reads don't yet show of this process's own work.
func (p *Part[T]) converged(have T, unshown time.Duration) error {
	if unshown > 0 {
		return p.lookAgain(unshown)
	}
	if behind := p.Expectations.Behind(); behind > 0 && !p.wrote && !p.WasSynced {
		return &Problem{Reason: v1alpha1.ReasonProgressing, After: behind,
			Message: fmt.Sprintf("an earlier manager may have changed the %s a moment ago: it is looked at again once reads must show that", p.Collection.Kind)}
	}
	if p.wrote {
		p.Expectations.Written(p.key(), p.Collection.State(have))
	}
	p.Record(have)
	return nil
}

// lookAgain is that reads may not yet show what this process has changed of the part a moment ago.
func (p *Part[T]) lookAgain(in time.Duration) *Problem {
	return &Problem{Reason: v1alpha1.ReasonProgressing, After: in,
		Message: fmt.Sprintf("the %s was changed a moment ago: it is looked at again once reads must show that", p.Collection.Kind)}
}

// Did notes how a write to the part in the cloud has ended, and returns that. What came of one that was not refused is
// not known yet.
func (p *Part[T]) Did(err error) error {
	if err == nil || cloud.IsAmbiguous(err) {
		p.Expectations.Written(p.key(), "")
	}
	return err
}

// DidOver is Did for a write that changes or removes what is there. Where another write of this process was a moment ago, that
// one may yet take effect, over this one, so that the object is compared once more: a session would stay off that was switched
// off for a change, and copies would be made by a rule that was there for the change alone.
func (p *Part[T]) DidOver(err error) error {
	uid := p.Object.GetUID()
	if p.Expectations.Settles(uid) > 0 && err == nil {
		p.Expectations.WroteOver(uid)
	}
	return p.Did(err)
}

// change mends what differs. Where it can't, what the cloud then has is recorded.
func (p *Part[T]) change(ctx context.Context, have T, first bool, mend Mend[T]) (told *T, err error) {
	if first {
		if err := p.Foresee(ctx, have); err != nil {
			return nil, err
		}
	}
	p.wrote = true
	told, err = mend(ctx)
	if err == nil {
		return told, nil
	}
	if now, failed := p.read(ctx, p.Collection.Identity(have).ID); failed == nil && now != nil {
		p.Progress(*now)
	}
	return nil, err
}

// Foresee comes before the part is changed, which have is for certain. When that is not what
// the status stands for, somebody else changed it, and afterwards nobody could tell: so it is
// stored first. An edit of the spec finds what the status stands for, and costs no write here.
func (p *Part[T]) Foresee(ctx context.Context, have T) error {
	if err := p.EnsureLatest(ctx); err != nil {
		return err
	}
	if !p.Epoch(have) {
		return nil
	}
	if status.IsSynced(p.Object) {
		status.Waiting(p.Object, v1alpha1.ReasonProgressing, fmt.Sprintf("the %s was changed in the cloud: bringing it in line with the spec", p.Collection.Kind))
	}
	return p.Store(ctx)
}

// Confirmed reports whether the last observation is an answer about this object alone.
func (p *Part[T]) Confirmed() bool { return p.confirmed }

// Delete removes what the cloud has of the part, never by the spec's references, which may
// be gone already.
func (p *Part[T]) Delete(ctx context.Context) error {
	if err := p.EnsureLatest(ctx); err != nil {
		return err
	}
	ids, err := p.everything(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := p.deleteID(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// everything returns what the cloud has of the part: what has the ID in the status, as far
// as that is ours, and whatever bears its mark.
func (p *Part[T]) everything(ctx context.Context) (ids []string, err error) {
	if ids, err = p.storedAndOurs(ctx); err != nil {
		return nil, err
	}
	own, conclusive, err := p.marked(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	for _, id := range p.idsOf(own) {
		if slices.Contains(ids, id) {
			continue
		}
		// The list can be of before somebody else took it over.
		have, err := p.Collection.Get(ctx, id)
		switch ownership, _ := p.mark().OwnershipOf(p.Collection.Identity(have).Description); {
		case cloud.IsNotFound(err), err == nil && ownership != plan.OwnershipOurs:
		case err != nil:
			return nil, fmt.Errorf("read the %s %s: %w", p.Collection.Kind, id, err)
		default:
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 && !conclusive {
		return nil, p.uncertain()
	}
	return ids, nil
}

// storedAndOurs returns the ID in the status, unless that is gone or not ours.
func (p *Part[T]) storedAndOurs(ctx context.Context) ([]string, error) {
	id := p.StoredID()
	if id == "" {
		return nil, nil
	}
	have, err := p.read(ctx, id)
	if err != nil && !cloud.IsNotFound(err) {
		return nil, err
	}
	if err == nil && have == nil {
		p.Expectations.ExpectAbsence(p.key())
		return nil, nil
	}
	// "Not found" is said of what was ours a moment ago.
	if have == nil || p.ours(*have) {
		return []string{id}, nil
	}
	return nil, nil
}

func (p *Part[T]) deleteID(ctx context.Context, id string) error {
	kind := p.Collection.Kind
	err := p.Collection.Delete(ctx, id)
	if err == nil || cloud.IsAmbiguous(err) {
		p.Expectations.Deleted(p.key(), id)
	}
	if err != nil && !cloud.IsNotFound(err) {
		return fmt.Errorf("delete the %s %s: %w", kind, id, err)
	}
	// A good status is no proof: something between us and the cloud may have given it.
	switch _, err := p.Collection.Get(ctx, id); {
	case err == nil:
		reason := v1alpha1.ReasonDeleting
		if p.Object.GetDeletionTimestamp().IsZero() { // it is only to be made anew
			reason = v1alpha1.ReasonProgressing
		}
		return Retry(reason, "the cloud still has the %s %s after it took its deletion", kind, id)
	case !cloud.IsNotFound(err):
		return fmt.Errorf("see whether the %s %s is gone: %w", kind, id, err)
	}
	p.Collection.Forget(id)
	p.deleted = true
	p.Event(corev1.EventTypeNormal, "Deleted", "Delete", "deleted the %s %s from the cloud", kind, id)
	return nil
}
