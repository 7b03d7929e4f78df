package diagnosis_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/plan"
)

// wants is what the specs ask for: the session as it is, and these rules.
func wants(path *diagnosis.Path, texts ...string) {
	filter := plan.WantedFilter{}
	for _, r := range rules(texts...) {
		filter.Rules = append(filter.Rules, r.RuleSpec)
	}
	path.Wanted = diagnosis.Wanted{Filter: &filter, Session: &plan.WantedSession{SessionSpec: path.Session.SessionSpec, Sources: path.Session.Sources}}
}

func aboutDrift(path *diagnosis.Path, edit func(*world)) []string {
	return shown(judged(path, edit, v1alpha1.ReasonChangedInCloud, v1alpha1.ReasonFilterMatchesNothing))
}

func TestWhatSomebodyChangedInTheFilterIsSaidByWhatIsCopied(t *testing.T) {
	const (
		is    = " ChangedInCloud (filter \"ok\"): filter \"ok\" is not in the cloud as the spec has it: "
		web   = "Ingress 1 TCP 10.9.0.0/16 > * 443"
		after = ". Do: none is needed, it is put back as the spec has it; see who changes it in the cloud"
	)
	nothing, some, more := "; so nothing of what it is to accept is copied"+after, "; so some of what it is to accept is not copied"+after, "; so more is copied than it is to accept"+after
	for name, c := range map[string]struct {
		want, have []string
		found      string
	}{
		"a rule is deleted":            {[]string{web}, nil, "Error" + is + "rule Ingress 1, which accepts TCP from 10.9.0.0/16 to any port 443, is gone" + nothing},
		"one of two rules is deleted":  {[]string{web, "Egress 1 All * > *"}, []string{web}, "Warning" + is + "rule Egress 1, which accepts all IPv4 from any to any, is gone" + some},
		"a rule is narrowed":           {[]string{web}, []string{"Ingress 1 TCP 10.9.0.0/17 > * 443"}, "Warning" + is + "rule Ingress 1 accepts TCP from 10.9.0.0/17 to any port 443 in place of TCP from 10.9.0.0/16 to any port 443" + some},
		"a rule is about another port": {[]string{web}, []string{"Ingress 1 TCP 10.9.0.0/16 > * 80"}, "Error" + is + "rule Ingress 1 accepts TCP from 10.9.0.0/16 to any port 80 in place of TCP from 10.9.0.0/16 to any port 443" + nothing},
		"a rule is widened":            {[]string{web}, []string{"Ingress 1 TCP * > * 443"}, "Info" + is + "rule Ingress 1 accepts TCP from any to any port 443 in place of TCP from 10.9.0.0/16 to any port 443" + more},
		"a rule rejects now":           {[]string{web}, []string{"reject " + web}, "Error" + is + "rule Ingress 1 rejects TCP from 10.9.0.0/16 to any port 443 in place of TCP from 10.9.0.0/16 to any port 443" + nothing},
		"a rule is put before":         {[]string{web}, []string{web, "reject Ingress 0 TCP 10.9.1.0/24 > *"}, "Warning" + is + "rule Ingress 0, which rejects TCP from 10.9.1.0/24 to any, is none of the spec's" + some},
		"a reject rule is moved behind": {[]string{"reject Ingress 1 TCP * > * 22", "Ingress 2 TCP * > *"}, []string{"reject Ingress 3 TCP * > * 22", "Ingress 2 TCP * > *"},
			"Info" + is + "rule Ingress 1, which rejects TCP from any to any port 22, is gone; rule Ingress 3, which rejects TCP from any to any port 22, is none of the spec's" + more},
		"a rule is moved, and decides the same":      {[]string{web}, []string{"Ingress 9 TCP 10.9.0.0/16 > * 443"}, ""},
		"a rule is added that is about no source":    {[]string{web}, []string{web, "Ingress 5 TCP * > 10.0.0.99"}, ""},
		"the description of a rule is another":       {[]string{web}, []string{web}, ""},
		"a rule of the cloud is spelled another way": {[]string{web}, []string{"Ingress 1 TCP 10.9.0.0/16 1-65535 > 0.0.0.0/0 443"}, ""},
		"the spec itself accepts nothing, as in cloud": {nil, nil, "Error FilterMatchesNothing (filter \"ok\"): filter \"ok\" has no rules: it copies nothing. " +
			"Do: add a rule with action Accept: Ingress for what the sources receive, Egress for what they send"},
	} {
		t.Run(name, func(t *testing.T) {
			path := pathOf(c.have...)
			wants(path, c.want...)
			for i := range path.Filter.Rules {
				path.Filter.Rules[i].Description = "another"
			}
			var want []string
			if c.found != "" {
				want = []string{c.found}
			}
			same(t, "what is found", want, aboutDrift(path, nil))
			same(t, "while the filter is being edited", 0, len(judged(path, func(w *world) { w.changing = true }, v1alpha1.ReasonChangedInCloud)))
		})
	}
}

func TestAFilterThatTheCloudDoesNotHaveIsSaid(t *testing.T) {
	path := pathOf()
	wants(path, "Ingress 1 All * > *")
	path.Filter = nil
	same(t, "what is found", []string{"Error ChangedInCloud (filter \"ok\"): the cloud does not have the filter \"ok\" that the session is to use. " +
		"Do: none is needed, it is put back as the spec has it; see who changes it in the cloud"}, aboutDrift(path, nil))
}

func TestWhatSomebodyChangedInTheSessionIsSaid(t *testing.T) {
	const is = " ChangedInCloud (session): the session is not in the cloud as the spec has it: "
	for name, c := range map[string]struct {
		edit  func(*cloud.Session)
		found string
	}{
		"it has another filter": {func(s *cloud.Session) { s.FilterID = "g" }, "Error" + is + "its filter is g (default-ok) in place of f"},
		"it has another target": {func(s *cloud.Session) { s.TargetID = "id-u" }, "Error" + is + "its target is id-u in place of id-t"},
		"it has another VNI":    {func(s *cloud.Session) { s.VNI = 1 }, "Error" + is + "its VNI is 1 in place of 7"},
		"it lacks a source":     {func(s *cloud.Session) { s.Sources = []string{"id-a"} }, "Warning" + is + "it lacks the source 10.0.0.11"},
		"it is as it should be": {func(*cloud.Session) {}, ""},
		"it has another name":   {func(s *cloud.Session) { s.Name = "another" }, ""},
		"it is not made yet":    {func(s *cloud.Session) { s.ID, s.FilterID = "", "" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := pathOf("Ingress 1 All * > *")
			wants(path, "Ingress 1 All * > *")
			c.edit(&path.Session)
			path.Filter.ID = path.Session.FilterID
			var want []string
			if c.found != "" {
				want = []string{c.found + ". Do: none is needed, it is put back as the spec has it; see who changes it in the cloud"}
			}
			same(t, "what is found", want, aboutDrift(path, nil))
			edited := func(w *world) {
				w.session.Generation++
				w.session.Status.Conditions[0] = metav1.Condition{Type: "Ready", Status: "False", Reason: "Progressing"}
			}
			same(t, "after an edit of the spec", 0, len(judged(path, edited, v1alpha1.ReasonChangedInCloud)))
		})
	}
}

func TestWithoutItsFilterNobodyCanSayThatTheWayIsClear(t *testing.T) {
	for name, edit := range map[string]func(*diagnosis.Path){
		"which the cloud does not list":     func(*diagnosis.Path) {},
		"as the session is not there yet":   func(p *diagnosis.Path) { p.Session.ID, p.Session.FilterID = "", "" },
		"and nobody knows what it is to do": func(p *diagnosis.Path) { p.Wanted = diagnosis.Wanted{} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWay()
			w.Filter = nil
			edit(w.Path)
			verdict := diagnosis.JudgePath(w.known)
			same(t, "the verdict", []string{"Unknown", "NotJudged", "the filter is not in the cloud's list, so what it accepts is not known"},
				[]string{string(verdict.Status), verdict.Reason, verdict.Message})
		})
	}
}

func TestWithSharedCredentialsAForeignFilterOrTargetInTheSessionIsNotNamed(t *testing.T) {
	path := pathOf("Ingress 1 All * > *")
	wants(path, "Ingress 1 All * > *")
	path.Private, path.Session.FilterID, path.Session.TargetID = true, "foreign", "foreign"
	path.Filter.ID, path.Filter.Name = "foreign", "foreign"
	same(t, "what is found", []string{"Error ChangedInCloud (session): the session is not in the cloud as the spec has it: " +
		"its filter is another one in place of f, its target is another one in place of id-t. " +
		"Do: none is needed, it is put back as the spec has it; see who changes it in the cloud"}, aboutDrift(path, nil))
}

func TestWhatWasFoundOfTheFilterStaysWhileNobodyHasLooked(t *testing.T) {
	w := newWorld()
	w.look(0)
	w.known.Path = pathOf()
	before := diagnosis.Findings(w.known)
	w.session.Status.Findings = before
	_, after := w.look(0)
	same(t, "what is found", reasons(before), reasons(after))
	same(t, "whether it is among it", true, slices.Contains(reasons(after), "Error FilterMatchesNothing filter \"\""))
}
