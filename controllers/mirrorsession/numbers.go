package mirrorsession

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// reservations are the numbers that were chosen a short time ago, by account: what the lists
// of the cloud may not show yet. The zero value is ready.
type reservations struct {
	mu        sync.Mutex
	byAccount map[cloud.Account]map[types.UID]reservation
	swept     time.Time
}

type reservation struct {
	plan.Reservation
	until time.Time
}

// choose lets one session choose at a time; nobody is asked anything meanwhile.
func (r *reservations) choose(in plan.NumbersInput, now time.Time) (plan.Numbers, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byAccount == nil {
		r.byAccount = make(map[cloud.Account]map[types.UID]reservation)
	}
	valid := r.byAccount[in.Account]
	if valid == nil {
		valid = make(map[types.UID]reservation)
	}
	for uid, reserved := range valid {
		if now.After(reserved.until) {
			delete(valid, uid)
			continue
		}
		in.Reserved = append(in.Reserved, reserved.Reservation)
	}
	r.sweep(now)
	n, reserve, err := plan.ChooseNumbers(in)
	for _, reserved := range reserve {
		valid[reserved.UID] = reservation{reserved, now.Add(reservedFor)}
		r.byAccount[in.Account] = valid
	}
	return n, err
}

// sweep drops the accounts of which nothing is reserved any more, once a minute at most.
func (r *reservations) sweep(now time.Time) {
	if now.Before(r.swept.Add(reservedFor)) {
		return
	}
	r.swept = now
	for account, all := range r.byAccount {
		if !slices.ContainsFunc(slices.Collect(maps.Values(all)), func(v reservation) bool { return !now.After(v.until) }) {
			delete(r.byAccount, account)
		}
	}
}

// reservedFor is longer than a list may be old, see numbersAge, with the time of a create.
const reservedFor = time.Minute

// numbersAge is how much older than what a session asks for a list of the cloud's sessions may be
// when numbers are chosen from it: sessions of others count too, and for a VNI the cloud itself
// refuses nothing. What others make later is found when numbers are compared next.
const numbersAge = 30 * time.Second

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// numbers returns the VNI and the priority.
func (s *scope) numbers(ctx context.Context, have *cloud.Session) (n plan.Numbers, err error) {
	in := plan.NumbersInput{
		Session: s.storedSession(), Own: have, Account: s.Cloud.Account(), TargetID: s.target.ID, Sources: s.sourceIDs(), Cluster: s.Cluster,
	}
	fresh := s.FreshSince()
	if in.InCloud, err = s.Inventory.Sessions(ctx, s.Cloud, sooner(fresh, s.Clock().Add(-numbersAge))); err != nil {
		return n, fmt.Errorf("list the sessions to compare their numbers: %w", err)
	}
	n, current := in.KeptNumbers()
	if !current {
		if n, err = s.choose(ctx, in, fresh); err != nil {
			return n, err
		}
	}
	other := n.SameVNI
	s.compared = other == nil || other.VNI == n.VNI // else it is to get another VNI first
	if other != nil && other.VNI == n.VNI {
		s.sameVNI, s.sameVNICalled = other, s.called(ctx, *other)
	}
	for _, other := range []*cloud.Session{n.Holder, s.sameVNI} {
		if err := s.noteLeftover(ctx, other); err != nil {
			return n, err
		}
	}
	for _, other := range n.Preceded {
		s.Event(corev1.EventTypeWarning, "PriorityPrecedes", "Allocate",
			"no priority after that of %s is free: this one gets %d, and takes the packets of the sources that both have", s.called(ctx, other), n.Priority)
	}
	return n, nil
}

// choose decides VNI and priority by everything that the cloud and the cluster have of
// them. A create that may have taken effect counts: the list must have begun after it, and after
// what a process before this one can have made.
func (s *scope) choose(ctx context.Context, in plan.NumbersInput, fresh time.Time) (plan.Numbers, error) {
	since := sooner(fresh, s.Clock().Add(-numbersAge))
	if lifecycle.ReconcileRequested(s.session) || s.Tried() { // what is free may be known wrong
		since = fresh
	}
	inherited, _ := s.Expectations.Inherited()
	for _, latest := range []time.Time{s.Expectations.Latest(), inherited} {
		if latest.After(since) && !latest.After(s.Clock()) {
			since = latest
		}
	}
	var err error
	if in.InCloud, err = s.Inventory.Sessions(ctx, s.Cloud, since); err != nil {
		return plan.Numbers{}, fmt.Errorf("list the sessions to choose a priority and a VNI: %w", err)
	}
	var others v1alpha1.MirrorSessionList
	// The cache's own objects are only read here.
	if err := s.Client.List(ctx, &others, client.UnsafeDisableDeepCopy); err != nil {
		return plan.Numbers{}, fmt.Errorf("list the MirrorSessions to choose a priority and a VNI: %w", err)
	}
	in.Others = others.Items
	chosen, err := s.reconciler.reserved.choose(in, s.Clock())
	switch {
	case errors.Is(err, plan.ErrNoPriority):
		return chosen, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "%s: delete sessions that are not needed", err)
	case errors.Is(err, plan.ErrNoVNI):
		return chosen, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "%s: choose another target", err)
	}
	return chosen, err
}

// leftOver says of a session whose it was, and the way out.
const leftOver = "it is left over from an object of this cluster that is gone: delete it in the cloud, or let the manager do that (--delete-orphans)"

// noteLeftover notes whether a session, that is in the way of this one, bears this cluster's
// mark, though its object is gone, as when somebody has taken a finalizer off by hand.
func (s *scope) noteLeftover(ctx context.Context, other *cloud.Session) error {
	if other == nil || lifecycle.SharesAccount(s.session) {
		return nil
	}
	mark, ok := plan.MarkOf(other.Description)
	if !ok || mark.Cluster != s.Cluster {
		return nil
	}
	exists, err := s.exists(ctx, types.UID(mark.UID))
	if err != nil {
		return fmt.Errorf("find whose the session %s is: %w", other.ID, err)
	}
	if exists {
		return nil
	}
	s.leftover[other.ID] = true
	return nil
}

// exists reports whether there is a MirrorSession with the UID. Where the cache has none, which may be
// behind, the API server is asked, once: a UID never comes again.
func (s *scope) exists(ctx context.Context, uid types.UID) (bool, error) {
	var cached v1alpha1.MirrorSessionList
	// The cache's own objects are only read here.
	err := s.Client.List(ctx, &cached, client.MatchingFields{sessionsByUID: string(uid)}, client.UnsafeDisableDeepCopy)
	if err != nil || len(cached.Items) > 0 {
		return len(cached.Items) > 0, err
	}
	gone := &s.reconciler.gone
	if gone.has(uid) {
		return false, nil
	}
	// No index of the API server finds a UID. Of all that it has the metadata are enough.
	var all metav1.PartialObjectMetadataList
	all.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSessionList"))
	if err := s.Reader.List(ctx, &all); err != nil {
		return false, err
	}
	if slices.ContainsFunc(all.Items, func(o metav1.PartialObjectMetadata) bool { return o.UID == uid }) {
		return true, nil
	}
	gone.add(uid)
	return false, nil
}

// uids are some that are remembered. The zero value is ready.
type uids struct {
	once sync.Once
	all  *lru.Cache
}

// rememberedUIDs is of how many objects that are gone is remembered that they are.
const rememberedUIDs = 1024

func (u *uids) cache() *lru.Cache {
	u.once.Do(func() { u.all = lru.New(rememberedUIDs) })
	return u.all
}

func (u *uids) add(uid types.UID) { u.cache().Add(uid, true) }

func (u *uids) has(uid types.UID) bool {
	_, has := u.cache().Get(uid)
	return has
}

// holding returns the session that has the priority which the spec names, where another
// serves meanwhile, and the problem that this is; nil for neither. A session that waits
// keeps the priority that it has.
func (s *scope) holding(n *plan.Numbers, have *cloud.Session) (interim *cloud.Session, taken *lifecycle.Problem) {
	switch {
	case n.Holder == nil:
		return nil, nil
	case n.Priority != 0:
		interim = n.Holder
	case have != nil:
		n.Priority = have.Priority
	}
	return interim, s.priorityTaken(*n, n.Priority)
}

// priorityTaken waits until the holder gives the priority up or the spec names another. has
// is the priority that the cloud's session has meanwhile, 0 where there is none.
func (s *scope) priorityTaken(n plan.Numbers, has int) *lifecycle.Problem {
	holder := fmt.Sprintf("the cloud's session %s (%s)", n.Holder.ID, n.Holder.Name)
	then := "a priority is unique in account and region: choose another in spec.priority, or leave it out"
	gets := fmt.Sprintf("priority %d", n.HolderWants)
	if lifecycle.SharesAccount(s.session) {
		holder, gets = "another session of the account", "another one"
	}
	switch {
	case n.HolderWants != 0:
		then = "which is to get " + gets + ": this one waits for that"
		if has != 0 {
			then += fmt.Sprintf(" and has priority %d until then", has)
		}
	case s.leftover[n.Holder.ID]:
		then = leftOver + "; or choose another in spec.priority"
	}
	p := lifecycle.Wait(v1alpha1.ReasonPriorityTaken, "priority %d is already used by %s; %s", *s.session.Spec.Priority, holder, then)
	p.After = lifecycle.AbsentProbe
	return p
}
