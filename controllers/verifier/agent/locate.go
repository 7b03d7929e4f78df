package agent

import (
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// Counting is how one session is counted on a host.
type Counting struct {
	// Local is the interface by which its copies come.
	Local Interface
	// Session is the session as the counting sees it.
	Session tally.Session
	// Judged is false where the cloud may have other rules than Session, because they are being changed or
	// are not known: what these don't accept is undecided then.
	Judged bool
	// Problem is what keeps the copies from being judged, one sentence; empty for nothing.
	Problem string
}

// Locator finds how one session is counted on a host, as an [Agent] does. It is not safe for concurrent use.
type Locator struct {
	filter *v1alpha1.MirrorFilter
	rules  *ruleCache
}

// NewLocator returns one that has seen nothing yet.
func NewLocator() *Locator {
	l := &Locator{}
	l.rules = newRuleCache(func(types.NamespacedName) (*v1alpha1.MirrorFilter, error) { return l.filter, nil })
	return l
}

// Locate says how a session with its filter, nil for none, is counted on a host with these interfaces; ok is
// false where it is not counted there. While a filter is being changed it goes by what it was given before.
func (l *Locator) Locate(s *v1alpha1.MirrorSession, f *v1alpha1.MirrorFilter, local []Interface) (c Counting, ok bool) {
	l.filter = f
	for _, a := range assign([]*v1alpha1.MirrorSession{s}, local, l.rules.of) {
		return Counting{Local: a.local, Session: a.count, Judged: a.judged, Problem: a.problem}, true
	}
	return Counting{}, false
}
