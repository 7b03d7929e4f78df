package mirrorfilter

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/diagnosis/history"
	"vpcmirror.io/operator/controllers/plan"
)

// edits are the specs that this process saw last, by UID: what an edit changes. The zero value is
// ready.
type edits struct {
	once  sync.Once
	specs *lru.Cache
}

// remembered is of how many filters at most; beyond that an edit is told by what the cloud has.
const remembered = 20000

// next returns the spec of before, nil where that is not known, and remembers the present one.
func (e *edits) next(uid types.UID, now *v1alpha1.MirrorFilter) *v1alpha1.MirrorFilter {
	e.once.Do(func() { e.specs = lru.New(remembered) })
	found, _ := e.specs.Get(uid)
	before, _ := found.(*v1alpha1.MirrorFilter)
	e.specs.Add(uid, &v1alpha1.MirrorFilter{ObjectMeta: *now.ObjectMeta.DeepCopy(), Spec: *now.Spec.DeepCopy()})
	return before
}

// edit tells what an edit of the spec changed of the rules.
func (s *scope) edit(seen *edits) {
	before := seen.next(s.filter.UID, s.filter)
	observed := s.filter.Status.ObservedGeneration
	switch {
	case before == nil:
		s.edited = observed > 0 && observed != s.filter.Generation
	case before.Generation != s.filter.Generation:
		was, failed := plan.FilterFrom(before, plan.Mark{})
		is, err := plan.FilterFrom(s.filter, plan.Mark{})
		if failed == nil && err == nil {
			s.tell(v1alpha1.ChangedBySpec, asCloud(was, ""), asCloud(is, ""))
		}
	}
}

// begins notes what the cloud has before it is changed, and tells who is the cause.
func (s *scope) begins(want plan.WantedFilter, have cloud.Filter) {
	if s.changing != nil || s.making {
		return
	}
	s.changing = &have
	switch {
	case s.WasSynced:
		s.tell(v1alpha1.ChangedByCloud, asCloud(want, have.ID), have)
	case s.edited:
		s.tell(v1alpha1.ChangedBySpec, have, asCloud(want, have.ID))
	}
}

// changed tells what this reconcile changed in the cloud, which now has that.
func (s *scope) changed(now cloud.Filter) {
	if s.changing != nil {
		s.tell(v1alpha1.ChangedByOperator, *s.changing, now)
	}
	s.changing = nil
}

// made tells that the filter was made in place of one that was lost, empty for none.
func (s *scope) made(lost string, rules int) {
	s.making = true
	if lost == "" {
		return
	}
	s.keep(v1alpha1.ChangedByCloud, history.Changed(&diagnosis.Path{Filter: &cloud.Filter{Name: s.filter.Name}}, &diagnosis.Path{}, s.Clock()))
	anew := v1alpha1.Change{What: fmt.Sprintf("the filter %q was made anew, with its rules (%d)", s.filter.Name, rules)}
	s.keep(v1alpha1.ChangedByOperator, history.AtOnce(s.Clock(), []v1alpha1.Change{anew}))
}

// tell keeps for the sessions what differs between two states of the filter.
func (s *scope) tell(by v1alpha1.ChangedBy, was, is cloud.Filter) {
	was, is = numbered(was, s.filter.Name), numbered(is, s.filter.Name)
	s.keep(by, history.Changed(&diagnosis.Path{Filter: &was}, &diagnosis.Path{Filter: &is}, s.Clock()))
}

// keep adds changes to what the sessions are told. Those of one who knows what he wants are one.
func (s *scope) keep(by v1alpha1.ChangedBy, changes []v1alpha1.Change) {
	if by != v1alpha1.ChangedByCloud {
		changes = history.Joined(by, changes)
	}
	s.FilterChanges.Add(s.filter.UID, changes)
}

// asCloud is a wanted filter as the cloud would have it.
func asCloud(want plan.WantedFilter, id string) cloud.Filter {
	out := cloud.Filter{ID: id, Name: want.Name}
	for _, r := range want.Rules {
		out.Rules = append(out.Rules, cloud.Rule{RuleSpec: r})
	}
	return out
}

// numbered gives a filter the name of its object, and each rule direction and priority for an ID: that is
// by what people know a rule again, whoever made it anew.
func numbered(f cloud.Filter, name string) cloud.Filter {
	out := cloud.Filter{Name: name}
	for _, r := range f.Rules {
		r.ID = fmt.Sprintf("%s %d", r.Direction, r.Priority)
		out.Rules = append(out.Rules, r)
	}
	return out
}
