package history

import (
	"fmt"
	"maps"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/plan"
)

// others compares which other sessions take packets of the sources first, and which send with the
// same VNI to the target.
func (c *comparison) others() {
	was, is := rivals(c.before), rivals(c.now)
	for _, id := range slices.Sorted(maps.Keys(is)) {
		c.rival(was[id], is[id])
	}
	for _, id := range slices.Sorted(maps.Keys(was)) {
		before, now := was[id], is[id]
		by := c.author(before.Other)
		if before.first && !now.first {
			c.sayBy(by, "%s no longer comes before this one at a source they share", before.Name)
		}
		if before.twin && !now.twin {
			c.sayBy(by, "%s no longer sends to this target with the same VNI", before.Name)
		}
	}
}

// rival compares one that is one now; the zero value is one that was none.
func (c *comparison) rival(was, is rival) {
	by := c.author(is.Other)
	switch {
	case !is.first:
	case !was.first && c.private():
		c.sayBy(by, "%s now comes before this one at a source they share", is.Name)
	case !was.first:
		c.sayBy(by, "%s, with the priority %d, now comes before this one at a source they share", is.Name, is.Priority)
	case was.FilterID != is.FilterID:
		c.sayBy(by, "%s, which comes before this one, has another filter now", is.Name)
	case !sameRules(was.Filter, is.Filter):
		c.sayBy(by, "the rules of %s, which comes before this one, were changed", is.Name)
	}
	if is.twin && !was.twin {
		c.sayBy(by, "%s now sends to this target with the same VNI %d", is.Name, is.VNI)
	}
}

// rival is another session as it matters to this one.
type rival struct {
	diagnosis.Other
	first, twin bool
}

// rivals are those that are on, and come first at a source or share VNI and target.
func rivals(p *diagnosis.Path) map[string]rival {
	out := map[string]rival{}
	for _, o := range p.Others {
		r := rival{
			Other: o, first: p.Precedes(o),
			twin: o.Enabled && o.TargetID == p.Session.TargetID && o.VNI == p.Session.VNI,
		}
		if r.first || r.twin {
			out[o.ID] = r
		}
	}
	return out
}

// author is who changes another session: the operator where it bears a mark of the same cluster.
func (c *comparison) author(o diagnosis.Other) v1alpha1.ChangedBy {
	own, marked := plan.MarkOf(c.now.Session.Description)
	its, ours := plan.MarkOf(o.Description)
	if marked && ours && own.Cluster == its.Cluster {
		return v1alpha1.ChangedByOperator
	}
	return v1alpha1.ChangedByCloud
}

// sameRules reports whether two filters accept the same, or one of them is not known.
func sameRules(a, b *cloud.Filter) bool {
	if a == nil || b == nil {
		return true
	}
	texts := func(f *cloud.Filter) []string {
		var out []string
		for _, r := range f.Rules {
			out = append(out, fmt.Sprint(r.Direction, r.Priority, describeRule(r)))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(texts(a), texts(b))
}
