package inventory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/plan"
)

// A look at one object asks for what it needs. Whatever was listed and noted before, the answer is what
// a walk over all of them gives.
func TestWhatIsFoundByAKeyIsWhatAWalkOverAllFinds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if wrong := walk(rt); len(wrong) > 0 {
			rt.Fatal(wrong)
		}
	})
}

// few are enough to meet again and again.
var few = rapid.SampledFrom([]string{"a", "b", "c"})

func anySession(rt *rapid.T) cloud.Session {
	s := cloud.Session{ID: few.Draw(rt, "ID"), Sources: rapid.SliceOfN(few, 1, 3).Draw(rt, "sources")}
	s.TargetID, s.VNI, s.Priority = few.Draw(rt, "target"), rapid.IntRange(1, 2).Draw(rt, "VNI"), rapid.IntRange(1, 2).Draw(rt, "priority")
	s.Description = rapid.SampledFrom([]string{
		"", "of theirs", plan.Mark{Cluster: "0a1b2c3d", UID: "u", Part: 1}.Describe("x"), plan.Mark{Cluster: "0a1b2c3d", UID: "u", Part: 2}.String() + " ",
		plan.Mark{Cluster: "ffffffff", UID: "u"}.String(), plan.Mark{Cluster: "0a1b2c3d", UID: "v"}.String(),
	}).Draw(rt, "description")
	return s
}

// walk lists, notes and forgets sessions, and returns which answers were not those of a walk.
func walk(rt *rapid.T) (wrong []string) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	i, r := inventory.New(func() time.Time { return now }), &reader{account: cloud.Account{Region: "here"}}
	for range rapid.IntRange(1, 12).Draw(rt, "steps") {
		switch rapid.IntRange(0, 3).Draw(rt, "step") {
		case 0:
			r.sessions = slices.CompactFunc(slices.SortedFunc(slices.Values(rapid.SliceOfN(rapid.Custom(anySession), 0, 3).Draw(rt, "listed")),
				func(a, b cloud.Session) int { return strings.Compare(a.ID, b.ID) }), func(a, b cloud.Session) bool { return a.ID == b.ID })
			now = now.Add(inventory.Lag + 1)
		case 1:
			i.NoteSession(r.account, anySession(rt))
		case 2:
			i.ForgetSession(r.account, few.Draw(rt, "forgotten"))
		}
		since := time.Time{}
		if rapid.Bool().Draw(rt, "anew") {
			since = now
		}
		listed, err := i.Sessions(rt.Context(), r, since)
		if err != nil {
			return []string{err.Error()}
		}
		wrong = append(wrong, differing(listed)...)
	}
	return wrong
}

func differing(listed inventory.Sessions) (wrong []string) {
	that := func(fit func(cloud.Session) bool) (found []cloud.Session) {
		for _, s := range listed.All() {
			if fit(s) {
				found = append(found, s)
			}
		}
		return found
	}
	check := func(what string, got []cloud.Session, fit func(cloud.Session) bool) {
		if want := that(fit); fmt.Sprint(want) != fmt.Sprint(got) {
			wrong = append(wrong, fmt.Sprintf("%s: %v in place of %v", what, got, want))
		}
	}
	for _, text := range []string{"a", "b", "c", ""} {
		var one []cloud.Session
		if found, ok := listed.ByID(text); ok {
			one = append(one, found)
		}
		check("ID "+text, one, func(s cloud.Session) bool { return s.ID == text })
		check("source "+text, listed.From(text), func(s cloud.Session) bool { return slices.Contains(s.Sources, text) })
		check("target "+text, listed.To(text), func(s cloud.Session) bool { return s.TargetID == text })
		for number := range 3 {
			check(fmt.Sprint("VNI ", number, " at ", text), listed.WithVNI(text, number), func(s cloud.Session) bool { return s.TargetID == text && s.VNI == number })
			check(fmt.Sprint("priority ", number), listed.WithPriority(number), func(s cloud.Session) bool { return s.Priority == number })
		}
	}
	for _, uid := range []string{"u", "v", ""} {
		check("mark of "+uid, listed.Marked(uid), func(s cloud.Session) bool {
			mark, ok := plan.MarkOf(s.Description)
			return ok && mark.UID == uid
		})
	}
	return wrong
}
