package mirrorsession

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// reservedFor is longer than a list may be old, see numbersAge, with the time of a create.
const reservedFor = time.Minute

// reservations are the numbers that were chosen a short time ago, by account: what the lists
// of the cloud may not show yet. The zero value is ready.
type reservations struct {
	mu        sync.Mutex
	byAccount map[cloud.Account]*reserved
}

// reserved is what is reserved in an account.
type reserved struct {
	byPart     map[partOf]reservation
	priorities map[int]types.UID
	vnis       map[vniAt]types.UID
	// order has the reservations as they were made, which is how they end.
	order []reservation
	// waiting are those that have nothing in the cloud, and had nothing reserved, at the time asked.
	waiting []*v1alpha1.MirrorSession
	asked   time.Time
}

func newReserved() *reserved {
	return &reserved{byPart: map[partOf]reservation{}, priorities: map[int]types.UID{}, vnis: map[vniAt]types.UID{}}
}

type reservation struct {
	plan.Reservation
	until time.Time
}

// partOf is a part of a MirrorSession.
type partOf struct {
	uid  types.UID
	part int
}

// vniAt is a VNI at a target.
type vniAt struct {
	target string
	vni    int
}

// objects are what the MirrorSessions but one have of numbers and ask for, see plan.Claims.
type objects interface {
	hasPriority(priority int) bool
	hasVNI(at vniAt) bool
	named() []*v1alpha1.MirrorSession
	waiting() []*v1alpha1.MirrorSession
}

// choose lets one session choose at a time, which came some time ago; the cloud is not asked meanwhile.
func (r *reservations) choose(in plan.NumbersInput, of objects, came, now time.Time) (plan.Numbers, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for account, all := range r.byAccount {
		if all.end(now); len(all.byPart) == 0 && account != in.Account {
			delete(r.byAccount, account)
		}
	}
	valid := r.byAccount[in.Account]
	if valid == nil {
		valid = newReserved()
	}
	in.Claims = claims{of, valid, in.Session.UID, came, now}
	n, reserve, err := plan.ChooseNumbers(in)
	for _, one := range reserve {
		valid.add(reservation{one, now.Add(reservedFor)})
		if r.byAccount == nil {
			r.byAccount = map[cloud.Account]*reserved{}
		}
		r.byAccount[in.Account] = valid
	}
	return n, err
}

func (r *reserved) add(one reservation) {
	of := partOf{one.UID, one.Part}
	r.remove(of)
	r.byPart[of] = one
	r.priorities[one.Priority], r.vnis[vniAt{one.TargetID, one.VNI}] = one.UID, one.UID
	r.order = append(r.order, one)
}

func (r *reserved) remove(of partOf) {
	was, ok := r.byPart[of]
	if !ok {
		return
	}
	delete(r.byPart, of)
	if r.priorities[was.Priority] == of.uid {
		delete(r.priorities, was.Priority)
	}
	if at := (vniAt{was.TargetID, was.VNI}); r.vnis[at] == of.uid {
		delete(r.vnis, at)
	}
}

// end removes what is not reserved any more.
func (r *reserved) end(now time.Time) {
	ended := 0
	for ; ended < len(r.order) && now.After(r.order[ended].until); ended++ {
		one := r.order[ended]
		if of := (partOf{one.UID, one.Part}); r.byPart[of].until.Equal(one.until) { // else it was reserved anew
			r.remove(of)
		}
	}
	r.order = r.order[ended:]
}

// claims are the objects' and what is reserved, for the session with the UID.
type claims struct {
	objects
	reserved  *reserved
	uid       types.UID
	came, now time.Time
}

// HasPriority reports whether another session has a priority.
func (c claims) HasPriority(priority int) bool {
	by, is := c.reserved.priorities[priority]
	return is && by != c.uid || c.hasPriority(priority)
}

// HasVNI reports whether another session has a VNI at a target.
func (c claims) HasVNI(targetID string, vni int) bool {
	by, is := c.reserved.vnis[vniAt{targetID, vni}]
	return is && by != c.uid || c.hasVNI(vniAt{targetID, vni})
}

// Reserved is what is reserved for a part of a session.
func (c claims) Reserved(uid types.UID, part int) (plan.Reservation, bool) {
	one, is := c.reserved.byPart[partOf{uid, part}]
	return one.Reservation, is
}

// Named are the sessions whose specs name a priority.
func (c claims) Named() []*v1alpha1.MirrorSession { return c.named() }

// waitingAge is for how long it is known who waits.
const waitingAge = time.Second

// Waiting are the sessions that wait for numbers. Where thousands wait at once, each of them asks: so
// what was known a moment ago serves a session that had come by then, as who is older came before.
func (c claims) Waiting() []*v1alpha1.MirrorSession {
	r := c.reserved
	if r.asked.Before(c.came) || c.now.Sub(r.asked) > waitingAge {
		r.asked, r.waiting = c.now, slices.DeleteFunc(c.objects.waiting(), func(s *v1alpha1.MirrorSession) bool {
			_, has := r.byPart[partOf{s.UID, 1}]
			return has
		})
	}
	return r.waiting
}
