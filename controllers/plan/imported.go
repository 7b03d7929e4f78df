package plan

import (
	"regexp"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// retained is how a description ends that Mark.Released has made.
var retained = regexp.MustCompile(`\[retained from vpcmirror [0-9a-f]{8}/[0-9A-Za-z-]{1,64}\]$`)

// Unmarked is a description without the mark at its end, whosever it is, and without what says
// whose it was.
func Unmarked(description string) string {
	for {
		rest := trim(description)
		if _, marked := MarkOf(rest); marked {
			rest = rest[:strings.LastIndex(rest, markBegins)]
		}
		rest = trim(retained.ReplaceAllString(rest, ""))
		if rest == description {
			return rest
		}
		description = rest
	}
}

// ImportFilter lets a wanted filter have what its spec leaves out as the cloud's filter has it, which
// spec.import names.
func ImportFilter(want WantedFilter, spec *v1alpha1.CloudSpec, mark Mark, have cloud.Filter) WantedFilter {
	want.Name, want.Description = imported(spec, mark, have.Name, have.Description)
	return want
}

// ImportSession is ImportFilter for a session. VNI and priority are chosen elsewhere.
func ImportSession(want WantedSession, spec *v1alpha1.CloudSpec, mark Mark, have cloud.Session) WantedSession {
	want.Name, want.Description = imported(spec, mark, have.Name, have.Description)
	return want
}

func imported(spec *v1alpha1.CloudSpec, mark Mark, name, description string) (wantName, wantDescription string) {
	if spec.CloudName != "" {
		name = spec.CloudName
	}
	if trim(spec.Description) != "" {
		return name, mark.Describe(spec.Description)
	}
	return name, mark.Describe(Unmarked(description))
}

// ObservedFilter is what the spec of a filter that is only observed says of it: what the spec leaves out,
// and whose mark it bears, is as the cloud has it.
func ObservedFilter(want WantedFilter, spec *v1alpha1.CloudSpec, mark Mark, have cloud.Filter) WantedFilter {
	want.Name, want.Description = observed(spec, mark, have.Name, have.Description)
	want.Rules = slices.Clone(want.Rules)
	for i, r := range want.Rules {
		if r.Description == "" {
			want.Rules[i].Description = ruleTextOf(r, have.Rules)
		}
	}
	return want
}

// ruleTextOf is the description of the rule that is as r but for that, empty for none.
func ruleTextOf(r cloud.RuleSpec, have []cloud.Rule) string {
	for _, h := range have {
		is := Normalise(h.RuleSpec)
		text := is.Description
		if is.Description = ""; h.Unreadable == "" && is == Normalise(r) {
			return text
		}
	}
	return ""
}

// ObservedSession is ObservedFilter for a session, VNI, priority and sources included.
func ObservedSession(want WantedSession, spec *v1alpha1.MirrorSessionSpec, mark Mark, have cloud.Session) WantedSession {
	want.Name, want.Description = observed(&spec.CloudSpec, mark, have.Name, have.Description)
	want.TargetType = have.TargetType
	if want.TargetID != have.TargetID { // what the spec can name is an interface
		want.TargetType = cloud.TargetInterface
	}
	if want.VNI = have.VNI; spec.VNI != nil {
		want.VNI = int(*spec.VNI)
	}
	if want.Priority = have.Priority; spec.Priority != nil {
		want.Priority = int(*spec.Priority)
	}
	if len(spec.Sources) == 0 {
		want.Sources, want.Enabled = slices.Clone(have.Sources), spec.Enabled == nil || *spec.Enabled
	}
	return want
}

// observed gives the description of the cloud where it says what the spec does, so that no mark is a
// difference.
func observed(spec *v1alpha1.CloudSpec, mark Mark, name, description string) (wantName, wantDescription string) {
	if spec.CloudName != "" {
		name = spec.CloudName
	}
	is, says := Unmarked(description), text(spec.Description, maxDescription)
	if says == "" || says == is || Unmarked(mark.Describe(says)) == is {
		return name, trim(description)
	}
	return name, says
}

// SameVNI returns another session to the target that has a VNI, the oldest of several, nil for none.
func (in *NumbersInput) SameVNI(vni int) *cloud.Session { return in.sameVNI(vni) }
