package diagnosis_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// refusedWith is what a session that the cloud does not take is found to be.
func refusedWith(reason string, path *diagnosis.Path) []string {
	path.Session.ID = ""
	return shown(judged(path, func(w *world) {
		w.session.Status.Sessions = nil
		w.session.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: reason, Message: "create the session: no"}}
	}, reason))
}

func to(o diagnosis.Other, target string) diagnosis.Other {
	o.TargetID = target
	return o
}

func TestWhoStandsInTheWayOfWhatTheCloudRefusesIsNamed(t *testing.T) {
	many := make([]diagnosis.Other, 10)
	for i := range many {
		many[i] = to(of(other(fmt.Sprint("m", i), i+1), "id-x"), "id-t")
	}
	three := []diagnosis.Other{of(other("c", 30), "id-a"), other("a", 10), of(other("b", 20), "id-z", "id-a")}
	const cloudSays = "; the cloud says: create the session: no. Do: "
	for name, c := range map[string]struct {
		reason string
		edit   func(*diagnosis.Path)
		want   string
	}{
		"a source has three sessions": {"QuotaExceeded", func(p *diagnosis.Path) { p.Others = three },
			"Error QuotaExceeded (source 10.0.0.10): 10.0.0.10 is a source of 3 sessions already, and the cloud takes no more: session default/a, session default/b, session default/c" + cloudSays +
				"delete one of these sessions, or take 10.0.0.10 out of one: session default/a, session default/b, session default/c"},
		"a source may have two sessions here": {"QuotaExceeded", func(p *diagnosis.Path) { p.Quota, p.Others = &cloud.Quota{SessionsPerSource: 2}, three[:2] },
			"Error QuotaExceeded (source 10.0.0.10): 10.0.0.10 is a source of 2 sessions already, and the cloud takes no more: session default/a, session default/c" + cloudSays +
				"delete one of these sessions, or take 10.0.0.10 out of one: session default/a, session default/c"},
		"the target has ten sessions": {"QuotaExceeded", func(p *diagnosis.Path) { p.Others = many },
			"Error QuotaExceeded (target 10.0.0.1): 10.0.0.1 is the target of 10 sessions already, and the cloud takes no more: session default/m0, session default/m1, session default/m2 and 7 more" + cloudSays +
				"name another target, or delete one of the sessions to this one"},
		"it has too many sources": {"QuotaExceeded", func(p *diagnosis.Path) { p.Quota = &cloud.Quota{SourcesPerSession: 1} },
			"Error QuotaExceeded (): the session is to have 2 sources, and the cloud takes 1 in one" + cloudSays + "divide the sources among several sessions, or have the quota raised"},
		"nothing that was read is used up": {"QuotaExceeded", func(p *diagnosis.Path) { p.Others = three[:2] },
			"Error QuotaExceeded (): create the session: no. Do: " + v1alpha1.Remedy("QuotaExceeded")},
		"the target is a source elsewhere": {"Conflict", func(p *diagnosis.Path) { p.Others = []diagnosis.Other{of(other("a", 10), "id-t")} },
			"Error Conflict (target 10.0.0.1): 10.0.0.1 can't be the target, as it is a source of session default/a: the cloud takes no interface as both" + cloudSays +
				"name another target, or take 10.0.0.1 out of the sources of session default/a"},
		"a source is the target elsewhere": {"Conflict", func(p *diagnosis.Path) { p.Others = []diagnosis.Other{to(of(other("a", 10), "id-x"), "id-b")} },
			"Error Conflict (source 10.0.0.11): 10.0.0.11 can't be a source, as it is the target of session default/a: the cloud takes no interface as both" + cloudSays +
				"take 10.0.0.11 out of spec.sources, or give session default/a another target"},
		"something else is in the way": {"Conflict", func(p *diagnosis.Path) { p.Others = three },
			"Error Conflict (): create the session: no. Do: " + v1alpha1.Remedy("Conflict")},
		"nobody may be named": {"QuotaExceeded", func(p *diagnosis.Path) {
			p.Private, p.Others = true, []diagnosis.Other{other("a", 1), other("b", 2), other("c", 3)}
			for i := range p.Others {
				p.Others[i].Name = "another session"
			}
			p.Sources, p.Session.Sources = p.Sources[:1], p.Session.Sources[:1]
		}, "Error QuotaExceeded (source 10.0.0.10): 10.0.0.10 is a source of 3 sessions already, and the cloud takes no more: 3 sessions that may not be named here" + cloudSays +
			"delete one of these sessions, or take 10.0.0.10 out of one: 3 sessions that may not be named here"},
	} {
		t.Run(name, func(t *testing.T) {
			path := pathOf("Ingress 1 All * > *")
			c.edit(path)
			same(t, "what is found", []string{c.want}, refusedWith(c.reason, path))
		})
	}
}

func TestASourceThatIsToBeAddedIsRefusedByThoseThatHaveIt(t *testing.T) {
	path := pathOf("Ingress 1 All * > *")
	wants(path, "Ingress 1 All * > *")
	path.Wanted.Session.Sources = []string{"id-a", "id-b", "id-c"}
	path.Others = []diagnosis.Other{of(other("a", 1), "id-c"), of(other("b", 2), "id-c"), of(other("c", 3), "id-c", "id-a")}
	found := judged(path, func(w *world) {
		w.session.Generation++
		w.session.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "QuotaExceeded", Message: "no"}}
	}, "QuotaExceeded")
	same(t, "what is found", []string{"Warning QuotaExceeded (source id-c): id-c is a source of 3 sessions already, and the cloud takes no more: " +
		"session default/a, session default/b, session default/c; the cloud says: no. Do: delete one of these sessions, or take id-c out of one: session default/a, session default/b, session default/c"}, shown(found))
}
