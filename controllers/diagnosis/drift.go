package diagnosis

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// changedInCloud: somebody has changed the filter or the session in the cloud since it was in line
// with the spec. By comparing what they say, not when they were changed.
func changedInCloud(k *Known) []v1alpha1.Finding {
	if k.Path == nil || k.noCopiesWanted() != "" {
		return nil
	}
	return append(k.filterChanged(), k.sessionChanged()...)
}

// filterChanged compares the filter's rules as sets of packets: only what is copied no more, or
// beyond the spec, counts. While the MirrorFilter is being edited the two differ anyway; of one that
// is suspended nobody knows who made them differ, and they do so until somebody ends that.
func (k *Known) filterChanged() []v1alpha1.Finding {
	want, subject := k.Path.Wanted.Filter, filterName(k)
	if want == nil || k.otherFilter() || k.FilterChanging && !k.Path.Wanted.FilterLeft && k.reported(v1alpha1.ReasonChangedInCloud, subject) == nil {
		return nil
	}
	f := v1alpha1.Finding{DecidedBy: v1alpha1.DecidedByRead, Reason: v1alpha1.ReasonChangedInCloud, Subject: subject}
	switch {
	case k.Path.Wanted.FilterObserved:
		f.Remedy = fmt.Sprintf("have whoever manages it in the cloud put it back, change the spec of the MirrorFilter %q, or set its spec.managementPolicy to Managed",
			k.Session.Spec.FilterRef.Name)
	case k.Path.Wanted.FilterLeft:
		f.Remedy = fmt.Sprintf("set spec.suspend of the MirrorFilter %q to false, and it is put back as the spec has it", k.Session.Spec.FilterRef.Name)
	}
	if k.Path.Filter == nil {
		f.Severity, f.Message = v1alpha1.SeverityError, fmt.Sprintf("the cloud does not have the %s that the session is to use", subject)
		return []v1alpha1.Finding{f}
	}
	wanted := rulesOf(want.Rules)
	is, known := accepted(k.Path.Filter.Rules)
	should, knownToo := accepted(wanted)
	missing, more := should.minus(is), is.minus(should)
	if !known || !knownToo || missing.unknown || more.unknown {
		return nil
	}
	differing := fewBy(differences(wanted, k.Path.Filter.Rules), "; ")
	severity, effect := k.effectOf(should, missing, more, differing)
	if severity == "" {
		return nil
	}
	f.Severity = severity
	f.Message = fmt.Sprintf("%s is not in the cloud as the spec has it: %s; so %s", subject, differing, effect)
	return []v1alpha1.Finding{f}
}

// otherFilter reports whether the session has another filter in the cloud than it should.
func (k *Known) otherFilter() bool {
	want := k.Path.Wanted.Session
	return want != nil && slices.ContainsFunc(k.Path.parts(), func(part cloud.Session) bool { return want.FilterID != part.FilterID })
}

// filterCalled is a filter by its ID, with its name where that is known and may be said.
func (k *Known) filterCalled(id string) string {
	if f := k.Path.Filter; f != nil && f.ID == id && f.Name != "" && !k.Path.Private {
		return fmt.Sprintf("%s (%s)", id, f.Name)
	}
	return id
}

// effectOf says what it means for the sources that some packets are not copied, and others are.
func (k *Known) effectOf(should, missing, more packets, differing string) (v1alpha1.Severity, string) {
	lacking, dead, beyond := 0, 0, 0
	for _, source := range k.Path.Sources {
		c := carrierOf(source)
		if c.carries(more).some() {
			beyond++
		}
		if c.carries(missing).some() {
			lacking++
			if !c.carries(should.minus(missing)).some() && !k.overcome(denial{v1alpha1.ReasonChangedInCloud, source.ID, differing}) {
				dead++
			}
		}
	}
	switch {
	case dead > 0 && dead == len(k.Path.Sources):
		return v1alpha1.SeverityError, "nothing of what it is to accept is copied"
	case lacking > 0:
		return v1alpha1.SeverityWarning, "some of what it is to accept is not copied"
	case beyond > 0:
		return v1alpha1.SeverityInfo, "more is copied than it is to accept"
	default:
		return "", ""
	}
}

// differences are how rules in the cloud differ from those of the spec.
func differences(want, have []cloud.Rule) (all []string) {
	same := func(a cloud.RuleSpec) func(cloud.Rule) bool {
		return func(b cloud.Rule) bool { return a.Direction == b.Direction && a.Priority == b.Priority }
	}
	for _, i := range inOrder(want) {
		w := bare(want[i].RuleSpec)
		at := slices.IndexFunc(have, same(w))
		if at < 0 {
			all = append(all, fmt.Sprintf("%s, which %s %s, is gone", ruleName(w), verbOf(w), matches(w)))
		} else if h := bare(have[at].RuleSpec); h != w {
			all = append(all, fmt.Sprintf("%s %s %s in place of %s", ruleName(w), verbOf(h), matches(h), matches(w)))
		}
	}
	for _, i := range inOrder(have) {
		if h := have[i].RuleSpec; !slices.ContainsFunc(want, same(h)) {
			all = append(all, fmt.Sprintf("%s, which %s %s, is none of the spec's", ruleName(h), verbOf(h), matches(h)))
		}
	}
	return all
}

// bare is a rule by what it decides alone.
func bare(r cloud.RuleSpec) cloud.RuleSpec {
	r = plan.Normalise(r)
	r.Description = ""
	return r
}

func rulesOf(specs []cloud.RuleSpec) []cloud.Rule {
	rules := make([]cloud.Rule, 0, len(specs))
	for _, spec := range specs {
		rules = append(rules, cloud.Rule{RuleSpec: spec})
	}
	return rules
}

// sessionChanged compares what of the session decides where copies go and from where.
func (k *Known) sessionChanged() []v1alpha1.Finding {
	const subject = "session"
	want, have := k.Path.Wanted.Session, k.Path.Session
	if want == nil || have.ID == "" || !k.wasInLine() && k.reported(v1alpha1.ReasonChangedInCloud, subject) == nil {
		return nil
	}
	f := v1alpha1.Finding{Severity: v1alpha1.SeverityError, DecidedBy: v1alpha1.DecidedByRead, Reason: v1alpha1.ReasonChangedInCloud, Subject: subject}
	all := k.partsChanged(want)
	if len(all) == 0 {
		f.Severity = v1alpha1.SeverityWarning
	}
	for _, id := range want.Sources {
		if !slices.Contains(have.Sources, id) && k.wasSource(id) {
			all = append(all, fmt.Sprintf("it lacks the source %s", k.nameOf(id)))
		}
	}
	if len(all) == 0 {
		return nil
	}
	f.Message = "the session is not in the cloud as the spec has it: " + fewBy(all, ", ")
	return []v1alpha1.Finding{f}
}

// partsChanged says how the filter, the target and the VNI of the session, or of each that stands for it, differ from
// those that are wanted.
func (k *Known) partsChanged(want *plan.WantedSession) (all []string) {
	differ := func(what string, is, should any) {
		if is != should {
			all = append(all, fmt.Sprintf("%s is %v in place of %v", what, is, should))
		}
	}
	another := func(id, should string) string { // what the spec does not name may be anybody's
		if k.Path.Private && id != should {
			return "another one"
		}
		return id
	}
	parts := k.Path.parts()
	for _, part := range parts {
		of := ""
		if len(parts) > 1 {
			of = " in the session " + part.ID
		}
		differ("its filter"+of, k.filterCalled(another(part.FilterID, want.FilterID)), k.filterCalled(want.FilterID))
		if k.wasWanted(want) {
			differ("its target"+of, another(part.TargetID, want.TargetID), want.TargetID)
			differ("its VNI"+of, part.VNI, want.VNI)
		}
	}
	return all
}

// wasWanted reports whether the session had the target and the VNI that are wanted: what the spec
// names may stand for another interface by now, which is nobody's change in the cloud.
func (k *Known) wasWanted(want *plan.WantedSession) bool {
	target, vni := k.Reported.Target, k.Reported.VNI
	return (target == nil || target.InterfaceID == want.TargetID) && (vni == nil || int(*vni) == want.VNI)
}

// wasSource reports the same of a source.
func (k *Known) wasSource(id string) bool {
	return len(k.Reported.Sources) == 0 || slices.ContainsFunc(k.Reported.Sources, func(r v1alpha1.ResolvedInterface) bool { return r.InterfaceID == id })
}

// wasInLine reports whether the cloud matched the present spec at the end of the last reconcile.
func (k *Known) wasInLine() bool {
	if k.Reported == nil {
		return false
	}
	return slices.ContainsFunc(k.Reported.Conditions, func(c metav1.Condition) bool {
		return c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionTrue && c.ObservedGeneration == k.Session.Generation
	})
}
