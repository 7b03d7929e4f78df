package mirrorsession

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// numbersAge is how old a list of the cloud's sessions may be when numbers are chosen
// from it: sessions of others count too, and for a VNI the cloud itself refuses nothing.
const numbersAge = 30 * time.Second

// numbers are the VNI and the priority of a session on their way to be chosen.
type numbers struct {
	// vni and priority are what is kept: the spec's, else what was allocated before,
	// else what the session that was found has; -1 for none.
	vni, priority int
	// ownID is the session's own in the cloud, empty when there is none.
	ownID string
	// sessions of the account, foreign ones included.
	sessions []cloud.Session
	// priorities and vnis that other MirrorSessions have or ask for, though the cloud
	// may not show them yet; vnis are those for the same target.
	priorities, vnis map[int]bool
	// priorityRank and vniRank are how many older MirrorSessions are about to choose too.
	priorityRank, vniRank int
	// has is the priority of the session's own in the cloud.
	has int
	// others are the MirrorSessions of the account whose specs name a priority.
	others exchange
}

// kept returns the numbers that the session has already. A number that was once
// allocated stays, so that consumers of the copies can rely on it.
func kept(s *scope, have *cloud.Session) numbers {
	n := numbers{vni: -1, priority: -1}
	if have != nil {
		n.ownID, n.vni, n.priority, n.has = have.ID, have.VNI, have.Priority, have.Priority
	}
	if st := s.stored.Status; st.VNI != nil {
		n.vni = int(*st.VNI)
	}
	if st := s.stored.Status; len(st.Sessions) > 0 {
		n.priority = int(st.Sessions[0].Priority)
	}
	if s.session.Spec.VNI != nil {
		n.vni = int(*s.session.Spec.VNI)
	}
	if s.session.Spec.Priority != nil {
		n.priority = int(*s.session.Spec.Priority)
	}
	return n
}

// held says whether the cloud's session has the numbers already, on the wanted target.
func (n numbers) held(s *scope, have *cloud.Session) bool {
	return have != nil && have.VNI == n.vni && have.Priority == n.priority && have.TargetID == s.target.ID
}

// turn waits until no other session of the account chooses numbers, and returns what
// ends the turn. The turn ends when the cloud has the session: only then do the others
// see what was chosen.
func (r *Reconciler) turn(ctx context.Context, account cloud.Account) (end func(), err error) {
	only, _ := r.turns.LoadOrStore(account, make(chan struct{}, 1))
	turn := only.(chan struct{}) //nolint:forcetypeassert // nothing else is stored
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other sessions that choose their numbers: %w", ctx.Err())
	}
}

// choose settles VNI and priority. What the spec names is never replaced for good: a
// priority is waited for, where sessions wait for each other one steps aside, and a VNI
// may be shared on purpose. What was allocated earlier is replaced when somebody else has
// taken it meanwhile.
func (r *Reconciler) choose(ctx context.Context, s *scope, n *numbers) error {
	if err := r.readNumbers(ctx, s, n); err != nil {
		return err
	}
	if holder, taken := plan.PriorityHolder(n.sessions, n.priority, n.ownID); taken {
		if s.session.Spec.Priority != nil {
			if !n.others.stepAside(n) {
				return n.priorityTaken(s, holder)
			}
			s.aside = &holder
		}
		n.priority = -1
	}
	var ok bool
	if n.priority < 0 {
		if n.priority, ok = plan.ChoosePriority(n.sessions, n.priorities, n.priorityRank); !ok {
			return lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "every session priority of the account is in use: delete sessions that are not needed")
		}
	}
	if s.session.Spec.VNI == nil && (n.vni < 0 || n.vniTaken(s.target.ID)) {
		if n.vni, ok = plan.ChooseVNI(n.sessions, s.target.ID, n.ownID, n.vnis, n.vniRank); !ok {
			return lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "every VNI of the target is in use: choose another target")
		}
	}
	return nil
}

// vniTaken says whether another session to the target has the VNI, or will have it.
func (n *numbers) vniTaken(target string) bool {
	for _, o := range n.sessions {
		if o.TargetID == target && o.VNI == n.vni && o.ID != n.ownID {
			return true
		}
	}
	return n.vnis[n.vni]
}

// readNumbers fills n from the cloud's sessions and from the MirrorSessions of this
// cluster. A create that may have taken effect counts: the list must have begun after it.
func (r *Reconciler) readNumbers(ctx context.Context, s *scope, n *numbers) error {
	since := r.Clock().Add(-numbersAge)
	if lifecycle.Poked(s.session) {
		since = r.Clock()
	}
	if after := r.NotBeforeAny(); after.After(since) {
		since = after
	}
	sessions, err := r.Inventory.Sessions(ctx, s.cloud, since)
	if err != nil {
		return fmt.Errorf("list the sessions to choose a priority and a VNI: %w", err)
	}
	var others v1alpha1.MirrorSessionList
	if err := r.Client.List(ctx, &others); err != nil {
		return fmt.Errorf("list the MirrorSessions to choose a priority and a VNI: %w", err)
	}
	made := make(map[plan.Mark]bool, len(sessions))
	for _, have := range sessions {
		if mark, ok := plan.MarkOf(have.Description); ok {
			made[mark] = true
		}
	}
	n.sessions, n.priorities, n.vnis, n.others = sessions, map[int]bool{}, map[int]bool{}, exchange{}
	for i := range others.Items {
		o := &others.Items[i]
		if o.UID == s.session.UID {
			continue
		}
		n.reserve(s, o)
		n.others.note(s, o)
		if !made[r.Mark(o)] && precedes(o, s.session) {
			n.rank(s, o)
		}
	}
	return nil
}

// reserve notes the numbers that another MirrorSession has or asks for.
func (n *numbers) reserve(s *scope, o *v1alpha1.MirrorSession) {
	if o.Spec.Priority != nil {
		n.priorities[int(*o.Spec.Priority)] = true
	}
	for _, c := range o.Status.Sessions {
		n.priorities[int(c.Priority)] = true
	}
	if t := o.Status.Target; t == nil || t.InterfaceID != s.target.ID {
		return
	}
	for _, v := range []*int32{o.Spec.VNI, o.Status.VNI} {
		if v != nil {
			n.vnis[int(*v)] = true
		}
	}
}

// rank leaves the first numbers to an older MirrorSession that chooses too.
func (n *numbers) rank(s *scope, o *v1alpha1.MirrorSession) {
	if o.Spec.Priority == nil {
		n.priorityRank++
	}
	if o.Spec.VNI == nil && equality.Semantic.DeepEqual(o.Spec.Target, s.session.Spec.Target) {
		n.vniRank++
	}
}

// precedes says whether o is older than s and about to choose numbers of the same
// account: nothing else keeps it from being made.
func precedes(o, s *v1alpha1.MirrorSession) bool {
	if len(o.Status.Sessions) > 0 || !moves(o) || o.Namespace != s.Namespace ||
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
