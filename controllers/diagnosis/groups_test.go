package diagnosis_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

var cmpFinding = cmp.AllowUnexported(finding{})

func TestTheTargetsGroupsKeepOutWhatNoRuleAllowsAndWhatOneDenies(t *testing.T) {
	const allClear = "nothing that was read stands in the way of the copies to 10.0.0.1"
	looks(t, map[string]look{
		"nothing is found where a rule allows UDP 4789 from all sources": {
			verdict: said{"True", "Clear", allClear},
		},
		"no rule": {
			func(w *way) { w.rules(groupOfTarget) },
			[]finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
				`security group "target" of 10.0.0.1 has no rule that allows UDP 4789 from 10.0.0.11 and 10.0.0.12`,
				`allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 in security group "target"`}}, said{},
		},
		"a rule for one of two sources": {
			func(w *way) { w.rules(groupOfTarget, allow("11111111-1", "udp", 4789, "10.0.0.11/32")) },
			[]finding{{"Warning", "TargetGroupDenies", "source 10.0.0.12",
				`security group "target" of 10.0.0.1 has no rule that allows UDP 4789 from 10.0.0.12`,
				`allow UDP 4789 from 10.0.0.12/32 in security group "target"`}},
			said{"False", "TargetGroupDenies", `1 of 2 sources: security group "target" of 10.0.0.1 has no rule that allows UDP 4789 from 10.0.0.12`},
		},
		"a denial of a smaller priority number": {
			func(w *way) {
				rule, late := deny("9d1c0a2e-1", "udp", 4789, "10.0.0.0/24"), allow("11111111-1", "", 0, "")
				rule.Priority, late.Priority = 5, 6
				w.rules(groupOfTarget, late, rule)
			},
			[]finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
				`security group "target" of 10.0.0.1 denies UDP 4789 from 10.0.0.11 and 10.0.0.12: ` +
					`rule 9d1c0a2e ingress deny udp 4789 from 10.0.0.0/24, priority 5`,
				`allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 in security group "target" with priority 4, or narrow rule 9d1c0a2e`}}, said{},
		},
	})
}
