package diagnosis_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// way is a session and what was read of the way of its copies.
type way struct {
	*diagnosis.Path
	known *diagnosis.Known
}

const (
	vpcID, subnetID   = "vpc-1", "subnet-1"
	groupOfTarget     = "sg-1"
	groupOfSources    = "sg-2"
	flavorThatMirrors = "c7t.large.2"
)

// lists lets the list of all interfaces show some more, or some as they are now.
func (w *way) lists(more ...cloud.Interface) {
	all := slices.Collect(maps.Values(w.Interfaces.Value.All()))
	w.Interfaces = answer(cloud.InterfacesOf(append(all, more...)))
}

// newWay has two sources, 10.0.0.11 and 10.0.0.12, and a target, 10.0.0.1, in one subnet; nothing
// stands in the way, and everything was read.
func newWay() *way {
	w := &way{Path: &diagnosis.Path{
		At: noon,
		Session: cloud.Session{ID: "s", Sources: []string{"id-a", "id-b"}, SessionSpec: cloud.SessionSpec{
			Name: "mirror", FilterID: "f", TargetID: "id-t", TargetType: cloud.TargetInterface, Enabled: true,
		}},
		Filter: &cloud.Filter{ID: "f", Rules: []cloud.Rule{{ID: "rule-f", RuleSpec: cloud.RuleSpec{
			Direction: cloud.Ingress, Priority: 1, Accept: true, Protocol: cloud.TCP, DestinationPorts: cloud.PortRange{Low: 1234, High: 1234},
		}}}},
		Target:  new(nic("t", "10.0.0.1", groupOfTarget)),
		Sources: []cloud.Interface{nic("a", "10.0.0.11", groupOfSources), nic("b", "10.0.0.12", groupOfSources)},
	}}
	w.Groups = answer(map[string]cloud.SecurityGroup{
		groupOfTarget:  {ID: groupOfTarget, Name: "target", Rules: []cloud.GroupRule{allow("11111111-1", "udp", 4789, "10.0.0.0/24")}},
		groupOfSources: {ID: groupOfSources, Name: "sources", Rules: []cloud.GroupRule{allow("22222222-1", "tcp", 1234, ""), outwards("22222222-2")}},
	})
	w.AddressGroups = answer(map[string]cloud.AddressGroup{})
	w.ACLs, w.Peerings = answer([]cloud.NetworkACL{}), answer([]cloud.Peering{})
	w.RouteTables = answer([]cloud.RouteTable{})
	w.Servers = answer([]cloud.Server{})
	for _, i := range append(slices.Clone(w.Sources), *w.Target) {
		w.setServer(cloud.Server{ID: i.DeviceID, Name: "ecs-" + i.ID[3:], Status: "ACTIVE", Running: true, Flavor: i.Flavor})
	}
	w.Flavors = answer(map[string]cloud.Flavor{flavorThatMirrors: {Name: flavorThatMirrors, Mirrors: new(true)}})
	w.lists(append(slices.Clone(w.Sources), *w.Target)...)
	w.known = &diagnosis.Known{
		Session: &v1alpha1.MirrorSession{
			Spec: v1alpha1.MirrorSessionSpec{Sources: make([]v1alpha1.SourceSelector, 2)},
			Status: v1alpha1.MirrorSessionStatus{
				CommonStatus: v1alpha1.CommonStatus{Conditions: []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Synced"}}},
				Sessions:     []v1alpha1.CloudSession{{ID: "s"}},
				Sources: []v1alpha1.ResolvedInterface{
					{InterfaceID: "id-a", Addresses: []string{"10.0.0.11"}}, {InterfaceID: "id-b", Addresses: []string{"10.0.0.12"}},
				},
				Target:       &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "id-t", Addresses: []string{"10.0.0.1"}}},
				Epoch:        3,
				Verification: []v1alpha1.Verification{{Node: "n", Interface: "eth0", Epoch: 3, InEpoch: &v1alpha1.Counts{}, ObservedAt: metav1.NewMicroTime(noon)}},
			},
		},
		Reported: &v1alpha1.MirrorSessionStatus{}, Now: noon, CountsDelay: 30 * time.Second, Path: w.Path,
	}
	w.known.Movement = w.known.Movement.Next(w.known)
	return w
}

func nic(name, address string, groups ...string) cloud.Interface {
	return cloud.Interface{
		ID: "id-" + name, VPCID: vpcID, SubnetID: subnetID, Addresses: []netip.Addr{netip.MustParseAddr(address)}, SecurityGroups: groups,
		DeviceID: "server-" + name, Status: "ACTIVE", Flavor: flavorThatMirrors,
	}
}

func answer[T any](value T) diagnosis.Answer[T] { return diagnosis.Answer[T]{Value: value, Read: true} }

// refused is what an answer is without the right.
func refused[T any](action string) diagnosis.Answer[T] {
	return diagnosis.Answer[T]{Missing: &diagnosis.Missing{Action: action}}
}

// allow is an ingress rule of priority 1; no port and no prefix mean any.
func allow(id, protocol string, port uint16, remote string) cloud.GroupRule {
	r := cloud.GroupRule{ID: id, Direction: cloud.Ingress, Protocol: protocol, Allow: true, Priority: 1}
	if port != 0 {
		r.Ports = []cloud.PortRange{{Low: port, High: port}}
	}
	if remote != "" {
		r.Remote = netip.MustParsePrefix(remote)
	}
	return r
}

// deny is the same of a rule that denies.
func deny(id, protocol string, port uint16, remote string) cloud.GroupRule {
	r := allow(id, protocol, port, remote)
	r.Allow = false
	return r
}

// outwards lets everything out.
func outwards(id string) cloud.GroupRule {
	return cloud.GroupRule{ID: id, Direction: cloud.Egress, Allow: true, Priority: 1}
}

// rules replaces those of a group.
func (w *way) rules(group string, rules ...cloud.GroupRule) {
	g := w.Groups.Value[group]
	g.ID, g.Rules = group, rules
	w.Groups.Value[group] = g
}

// one leaves the first source alone.
func (w *way) one() {
	w.Session.Sources, w.Sources = w.Session.Sources[:1], w.Sources[:1]
	w.known.Session.Spec.Sources, w.known.Session.Status.Sources = w.known.Session.Spec.Sources[:1], w.known.Session.Status.Sources[:1]
}

// finding is what a test compares of one.
type finding struct{ severity, reason, subject, message, remedy string }

// found are the findings about the way.
func (w *way) found() []finding {
	var out []finding
	for _, f := range diagnosis.Findings(w.known) {
		if aboutWay(f) {
			out = append(out, finding{string(f.Severity), f.Reason, f.Subject, f.Message, f.Remedy})
		}
	}
	return out
}

// verdict is PathClear.
func (w *way) verdict() said {
	v := diagnosis.JudgePath(w.known)
	return said{string(v.Status), v.Reason, v.Message}
}

// looks runs a table of edits of a way, each with what is found then.
func looks(t *testing.T, table map[string]look) {
	t.Helper()
	for name, c := range table {
		t.Run(name, func(t *testing.T) {
			w := newWay()
			if c.edit != nil {
				c.edit(w)
			}
			same(t, "the findings", c.found, w.found(), cmpFinding)
			if c.verdict != (said{}) {
				same(t, "PathClear", c.verdict, w.verdict(), cmpSaid)
			} else if v := w.verdict(); len(c.found) > 0 && v.status != "False" || len(c.found) == 0 && v.status != "True" {
				t.Errorf("PathClear is %v", v)
			}
		})
	}
}

type look struct {
	edit  func(*way)
	found []finding
	// verdict is not looked at where it is empty.
	verdict said
}

// setServer puts a server in the place of the one with its ID, or beside the others.
func (w *way) setServer(s cloud.Server) {
	w.deleteServer(s.ID)
	w.Servers.Value = append(w.Servers.Value, s)
}

func (w *way) deleteServer(id string) {
	w.Servers.Value = slices.DeleteFunc(w.Servers.Value, func(s cloud.Server) bool { return s.ID == id })
}
