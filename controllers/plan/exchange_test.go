package plan_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// exchange is an account whose sessions are given the priorities that others have.
type exchange struct {
	sessions []cloud.Session
	asks     map[string]int
	aside    int // how often one stepped aside
}

// look is what the reconciler does with one session.
func (x *exchange) look(i int) {
	s := &x.sessions[i]
	wanted, moves := x.asks[s.ID]
	if !moves || s.Priority == wanted {
		return
	}
	if _, taken := plan.PriorityHolder(x.sessions, wanted, s.ID); !taken {
		s.Priority = wanted
		return
	}
	if plan.PriorityRing(x.sessions, x.asks, s.ID) {
		s.Priority, _ = plan.ChoosePriority(x.sessions, nil, 0)
		x.aside++
	}
}

func TestAnExchangeOfPrioritiesEndsInWhateverOrderItIsLookedAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "sessions")
		numbers := make([]int, n)
		for i := range numbers {
			numbers[i] = i + 1
		}
		wanted := rapid.Permutation(numbers).Draw(t, "wanted")
		x := &exchange{asks: map[string]int{}}
		for i := range n {
			id := fmt.Sprint("s", i)
			x.sessions = append(x.sessions, cloud.Session{ID: id, SessionSpec: cloud.SessionSpec{Priority: i + 1}})
			x.asks[id] = wanted[i]
		}
		for range n { // each round at least one gets what it asks for
			for _, i := range rapid.Permutation(numbers).Draw(t, "order") {
				x.look(i - 1)
			}
		}
		for _, s := range x.sessions {
			if s.Priority != x.asks[s.ID] {
				t.Fatalf("%s has %d and was to get %d: %+v", s.ID, s.Priority, x.asks[s.ID], x.sessions)
			}
		}
		if rings := ringsOf(wanted); x.aside != rings {
			t.Fatalf("%d stepped aside, and there were %d rings", x.aside, rings)
		}
	})
}

// ringsOf counts the rings of a permutation of 1 to n that are longer than one.
func ringsOf(wanted []int) (rings int) {
	seen := map[int]bool{}
	for i := range wanted {
		if wanted[i] == i+1 || seen[i] {
			continue
		}
		rings++
		for j := i; !seen[j]; j = wanted[j] - 1 {
			seen[j] = true
		}
	}
	return rings
}

func TestNobodyStepsAsideForASessionThatStays(t *testing.T) {
	sessions := []cloud.Session{
		{ID: "own", SessionSpec: cloud.SessionSpec{Priority: 1}},
		{ID: "other", SessionSpec: cloud.SessionSpec{Priority: 2}},
		{ID: "third", SessionSpec: cloud.SessionSpec{Priority: 3}},
	}
	for name, asks := range map[string]map[string]int{
		"a foreign one":                  {"own": 2},
		"one whose way is free":          {"own": 2, "other": 4},
		"a ring that it is no member of": {"own": 2, "other": 3, "third": 2},
		"a chain that ends at a foreign": {"own": 2, "other": 3},
		"itself":                         {"own": 1},
		"nothing, since it asks nothing": {"other": 1},
	} {
		t.Run(name, func(t *testing.T) {
			if plan.PriorityRing(sessions, asks, "own") {
				t.Error("it would step aside")
			}
		})
	}
}
