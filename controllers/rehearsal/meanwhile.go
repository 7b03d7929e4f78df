package rehearsal

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// copied is that a source is copied to a target with a filter.
type copied struct{ source, target, filter string }

// frame is what some sessions copy at one moment.
type frame map[copied]bool

// frames are what the sessions that calls are about copy before the calls and after each.
func frames(calls []call) []frame {
	now := map[string]cloud.Session{}
	for _, c := range calls { // before all of them
		if s := c.session; s != nil && s.before != nil {
			if _, seen := now[s.before.ID]; !seen {
				now[s.before.ID] = *s.before
			}
		}
	}
	out := []frame{frameOf(now)}
	for _, c := range calls {
		if s := c.session; s != nil {
			if s.before != nil {
				delete(now, s.before.ID)
			}
			if s.after != nil {
				now[s.after.ID] = *s.after
			}
		}
		out = append(out, frameOf(now))
	}
	return out
}

func frameOf(sessions map[string]cloud.Session) frame {
	f := frame{}
	for _, s := range sessions {
		for _, source := range s.Sources {
			if s.Enabled {
				f[copied{source, s.TargetID, s.FilterID}] = true
			}
		}
	}
	return f
}

// sources are those that are copied at a moment, wherever to.
func (f frame) sources() map[string]bool {
	all := map[string]bool{}
	for c := range f {
		all[c.source] = true
	}
	return all
}

// meanwhile says what happens to packets between the first call and the last: which sources that are copied before
// and afterwards are not for a moment, and what is copied that is neither before nor afterwards, which is never to be.
func meanwhile(calls []call, called func(id string) string) (warnings []v1alpha1.PlanWarning) {
	all := frames(calls)
	first, last := all[0], all[len(all)-1]
	before, afterwards := first.sources(), last.sources()
	gaps := map[string]bool{}
	leaks := map[copied]bool{}
	for _, f := range all[1:] {
		now := f.sources()
		for source := range before {
			if afterwards[source] && !now[source] {
				gaps[source] = true
			}
		}
		for c := range f {
			if !first[c] && !last[c] {
				leaks[c] = true
			}
		}
	}
	if len(gaps) > 0 {
		warnings = append(warnings, v1alpha1.PlanWarning{Reason: "Gap", Message: fmt.Sprintf(
			"for a moment nothing is copied from %s: the cloud knows no order of calls without that", names(slices.Sorted(maps.Keys(gaps)), called))})
	}
	for _, c := range slices.SortedFunc(maps.Keys(leaks), func(a, b copied) int { return strings.Compare(a.source+a.target, b.source+b.target) }) {
		warnings = append(warnings, v1alpha1.PlanWarning{Reason: "Leak", Message: fmt.Sprintf(
			"for a moment %s is copied to %s, which neither the old spec nor the new one asks for", called(c.source), called(c.target))})
	}
	return warnings
}

// names are those of some interfaces, a few of them.
func names(ids []string, called func(id string) string) string {
	const few = 5
	var out []string
	for _, id := range ids[:min(few, len(ids))] {
		out = append(out, called(id))
	}
	text := strings.Join(out, ", ")
	if more := len(ids) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
