package mirrorsession

import (
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
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
			services := lifecycle.New(lifecycle.Options{Clock: time.Now})
			s := &scope{Scope: services.NewScope(t.Context(), c.session), session: c.session, lostSources: c.lost}
			same(t, "the former sources", c.want, s.formerSources(c.remembered))
		})
	}
}

func TestWhoHasAnAddressOfOneThatIsGoneIsItsSuccessor(t *testing.T) {
	at := func(id, vpc, address string) cloud.Interface {
		return cloud.Interface{ID: id, VPCID: vpc, Addresses: ips(address)}
	}
	all := map[string]cloud.Interface{}
	for _, i := range []cloud.Interface{
		at("new", "v", "10.0.0.11"), at("newer", "v", "10.0.0.11"), at("a-theirs", "w", "10.0.0.11"), at("a-unknown", "", "10.0.0.11"), at("other", "v", "10.0.0.12"),
	} {
		all[i.ID] = i
	}
	for range 20 { // it is the same at each look
		found := successors([]cloud.Interface{at("a", "v", "10.0.0.11"), {ID: "b", VPCID: "v"}, at("c", "", "10.0.0.11"), at("d", "x", "10.0.0.11")}, all)
		same(t, "the successors", 1, len(found))
		same(t, "that of a", "new", found["a"].ID)
	}
}

func TestTheVPCOfAnInterfaceThatIsGoneIsKnownOrNoneIsSaid(t *testing.T) {
	was := cloud.Interface{ID: "a", Addresses: ips("10.0.0.11")}
	inVPC := func(id, vpc string) cloud.Interface { return cloud.Interface{ID: id, VPCID: vpc} }
	byAddress := func(vpcs ...string) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) {
			for _, vpc := range vpcs {
				s.Spec.Sources = append(s.Spec.Sources, v1alpha1.SourceSelector{
					InterfaceSelector: v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: "10.0.0.11", VPCID: vpc}},
				})
			}
		}
	}
	for name, c := range map[string]struct {
		before  diagnosis.Path
		spec    *v1alpha1.MirrorSession
		sources []cloud.Interface
		want    string
	}{
		"as the source was read":            {diagnosis.Path{Sources: []cloud.Interface{inVPC("a", "v")}}, session(byAddress("w")), nil, "v"},
		"as the target was read":            {diagnosis.Path{Target: &cloud.Interface{ID: "a", VPCID: "v"}}, session(), nil, "v"},
		"as it was read long ago":           {diagnosis.Path{GoneFrom: map[string]string{"a": "v"}}, session(), []cloud.Interface{inVPC("b", "w")}, "v"},
		"as the spec says":                  {diagnosis.Path{}, session(byAddress("v")), []cloud.Interface{inVPC("b", "w")}, "v"},
		"the spec has two with the address": {diagnosis.Path{}, session(byAddress("v", "w")), []cloud.Interface{inVPC("b", "w")}, ""},
		"that of all others":                {diagnosis.Path{}, session(), []cloud.Interface{inVPC("b", "v"), inVPC("c", "v")}, "v"},
		"the others are in several":         {diagnosis.Path{}, session(), []cloud.Interface{inVPC("b", "v"), inVPC("c", "w")}, ""},
		"nothing is known":                  {diagnosis.Path{}, session(), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &pathReader{scope: &scope{session: c.spec}, before: &c.before}
			p := &diagnosis.Path{Sources: c.sources}
			same(t, "the VPC", c.want, r.wasIn(p, was))
			next := &pathReader{scope: r.scope, before: p}
			if c.before.GoneFrom != nil || c.before.Target != nil || c.before.Sources != nil {
				same(t, "the VPC at the next look", c.want, next.wasIn(&diagnosis.Path{}, was))
			}
		})
	}
}

// What the spec names stands for something else: that was nobody's change of the session.
func TestTheSessionIsComparedWithWhatTheOperatorLeft(t *testing.T) {
	s := session(func(s *v1alpha1.MirrorSession) {
		s.Status.Sources = []v1alpha1.ResolvedInterface{{InterfaceID: "a"}, {InterfaceID: "b"}}
		s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "t"}}
	})
	want := cloud.Session{ID: "s", Sources: []string{"a"}, SessionSpec: cloud.SessionSpec{TargetID: "new", VNI: 7}}
	s.Status.Sessions = []v1alpha1.CloudSession{{Sources: []string{"a", "b"}}}
	left := asLeft(s, 1, want)
	same(t, "the sources", []string{"a", "b"}, left.Sources)
	same(t, "the rest", cloud.SessionSpec{TargetID: "t", VNI: 7, Enabled: true}, left.SessionSpec)
	s.Spec.Enabled = new(false)
	same(t, "enabled, where the spec says no", false, asLeft(s, 1, want).Enabled)
}
