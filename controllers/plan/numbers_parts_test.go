package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// partOf is a session in the cloud that stands for a part of the MirrorSession "own".
func partOf(number, vni, priority int, sources ...string) cloud.Session {
	s := with(inCloud(fmt.Sprint("own-", number), "t", vni, priority), sources...)
	s.Description = plan.Mark{Cluster: cluster, UID: "own", Part: number}.Describe("")
	return s
}

// hasParts puts parts into the status.
func hasParts(s *v1alpha1.MirrorSession, parts ...cloud.Session) {
	has(s, parts[0])
	s.Status.Sessions = nil
	for _, p := range parts {
		mark, _ := plan.MarkOf(p.Description)
		entry := v1alpha1.CloudSession{ID: p.ID, Priority: int32(p.Priority), Sources: p.Sources}
		if mark.Part > 1 {
			entry.Part = int32(mark.Part)
		}
		s.Status.Sessions = append(s.Status.Sessions, entry)
	}
}

func TestNumbersOfAPart(t *testing.T) {
	first, second, third := partOf(1, 7, 100, "a"), partOf(2, 7, 101, "b"), partOf(3, 7, 102, "c")
	leads := &plan.Numbers{VNI: 7, Priority: 100}
	elsewhere := partOf(2, 7, 101)
	elsewhere.Description = plan.Mark{Cluster: "ffffffff", UID: "own", Part: 2}.Describe("")
	stored := func(parts ...cloud.Session) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) { hasParts(s, parts...) }
	}
	named := func(priority int, parts ...cloud.Session) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) {
			s.Spec.Priority = new(int32(priority))
			if len(parts) > 0 {
				hasParts(s, parts...)
			}
		}
	}
	for name, c := range map[string]struct {
		session  func(*v1alpha1.MirrorSession)
		part     int
		own      *cloud.Session
		leads    *plan.Numbers
		siblings []int
		sources  []string
		inCloud  []cloud.Session
		others   []v1alpha1.MirrorSession
		want     plan.Numbers
	}{
		"a new one has the VNI of the first, and the next free priority after it": {
			part: 2, leads: leads, siblings: []int{100}, inCloud: []cloud.Session{first}, want: plan.Numbers{VNI: 7, Priority: 101},
		},
		"the spec's VNI is the first's, so it is that of all": {
			session: func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(9)) },
			part:    2, leads: &plan.Numbers{VNI: 9, Priority: 100}, siblings: []int{100}, inCloud: []cloud.Session{first}, want: plan.Numbers{VNI: 9, Priority: 101},
		},
		"the next is free of what the cloud has, of the other parts and of what others ask for": {
			part: 3, leads: leads, siblings: []int{100, 101, 103}, inCloud: []cloud.Session{first, second, inCloud("foreign", "u", 1, 102)},
			others: []v1alpha1.MirrorSession{mirror("other", "u", 0, func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(104)) })},
			want:   plan.Numbers{VNI: 7, Priority: 105},
		},
		"a part goes after the sessions that share its own sources, and not after those that share another part's": {
			part: 2, leads: leads, siblings: []int{100}, sources: []string{"b"},
			inCloud: []cloud.Session{first, with(inCloud("x", "u", 1, 200), "b"), with(inCloud("y", "u", 1, 300), "a")},
			want:    plan.Numbers{VNI: 7, Priority: 201},
		},
		"its other parts are nobody that it goes after, though the source is still with one": {
			part: 2, leads: leads, siblings: []int{100, 102}, sources: []string{"c"}, inCloud: []cloud.Session{first, third}, want: plan.Numbers{VNI: 7, Priority: 101},
		},
		"where nothing after the first is free, it gets the largest free one": {
			part: 2, leads: &plan.Numbers{VNI: 7, Priority: 32766}, siblings: []int{32766}, sources: []string{"b"},
			inCloud: []cloud.Session{partOf(1, 7, 32766, "a"), with(inCloud("x", "u", 1, 5), "b")}, want: plan.Numbers{VNI: 7, Priority: 32765},
		},
		"what it has stays, though a smaller one is free": {
			session: stored(first, partOf(2, 7, 150, "b")), part: 2, own: new(partOf(2, 7, 150, "b")), leads: leads, siblings: []int{100},
			inCloud: []cloud.Session{first, partOf(2, 7, 150, "b")}, want: plan.Numbers{VNI: 7, Priority: 150},
		},
		"what it had is put back when somebody changes it in the cloud": {
			session: stored(first, second), part: 2, own: new(partOf(2, 8, 150, "b")), leads: leads, siblings: []int{100},
			inCloud: []cloud.Session{first, partOf(2, 8, 150, "b")}, want: plan.Numbers{VNI: 7, Priority: 101},
		},
		"what it had is what it gets when somebody deletes it": {
			session: stored(first, second, third), part: 2, leads: leads, siblings: []int{100, 102}, inCloud: []cloud.Session{first, third},
			want: plan.Numbers{VNI: 7, Priority: 101},
		},
		"what somebody else has taken meanwhile is replaced": {
			session: stored(first, second, third), part: 2, leads: leads, siblings: []int{100, 102}, inCloud: []cloud.Session{first, inCloud("foreign", "u", 1, 101), third},
			want: plan.Numbers{VNI: 7, Priority: 103},
		},
		"what was lost is not asked for again": {
			session: stored(first, partOf(2, 7, 0)), part: 2, leads: leads, siblings: []int{100, 0}, inCloud: []cloud.Session{first},
			want: plan.Numbers{VNI: 7, Priority: 101},
		},
		"it stays where the first one's priority moves to another place": {
			session: named(500, first, second), part: 2, own: &second, leads: &plan.Numbers{VNI: 7, Priority: 500}, siblings: []int{100, 500},
			inCloud: []cloud.Session{first, second}, want: plan.Numbers{VNI: 7, Priority: 101},
		},
		"the first waits for a part that has what the spec names, with what it has": {
			session: named(101, first, second), part: 1, own: &first, siblings: []int{101}, inCloud: []cloud.Session{first, second},
			want: plan.Numbers{VNI: 7, Priority: 100, OfSibling: true},
		},
		"that part leaves it for the next free one": {
			session: named(101, first, second, third), part: 2, own: &second, leads: leads, siblings: []int{100, 102}, inCloud: []cloud.Session{first, second, third},
			want: plan.Numbers{VNI: 7, Priority: 103},
		},
		"a first one that is made anew keeps the VNI that the other parts have": {
			session: stored(second), part: 1, siblings: []int{101}, inCloud: []cloud.Session{second}, want: plan.Numbers{VNI: 7, Priority: 10000},
		},
		"a first one that is made anew takes another meanwhile": {
			session: named(101, second), part: 1, siblings: []int{101}, inCloud: []cloud.Session{second},
			want: plan.Numbers{VNI: 7, Priority: 10000, OfSibling: true},
		},
		"a foreign session that has what the spec names is no sibling, whatever mark it bears of another cluster": {
			session: named(101, first), part: 1, own: &first, inCloud: []cloud.Session{first, elsewhere},
			want: plan.Numbers{VNI: 7, SameVNI: &elsewhere, Holder: &elsewhere},
		},
		"the VNI is no other session's because the other parts have it": {
			session: stored(first, second), part: 1, own: &first, siblings: []int{101}, inCloud: []cloud.Session{first, second},
			want: plan.Numbers{VNI: 7, Priority: 100},
		},
		"where the first gives its VNI up to an older session, a part does so too": {
			session: stored(first, second), part: 2, own: &second, leads: &plan.Numbers{VNI: 1, Priority: 100}, siblings: []int{100},
			inCloud: []cloud.Session{first, second, inCloud("older", "t", 7, 5)}, want: plan.Numbers{VNI: 1, Priority: 101},
		},
	} {
		t.Run(name, func(t *testing.T) {
			session := mirror("own", "t", 0, c.session)
			if c.sources == nil {
				c.sources = []string{"s"}
			}
			got, _, err := plan.ChooseNumbers(plan.NumbersInput{
				Session: &session, Part: c.part, Own: c.own, Leads: c.leads, Siblings: c.siblings, Account: cloud.Account{Region: "r"}, TargetID: "t",
				Sources: c.sources, Cluster: cluster, InCloud: list(c.inCloud), Claims: claims{append(c.others, session), nil, session.UID},
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

func TestAPartIsCurrentWhenItHasTheFirstOnesVNIAndAPriorityThatIsNotForTheFirst(t *testing.T) {
	for name, c := range map[string]struct {
		own   cloud.Session
		leads plan.Numbers
		named *int32
		want  bool
	}{
		"it has what it had":                        {partOf(2, 7, 101), plan.Numbers{VNI: 7, Priority: 100}, nil, true},
		"it has it before the first":                {partOf(2, 7, 101), plan.Numbers{VNI: 7, Priority: 500}, new(int32(500)), true},
		"the first one's VNI is another":            {partOf(2, 7, 101), plan.Numbers{VNI: 8, Priority: 100}, nil, false},
		"the spec names the priority that it has":   {partOf(2, 7, 101), plan.Numbers{VNI: 7, Priority: 100, OfSibling: true}, new(int32(101)), false},
		"somebody has changed its priority":         {partOf(2, 7, 150), plan.Numbers{VNI: 7, Priority: 100}, nil, false},
		"somebody has changed its VNI in the cloud": {partOf(2, 9, 101), plan.Numbers{VNI: 7, Priority: 100}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			session := mirror("own", "t", 0, func(s *v1alpha1.MirrorSession) {
				s.Spec.Priority = c.named
				hasParts(s, partOf(1, 7, 100), partOf(2, 7, 101))
			})
			in := plan.NumbersInput{Session: &session, Part: 2, Own: &c.own, Leads: &c.leads, TargetID: "t", Cluster: cluster, InCloud: list{c.own}}
			if _, got := in.KeptNumbers(); got != c.want {
				t.Errorf("current is %t", got)
			}
		})
	}
}

// Parts choose one after the other, as a reconcile lets them, until nothing changes.
func TestPartsEndWithNumbersOfTheirOwnTheFirstWithTheSpecs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		priorities := rapid.SliceOfNDistinct(rapid.IntRange(1, 12), 5, 8, rapid.ID[int]).Draw(t, "priorities")
		parts := rapid.IntRange(1, 4).Draw(t, "parts")
		all := list{}
		for n, priority := range priorities {
			if n < parts {
				all = append(all, partOf(n+1, 7, priority, fmt.Sprint("s", n)))
			} else {
				all = append(all, inCloud(fmt.Sprint("foreign", n), "u", 1, priority))
			}
		}
		session := mirror("own", "t", 0, func(s *v1alpha1.MirrorSession) { hasParts(s, all[:parts]...) })
		taken := priorities[parts:]
		if want := rapid.IntRange(1, 12).Draw(t, "the spec's"); !slices.Contains(taken, want) {
			session.Spec.Priority = new(int32(want))
		}
		before := slices.Clone(all[:parts])
		for range 2 { // that which leaves the spec's comes after the first
			var leads *plan.Numbers
			for n := range parts {
				in := plan.NumbersInput{
					Session: &session, Part: n + 1, Own: &all[n], Leads: leads, Account: cloud.Account{Region: "r"}, TargetID: "t",
					Sources: all[n].Sources, Cluster: cluster, InCloud: all, Claims: claims{[]v1alpha1.MirrorSession{session}, nil, session.UID},
				}
				for other := range parts {
					if other != n {
						in.Siblings = append(in.Siblings, all[other].Priority)
					}
				}
				got, current := in.KeptNumbers()
				if !current {
					var err error
					if got, _, err = plan.ChooseNumbers(in); err != nil {
						t.Fatal(err)
					}
				}
				if leads == nil {
					leads = &got
				}
				all[n].Priority, all[n].VNI = got.Priority, got.VNI
				session.Status.Sessions[n].Priority = int32(got.Priority)
			}
		}
		seen := map[int]bool{}
		for _, s := range all {
			if seen[s.Priority] {
				t.Fatalf("two sessions have the priority %d: %v", s.Priority, all)
			}
			seen[s.Priority] = true
		}
		named := session.Spec.Priority
		if named != nil && all[0].Priority != int(*named) {
			t.Fatalf("the first has the priority %d, the spec names %d", all[0].Priority, *named)
		}
		for n, was := range before {
			if n > 0 && all[n].Priority != was.Priority && (named == nil || was.Priority != int(*named)) {
				t.Fatalf("the part %d has left the priority %d for %d", n+1, was.Priority, all[n].Priority)
			}
		}
	})
}
