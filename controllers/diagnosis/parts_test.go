package diagnosis_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// divided is a path of which a session with priority 500 has one source, and another with 700 the other one.
func divided(texts ...string) *diagnosis.Path {
	path := pathOf(texts...)
	first, second := path.Session, path.Session
	first.Sources, second.Sources = []string{"id-a"}, []string{"id-b"}
	second.ID, second.Priority = "s2", 700
	path.Parts = []cloud.Session{first, second}
	return path
}

func TestASourceOfADividedSessionIsJudgedByThePriorityOfTheSessionThatHasIt(t *testing.T) {
	const (
		once    = "; each packet is copied once at most. Do: "
		copies  = " copies all IPv4 from any to any, by its rule Ingress 1"
		ofFirst = "all of the packets of 10.0.0.10 that the filter accepts are decided before it: "
		ofOther = "all of the packets of 10.0.0.11 that the filter accepts are decided before it: "
		ofBoth  = "all of the packets of 10.0.0.10, 10.0.0.11 that the filter accepts are decided before it: "
	)
	broad := func(priority int, sources ...string) []diagnosis.Other {
		return []diagnosis.Other{of(other("broad", priority, "Ingress 1 All * > *"), sources...)}
	}
	for name, c := range map[string]struct {
		others []diagnosis.Other
		edit   func(*diagnosis.Path)
		want   []string
	}{
		"one between the two takes those of the second alone, which spec.priority does not move": {broad(600, "id-a", "id-b"), nil, []string{
			"Warning TakenEarlier (source 10.0.0.11): " + ofOther + "session default/broad (priority 600, this one's is 700)" + copies + once +
				"narrow the filter of session default/broad, or give that session a priority above 700"}},
		"one before both that has the first one's source": {broad(400, "id-a"), nil, []string{
			"Warning TakenEarlier (source 10.0.0.10): " + ofFirst + "session default/broad (priority 400, this one's is 500)" + copies + once +
				"set spec.priority below 400, so that it gets the packets that both are to copy, or narrow the filter of session default/broad"}},
		"one before both that has the second one's source": {broad(400, "id-b"), nil, []string{
			"Warning TakenEarlier (source 10.0.0.11): " + ofOther + "session default/broad (priority 400, this one's is 700)" + copies + once +
				"narrow the filter of session default/broad, or give that session a priority above 700"}},
		"one before both that has all sources": {broad(400, "id-a", "id-b"), nil, []string{
			"Error TakenEarlier (session default/broad): " + ofBoth + "session default/broad (priority 400, this one's are 500 and 700)" + copies + once +
				"narrow the filter of session default/broad, or give that session a priority above 700"}},
		"one before both, of which the first has the larger priority": {broad(400, "id-a", "id-b"), func(p *diagnosis.Path) {
			p.Session.Priority, p.Parts[0].Priority = 900, 900
		}, []string{
			"Error TakenEarlier (session default/broad): " + ofBoth + "session default/broad (priority 400, this one's are 700 and 900)" + copies + once +
				"narrow the filter of session default/broad, or give that session a priority above 900"}},
		"one that nothing goes before": {broad(1, "id-b"), nil, []string{
			"Warning TakenEarlier (source 10.0.0.11): " + ofOther + "session default/broad (priority 1, this one's is 700)" + copies + once +
				"narrow the filter of session default/broad, or give that session a priority above 700: none is below its own"}},
		"one that may not be named, of the second one's source": {broad(600, "id-b"), func(p *diagnosis.Path) { p.Private, p.Others[0].Name = true, "another session" }, []string{
			"Warning TakenEarlier (source 10.0.0.11): " + ofOther + "another session, which is tried before this one, copies them" + once +
				"mirror these sources with a MirrorSession of their own that has a lower spec.priority, or mirror something else"}},
		"one between the two that has the first one's source": {broad(600, "id-a"), nil, nil},
		"one after both": {broad(701, "id-a", "id-b"), nil, nil},
		"a source that none of them has yet is judged by the first": {broad(600, "id-b"), func(p *diagnosis.Path) { p.Parts = p.Parts[:1] }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := divided("Ingress 1 TCP * > *")
			path.Others = c.others
			if c.edit != nil {
				c.edit(path)
			}
			same(t, "what is found", c.want, aboutOrder(path, nil))
		})
	}
}

func TestAnotherSessionPrecedesADividedOneAtASourceOfALaterPart(t *testing.T) {
	for name, c := range map[string]struct {
		other diagnosis.Other
		want  bool
	}{
		"between the two, with the second one's source":   {of(other("o", 600), "id-b"), true},
		"between the two, with the first one's source":    {of(other("o", 600), "id-a"), false},
		"between the two, with a source that neither has": {of(other("o", 600), "id-c"), false},
		"before both":                      {of(other("o", 499), "id-a"), true},
		"after both":                       {other("o", 701), false},
		"with the second one's own number": {of(other("o", 700), "id-b"), false},
		"switched off":                     {func() diagnosis.Other { o := other("o", 1); o.Enabled = false; return o }(), false},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "whether it precedes", c.want, divided().Precedes(c.other))
		})
	}
}

func TestWhoHasThePlacesAtATargetOfADividedSessionIsSaid(t *testing.T) {
	at := func(n int) (all []diagnosis.Other) {
		for i := range n {
			all = append(all, to(of(other(fmt.Sprint("m", i), i+1), "id-x"), "id-t"))
		}
		return all
	}
	const full = "Warning QuotaExceeded (target 10.0.0.1): "
	const says = "; the cloud says: no. Do: name another target, or delete one of the sessions to this one"
	const nothing = "Warning QuotaExceeded (): no. Do: "
	for name, c := range map[string]struct {
		parts  int // that are to be
		others int
		edit   func(*diagnosis.Path)
		want   string
	}{
		"they need more than are left":  {3, 8, nil, full + "the sources need 3 sessions to 10.0.0.1, and the cloud takes 10 with those that are there: session default/m0, session default/m1, session default/m2 and 5 more" + says},
		"they need more than there are": {11, 0, nil, full + "the sources need 11 sessions to 10.0.0.1, and the cloud takes 10" + says},
		"the quota is a smaller one": {3, 1, func(p *diagnosis.Path) { p.Quota = &cloud.Quota{SessionsPerTarget: 3} },
			full + "the sources need 3 sessions to 10.0.0.1, and the cloud takes 3 with those that are there: session default/m0" + says},
		"there is a place for all": {3, 7, nil, ""},
		"they have their places":   {2, 9, nil, ""},
		"they are to come to the target": {2, 9, func(p *diagnosis.Path) { p.Parts[1].TargetID = "id-u" },
			full + "the sources need 2 sessions to 10.0.0.1, and the cloud takes 10 with those that are there: session default/m0, session default/m1, session default/m2 and 6 more" + says},
	} {
		t.Run(name, func(t *testing.T) {
			path := divided("Ingress 1 All * > *")
			wants(path, "Ingress 1 All * > *")
			path.Wanted.Parts, path.Others = c.parts, at(c.others)
			if c.edit != nil {
				c.edit(path)
			}
			found := shown(judged(path, func(w *world) {
				w.session.Generation++
				w.session.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "QuotaExceeded", Message: "no"}}
			}, "QuotaExceeded"))
			if c.want == "" {
				same(t, "how many findings", 1, len(found))
				same(t, "what is found", nothing, found[0][:len(nothing)])
				return
			}
			same(t, "what is found", []string{c.want}, found)
		})
	}
}

func TestWhatSomebodyChangedInALaterPartIsSaid(t *testing.T) {
	const is = "Error ChangedInCloud (session): the session is not in the cloud as the spec has it: "
	for name, c := range map[string]struct {
		edit func(*cloud.Session)
		want string
	}{
		"another filter": {func(s *cloud.Session) { s.FilterID = "g" }, is + "its filter in the session s2 is g in place of f (default-ok)"},
		"another target": {func(s *cloud.Session) { s.TargetID = "id-u" }, is + "its target in the session s2 is id-u in place of id-t"},
		"another VNI":    {func(s *cloud.Session) { s.VNI = 1 }, is + "its VNI in the session s2 is 1 in place of 7"},
		"another priority, which each has of its own": {func(s *cloud.Session) { s.Priority = 900 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := divided("Ingress 1 TCP * > *")
			wants(path, "Ingress 1 TCP * > *")
			c.edit(&path.Parts[1])
			got := strings.Join(aboutDrift(path, nil), "\n")
			same(t, "what is found", c.want, strings.TrimSuffix(strings.Split(got, ". Do: ")[0], "."))
		})
	}
}
