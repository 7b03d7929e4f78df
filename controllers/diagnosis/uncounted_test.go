package diagnosis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

// behind gives the session a load balancer as its target, whose members are each as "10.0.0.2 node", "10.0.0.2", or
// "10.0.0.2 node Offline".
func (w *world) behind(members ...string) {
	w.session.Status.Target = &v1alpha1.ResolvedTarget{
		ResolvedInterface: v1alpha1.ResolvedInterface{Addresses: []string{"10.0.0.100"}}, LoadBalancerID: "id-lb",
	}
	for _, m := range members {
		fields := append(strings.Fields(m), "", "")
		w.session.Status.Target.Members = append(w.session.Status.Target.Members, v1alpha1.TargetMember{Address: fields[0], NodeName: fields[1], Health: fields[2]})
	}
}

func (w *world) alsoReports(nodes ...string) {
	for _, n := range nodes {
		w.session.Status.Verification = append(w.session.Status.Verification, v1alpha1.Verification{Node: n, Epoch: 3, InEpoch: &v1alpha1.Counts{}})
	}
}

func TestAMemberOfTheLoadBalancerWhoseCopiesNobodyCountsIsNamedWithItsNode(t *testing.T) {
	const nobody = "nobody counts what the load balancer 10.0.0.100 gives to "
	for name, c := range map[string]struct {
		edit func(*world)
		want string
	}{
		"nothing where each node has a verifier": {func(w *world) { w.behind("10.0.0.1 n", "10.0.0.2 m"); w.alsoReports("m") }, ""},
		"a node without one": {
			func(w *world) { w.behind("10.0.0.1 n", "10.0.0.2 m") }, nobody + "the member 10.0.0.2 (node m): no verifier has reported from there",
		},
		"several, of which the first are named": {
			func(w *world) {
				w.behind("10.0.0.1 n", "10.0.0.2 a", "10.0.0.3 b", "10.0.0.4 c", "10.0.0.5 d", "10.0.0.6 e", "10.0.0.7 f")
			}, nobody + "the members 10.0.0.2 (node a), 10.0.0.3 (node b), 10.0.0.4 (node c), 10.0.0.5 (node d) and 2 more: no verifier has reported from there",
		},
		"nothing of a member that is offline": {func(w *world) { w.behind("10.0.0.1 n", "10.0.0.2 m Offline") }, ""},
		"a member on no node that is known": {
			func(w *world) { w.behind("10.0.0.1 n", "10.0.0.2") }, nobody + "the member 10.0.0.2 (on no node that is known by this address): no verifier has reported from there",
		},
		"nothing of that where somebody else reports, who may be on it": {func(w *world) { w.behind("10.0.0.1 n", "10.0.0.2"); w.alsoReports("x") }, ""},
		"one that reports no more": {
			func(w *world) {
				w.behind("10.0.0.1 n", "10.0.0.2 m")
				w.alsoReports("m")
				w.session.Status.Verification[1].Ended = true
			}, nobody + "the member 10.0.0.2 (node m): no verifier has reported from there",
		},
		"nothing of one that is lost, which is said of it": {func(w *world) { w.behind("10.0.0.1 n", "10.0.0.2 m"); w.alsoReports("m"); w.lost["m"] = true }, ""},
		"nothing while no copies are made":                 {func(w *world) { w.behind("10.0.0.1 n", "10.0.0.2 m"); w.session.Spec.Enabled = new(false) }, ""},
		"more nodes than a status has entries for": {
			func(w *world) {
				members := []string{"10.0.0.1 n"}
				for i := range 16 {
					node := fmt.Sprint("m", i)
					members = append(members, fmt.Sprintf("10.0.1.%d %s", i, node))
					if i < 15 {
						w.alsoReports(node)
					}
				}
				w.behind(members...)
			}, nobody + "the member 10.0.1.15 (node m15): no verifier has reported from there, and there is room in status.verification for 16 nodes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.edit(w)
			said := func(severity v1alpha1.Severity, findings []v1alpha1.Finding) {
				t.Helper()
				got := ""
				for _, f := range findings {
					if f.Reason == v1alpha1.ReasonNoVerifier {
						got += f.Message
						same(t, "severity and subject", string(severity)+" target 10.0.0.100", string(f.Severity)+" "+f.Subject)
					}
				}
				same(t, "what is found", c.want, got)
			}
			_, findings := w.look(0)
			said(v1alpha1.SeverityInfo, findings)
			_, findings = w.look(10 * time.Minute)
			said(v1alpha1.SeverityWarning, findings)
		})
	}
}

func TestWhereNobodyAtAllReportsFromBehindALoadBalancerThatIsSaidOnce(t *testing.T) {
	w := newWorld()
	w.behind("10.0.0.1 n", "10.0.0.2 m")
	w.session.Status.Verification = nil
	_, findings := w.look(0)
	same(t, "what is found", []string{"Info NoVerifier target 10.0.0.100"}, reasons(findings))
	same(t, "what it says", "no verifier has reported from the members 10.0.0.1 (node n) and 10.0.0.2 (node m) of the load balancer 10.0.0.100: run one there", findings[0].Message)
}
