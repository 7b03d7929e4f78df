package plan

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// NumbersInput is what the VNI and the priority of a session are chosen by.
type NumbersInput struct {
	// Session is the MirrorSession with its status as stored.
	Session *v1alpha1.MirrorSession
	// Own is what the cloud has of it, nil for nothing.
	Own *cloud.Session
	// Account is where it lives, TargetID the interface that receives the copies, and
	// Sources are the interfaces that are mirrored.
	Account  cloud.Account
	TargetID string
	Sources  []string
	// Cluster is this cluster's name in the ownership mark.
	Cluster string

	// InCloud are all sessions of the account, foreign ones included.
	InCloud []cloud.Session
	// Others are the MirrorSessions of this cluster; Session itself may be among them.
	Others []v1alpha1.MirrorSession
}

// Numbers are the VNI and the priority of a session.
type Numbers struct {
	VNI, Priority int
	// Holder is the session of the account that has the priority which the spec names,
	// nil for none. Priority is then 0, and the holder is waited for; or, where it waits
	// for this session too, another one for as long as that takes.
	Holder *cloud.Session
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
	if part := in.Session.Part(1); part != nil {
		kept.Priority = int(part.Priority)
	}
	prefer(&kept.VNI, in.Session.Spec.VNI)
	prefer(&kept.Priority, in.Session.Spec.Priority)
	kept.SameVNI = in.sameVNI(kept.VNI)
	current = in.Own != nil && in.Own.VNI == kept.VNI && in.Own.Priority == kept.Priority && in.Own.TargetID == in.TargetID &&
		!in.yields(kept)
	return kept, current
}

// sameVNI returns another session to the target that has a VNI, the oldest of several.
func (in *NumbersInput) sameVNI(vni int) *cloud.Session {
	var oldest *cloud.Session
	for i := range in.InCloud {
		s := &in.InCloud[i]
		if s.TargetID == in.TargetID && s.VNI == vni && s.ID != in.ownID() && (oldest == nil || olderInCloud(s, oldest)) {
			oldest = s
		}
	}
	return oldest
}

// yields reports whether an allocated VNI has to be given up to another session that has it
// too: a copy could not be told from the other's. The older one keeps it.
func (in *NumbersInput) yields(n Numbers) bool {
	return in.Session.Spec.VNI == nil && n.SameVNI != nil && (in.Own == nil || olderInCloud(n.SameVNI, in.Own))
}

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
func ChooseNumbers(in NumbersInput) (Numbers, error) {
	n, _ := in.KeptNumbers()
	claims := in.claims()
	if holder, taken := PriorityHolder(in.InCloud, n.Priority, in.ownID()); taken {
		if in.Session.Spec.Priority != nil {
			n.Holder, n.HolderWants = &holder, claims.wantedBy(holder)
			if !PriorityCycle(in.InCloud, claims.waiting(in.ownID(), n.Priority), in.ownID()) {
				n.Priority = 0
				return n, nil
			}
		}
		n.Priority = none
	}
	if n.Priority == none {
		if n.Priority, n.Preceded = in.freePriority(claims); n.Priority == none {
			return n, ErrNoPriority
		}
	}
	if in.Session.Spec.VNI == nil && (n.VNI == none || in.yields(n) || in.Own == nil && claims.vnis[n.VNI]) {
		taken := claims.vnis
		for _, s := range in.InCloud {
			if s.TargetID == in.TargetID && s.ID != in.ownID() {
				taken[s.VNI] = true
			}
		}
		if n.VNI = freeUpward(1, v1alpha1.MaxVNI, taken, claims.vniRank); n.VNI == none {
			return n, ErrNoVNI
		}
	}
	return n, nil
}

// freePriority allocates a priority, and returns the sessions that it goes before where
// there is none after theirs.
func (in *NumbersInput) freePriority(c claims) (priority int, preceded []cloud.Session) {
	taken, first := c.priorities, firstAllocated
	var sharing []cloud.Session
	for _, s := range in.InCloud {
		taken[s.Priority] = true
		if s.ID != in.ownID() && slices.ContainsFunc(s.Sources, func(id string) bool { return slices.Contains(in.Sources, id) }) {
			sharing = append(sharing, s)
			first = max(first, s.Priority+1)
		}
	}
	if priority = freeUpward(first, v1alpha1.MaxSessionPriority, taken, c.priorityRank); priority != none {
		return priority, nil
	}
	priority = largestFree(taken)
	for _, s := range sharing {
		if s.Priority > priority {
			preceded = append(preceded, s)
		}
	}
	return priority, preceded
}

// ownID is the ID of what the cloud has of the session, empty for nothing.
func (in *NumbersInput) ownID() string {
	if in.Own == nil {
		return ""
	}
	return in.Own.ID
}

// freeUpward returns the free number of a rank from first up to last: rank is how many
// older sessions also wait for one, so that several that are chosen at the same time
// differ. none when there are not so many.
func freeUpward(first, last int, taken map[int]bool, rank int) int {
	for number := first; number <= last; number++ {
		if taken[number] {
			continue
		}
		if rank == 0 {
			return number
		}
		rank--
	}
	return none
}

// largestFree returns the largest priority that is free, none when all are taken.
func largestFree(taken map[int]bool) int {
	for number := v1alpha1.MaxSessionPriority; number >= 1; number-- {
		if !taken[number] {
			return number
		}
	}
	return none
}

// claims are what the other MirrorSessions of the cluster have of the numbers or ask for,
// though the cloud may not show it yet.
type claims struct {
	priorities map[int]bool
	// vnis are those for the same target.
	vnis map[int]bool
	// priorityRank and vniRank are how many older sessions are about to choose too: the
	// first numbers are left to them.
	priorityRank, vniRank int
	// named are, by the ID of what they have in the cloud, those whose specs name a
	// priority.
	named map[string]priorityClaim
}

type priorityClaim struct {
	priority int
	// waits is true when nothing but its priority's holder is in its way.
	waits bool
}

func (in *NumbersInput) claims() claims {
	made := make(map[Mark]bool, len(in.InCloud))
	for _, have := range in.InCloud {
		if mark, ok := MarkOf(have.Description); ok {
			made[mark] = true
		}
	}
	c := claims{priorities: map[int]bool{}, vnis: map[int]bool{}, named: map[string]priorityClaim{}}
	for i := range in.Others {
		o := &in.Others[i]
		if o.UID == in.Session.UID {
			continue
		}
		c.reserve(o, in.TargetID)
		if part := o.Part(1); part != nil && o.Spec.Priority != nil && o.ToBeMade() && SameAccount(o.Status.Account, in.Account) {
			c.named[part.ID] = priorityClaim{int(*o.Spec.Priority), o.WaitsFor(v1alpha1.ReasonPriorityTaken)}
		}
		if !made[Mark{Cluster: in.Cluster, UID: string(o.UID), Part: 1}] && precedes(o, in.Session) {
			c.rank(o, in.Session)
		}
	}
	return c
}

// reserve notes the numbers that a session has or asks for.
func (c *claims) reserve(o *v1alpha1.MirrorSession, targetID string) {
	if o.Spec.Priority != nil {
		c.priorities[int(*o.Spec.Priority)] = true
	}
	for _, part := range o.Status.Sessions {
		c.priorities[int(part.Priority)] = true
	}
	if t := o.Status.Target; t == nil || t.InterfaceID != targetID {
		return
	}
	for _, vni := range []*int32{o.Spec.VNI, o.Status.VNI} {
		if vni != nil {
			c.vnis[int(*vni)] = true
		}
	}
}

func (c *claims) rank(o, s *v1alpha1.MirrorSession) {
	if o.Spec.Priority == nil {
		c.priorityRank++
	}
	if o.Spec.VNI == nil && equality.Semantic.DeepEqual(o.Spec.Target, s.Spec.Target) {
		c.vniRank++
	}
}

// precedes reports whether o is older than s and about to choose numbers of the same
// account: nothing else keeps it from being made.
func precedes(o, s *v1alpha1.MirrorSession) bool {
	if o.InCloud() || !o.ToBeMade() || o.Namespace != s.Namespace ||
		!equality.Semantic.DeepEqual(o.Spec.CredentialsRef, s.Spec.CredentialsRef) || !older(o, s) {
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

// PriorityHolder returns the session, other than the one with ownID, that has the priority.
func PriorityHolder(sessions []cloud.Session, priority int, ownID string) (cloud.Session, bool) {
	for _, s := range sessions {
		if s.Priority == priority && s.ID != ownID {
			return s, true
		}
	}
	return cloud.Session{}, false
}

// PriorityCycle reports whether sessions wait for each other's priorities: the session with
// ownID wants one whose holder wants one, and so on, whose holder has ownID. wanted has by
// the session's ID which priority it is to get. One of a cycle has to take another priority
// for a while; two never do so for each other, because they choose one after the other.
func PriorityCycle(sessions []cloud.Session, wanted map[string]int, ownID string) bool {
	id := ownID
	for range sessions { // a cycle that own is not in has no end
		priority, moves := wanted[id]
		if !moves {
			return false
		}
		holder, taken := PriorityHolder(sessions, priority, id)
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
