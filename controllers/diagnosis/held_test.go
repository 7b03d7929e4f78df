package diagnosis_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// filterRule is an accepting one.
func filterRule(direction cloud.Direction, priority int, protocol cloud.Protocol, source, destination string, port uint16) cloud.Rule {
	r := cloud.Rule{ID: "rule-f", RuleSpec: cloud.RuleSpec{
		Direction: direction, Priority: priority, Accept: true, Protocol: protocol, DestinationPorts: cloud.PortRange{Low: port, High: port},
	}}
	if source != "" {
		r.Source = netip.MustParsePrefix(source)
	}
	if destination != "" {
		r.Destination = netip.MustParsePrefix(destination)
	}
	return r
}

func (w *way) filter(rules ...cloud.Rule) { w.Filter.Rules = rules }

const neverCopied = "; what is held back there is never copied"

func TestTheSourcesGroupsHoldBackWhatTheySurelyLetNothingPassOf(t *testing.T) {
	held := func(severity, said string) []finding {
		return []finding{{severity, "SourceGroupDenies", "source 10.0.0.11", `security group "sources" of 10.0.0.11 ` + said + neverCopied, ""}}
	}
	const ingress = "lets in no packet that the filter's ingress rule 1 is to copy (Accept IPv4 TCP from anywhere to anywhere port 1234)"
	egressDenied := cloud.GroupRule{ID: "3", Direction: cloud.Egress, Priority: 1}
	udp := filterRule(cloud.Ingress, 1, cloud.UDP, "", "", 1234)
	for name, c := range map[string]struct {
		edit func(*way)
		want []finding
	}{
		"nothing where a rule lets it in":            {func(*way) {}, nil},
		"requests that no rule lets in":              {func(w *way) { w.rules(groupOfSources, outwards("1")) }, held("Error", ingress)},
		"requests that a rule denies before another": {func(w *way) { w.rules(groupOfSources, deny("1", "tcp", 0, ""), allow("2", "", 0, ""), outwards("3")) }, held("Error", ingress)},
		"not where a rule lets in some of the peers": {func(w *way) { w.rules(groupOfSources, allow("1", "", 0, "10.9.0.0/16"), outwards("2")) }, nil},
		"not where a denial is for some of the peers": {func(w *way) {
			w.rules(groupOfSources, deny("1", "", 0, "10.9.0.0/16"), allow("2", "", 0, ""), outwards("3"))
		}, nil},
		"requests from peers that no rule lets in": {
			func(w *way) {
				w.filter(filterRule(cloud.Ingress, 1, cloud.TCP, "10.8.0.0/16", "", 1234))
				w.rules(groupOfSources, allow("1", "", 0, "10.9.0.0/16"), outwards("2"))
			},
			held("Error", "lets in no packet that the filter's ingress rule 1 is to copy (Accept IPv4 TCP from 10.8.0.0/16 to anywhere port 1234)"),
		},
		"not what may be an answer: to a port of clients": {
			func(w *way) {
				w.filter(filterRule(cloud.Ingress, 1, cloud.TCP, "", "", 40000))
				w.rules(groupOfSources, outwards("1"))
			}, nil,
		},
		"not what may be an answer: from a port of servers": {
			func(w *way) {
				r := filterRule(cloud.Ingress, 1, cloud.TCP, "", "", 1234)
				r.SourcePorts = cloud.PortRange{Low: 443, High: 443}
				w.filter(r)
				w.rules(groupOfSources, outwards("1"))
			}, nil,
		},
		"what would be an answer, where nothing goes out either": {
			func(w *way) {
				w.filter(filterRule(cloud.Ingress, 1, cloud.All, "", "", 0))
				w.rules(groupOfSources, egressDenied)
			},
			held("Error", "lets in no packet that the filter's ingress rule 1 is to copy (Accept IPv4 All from anywhere to anywhere)"),
		},
		"UDP, as long as nothing came": {
			func(w *way) { w.filter(udp); w.rules(groupOfSources, outwards("1")) },
			held("Error", "lets in no packet that the filter's ingress rule 1 is to copy (Accept IPv4 UDP from anywhere to anywhere port 1234)"),
		},
		"not UDP once something came, as it may be an answer": {
			func(w *way) {
				w.filter(udp)
				w.rules(groupOfSources, outwards("1"))
				w.known.Session.Status.Verification[0].InEpoch = &v1alpha1.Counts{Packets: 1}
			}, nil,
		},
		"what is sent": {
			func(w *way) {
				w.filter(filterRule(cloud.Egress, 1, cloud.TCP, "", "10.8.0.0/16", 443))
				w.rules(groupOfSources, allow("1", "tcp", 1234, ""))
			},
			held("Error", "lets out no packet that the filter's egress rule 1 is to copy (Accept IPv4 TCP from anywhere to 10.8.0.0/16 port 443)"),
		},
		"some rules of the filter, which is said as a part": {
			func(w *way) {
				w.filter(filterRule(cloud.Ingress, 1, cloud.TCP, "", "", 1234), filterRule(cloud.Ingress, 2, cloud.TCP, "", "", 80))
				w.rules(groupOfSources, allow("1", "tcp", 80, ""), outwards("2"))
			}, held("Warning", ingress),
		},
		"several rules of the filter": {
			func(w *way) {
				w.filter(filterRule(cloud.Ingress, 1, cloud.TCP, "", "", 1234), filterRule(cloud.Ingress, 2, cloud.TCP, "", "", 80))
				w.rules(groupOfSources, outwards("2"))
			}, held("Error", ingress+", nor those of 1 more of its rules"),
		},
		"not by a rule that can't be read": {
			func(w *way) {
				w.rules(groupOfSources, with(allow("1", "", 0, ""), func(r *cloud.GroupRule) { r.Unreadable = "action" }), outwards("2"))
			}, nil,
		},
		"not where a rule for members may let some in": {
			func(w *way) {
				w.rules(groupOfSources, with(allow("1", "", 0, ""), func(r *cloud.GroupRule) { r.RemoteGroupID = groupOfTarget }), outwards("2"))
			}, nil,
		},
		"not where who is a member is not known": {
			func(w *way) {
				w.Interfaces.Read = false
				w.rules(groupOfSources, with(allow("1", "", 0, ""), func(r *cloud.GroupRule) { r.RemoteGroupID = "sg-9" }), outwards("2"))
			}, nil,
		},
		"not without a group that is listed": {func(w *way) { w.Sources[0].SecurityGroups = []string{"sg-9"} }, nil},
		"not without port security":          {func(w *way) { w.rules(groupOfSources); w.Sources[0].Unsecured = true }, nil},
		"not by a rule for other addresses than the source's": {
			func(w *way) {
				w.filter(filterRule(cloud.Ingress, 1, cloud.TCP, "", "10.0.0.12/32", 1234))
				w.rules(groupOfSources, outwards("1"))
			}, nil,
		},
		"not by a rule that rejects": {
			func(w *way) {
				r := filterRule(cloud.Ingress, 1, cloud.TCP, "", "", 1234)
				r.Accept = false
				w.filter(r, filterRule(cloud.Egress, 1, cloud.TCP, "", "", 443))
				w.rules(groupOfSources, outwards("1"))
			}, nil,
		},
		"not without a filter": {func(w *way) { w.Path.Filter = nil; w.rules(groupOfSources) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWay()
			w.one()
			c.edit(w)
			got := w.found()
			for i := range got {
				got[i].remedy = ""
			}
			same(t, "the findings", c.want, got, cmpFinding)
		})
	}
}

func TestWhatTheSourcesGroupHoldsBackIsMendedThere(t *testing.T) {
	w := newWay()
	w.rules(groupOfSources, outwards("1"))
	w.filter(filterRule(cloud.Ingress, 1, cloud.TCP, "10.8.0.0/16", "", 1234))
	same(t, "the remedy", `allow inbound TCP 1234 from 10.8.0.0/16 in security group "sources", or mirror something else`, w.found()[0].remedy)
}

// later looks again, when so many copies were counted in the epoch. What it finds is reported.
func (w *way) later(by time.Duration, packets int64) {
	w.known.Now = w.known.Now.Add(by)
	e := &w.known.Session.Status.Verification[0]
	e.Epoch = w.known.Session.Status.Epoch
	e.InEpoch, e.Counts = &v1alpha1.Counts{Packets: packets}, v1alpha1.Counts{Packets: packets}
	w.known.Movement = w.known.Movement.Next(w.known)
	w.known.Reported.Findings = diagnosis.Findings(w.known)
}

// What may be an answer to what a source opened passes though nothing else does, so only what has
// changed tells.
func TestWhatIsLetThroughNoMoreIsSaidOnceTheCopiesStop(t *testing.T) {
	shut := func(w *way) { w.rules(groupOfSources, outwards("1")) }
	unlet := func(w *way) { w.rules(groupOfSources, allow("1", "", 0, ""), outwards("2")) }
	acl := func(w *way) {
		w.ACLs.Value = []cloud.NetworkACL{{
			ID: "acl-1", Name: "strict", Enabled: true, Subnets: []string{subnetID}, Ingress: []cloud.ACLRule{}, Egress: []cloud.ACLRule{{Allow: true}},
		}}
	}
	said := func(reason, words string) []finding {
		return []finding{{"Warning", reason, "source 10.0.0.11", words + "; what is held back there is never copied", ""}}
	}
	in := "lets in no packet that the filter's ingress rule 1 is to copy (Accept IPv4 UDP from 10.8.0.0/16 to anywhere port 1234), " +
		"unless it answers what the source has opened"
	group := said("SourceGroupDenies", `security group "sources" of 10.0.0.11 `+in)
	for name, c := range map[string]struct {
		happens func(*way)
		want    []finding
	}{
		"by a group":          {func(w *way) { w.later(time.Second, 1); shut(w); w.later(time.Minute, 1) }, group},
		"by a network ACL":    {func(w *way) { w.later(time.Second, 1); acl(w); w.later(time.Minute, 1) }, said("NetworkACLDenies", `network ACL "strict" of the subnet of 10.0.0.11 `+in)},
		"not while they come": {func(w *way) { w.later(time.Second, 1); shut(w); w.later(time.Second, 2) }, nil},
		"though the last were counted after that": {
			func(w *way) {
				w.later(time.Second, 1)
				shut(w)
				w.later(time.Second, 2)
				w.later(time.Second, 3)
				w.later(time.Minute, 3)
			}, group,
		},
		"not where copies came although it was so all the time: these are answers": {
			func(w *way) { shut(w); w.later(time.Second, 0); w.later(time.Second, 1); w.later(time.Minute, 1) }, nil,
		},
		"not where copies went on coming: these are answers": {
			func(w *way) {
				w.later(time.Second, 1)
				shut(w)
				w.later(time.Second, 2)
				w.later(time.Minute, 3)
				w.later(time.Minute, 3)
			}, nil,
		},
		"not by a manager that has not seen copies come": {
			func(w *way) {
				shut(w)
				w.known.Movement = diagnosis.Movement{}
				w.later(time.Second, 5)
				w.later(time.Minute, 5)
			}, nil,
		},
		"also by a manager that finds it said": {
			func(w *way) {
				w.later(time.Second, 1)
				shut(w)
				w.later(time.Minute, 1)
				w.known.Movement = diagnosis.Movement{}
				w.later(time.Minute, 1)
			}, group,
		},
		"no more once it is let through": {
			func(w *way) {
				w.later(time.Second, 1)
				shut(w)
				w.later(time.Minute, 1)
				unlet(w)
				w.later(time.Minute, 1)
			}, nil,
		},
		"anew where it is let through no more again": {
			func(w *way) {
				shut(w)
				w.later(time.Second, 0)
				w.later(time.Second, 1)
				unlet(w)
				w.later(time.Second, 2)
				shut(w)
				w.later(time.Minute, 2)
			}, group,
		},
		"while nobody looked again": {
			func(w *way) {
				w.later(time.Second, 1)
				shut(w)
				w.later(time.Second, 1)
				path := w.known.Path
				w.known.Path = nil
				w.later(time.Second, 1)
				w.known.Path = path
				w.later(time.Minute, 1)
			}, group,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWay()
			w.one()
			w.filter(filterRule(cloud.Ingress, 1, cloud.UDP, "10.8.0.0/16", "", 1234))
			unlet(w)
			w.later(time.Second, 0)
			c.happens(w)
			got := w.found()
			for i := range got {
				got[i].remedy = ""
			}
			same(t, "the findings", c.want, got, cmpFinding)
		})
	}
}

func TestWhatASourceMayNoLongerSendIsSaidOnceTheCopiesStop(t *testing.T) {
	w := newWay()
	w.one()
	w.filter(filterRule(cloud.Egress, 1, cloud.UDP, "", "10.8.0.0/16", 1234))
	w.later(time.Second, 0)
	w.later(time.Second, 1)
	w.rules(groupOfSources, allow("1", "", 0, ""))
	w.later(time.Minute, 1)
	found := w.found()
	same(t, "what is found", 1, len(found))
	same(t, "the message", `security group "sources" of 10.0.0.11 lets out no packet that the filter's egress rule 1 is to copy `+
		`(Accept IPv4 UDP from anywhere to 10.8.0.0/16 port 1234), unless it answers what was opened to the source`+neverCopied, found[0].message)
	same(t, "PathClear", "False", w.verdict().status)
	other := w.known.Session.Status.Epoch + 1
	w.known.Session.Status.Epoch = other
	w.filter(filterRule(cloud.Egress, 1, cloud.TCP, "", "10.8.0.0/16", 40000)) // of which it is never sure
	w.later(time.Second, 0)
	same(t, "in the next epoch", []string{"SourceGroupDenies"}, reasonsOf(w.found()))
}

func reasonsOf(all []finding) (reasons []string) {
	for _, f := range all {
		reasons = append(reasons, f.reason)
	}
	return slices.Compact(reasons)
}

func TestTheNetworkACLOfASourceHoldsBackWhatItSurelyLetsNothingPassOf(t *testing.T) {
	acl := func(w *way, enabled bool, ingress ...cloud.ACLRule) {
		w.one()
		w.filter(filterRule(cloud.Ingress, 1, cloud.TCP, "10.8.0.0/16", "", 1234))
		w.ACLs.Value = []cloud.NetworkACL{{
			ID: "acl-1", Name: "strict", Enabled: enabled, Subnets: []string{subnetID}, Ingress: append([]cloud.ACLRule{}, ingress...), Egress: []cloud.ACLRule{},
		}}
	}
	const lets = "lets in no packet that the filter's ingress rule 1 is to copy (Accept IPv4 TCP from 10.8.0.0/16 to anywhere port 1234)" + neverCopied
	const remedy = `allow inbound TCP 1234 from 10.8.0.0/16 in network ACL "strict", or mirror something else`
	looks(t, map[string]look{
		"without a rule": {
			edit:  func(w *way) { acl(w, true) },
			found: []finding{{"Error", "NetworkACLDenies", "source 10.0.0.11", `network ACL "strict" of the subnet of 10.0.0.11 ` + lets, remedy}},
		},
		"one that is switched off": {
			edit: func(w *way) { acl(w, false, cloud.ACLRule{Allow: true}) },
			found: []finding{{"Error", "NetworkACLDenies", "source 10.0.0.11",
				`network ACL "strict" of the subnet of 10.0.0.11, which is switched off, ` + lets, remedy}},
		},
		"not where a rule allows some": {edit: func(w *way) {
			acl(w, true, cloud.ACLRule{Allow: true, Protocol: "tcp", Source: netip.MustParsePrefix("10.8.4.0/24")})
		}},
		"not what may come from inside of the subnet": {
			edit: func(w *way) { acl(w, true); w.filter(filterRule(cloud.Ingress, 1, cloud.TCP, "10.0.0.0/16", "", 1234)) },
		},
		"not where the peers are not known": {edit: func(w *way) { acl(w, true); w.Interfaces.Read = false }},
		"not by one that can't be read":     {edit: func(w *way) { acl(w, false); w.ACLs.Value[0].Unreadable = "admin_state_up" }},
		"not by rules that were not read":   {edit: func(w *way) { acl(w, true); w.ACLs.Value[0].Ingress = nil }},
	})
}

// A source that is an NTP, IKE or SIP client sends from the port that it listens at: answers come in by what may go out.
func TestAnswersOfProtocolsWithOnePortAtBothEndsMayPass(t *testing.T) {
	for _, port := range []uint16{123, 500, 4500, 5060} {
		w := newWay()
		w.filter(filterRule(cloud.Ingress, 1, cloud.UDP, "", "", port))
		if v := diagnosis.JudgePath(w.known); v.Status == "False" {
			t.Errorf("UDP %d of a session that is quiet as yet: %s %s: %s", port, v.Severity, v.Reason, v.Message)
		}
	}
}
