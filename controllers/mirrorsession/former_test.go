package mirrorsession

import (
	"net/netip"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
)

func TestASourceThatWasTakenOffTheSessionAsItIsGoneIsRemembered(t *testing.T) {
	byID := v1alpha1.InterfaceSelector{InterfaceID: "id-a"}
	byAddress := v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: "10.0.0.11"}}
	was := v1alpha1.ResolvedInterface{InterfaceID: "id-a", Addresses: []string{"10.0.0.11"}}
	said := func(subject, message string) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) {
			s.Status.Findings = []v1alpha1.Finding{{Reason: v1alpha1.ReasonInterfaceGone, Subject: subject, Message: message}}
		}
	}
	shown := func(s *v1alpha1.MirrorSession) { s.Status.Sources = []v1alpha1.ResolvedInterface{was} }
	for name, c := range map[string]struct {
		session    *v1alpha1.MirrorSession
		lost       []v1alpha1.InterfaceSelector
		remembered []v1alpha1.ResolvedInterface
		want       []v1alpha1.ResolvedInterface
	}{
		"by the status":                       {session(shown), []v1alpha1.InterfaceSelector{byID}, nil, []v1alpha1.ResolvedInterface{was}},
		"by the status, named by its address": {session(shown), []v1alpha1.InterfaceSelector{byAddress}, nil, []v1alpha1.ResolvedInterface{was}},
		"by the process":                      {session(), []v1alpha1.InterfaceSelector{byAddress}, []v1alpha1.ResolvedInterface{was}, []v1alpha1.ResolvedInterface{was}},
		"not once the spec names another":     {session(shown), nil, []v1alpha1.ResolvedInterface{was}, nil},
		"not one that never was":              {session(), []v1alpha1.InterfaceSelector{byID}, nil, nil},
		"by what was said before a restart":   {session(said("source 10.0.0.11", "the source 10.0.0.11 (interface id-a) is deleted")), []v1alpha1.InterfaceSelector{byID}, nil, []v1alpha1.ResolvedInterface{was}},
		"without its address, if that was so": {session(said("source id-a", "it is deleted")), []v1alpha1.InterfaceSelector{byID}, nil, []v1alpha1.ResolvedInterface{{InterfaceID: "id-a"}}},
		"not by what was said of another":     {session(said("source 10.0.0.12", "the source 10.0.0.12 (interface id-b) is deleted")), []v1alpha1.InterfaceSelector{byID}, nil, nil},
		"not by what was said of the target":  {session(said("target 10.0.0.11", "the target 10.0.0.11 (interface id-a) is deleted")), []v1alpha1.InterfaceSelector{byID}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			services := lifecycle.New(lifecycle.Options{})
			s := &scope{Scope: services.NewScope(c.session), session: c.session, lostSources: c.lost}
			same(t, "the former sources", c.want, s.formerSources(c.remembered))
		})
	}
}

func TestWhoHasAnAddressOfOneThatIsGoneIsItsSuccessor(t *testing.T) {
	at := func(id, address string) cloud.Interface {
		return cloud.Interface{ID: id, Addresses: []netip.Addr{netip.MustParseAddr(address)}}
	}
	all := map[string]cloud.Interface{"new": at("new", "10.0.0.11"), "other": at("other", "10.0.0.12")}
	same(t, "the successors", "new", successors([]cloud.Interface{at("a", "10.0.0.11"), {ID: "b"}}, all)["a"].ID)
}

// What the spec names stands for something else: that was nobody's change of the session.
func TestTheSessionIsComparedWithWhatTheOperatorLeft(t *testing.T) {
	s := session(func(s *v1alpha1.MirrorSession) {
		s.Status.Sources = []v1alpha1.ResolvedInterface{{InterfaceID: "a"}, {InterfaceID: "b"}}
		s.Status.Target = &v1alpha1.ResolvedInterface{InterfaceID: "t"}
	})
	want := cloud.Session{ID: "s", Sources: []string{"a"}, SessionSpec: cloud.SessionSpec{TargetID: "new", VNI: 7}}
	s.Status.Sessions = []v1alpha1.CloudSession{{Sources: []string{"a", "b"}}}
	left := asLeft(s, want)
	same(t, "the sources", []string{"a", "b"}, left.Sources)
	same(t, "the rest", cloud.SessionSpec{TargetID: "t", VNI: 7, Enabled: true}, left.SessionSpec)
	s.Spec.Enabled = new(false)
	same(t, "enabled, where the spec says no", false, asLeft(s, want).Enabled)
}
