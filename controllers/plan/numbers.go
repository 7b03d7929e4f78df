package plan

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// Sessions are all sessions of an account in the cloud. What each look asks of them costs no walk over
// all. Each answer is in an order that does not change.
type Sessions interface {
	// Marked are those that bear the mark of the Kubernetes object with that UID, of whatever cluster.
	Marked(uid string) []cloud.Session
	// From are those that copy from an interface.
	From(sourceID string) []cloud.Session
	WithPriority(priority int) []cloud.Session
	WithVNI(targetID string, vni int) []cloud.Session
}

// NumbersInput is what the VNI and the priority of a session are chosen by.
type NumbersInput struct {
	// Session is the MirrorSession with its status as stored.
	Session *v1alpha1.MirrorSession
	// Part is the number of the part whose numbers are chosen, and Own is what the cloud has of that, nil
	// for nothing.
	Part int
	Own  *cloud.Session
	// Leads are the numbers of the first part, nil for the first itself: that has the priority which the
	// spec names, and all have its VNI. Siblings are the priorities of the other parts that are known.
	Leads    *Numbers
	Siblings []int
	// Account is where it lives, TargetID the interface that receives the copies, and
	// Sources are the interfaces that are mirrored.
	Account  cloud.Account
	TargetID string
	Sources  []string
	// Cluster is this cluster's name in the ownership mark.
	Cluster string

	// InCloud are all sessions of the account, foreign ones included.
	InCloud Sessions
	// Claims are those of the other MirrorSessions. ChooseNumbers alone needs them.
	Claims Claims
}

// Claims are what the MirrorSessions of this cluster have of numbers or ask for, though the cloud may
// not show it yet: by their specs, by their statuses, and by reservations.
type Claims interface {
	// HasPriority and HasVNI report whether one other than the Session that chooses has a number; a VNI
	// is one at a target.
	HasPriority(priority int) bool
	HasVNI(targetID string, vni int) bool
	// Reserved is what was reserved for a part of one a short time ago, see ChooseNumbers.
	Reserved(uid types.UID, part int) (Reservation, bool)
	// Named are those whose specs name a priority, and Waiting at least those that have nothing in the
	// cloud by their statuses. The Session that chooses may be among them. Nobody changes them.
	Named() []*v1alpha1.MirrorSession
	Waiting() []*v1alpha1.MirrorSession
}

// Reservation keeps allocated numbers for a part of a MirrorSession until the cloud has them.
type Reservation struct {
	UID  types.UID
	Part int
	// Priority and VNI are -1 where the spec names them; TargetID is where the VNI is for.
	Priority, VNI int
	TargetID      string
}

// Numbers are the VNI and the priority of a session.
type Numbers struct {
	VNI, Priority int
	// Holder is the session of the account that has the priority which the spec names,
	// nil for none. Priority is then 0, and the holder is waited for; or, where it waits
	// for the present one too, another number for as long as that takes.
	Holder *cloud.Session
	// OfSibling is true where another part of the same object has the priority that the spec names, and leaves
	// it: Priority is another one until it has.
	OfSibling bool
	// HolderWants is the priority that the holder is to get itself, 0 for none.
	HolderWants int
	// Preceded are the sessions with a source in common that an allocated priority goes
	// before, because no number after theirs was free.
	Preceded []cloud.Session
	// SameVNI is another session to the target that has the VNI: where the VNI was
	// allocated and the other is older, this one is to get another; nil for none.
	SameVNI *cloud.Session
}

// firstAllocated is where allocated priorities begin: those below are for people.
const firstAllocated = 10000

// Errors of ChooseNumbers.
var (
	ErrNoPriority = errors.New("every session priority of the account is in use")
	ErrNoVNI      = errors.New("every VNI of the target is in use")
)

// none stands for a number that is not chosen yet.
const none = -1

// KeptNumbers returns the numbers that the session has already, none where it has none:
// the spec's, else those in its status, else those of what was found in the cloud. A
// number that was once allocated stays, so that consumers of the copies can rely on it.
// current is true when the cloud has just these, at the wanted target, and no older session
// there has the same VNI; for that InCloud must be set.
func (in *NumbersInput) KeptNumbers() (kept Numbers, current bool) {
	kept = Numbers{VNI: none, Priority: none}
	if in.Own != nil {
		kept.VNI, kept.Priority = in.Own.VNI, in.Own.Priority
	}
	prefer(&kept.VNI, in.Session.Status.VNI)
	if part := in.Session.Part(in.Part); part != nil && part.Priority != 0 { // 0: it was lost, and somebody else has it
		kept.Priority = int(part.Priority)
	}
	prefer(&kept.VNI, in.Session.Spec.VNI)
	prefer(&kept.Priority, in.named())
	if in.Leads != nil {
		kept.VNI = in.Leads.VNI
		if named := in.Session.Spec.Priority; named != nil && kept.Priority == int(*named) {
			kept.Priority = none // the first part is to have it
		}
	} else {
		kept.SameVNI = in.sameVNI(kept.VNI)
	}
	current = in.Own != nil && in.Own.VNI == kept.VNI && in.Own.Priority == kept.Priority && in.Own.TargetID == in.TargetID &&
		!in.yields(kept)
	return kept, current
}

// named is the priority that the spec names, nil for none: the first part's alone.
func (in *NumbersInput) named() *int32 {
	if in.Leads != nil {
		return nil
	}
	return in.Session.Spec.Priority
}

// ours reports whether a session of the cloud is a part of the same object, or a duplicate of one.
func (in *NumbersInput) ours(s cloud.Session) bool {
	mark, ok := MarkOf(s.Description)
	return ok && mark.Cluster == in.Cluster && mark.UID == string(in.Session.UID)
}

// sibling reports whether a session of the cloud is another part of the same object.
func (in *NumbersInput) sibling(s cloud.Session) bool {
	mark, _ := MarkOf(s.Description)
	return in.ours(s) && mark.Part != in.Part
}

// sameVNI returns another session to the target that has a VNI, the oldest of several. The
// object's other parts have it too.
func (in *NumbersInput) sameVNI(vni int) *cloud.Session {
	if in.InCloud == nil {
		return nil
	}
	var oldest *cloud.Session
	for _, s := range in.InCloud.WithVNI(in.TargetID, vni) {
		if in.ours(s) || s.ID == in.ownID() {
			continue
		}
		if oldest == nil || olderInCloud(&s, oldest) {
			oldest = &s
		}
	}
	return oldest
}

// yields reports whether an allocated VNI has to be given up to another session that has
// it too: a copy could not be told from the other's. The older one keeps it, unless it comes
// to the target only now.
func (in *NumbersInput) yields(n Numbers) bool {
	return in.Session.Spec.VNI == nil && n.SameVNI != nil && (in.comes() || olderInCloud(n.SameVNI, in.Own))
}

// comes reports whether the session is not at the target yet.
func (in *NumbersInput) comes() bool { return in.Own == nil || in.Own.TargetID != in.TargetID }

func olderInCloud(a, b *cloud.Session) bool {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID)) < 0
}

func prefer(number *int, better *int32) {
	if better != nil {
		*number = int(*better)
	}
}

// ChooseNumbers decides VNI and priority. What the spec names is never replaced for good: a
// priority is waited for, where sessions wait for each other's one takes another meanwhile,
// and a VNI may be shared on purpose. What was allocated earlier is replaced when somebody
// else has taken it since.
//
// The cloud tries the smallest priority first, and copies a packet at most once. So an
// allocated priority is the smallest free one that is greater than that of every session
// with a source in common, foreign ones included: a newcomer never takes packets from an
// older session. An allocated VNI is the smallest from 1 that no other session to the
// target has: the cloud itself would give VNI 1 to everyone, and two sessions to one target
// could not be told apart.
//
// Of sessions that wait at the same time the older ones go first: reserve has numbers for
// them too, whichever is the first to ask. The caller keeps it for as long as a list of the
// cloud may be old, and gives it to those who ask next.
func ChooseNumbers(in NumbersInput) (n Numbers, reserve []Reservation, err error) {
	n, _ = in.KeptNumbers()
	claims := newClaims(&in)
	if holder, taken := priorityHolder(in.InCloud, n.Priority, in.ownID()); taken && in.waits(&n, claims, holder) {
		return n, nil, nil
	}
	needsPriority := n.Priority == none
	needsVNI := in.Leads == nil && in.Session.Spec.VNI == nil && (n.VNI == none || in.yields(n) || in.comes() && claims.vniTaken(n.VNI))
	if needsPriority || needsVNI {
		reserve = in.reserveOlder(claims)
	}
	own := Reservation{UID: in.Session.UID, Part: in.Part, Priority: none, VNI: none, TargetID: in.TargetID}
	if needsPriority {
		if n.Priority, n.Preceded = in.allocatePriority(claims); n.Priority == none {
			return n, nil, ErrNoPriority
		}
		own.Priority = n.Priority
	}
	if needsVNI {
		if n.VNI = in.allocateVNI(claims); n.VNI == none {
			return n, nil, ErrNoVNI
		}
		own.VNI = n.VNI
	}
	return n, append(reserve, own), nil
}

// waits decides what becomes of a priority that another session has, and reports whether that is to be waited for; else
// another one is allocated.
func (in *NumbersInput) waits(n *Numbers, c *claims, holder cloud.Session) bool {
	switch n.OfSibling = in.sibling(holder); {
	case n.OfSibling && in.Own != nil:
		n.Priority = in.Own.Priority
		return true
	case in.named() != nil && !n.OfSibling:
		n.Holder, n.HolderWants = &holder, c.wantedBy(holder)
		if !PriorityCycle(in.InCloud, c.waiting(in.ownID(), n.Priority), in.ownID()) {
			n.Priority = 0
			return true
		}
	}
	n.Priority = none
	return false
}

// reserveOlder takes numbers for the sessions that go first.
func (in *NumbersInput) reserveOlder(c *claims) (reserve []Reservation) {
	for _, o := range c.older() {
		r := Reservation{UID: o.UID, Part: 1, Priority: none, VNI: none, TargetID: in.TargetID}
		if o.Spec.Priority == nil {
			r.Priority, _ = in.freePriority(c)
		}
		if o.Spec.VNI == nil && equality.Semantic.DeepEqual(o.Spec.Target, in.Session.Spec.Target) {
			r.VNI = c.freeVNI()
		}
		reserve = append(reserve, r)
		c.priorities[r.Priority], c.vnis[r.VNI] = true, true
	}
	return reserve
}

// allocatePriority returns the priority that was reserved for the session, unless somebody
// has it by now; else see freePriority.
func (in *NumbersInput) allocatePriority(c *claims) (priority int, preceded []cloud.Session) {
	if r, ok := in.Claims.Reserved(in.Session.UID, in.Part); ok && r.Priority != none && !c.priorityTaken(r.Priority) && !in.precedesForeign(r.Priority) {
		return r.Priority, nil
	}
	return in.freePriority(c)
}

// precedesForeign reports whether a priority goes before that of a foreign session with a
// source in common. (It was reserved by a session with other sources; it goes before those of
// this cluster only that have left it free.)
func (in *NumbersInput) precedesForeign(priority int) bool {
	return slices.ContainsFunc(in.sharing(), func(s cloud.Session) bool {
		mark, ok := MarkOf(s.Description)
		foreign := !ok || mark.Cluster != in.Cluster
		return foreign && s.Priority > priority
	})
}

// sharing are the sessions of the cloud, other than the own one, that have a source in common.
func (in *NumbersInput) sharing() (sharing []cloud.Session) {
	seen := map[string]bool{in.ownID(): true}
	for _, source := range in.Sources {
		for _, s := range in.InCloud.From(source) {
			if !seen[s.ID] && !in.ours(s) {
				seen[s.ID], sharing = true, append(sharing, s)
			}
		}
	}
	return sharing
}

// allocateVNI is allocatePriority for the VNI.
func (in *NumbersInput) allocateVNI(c *claims) int {
	if r, ok := in.Claims.Reserved(in.Session.UID, in.Part); ok && r.TargetID == in.TargetID && r.VNI != none && !c.vniTaken(r.VNI) {
		return r.VNI
	}
	return c.freeVNI()
}

// ownID is the ID of what the cloud has of the session, empty for nothing.
func (in *NumbersInput) ownID() string {
	if in.Own == nil {
		return ""
	}
	return in.Own.ID
}

// freePriority returns the smallest free priority after those of the sessions with a source
// in common; where there is none, the largest free one, and the sessions that it goes
// before.
func (in *NumbersInput) freePriority(c *claims) (priority int, preceded []cloud.Session) {
	first, sharing := firstAllocated, in.sharing()
	if in.Leads != nil {
		first = in.Leads.Priority + 1
	}
	for _, s := range sharing {
		first = max(first, s.Priority+1)
	}
	if priority = c.freePriorityFrom(first); priority != none {
		return priority, nil
	}
	priority = c.largestFreePriority()
	for _, s := range sharing {
		if s.Priority > priority {
			preceded = append(preceded, s)
		}
	}
	return priority, preceded
}

// claims are the numbers that are taken: by what the cloud has, by what the other
// MirrorSessions of the cluster have or ask for, though the cloud may not show it yet, by
// reservations, and by what was reserved while it chooses.
type claims struct {
	in *NumbersInput
	// priorities, and VNIs for the same target, are those that were reserved while it chooses. From
	// afterPriority on, and afterVNI, the search for a free one goes on where it began at begunAt: what
	// was taken stays taken.
	priorities, vnis                 map[int]bool
	begunAt, afterPriority, afterVNI int
	// named are, by the ID of what they have in the cloud, those whose specs name a
	// priority.
	named map[string]priorityClaim
}

type priorityClaim struct {
	priority int
	// waits is true when nothing but its priority's holder is in its way.
	waits bool
}

func newClaims(in *NumbersInput) *claims {
	c := &claims{in: in, priorities: map[int]bool{}, vnis: map[int]bool{}, named: map[string]priorityClaim{}, afterVNI: 1}
	for _, o := range in.Claims.Named() {
		if part := o.First(); o.UID != in.Session.UID && part != nil && o.ToBeMade() && SameAccount(o.Status.Account, in.Account) {
			c.named[part.ID] = priorityClaim{int(*o.Spec.Priority), o.WaitsFor(v1alpha1.ReasonPriorityTaken)}
		}
	}
	return c
}

// older are the MirrorSessions that are about to choose too, the oldest first, and have
// no reservation.
func (c *claims) older() (older []*v1alpha1.MirrorSession) {
	for _, o := range c.in.Claims.Waiting() {
		if _, reserved := c.in.Claims.Reserved(o.UID, 1); !reserved && o.UID != c.in.Session.UID && precedes(o, c.in.Session) && !c.inCloud(o) {
			older = append(older, o)
		}
	}
	slices.SortFunc(older, func(a, b *v1alpha1.MirrorSession) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(string(a.UID), string(b.UID)))
	})
	return older
}

// inCloud reports whether the cloud shows something of a MirrorSession.
func (c *claims) inCloud(o *v1alpha1.MirrorSession) bool {
	return slices.ContainsFunc(c.in.InCloud.Marked(string(o.UID)), func(s cloud.Session) bool {
		mark, ok := MarkOf(s.Description)
		return ok && mark.Cluster == c.in.Cluster
	})
}

func (c *claims) priorityTaken(priority int) bool {
	if named := c.in.Session.Spec.Priority; c.in.Leads != nil && named != nil && int(*named) == priority {
		return true
	}
	return c.priorities[priority] || slices.Contains(c.in.Siblings, priority) || c.others(c.in.InCloud.WithPriority(priority)) || c.in.Claims.HasPriority(priority)
}

// vniTaken is about the same target. What the object's other parts have is its own.
func (c *claims) vniTaken(vni int) bool {
	return c.vnis[vni] || slices.ContainsFunc(c.in.InCloud.WithVNI(c.in.TargetID, vni), c.foreign) || c.in.Claims.HasVNI(c.in.TargetID, vni)
}

// foreign reports whether a session is none of those that stand for the object.
func (c *claims) foreign(s cloud.Session) bool { return s.ID != c.in.ownID() && !c.in.ours(s) }

// others reports whether some of the sessions are not the own one.
func (c *claims) others(found []cloud.Session) bool {
	return slices.ContainsFunc(found, func(s cloud.Session) bool { return s.ID != c.in.ownID() })
}

// freePriorityFrom returns the smallest free priority from first on, none where there is none.
func (c *claims) freePriorityFrom(first int) int {
	if c.begunAt != first {
		c.begunAt, c.afterPriority = first, first
	}
	for ; c.afterPriority <= v1alpha1.MaxSessionPriority; c.afterPriority++ {
		if !c.priorityTaken(c.afterPriority) {
			return c.afterPriority
		}
	}
	return none
}

// largestFreePriority returns the largest priority that is free, none when all are taken.
func (c *claims) largestFreePriority() int {
	for number := v1alpha1.MaxSessionPriority; number >= 1; number-- {
		if !c.priorityTaken(number) {
			return number
		}
	}
	return none
}

// freeVNI returns the smallest free VNI, none where there is none.
func (c *claims) freeVNI() int {
	for ; c.afterVNI <= v1alpha1.MaxVNI; c.afterVNI++ {
		if !c.vniTaken(c.afterVNI) {
			return c.afterVNI
		}
	}
	return none
}

// precedes reports whether o is older than s and about to choose numbers of the same
// account: nothing else keeps it from being made.
func precedes(o, s *v1alpha1.MirrorSession) bool {
	if o.InCloud() || !o.ToBeMade() || o.Spec.Import != nil || o.Namespace != s.Namespace || !older(o, s) ||
		!equality.Semantic.DeepEqual(o.Spec.CredentialsRef, s.Spec.CredentialsRef) {
		return false
	}
	ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return true
	case ready.Reason == v1alpha1.ReasonFilterNotFound, ready.Reason == v1alpha1.ReasonFilterNotReady:
		return o.Spec.FilterRef == s.Spec.FilterRef
	default:
		return false
	}
}

func older(a, b *v1alpha1.MirrorSession) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.UID < b.UID
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}

// wantedBy returns the priority that a session of this cluster is to get in place of the
// one it has, 0 for none.
func (c *claims) wantedBy(holder cloud.Session) int {
	if claim, ours := c.named[holder.ID]; ours && claim.priority != holder.Priority {
		return claim.priority
	}
	return 0
}

// waiting returns which sessions, all of which could change at once, wait for which
// priority.
func (c *claims) waiting(ownID string, wanted int) map[string]int {
	out := map[string]int{ownID: wanted}
	for id, claim := range c.named {
		if claim.waits {
			out[id] = claim.priority
		}
	}
	return out
}

// priorityHolder returns the session, other than the one with ownID, that has the priority.
func priorityHolder(sessions Sessions, priority int, ownID string) (cloud.Session, bool) {
	for _, s := range sessions.WithPriority(priority) {
		if s.ID != ownID {
			return s, true
		}
	}
	return cloud.Session{}, false
}

// PriorityCycle reports whether sessions wait for each other's priorities: the session with
// ownID wants one whose holder wants one, and so on, whose holder has ownID. wanted has by
// the session's ID which priority it is to get. One of a cycle has to take another priority
// for a while; two never do so for each other, because they choose one after the other.
func PriorityCycle(sessions Sessions, wanted map[string]int, ownID string) bool {
	id := ownID
	for range wanted { // a cycle that own is not in has no end
		priority, moves := wanted[id]
		if !moves {
			return false
		}
		holder, taken := priorityHolder(sessions, priority, id)
		if !taken {
			return false
		}
		if holder.ID == ownID {
			return true
		}
		id = holder.ID
	}
	return false
}
