package mirrorsession

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// indexedSessions answer as the cache does, by the indexes that are added to it.
type indexedSessions struct {
	client.Reader
	all []v1alpha1.MirrorSession
}

func (i indexedSessions) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	index := o.FieldSelector.Requirements()[0]
	values := map[string]func(*v1alpha1.MirrorSession) []string{
		sessionsByPriority: priorityTexts, sessionsByVNI: vniTargets, sessionsByChoice: choiceOf,
	}[index.Field]
	out := list.(*v1alpha1.MirrorSessionList)
	for k := range i.all {
		if slices.Contains(values(&i.all[k]), index.Value) {
			out.Items = append(out.Items, i.all[k])
		}
	}
	return nil
}

func TestTheIndexesTellWhatOtherSessionsHaveOfNumbersOrAskFor(t *testing.T) {
	number := rapid.Ptr(rapid.Int32Range(prioritiesTogether-2, prioritiesTogether+1), true)
	target := rapid.SampledFrom([]string{"", "t", "u"})
	rapid.Check(t, func(t *rapid.T) {
		var all []v1alpha1.MirrorSession
		for i := range rapid.IntRange(0, 4).Draw(t, "sessions") {
			s := v1alpha1.MirrorSession{}
			s.UID = types.UID(fmt.Sprint(i))
			s.Spec.Priority, s.Spec.VNI, s.Status.VNI = number.Draw(t, "priority"), number.Draw(t, "VNI"), number.Draw(t, "VNI that it has")
			if id := target.Draw(t, "target"); id != "" {
				s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: id}}
			}
			if priority := number.Draw(t, "priority that it has"); priority != nil {
				s.Status.Sessions = []v1alpha1.CloudSession{{ID: fmt.Sprint("c", i), Priority: *priority}}
			}
			all = append(all, s)
		}
		own := types.UID("0")
		c := &cachedClaims{ctx: context.Background(), client: indexedSessions{all: all}, uid: own}
		is := func(of *int32, n int) bool { return of != nil && int(*of) == n }
		var named, waiting []types.UID
		priorities, vnis := map[int]bool{}, map[vniAt]bool{}
		for i := range all {
			s := &all[i]
			if s.Spec.Priority != nil {
				named = append(named, s.UID)
			}
			if !s.InCloud() {
				waiting = append(waiting, s.UID)
			}
			for n := prioritiesTogether - 3; n < prioritiesTogether+3; n++ {
				has := slices.ContainsFunc(s.Status.Sessions, func(p v1alpha1.CloudSession) bool { return int(p.Priority) == n })
				priorities[n] = priorities[n] || s.UID != own && (has || is(s.Spec.Priority, n))
				if s.Status.Target != nil {
					at := vniAt{s.Status.Target.InterfaceID, n}
					vnis[at] = vnis[at] || s.UID != own && (is(s.Spec.VNI, n) || is(s.Status.VNI, n))
				}
			}
		}
		for n := prioritiesTogether - 3; n < prioritiesTogether+3; n++ {
			if got := c.hasPriority(n); got != priorities[n] {
				t.Errorf("another has the priority %d: %v", n, got)
			}
			for _, id := range []string{"t", "u"} {
				if got := c.hasVNI(vniAt{id, n}); got != vnis[vniAt{id, n}] {
					t.Errorf("another has the VNI %d at %s: %v", n, id, got)
				}
			}
		}
		if got := [2]string{fmt.Sprint(uidsOf(c.named())), fmt.Sprint(uidsOf(c.waiting()))}; got != [2]string{fmt.Sprint(named), fmt.Sprint(waiting)} {
			t.Errorf("those who name a priority, and those who wait, are %v, want %v and %v", got, named, waiting)
		}
	})
}

func uidsOf(all []*v1alpha1.MirrorSession) (uids []types.UID) {
	for _, s := range all {
		uids = append(uids, s.UID)
	}
	return uids
}

// Whoever is older came before: so who has waited for a while asks the cache for nothing.
func TestWhoWaitsIsAskedOnceForAllThatHaveWaitedForAMoment(t *testing.T) {
	asks := &thousands{objects: []*v1alpha1.MirrorSession{
		session(func(s *v1alpha1.MirrorSession) { s.UID = "waits" }), session(func(s *v1alpha1.MirrorSession) { s.UID = "has a reservation" }),
	}}
	r := newReserved()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	r.add(reservation{plan.Reservation{Part: 1, UID: "has a reservation"}, now.Add(reservedFor)})
	get := func(came, after time.Duration) int {
		all := claims{asks, r, "u", now.Add(came), now.Add(after)}.Waiting()
		same(t, "who waits", []types.UID{"waits"}, uidsOf(all))
		return asks.asked
	}
	same(t, "how often it was asked", []int{1, 1, 2, 2, 3}, []int{
		get(-time.Minute, 0), get(0, time.Millisecond), get(1, 2*time.Millisecond), get(-time.Second, waitingAge), get(-time.Second, 3*time.Second),
	})
}

// A map of what is reserved until when is all that it has to be like.
func TestWhatIsReservedIsTakenForAllButItsOwnerUntilItEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newReserved()
		model := map[partOf]reservation{}
		now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
		uid := rapid.SampledFrom([]types.UID{"a", "b", "c"})
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			one := reservation{plan.Reservation{UID: uid.Draw(t, "UID"), Part: rapid.IntRange(1, 2).Draw(t, "part"), Priority: rapid.IntRange(-1, 4).Draw(t, "priority"), VNI: rapid.IntRange(-1, 2).Draw(t, "VNI"), TargetID: "t"}, now.Add(reservedFor)}
			taken := false // nobody is given what another has
			for by, other := range model {
				taken = taken || by != partOf{one.UID, one.Part} && (one.Priority != -1 && other.Priority == one.Priority || one.VNI != -1 && other.VNI == one.VNI)
			}
			if !taken {
				r.add(one)
				model[partOf{one.UID, one.Part}] = one
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 70).Draw(t, "seconds")) * time.Second)
			r.end(now)
			for by, other := range model {
				if now.After(other.until) {
					delete(model, by)
				}
			}
			of := claims{nobody{}, r, uid.Draw(t, "who asks"), now, now}
			for n := range 5 {
				priority, vni := false, false
				for by, other := range model {
					priority, vni = priority || by.uid != of.uid && other.Priority == n, vni || by.uid != of.uid && other.VNI == n
				}
				if of.HasPriority(n) != priority || of.HasVNI("t", n) != vni || of.HasVNI("u", n) {
					t.Fatalf("for %s the number %d is taken as a priority: %v, as a VNI: %v; want %v, %v", of.uid, n, of.HasPriority(n), of.HasVNI("t", n), priority, vni)
				}
			}
			if len(r.byPart) != len(model) || len(r.order) > 0 && len(model) == 0 {
				t.Fatalf("%d are kept of %d, in the order %v", len(r.byPart), len(model), r.order)
			}
		}
	})
}

// Twenty thousand are made at once, in the order of their age; whichever is the first to ask.
func BenchmarkChoosingNumbersOfTwentyThousand(b *testing.B) {
	const all = 20000
	var objects []*v1alpha1.MirrorSession
	for i := range all {
		s := session(func(s *v1alpha1.MirrorSession) {
			s.UID = types.UID(fmt.Sprintf("0f3c2b1a-0000-4000-8000-%012d", i))
			s.Status = v1alpha1.MirrorSessionStatus{}
			s.Spec.Target.InterfaceID = "t"
		})
		objects = append(objects, s)
	}
	began := time.Now()
	for b.Loop() {
		var r reservations
		for i := range all / 10 {
			in := plan.NumbersInput{Part: 1, Session: objects[(i*7919)%all], TargetID: "t", Sources: []string{fmt.Sprint("s", i)}, InCloud: nothing{}, Account: cloud.Account{ProjectID: "p"}}
			if _, err := r.choose(in, &thousands{objects: objects}, began, time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/(all/10), "µs/choice")
}

type thousands struct {
	nobody
	objects []*v1alpha1.MirrorSession
	asked   int
}

func (t *thousands) waiting() []*v1alpha1.MirrorSession {
	t.asked++
	return slices.Clone(t.objects)
}
