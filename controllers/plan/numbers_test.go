package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

const cluster = "0a1b2c3d"

// mirror is a MirrorSession that is the age-th youngest, with an interface as target; edit
// may be nil.
func mirror(name, target string, age int, edit func(*v1alpha1.MirrorSession)) v1alpha1.MirrorSession {
	s := v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "n", Name: name, UID: types.UID(name), Generation: 1,
			CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).Add(-time.Duration(age) * time.Minute)),
		},
		Spec: v1alpha1.MirrorSessionSpec{
			FilterRef: v1alpha1.FilterReference{Name: "f"},
			Sources:   []v1alpha1.SourceSelector{{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: "s"}}},
			Target:    v1alpha1.TargetSelector{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: target}},
		},
	}
	if edit != nil {
		edit(&s)
	}
	return s
}

// has puts into the status what the cloud has of the session.
func has(s *v1alpha1.MirrorSession, have cloud.Session) {
	s.Status.VNI = new(int32(have.VNI))
	s.Status.Sessions = []v1alpha1.CloudSession{{ID: have.ID, Priority: int32(have.Priority)}}
	s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: have.TargetID}}
	s.Status.Account = &v1alpha1.Account{Region: "r"}
}

// waits says in the status why the session is not ready.
func waits(s *v1alpha1.MirrorSession, reason string) {
	s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, ObservedGeneration: s.Generation}}
}

func inCloud(id, target string, vni, priority int) cloud.Session {
	return cloud.Session{ID: id, SessionSpec: cloud.SessionSpec{TargetID: target, VNI: vni, Priority: priority}}
}

// with is the session with sources.
func with(s cloud.Session, sources ...string) cloud.Session {
	s.Sources = sources
	return s
}

// since is the session as it was made at a second.
func since(s cloud.Session, second int) cloud.Session {
	s.CreatedAt = time.Date(2026, 1, 2, 12, 0, second, 0, time.UTC)
	return s
}

func TestNumbers(t *testing.T) {
	named := func(priority int32) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) { s.Spec.Priority = &priority }
	}
	own := inCloud("own", "t", 7, 100)
	withOwn := func(edit func(*v1alpha1.MirrorSession)) v1alpha1.MirrorSession {
		return mirror("own", "t", 0, func(s *v1alpha1.MirrorSession) {
			has(s, own)
			if edit != nil {
				edit(s)
			}
		})
	}
	holder := inCloud("other", "u", 1, 5)
	for name, c := range map[string]struct {
		session v1alpha1.MirrorSession
		own     *cloud.Session
		inCloud []cloud.Session
		others  []v1alpha1.MirrorSession
		want    plan.Numbers
	}{
		"the first session of an account gets VNI 1 and priority 10000": {
			session: mirror("own", "t", 0, nil), want: plan.Numbers{VNI: 1, Priority: 10000},
		},
		"a newcomer goes after every session with a source in common, foreign ones too": {
			session: mirror("own", "t", 0, nil),
			inCloud: []cloud.Session{
				with(inCloud("a", "u", 1, 20000), "s", "x"), with(inCloud("b", "u", 2, 30000), "other"), with(inCloud("c", "u", 3, 20001), "y", "s"),
			},
			want: plan.Numbers{VNI: 1, Priority: 20002},
		},
		"where nothing is free after them, the largest free one, and whom it goes before": {
			session: mirror("own", "t", 0, nil),
			inCloud: []cloud.Session{with(inCloud("a", "u", 1, 32766), "s"), with(inCloud("b", "u", 2, 7), "s"), with(inCloud("c", "u", 3, 32765), "x")},
			want:    plan.Numbers{VNI: 1, Priority: 32764, Preceded: []cloud.Session{with(inCloud("a", "u", 1, 32766), "s")}},
		},
		"what the spec names is what it gets": {
			session: mirror("own", "t", 0, func(s *v1alpha1.MirrorSession) { s.Spec.VNI, s.Spec.Priority = new(int32(0)), new(int32(3)) }),
			inCloud: []cloud.Session{inCloud("foreign", "t", 0, 4)}, // a VNI may be shared on purpose
			want:    plan.Numbers{VNI: 0, Priority: 3, SameVNI: new(inCloud("foreign", "t", 0, 4))},
		},
		"foreign sessions count, a VNI only at the same target": {
			session: mirror("own", "t", 0, nil),
			inCloud: []cloud.Session{inCloud("a", "t", 1, 10000), inCloud("b", "u", 2, 10002)},
			want:    plan.Numbers{VNI: 2, Priority: 10001},
		},
		"what other sessions of the cluster ask for is left to them": {
			session: mirror("own", "t", 5, nil),
			others: []v1alpha1.MirrorSession{
				mirror("a", "t", 0, func(s *v1alpha1.MirrorSession) {
					s.Spec.Priority, s.Spec.VNI = new(int32(10000)), new(int32(1))
					s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "t"}}
				}),
				mirror("b", "u", 0, func(s *v1alpha1.MirrorSession) { has(s, inCloud("b", "u", 2, 10001)) }),
			},
			want: plan.Numbers{VNI: 2, Priority: 10002},
		},
		"older ones that also choose go before": {
			session: mirror("own", "t", 1, nil),
			others: []v1alpha1.MirrorSession{
				mirror("older", "t", 2, nil), mirror("oldest", "u", 3, nil), mirror("younger", "t", 0, nil),
				mirror("elsewhere", "t", 9, func(s *v1alpha1.MirrorSession) { s.Namespace = "m" }),
				mirror("suspended", "t", 9, func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true }),
				mirror("stalled", "t", 9, func(s *v1alpha1.MirrorSession) { waits(s, v1alpha1.ReasonInvalidCredentials) }),
			},
			want: plan.Numbers{VNI: 2, Priority: 10002},
		},
		"an older one that the cloud has already goes before nobody": {
			session: mirror("own", "t", 1, nil),
			others:  []v1alpha1.MirrorSession{mirror("older", "t", 2, nil)},
			inCloud: []cloud.Session{{ID: "x", SessionSpec: cloud.SessionSpec{
				TargetID: "t", VNI: 1, Priority: 10000, Description: plan.Mark{Cluster: cluster, UID: "older", Part: 1}.Describe("")}}},
			want: plan.Numbers{VNI: 2, Priority: 10001},
		},
		"what was allocated stays": {
			session: withOwn(nil), own: &own, inCloud: []cloud.Session{own},
			want: plan.Numbers{VNI: 7, Priority: 100},
		},
		"what was allocated stays though somebody changed it in the cloud": {
			session: withOwn(nil), own: new(inCloud("own", "t", 8, 200)), inCloud: []cloud.Session{inCloud("own", "t", 8, 200)},
			want: plan.Numbers{VNI: 7, Priority: 100},
		},
		"a priority that somebody else has taken since is replaced, and a VNI only when he is older": {
			session: withOwn(nil), own: new(since(inCloud("own", "t", 8, 200), 2)),
			inCloud: []cloud.Session{since(inCloud("own", "t", 8, 200), 2), since(inCloud("younger", "t", 7, 100), 3)},
			want:    plan.Numbers{VNI: 7, Priority: 10000, SameVNI: new(since(inCloud("younger", "t", 7, 100), 3))},
		},
		"of two that have one VNI the younger moves": {
			session: withOwn(nil), own: new(since(own, 2)),
			inCloud: []cloud.Session{since(own, 2), since(inCloud("older", "t", 7, 5), 1), since(inCloud("oldest", "t", 7, 6), 0)},
			want:    plan.Numbers{VNI: 1, Priority: 100, SameVNI: new(since(inCloud("oldest", "t", 7, 6), 0))},
		},
		"of two that were made in the same second the one with the larger ID moves": {
			session: withOwn(nil), own: new(since(own, 1)),
			inCloud: []cloud.Session{since(own, 1), since(inCloud("a", "t", 7, 5), 1)},
			want:    plan.Numbers{VNI: 1, Priority: 100, SameVNI: new(since(inCloud("a", "t", 7, 5), 1))},
		},
		"a priority that a foreign session has is waited for": {
			session: withOwn(named(5)), own: &own, inCloud: []cloud.Session{own, holder},
			want: plan.Numbers{VNI: 7, Holder: &holder},
		},
		"a priority is waited for whose holder is to get another": {
			session: withOwn(named(5)), own: &own, inCloud: []cloud.Session{own, holder},
			others: []v1alpha1.MirrorSession{mirror("other", "u", 0, func(s *v1alpha1.MirrorSession) { has(s, holder); named(9)(s) })},
			want:   plan.Numbers{VNI: 7, Holder: &holder, HolderWants: 9},
		},
		"of two that wait for each other one takes another priority meanwhile": {
			session: withOwn(named(5)), own: &own, inCloud: []cloud.Session{own, holder},
			others: []v1alpha1.MirrorSession{mirror("other", "u", 0, func(s *v1alpha1.MirrorSession) {
				has(s, holder)
				named(100)(s)
				waits(s, v1alpha1.ReasonPriorityTaken)
			})},
			want: plan.Numbers{VNI: 7, Priority: 10000, Holder: &holder, HolderWants: 100},
		},
		"nobody makes way for one that something else keeps from moving": {
			session: withOwn(named(5)), own: &own, inCloud: []cloud.Session{own, holder},
			others: []v1alpha1.MirrorSession{mirror("other", "u", 0, func(s *v1alpha1.MirrorSession) {
				has(s, holder)
				named(100)(s)
				waits(s, v1alpha1.ReasonCloudUnavailable)
			})},
			want: plan.Numbers{VNI: 7, Holder: &holder, HolderWants: 100},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := plan.ChooseNumbers(plan.NumbersInput{Part: 1,
				Session: &c.session, Own: c.own, Account: cloud.Account{Region: "r"}, TargetID: c.session.Spec.Target.InterfaceID,
				Sources: []string{"s"}, Cluster: cluster, InCloud: list(c.inCloud), Claims: claims{append(c.others, c.session), nil, c.session.UID},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("numbers (-want +got):\n%s", diff)
			}
		})
	}
}

// list are sessions that are found by looking at each.
type list []cloud.Session

func (l list) Marked(uid string) []cloud.Session {
	return l.that(func(s cloud.Session) bool { mark, ok := plan.MarkOf(s.Description); return ok && mark.UID == uid })
}

func (l list) From(id string) []cloud.Session {
	return l.that(func(s cloud.Session) bool { return slices.Contains(s.Sources, id) })
}

func (l list) WithPriority(priority int) []cloud.Session {
	return l.that(func(s cloud.Session) bool { return s.Priority == priority })
}

func (l list) WithVNI(target string, vni int) []cloud.Session {
	return l.that(func(s cloud.Session) bool { return s.TargetID == target && s.VNI == vni })
}

func (l list) that(fit func(cloud.Session) bool) (found []cloud.Session) {
	for _, s := range l {
		if fit(s) {
			found = append(found, s)
		}
	}
	return found
}

// claims are those of MirrorSessions but one, found by looking at each.
type claims struct {
	all      []v1alpha1.MirrorSession
	reserved []plan.Reservation
	own      types.UID
}

func (c claims) HasPriority(priority int) bool {
	return slices.ContainsFunc(c.all, func(o v1alpha1.MirrorSession) bool {
		has := slices.ContainsFunc(o.Status.Sessions, func(p v1alpha1.CloudSession) bool { return int(p.Priority) == priority })
		return o.UID != c.own && (has || o.Spec.Priority != nil && int(*o.Spec.Priority) == priority)
	}) || slices.ContainsFunc(c.reserved, func(r plan.Reservation) bool { return r.UID != c.own && r.Priority == priority })
}

func (c claims) HasVNI(target string, vni int) bool {
	is := func(number *int32) bool { return number != nil && int(*number) == vni }
	return slices.ContainsFunc(c.all, func(o v1alpha1.MirrorSession) bool {
		return o.UID != c.own && o.Status.Target != nil && o.Status.Target.InterfaceID == target && (is(o.Spec.VNI) || is(o.Status.VNI))
	}) || slices.ContainsFunc(c.reserved, func(r plan.Reservation) bool { return r.UID != c.own && r.TargetID == target && r.VNI == vni })
}

func (c claims) Reserved(uid types.UID, _ int) (plan.Reservation, bool) {
	if i := slices.IndexFunc(c.reserved, func(r plan.Reservation) bool { return r.UID == uid }); i >= 0 {
		return c.reserved[i], true
	}
	return plan.Reservation{}, false
}

func (c claims) Named() []*v1alpha1.MirrorSession {
	return slices.DeleteFunc(c.Waiting(), func(o *v1alpha1.MirrorSession) bool { return o.Spec.Priority == nil })
}

func (c claims) Waiting() (all []*v1alpha1.MirrorSession) {
	for i := range c.all {
		all = append(all, &c.all[i])
	}
	return all
}

// full are sessions that are in the order of their priorities, without a gap.
type full list

func (f full) Marked(string) []cloud.Session       { return nil }
func (f full) From(string) []cloud.Session         { return nil }
func (f full) WithVNI(string, int) []cloud.Session { return nil }

func (f full) WithPriority(priority int) []cloud.Session {
	if at := priority - f[0].Priority; at >= 0 && at < len(f) {
		return f[at : at+1]
	}
	return nil
}

func TestWhereNoNumberIsFreeThatIsSaid(t *testing.T) {
	var all []cloud.Session
	for p := 1; p <= v1alpha1.MaxSessionPriority; p++ {
		all = append(all, inCloud(fmt.Sprint(p), "u", 1, p))
	}
	s := mirror("own", "t", 0, nil)
	_, _, err := plan.ChooseNumbers(plan.NumbersInput{Part: 1, Session: &s, TargetID: "t", InCloud: full(all), Claims: claims{}})
	if diff := cmp.Diff(plan.ErrNoPriority, err, cmpopts.EquateErrors()); diff != "" {
		t.Error(diff)
	}
	got, _, err := plan.ChooseNumbers(plan.NumbersInput{Part: 1, Session: &s, TargetID: "t", InCloud: full(all[1:]), Claims: claims{}})
	if err != nil || got.Priority != 1 {
		t.Errorf("the last free priority is %d, error %v", got.Priority, err)
	}
}

// accountOf is an account with the MirrorSessions that live there. Each reconcile does what
// the reconciler does, one after the other.
type accountOf struct {
	sessions []v1alpha1.MirrorSession
	cloud    []cloud.Session
	reserved []plan.Reservation
	interim  int // how often one took another priority for a while
	made     int
}

func (a *accountOf) reconcile(i int) error {
	s := &a.sessions[i]
	in := plan.NumbersInput{Part: 1,
		Session: s, Account: cloud.Account{Region: "r"}, TargetID: s.Spec.Target.InterfaceID, Cluster: cluster,
		Sources: []string{"s"}, InCloud: list(a.cloud), Claims: claims{slices.Clone(a.sessions), a.reserved, s.UID},
	}
	at := slices.IndexFunc(a.cloud, func(c cloud.Session) bool { return s.Part(1) != nil && c.ID == s.Part(1).ID })
	if at >= 0 {
		in.Own = &a.cloud[at]
	}
	n, current := in.KeptNumbers()
	if !current {
		var err error
		var reserve []plan.Reservation
		if n, reserve, err = plan.ChooseNumbers(in); err != nil {
			return err
		}
		for _, r := range reserve {
			a.reserved = slices.DeleteFunc(a.reserved, func(o plan.Reservation) bool { return o.UID == r.UID })
			a.reserved = append(a.reserved, r)
		}
	}
	if n.Holder != nil {
		defer waits(s, v1alpha1.ReasonPriorityTaken)
		if n.Priority == 0 {
			return nil
		}
		a.interim++
	}
	if at < 0 {
		a.made++
		a.cloud = append(a.cloud, with(inCloud(fmt.Sprint("c", a.made), in.TargetID, n.VNI, n.Priority), "s"))
		at = len(a.cloud) - 1
	}
	a.cloud[at].VNI, a.cloud[at].Priority = n.VNI, n.Priority
	has(s, a.cloud[at])
	s.Status.Conditions = nil
	return nil
}

func TestAllocatedNumbersAreUniqueAndStayInWhateverOrderSessionsCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &accountOf{}
		target := rapid.SampledFrom([]string{"t", "u"})
		for i := range rapid.IntRange(0, 4).Draw(t, "foreign") {
			a.cloud = append(a.cloud, inCloud(fmt.Sprint("foreign", i), target.Draw(t, "target"),
				rapid.IntRange(0, 4).Draw(t, "VNI"), v1alpha1.MaxSessionPriority-i))
		}
		foreign := slices.Clone(a.cloud)
		for i := range rapid.IntRange(1, 6).Draw(t, "sessions") {
			a.sessions = append(a.sessions, mirror(fmt.Sprint("s", i), target.Draw(t, "target"), rapid.IntRange(0, 3).Draw(t, "age"), nil))
		}
		first := map[string]cloud.Session{}
		for range rapid.IntRange(1, 20).Draw(t, "reconciles") {
			if err := a.reconcile(rapid.IntRange(0, len(a.sessions)-1).Draw(t, "which")); err != nil {
				t.Fatal(err)
			}
			priorities, streams := map[int]string{}, map[string]string{}
			for _, c := range a.cloud {
				if other, taken := priorities[c.Priority]; taken {
					t.Fatalf("%s and %s have priority %d", other, c.ID, c.Priority)
				}
				priorities[c.Priority] = c.ID
				if slices.ContainsFunc(foreign, func(f cloud.Session) bool { return f.ID == c.ID }) {
					streams[fmt.Sprint(c.TargetID, c.VNI)] = c.ID // foreign ones may share
					continue
				}
				if other, taken := streams[fmt.Sprint(c.TargetID, c.VNI)]; taken {
					t.Fatalf("%s and %s have VNI %d at %s", other, c.ID, c.VNI, c.TargetID)
				}
				streams[fmt.Sprint(c.TargetID, c.VNI)] = c.ID
				if was, before := first[c.ID]; before && (was.VNI != c.VNI || was.Priority != c.Priority) {
					t.Fatalf("the numbers of %s changed from %+v to %+v", c.ID, was, c)
				}
				first[c.ID] = c
			}
		}
	})
}

func TestAnExchangeOfPrioritiesEndsInWhateverOrderSessionsAreReconciled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "sessions")
		numbers := make([]int, n)
		for i := range numbers {
			numbers[i] = i + 1
		}
		wanted := rapid.Permutation(numbers).Draw(t, "wanted")
		a := &accountOf{}
		for i := range n {
			a.cloud = append(a.cloud, inCloud(fmt.Sprint("c", i), "t", i+1, i+1))
			a.sessions = append(a.sessions, mirror(fmt.Sprint("s", i), "t", 0, func(s *v1alpha1.MirrorSession) {
				has(s, a.cloud[i])
				s.Spec.Priority = new(int32(wanted[i]))
			}))
		}
		// In the first round of a cycle they learn of each other, then in each at least one
		// gets what its spec names.
		for range n + 1 {
			for _, i := range rapid.Permutation(numbers).Draw(t, "order") {
				if err := a.reconcile(i - 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, s := range a.sessions {
			if got := a.cloud[i].Priority; got != wanted[i] || s.WaitsFor(v1alpha1.ReasonPriorityTaken) {
				t.Fatalf("%s has %d and was to get %d: %+v", s.Name, got, wanted[i], a.cloud)
			}
		}
		if cycles := cyclesOf(wanted); a.interim != cycles {
			t.Fatalf("%d took another priority meanwhile, and there were %d cycles", a.interim, cycles)
		}
	})
}

// cyclesOf counts the cycles of a permutation of 1 to n that are longer than one.
func cyclesOf(wanted []int) (cycles int) {
	seen := map[int]bool{}
	for i := range wanted {
		if wanted[i] == i+1 || seen[i] {
			continue
		}
		cycles++
		for j := i; !seen[j]; j = wanted[j] - 1 {
			seen[j] = true
		}
	}
	return cycles
}

func TestNobodyMakesWayForASessionThatStays(t *testing.T) {
	sessions := []cloud.Session{inCloud("own", "t", 1, 1), inCloud("other", "t", 2, 2), inCloud("third", "t", 3, 3)}
	for name, wanted := range map[string]map[string]int{
		"a foreign one":                   {"own": 2},
		"one whose way is free":           {"own": 2, "other": 4},
		"a cycle that it is no member of": {"own": 2, "other": 3, "third": 2},
		"a chain that ends at a foreign":  {"own": 2, "other": 3},
		"itself":                          {"own": 1},
		"nothing, since it asks nothing":  {"other": 1},
	} {
		t.Run(name, func(t *testing.T) {
			if plan.PriorityCycle(list(sessions), wanted, "own") {
				t.Error("it would take another priority")
			}
		})
	}
}
