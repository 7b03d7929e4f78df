package plan_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

func TestTheNextEpoch(t *testing.T) {
	for name, c := range map[string]struct {
		was    plan.Epoch
		basis  string
		known  []int64
		want   plan.Epoch
		begins bool
	}{
		"is the first for an object that never had one":             {plan.Epoch{}, "a", nil, plan.Epoch{1, "a"}, true},
		"is the same while the cloud has the same":                  {plan.Epoch{3, "a"}, "a", []int64{9}, plan.Epoch{3, "a"}, false},
		"is one more when the cloud has something else":             {plan.Epoch{3, "a"}, "b", []int64{2, 3}, plan.Epoch{4, "b"}, true},
		"is none for what never was there":                          {plan.Epoch{}, plan.Absent, nil, plan.Epoch{}, false},
		"begins when what was there is gone":                        {plan.Epoch{3, "a"}, plan.Absent, nil, plan.Epoch{4, plan.Absent}, true},
		"begins when it is there again":                             {plan.Epoch{4, plan.Absent}, "a", nil, plan.Epoch{5, "a"}, true},
		"is beyond what a verifier has when the status was lost":    {plan.Epoch{}, "a", []int64{7, 5}, plan.Epoch{8, "a"}, true},
		"is beyond what a verifier has when the status is restored": {plan.Epoch{2, "a"}, "b", []int64{7}, plan.Epoch{8, "b"}, true},
		"believes no status that has used the numbers up":           {plan.Epoch{math.MaxInt64, "a"}, "b", []int64{3}, plan.Epoch{4, "b"}, true},
		"believes no verifier that would use the numbers up":        {plan.Epoch{2, "a"}, "b", []int64{math.MaxInt64, v1alpha1.MaxCount, 3}, plan.Epoch{4, "b"}, true},
		"begins for a number that has no basis":                     {plan.Epoch{2, ""}, "a", nil, plan.Epoch{3, "a"}, true},
		"is a number above 0 whatever somebody wrote":               {plan.Epoch{-5, "a"}, "a", nil, plan.Epoch{1, "a"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, begins := c.was.Next(c.basis, c.known...)
			if got != c.want || begins != c.begins {
				t.Errorf("got %+v, begins %t; want %+v, %t", got, begins, c.want, c.begins)
			}
			if again, begins := got.Next(c.basis, c.known...); again != got || begins {
				t.Errorf("with the same in the cloud %+v becomes %+v", got, again)
			}
		})
	}
}

func TestNoEpochIsGivenTwiceAndNoneFalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := plan.Epoch{}
		given := map[int64]string{}
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			known := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 40), rapid.Int64()), 0, 3).Draw(t, "known")
			basis := rapid.SampledFrom([]string{"a", "b", "c", plan.Absent}).Draw(t, "basis")
			next, begins := e.Next(basis, known...)
			if next.Number < e.Number || begins && given[next.Number] != "" || begins != (next.Number != e.Number) || next.Number < 0 {
				t.Fatalf("after %+v comes %+v, begins %t", e, next, begins)
			}
			if e.Number > 0 && begins != (basis != e.Basis) {
				t.Fatalf("%+v, and now %s: begins %t", e, basis, begins)
			}
			if e = next; e.Number > 0 {
				given[e.Number] = e.Basis
			}
		}
	})
}

var third = plan.Epoch{Number: 3, Basis: plan.FilterBasis(cloud.Filter{ID: "f"})}

var someSession = cloud.Session{ID: "id", Sources: []string{"s1", "s2"}, SessionSpec: cloud.SessionSpec{
	Name: "name", Description: "words", FilterID: "f", TargetID: "t", TargetType: cloud.TargetInterface, VNI: 1, PacketLength: 96, Priority: 5, Enabled: true,
}}

func TestTheBasisOfASessionIsOfWhatIsCopiedToWhere(t *testing.T) {
	for field, c := range map[string]struct {
		edit func(*cloud.Session)
		same bool
	}{
		"the name":           {func(s *cloud.Session) { s.Name = "x" }, true},
		"the description":    {func(s *cloud.Session) { s.Description = "x" }, true},
		"the priority":       {func(s *cloud.Session) { s.Priority = 9 }, true},
		"the packet length":  {func(s *cloud.Session) { s.PacketLength = 9 }, true},
		"the sources' order": {func(s *cloud.Session) { slices.Reverse(s.Sources) }, true},
		"a source twice":     {func(s *cloud.Session) { s.Sources = append(s.Sources, "s1") }, true},
		"the ID":             {func(s *cloud.Session) { s.ID = "x" }, false},
		"the filter":         {func(s *cloud.Session) { s.FilterID = "x" }, false},
		"the target":         {func(s *cloud.Session) { s.TargetID = "x" }, false},
		"the target's type":  {func(s *cloud.Session) { s.TargetType = cloud.TargetLoadBalancer }, false},
		"the VNI":            {func(s *cloud.Session) { s.VNI = 2 }, false},
		"the switch":         {func(s *cloud.Session) { s.Enabled = false }, false},
		"a source more":      {func(s *cloud.Session) { s.Sources = append(s.Sources, "s3") }, false},
		"a source less":      {func(s *cloud.Session) { s.Sources = s.Sources[:1] }, false},
		"two IDs as one":     {func(s *cloud.Session) { s.Sources = []string{"s1 s2"} }, false},
	} {
		t.Run(field, func(t *testing.T) {
			other := someSession
			other.Sources = slices.Clone(someSession.Sources)
			c.edit(&other)
			basis := plan.SessionBasis(third, someSession)
			if got := basis == plan.SessionBasis(third, other); got != c.same {
				t.Errorf("the same basis: %t, want %t", got, c.same)
			}
			if len(basis) > 64 || basis == plan.SessionBasis(plan.Epoch{Number: 4, Basis: third.Basis}, someSession) ||
				basis == plan.SessionBasis(plan.Epoch{Number: 3, Basis: "ffffffffffffffff"}, someSession) {
				t.Errorf("the basis %s is too long, or not of the filter's epoch", basis)
			}
		})
	}
}

func TestTheEpochOfTheFilterIsReadFromABasis(t *testing.T) {
	last := plan.Epoch{Number: math.MaxInt64, Basis: third.Basis}
	for basis, want := range map[string]plan.Epoch{
		plan.SessionBasis(third, someSession): third, plan.SessionBasis(last, someSession): last, plan.Absent: {}, "": {}, "ab/c": {}, "ab/3": {Number: 3},
	} {
		if got := plan.FilterEpochIn(basis); got != want {
			t.Errorf("of %q it is %+v, want %+v", basis, got, want)
		}
	}
}

func TestTheBasisOfAFilterIsOfItsRules(t *testing.T) {
	rule := func(id string, priority int) cloud.Rule {
		return cloud.Rule{ID: id, RuleSpec: cloud.RuleSpec{Direction: cloud.Ingress, Priority: priority, Accept: true, Protocol: cloud.TCP, Description: "words"}}
	}
	filter := func() cloud.Filter {
		return cloud.Filter{ID: "id", Name: "name", Description: "words", Rules: []cloud.Rule{rule("a", 1), rule("b", 2)}}
	}
	for field, c := range map[string]struct {
		edit func(*cloud.Filter)
		same bool
	}{
		"the name":               {func(f *cloud.Filter) { f.Name = "x" }, true},
		"the description":        {func(f *cloud.Filter) { f.Description = "x" }, true},
		"a rule's description":   {func(f *cloud.Filter) { f.Rules[0].Description = "x" }, true},
		"the order of the list":  {func(f *cloud.Filter) { slices.Reverse(f.Rules) }, true},
		"the ID":                 {func(f *cloud.Filter) { f.ID = "x" }, false},
		"a rule's action":        {func(f *cloud.Filter) { f.Rules[0].Accept = false }, false},
		"a rule's priority":      {func(f *cloud.Filter) { f.Rules[0].Priority = 7 }, false},
		"a rule's ports":         {func(f *cloud.Filter) { f.Rules[0].SourcePorts = cloud.PortRange{Low: 1, High: 2} }, false},
		"a rule made anew":       {func(f *cloud.Filter) { f.Rules[0].ID = "x" }, false},
		"a rule less":            {func(f *cloud.Filter) { f.Rules = f.Rules[:1] }, false},
		"a rule that is unclear": {func(f *cloud.Filter) { f.Rules[0].Unreadable = "protocol" }, false},
	} {
		t.Run(field, func(t *testing.T) {
			other := filter()
			c.edit(&other)
			if got := plan.FilterBasis(filter()) == plan.FilterBasis(other); got != c.same {
				t.Errorf("the same basis: %t, want %t", got, c.same)
			}
		})
	}
}
