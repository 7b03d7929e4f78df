package diagnosis

import (
	"fmt"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// The cloud's limits where its quotas were not read (user guide, "Traffic Mirroring": constraints).
const (
	sessionsOfSource = 3
	sessionsOfTarget = 10
	sourcesOfSession = 10
)

// refusedBy completes what the cloud refuses by who stands in the way, which its own words name
// by ID at the best.
func (k *Known) refusedBy(f v1alpha1.Finding) v1alpha1.Finding {
	if k.Path == nil {
		return f
	}
	var found []holding
	switch f.Reason {
	case v1alpha1.ReasonQuotaExceeded:
		found = k.usedUp()
	case v1alpha1.ReasonConflict, v1alpha1.ReasonInvalidRequest:
		found = k.otherRoles()
	}
	if len(found) == 0 {
		return f
	}
	f.Subject, f.Remedy = found[0].subject, found[0].remedy
	texts := make([]string, 0, len(found))
	for _, h := range found {
		texts = append(texts, h.text)
	}
	f.Message = fewBy(texts, "; ") + "; the cloud says: " + f.Message
	return f
}

// holding is what is used up, or has another role, and by whom.
type holding struct{ subject, text, remedy string }

// wantedEnds are the sources and the target that the session is to have.
func (k *Known) wantedEnds() (sources []string, target string, kind cloud.TargetType) {
	if w := k.Path.Wanted.Session; w != nil {
		return w.Sources, w.TargetID, w.TargetType
	}
	return k.Path.Session.Sources, k.Path.Session.TargetID, k.Path.Session.TargetType
}

// usedUp are the sources and the target that have as many sessions as the cloud takes.
func (k *Known) usedUp() (found []holding) {
	perSource, perTarget, perSession := k.limits()
	sources, target, kind := k.wantedEnds()
	if k.Path.Wanted.Parts <= 1 && len(sources) > perSession {
		found = append(found, holding{"", fmt.Sprintf("the session is to have %d sources, and the cloud takes %d in one", len(sources), perSession),
			"divide the sources among several sessions, or have the quota raised"})
	}
	for _, id := range sources {
		have := k.Path.Session.ID != "" && slices.Contains(k.Path.Session.Sources, id)
		if by := k.Path.with(func(o Other) bool { return slices.Contains(o.Sources, id) }); len(by) >= perSource && !have {
			found = append(found, holding{k.sourceAbout(id),
				fmt.Sprintf("%s is a source of %d sessions already, and the cloud takes no more: %s", k.nameOf(id), len(by), k.namesOf(by)),
				fmt.Sprintf("delete one of these sessions, or take %s out of one: %s", k.nameOf(id), k.namesOf(by))})
		}
	}
	have, need := k.Path.partsAt(target), max(1, k.Path.Wanted.Parts)
	if by := k.Path.with(func(o Other) bool { return o.TargetID == target }); kind != cloud.TargetLoadBalancer && len(by)+need > perTarget && have < need {
		found = append(found, holding{"target " + k.nameOf(target), k.fullTarget(target, by, need, perTarget),
			"name another target, or delete one of the sessions to this one"})
	}
	return found
}

// fullTarget says who has the place of the session at a target.
func (k *Known) fullTarget(target string, by []Other, need, perTarget int) string {
	switch {
	case need == 1:
		return fmt.Sprintf("%s is the target of %d sessions already, and the cloud takes no more: %s", k.nameOf(target), len(by), k.namesOf(by))
	case len(by) == 0:
		return fmt.Sprintf("the sources need %d sessions to %s, and the cloud takes %d", need, k.nameOf(target), perTarget)
	default:
		return fmt.Sprintf("the sources need %d sessions to %s, and the cloud takes %d with those that are there: %s", need, k.nameOf(target), perTarget, k.namesOf(by))
	}
}

// partsAt is how many sessions of the object have a target now.
func (p *Path) partsAt(target string) int {
	if len(p.Parts) == 0 && p.Session.ID != "" && p.Session.TargetID == target {
		return 1
	}
	return len(slices.DeleteFunc(slices.Clone(p.Parts), func(s cloud.Session) bool { return s.TargetID != target }))
}

func (k *Known) limits() (perSource, perTarget, perSession int) {
	perSource, perTarget, perSession = sessionsOfSource, sessionsOfTarget, sourcesOfSession
	if q := k.Path.Quota; q != nil {
		perSource, perTarget, perSession = orDocumented(q.SessionsPerSource, perSource), orDocumented(q.SessionsPerTarget, perTarget), orDocumented(q.SourcesPerSession, perSession)
	}
	return perSource, perTarget, perSession
}

// orDocumented is a quota, or what is documented where the cloud does not say.
func orDocumented(quota, documented int) int {
	if quota <= 0 {
		return documented
	}
	return quota
}

// otherRoles are the interfaces that another session has in the other role: the cloud takes none as
// a source and as a target.
func (k *Known) otherRoles() (found []holding) {
	sources, target, _ := k.wantedEnds()
	if by := k.Path.with(func(o Other) bool { return slices.Contains(o.Sources, target) }); len(by) > 0 {
		found = append(found, holding{"target " + k.nameOf(target),
			fmt.Sprintf("%s can't be the target, as it is a source of %s: the cloud takes no interface as both", k.nameOf(target), k.namesOf(by)),
			fmt.Sprintf("name another target, or take %s out of the sources of %s", k.nameOf(target), k.namesOf(by))})
	}
	for _, id := range sources {
		if by := k.Path.with(func(o Other) bool { return o.TargetID == id }); len(by) > 0 {
			found = append(found, holding{k.sourceAbout(id),
				fmt.Sprintf("%s can't be a source, as it is the target of %s: the cloud takes no interface as both", k.nameOf(id), k.namesOf(by)),
				fmt.Sprintf("take %s out of spec.sources, or give %s another target", k.nameOf(id), k.namesOf(by))})
		}
	}
	return found
}

// freeVNI completes what is said of a shared VNI by the sources that both sessions have, and by a
// number that no session to the target has.
func (k *Known) freeVNI(f v1alpha1.Finding) v1alpha1.Finding {
	if k.Path == nil || k.Session.Status.VNI == nil {
		return f
	}
	target, vni := k.Path.Session.TargetID, int(*k.Session.Status.VNI)
	taken := map[int]bool{vni: true}
	var both []string
	for _, o := range k.Path.with(func(o Other) bool { return o.TargetID == target }) {
		taken[o.VNI] = true
		for _, id := range k.sources() {
			if name := k.nameOf(id); o.VNI == vni && slices.Contains(o.Sources, id) && !slices.Contains(both, name) {
				both = append(both, name)
			}
		}
	}
	if len(both) > 0 {
		f.Message += "; both have the source " + few(both) + ", so that nothing at all in a copy of it tells whose it is"
	}
	free := 1
	for taken[free] {
		free++
	}
	f.Remedy = fmt.Sprintf("set spec.vni to %d, which no session to %s has, or leave it out to have one allocated", free, k.nameOf(target))
	if k.Session.Spec.VNI == nil {
		f.Remedy = fmt.Sprintf("give the other session another VNI, or set spec.vni to %d, which no session to %s has", free, k.nameOf(target))
	}
	return f
}

// with are the other sessions of which something is so, those that are tried first before others.
func (p *Path) with(so func(Other) bool) []Other {
	all := slices.DeleteFunc(slices.Clone(p.Others), func(o Other) bool { return !so(o) })
	slices.SortStableFunc(all, inTurn)
	return all
}

// namesOf names sessions; those that may not be named are the same one name.
func (k *Known) namesOf(all []Other) string {
	var names []string
	for _, o := range all {
		if !slices.Contains(names, o.Name) {
			names = append(names, o.Name)
		}
	}
	if len(names) == 1 && len(all) > 1 {
		return fmt.Sprintf("%d sessions that may not be named here", len(all))
	}
	return few(names)
}
