package integration_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// serverID, portOf and addressOf are of the n-th of some servers beside the walkthrough's.
func serverID(n int) string  { return fmt.Sprintf("5a1f0c7e-0000-4000-8000-000000051%03d", n) }
func portOf(n int) string    { return fmt.Sprintf("5a1f0c7e-0000-4000-8000-000000052%03d", n) }
func addressOf(n int) string { return fmt.Sprintf("10.9.%d.%d", n/100, 1+n%100) }

// withServers adds servers, each with a primary interface and a second one.
func withServers(w *harness.World, count int) {
	w.Edit(func(world *state.World) {
		like := world.Ports[scenario.WalkthroughTest]
		for n := range count {
			server := world.Servers[like.ServerID]
			server.ID, server.Name = serverID(n), fmt.Sprint("ecs-", n)
			world.Servers[server.ID] = server
			for i, primary := range []bool{true, false} {
				p := like
				p.ID, p.ServerID, p.Primary, p.Interface = portOf(n+500*i), server.ID, primary, ""
				p.MAC = fmt.Sprintf("fa:16:3e:00:%02x:%02x", i, n)
				p.Addresses = []netip.Addr{netip.MustParseAddr(addressOf(n + 500*i))}
				world.Ports[p.ID] = p
			}
		}
	})
}

// removeServer takes a server and its interfaces out of the cloud.
func removeServer(w *harness.World, n int) {
	w.Edit(func(world *state.World) {
		delete(world.Servers, serverID(n))
		delete(world.Ports, portOf(n))
		delete(world.Ports, portOf(n+500))
	})
}

func pool(name string) map[string]string { return map[string]string{"pool": name} }

// inPool selects the nodes of a pool.
func inPool(names ...v1alpha1.NodeLabelValue) v1alpha1.SourceSelector {
	return v1alpha1.SourceSelector{NodeSelector: &v1alpha1.NodeSelector{
		MatchExpressions: []v1alpha1.NodeRequirement{{Key: "pool", Operator: "In", Values: names}},
	}}
}

func fromPools(sources ...v1alpha1.SourceSelector) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) { s.Spec.Sources = sources }
}

// copiesFrom waits until the cloud copies from the primary interfaces of these servers, and no others.
func copiesFrom(w *harness.World, t *testing.T, servers ...int) {
	t.Helper()
	want := []string{}
	for _, n := range servers {
		want = append(want, portOf(n))
	}
	harness.Poll(t, fmt.Sprint("the cloud copies from ", servers), func() (ids []string) {
		for _, have := range w.Content().Sessions { // the test's alone, one for each part
			ids = append(ids, have.Sources...)
		}
		slices.Sort(ids)
		return ids
	}, func(ids []string) bool { return slices.Equal(ids, want) })
}

func TestANodeThatJoinsIsMirroredAndOneThatLeavesIsNot(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withServers(w, 4)
	first := w.NodeOn("first", "huaweicloud://"+serverID(0), pool("web"))
	w.NodeOn("other", serverID(3), pool("db"))
	w.Start()
	_, session := w.Pair("pool", fromPools(inPool("web")))
	harness.Same(t, "the sources in the status", []v1alpha1.ResolvedInterface{{
		InterfaceID: portOf(0), Addresses: []string{addressOf(0)}, MAC: "fa:16:3e:00:00:00", NodeName: first.Name,
	}}, session.Status.Sources)
	harness.Until(w, session, "Ready says what is selected", says("spec.sources[0].nodeSelector (pool in (web)) selects 1 node"))

	second := w.NodeOn("second", "", pool("web"), addressOf(1)) // by its address
	copiesFrom(w, t, 0, 1)
	third := w.NodeOn("third", serverID(2), nil) // in the form of CCE
	w.Label(third, "pool", "web")
	copiesFrom(w, t, 0, 1, 2)
	harness.Until(w, session, "Ready says what is selected", says("selects 3 nodes"))

	w.Delete(first) // its server stays, and its interface
	copiesFrom(w, t, 1, 2)
	w.Label(second, "pool", "")
	copiesFrom(w, t, 2)
	harness.Until(w, session, "Ready says what is selected", says("selects 1 node"))
}

// says reports whether Ready is True, with words in its message.
func says(words string) func(*v1alpha1.MirrorSession) bool {
	return func(s *v1alpha1.MirrorSession) bool {
		ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		return status.IsSynced(s) && strings.Contains(ready.Message, words)
	}
}

func TestSelectorsThatOverlapAndANameMakeEachNodeASourceOnce(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withServers(w, 3)
	for n, name := range []string{"web", "web", "db"} {
		w.NodeOn(fmt.Sprint("n", n), serverID(n), pool(name), addressOf(n))
	}
	w.Start()
	named := v1alpha1.SourceSelector{InterfaceSelector: w.OnNode("n1")}
	_, session := w.Pair("overlap", fromPools(inPool("web"), inPool("web", "db"), named))
	copiesFrom(w, t, 0, 1, 2)
	harness.Until(w, session, "Ready says what is selected",
		says("spec.sources[0].nodeSelector (pool in (web)) selects 2 nodes; spec.sources[1].nodeSelector (pool in (db,web)) selects 3 nodes"))
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = s.Spec.Sources[2:] })
	copiesFrom(w, t, 1)
}

func TestTheTargetsOwnNodeIsLeftOutOfASelectionAndThatIsSaid(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withServers(w, 3)
	for n := range 3 {
		w.NodeOn(fmt.Sprint("n", n), serverID(n), pool("web"), addressOf(n))
	}
	w.Start()
	_, session := w.Pair("all", fromPools(inPool("web")), toNode(w, "n2"))
	copiesFrom(w, t, 0, 1)
	harness.Until(w, session, "Ready says what is left out", says("selects 3 nodes, of which "+w.NodeName("n2")+" is left out, being the target"))
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(w.OnNode("n0")) })
	copiesFrom(w, t, 1, 2)
	harness.Same(t, "the target", portOf(0), cloudSession(w, session).TargetID)
}

func TestASelectorWhoseLastNodeLeavesSwitchesTheSessionOffUntilOneJoins(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withServers(w, 2)
	w.Start()
	w.Create(w.Filter("none"))
	session := w.Session("none", "none", fromPools(inPool("web")))
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonNoNodeSelected, "spec.sources[0].nodeSelector (pool in (web)) selects no node", "wait until a node has these labels")
	harness.Same(t, "the sessions in the cloud", 0, len(w.Content().Sessions))
	node := w.NodeOn("n", serverID(0), pool("web"))
	session = harness.Ready(w, session)
	copiesFrom(w, t, 0)
	w.Delete(node)
	harness.Because(w, session, v1alpha1.ReasonNoNodeSelected, "selects no node")
	harness.Same(t, "it is on", false, cloudSession(w, session).Enabled)
	w.NodeOn("m", serverID(1), pool("web"))
	harness.Until(w, session, "the node that came is mirrored", says("selects 1 node"))
	copiesFrom(w, t, 1)
	harness.Same(t, "it is on", true, cloudSession(w, session).Enabled)
}

func TestOfMoreNodesThanFitThoseThatAreMirroredStayAndTheRestIsNamed(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	const fit = 100
	withServers(w, fit+1)
	var nodes []*corev1.Node
	var all []int
	for n := range fit {
		nodes, all = append(nodes, w.NodeOn(fmt.Sprintf("n%03d", n), serverID(n), pool("web"))), append(all, n)
	}
	w.Start()
	_, session := w.Pair("many", fromPools(inPool("web")))
	copiesFrom(w, t, all...)
	newcomer := w.NodeOn("a", serverID(fit), pool("web")) // first by name
	harness.Because(w, session, v1alpha1.ReasonTooManySources, "selects 101 nodes, but a session copies from at most 100 interfaces", "1 node is left out", newcomer.Name)
	copiesFrom(w, t, all...)
	w.Delete(nodes[3])
	copiesFrom(w, t, append(slices.Delete(all, 3, 4), fit)...)
	harness.Until(w, session, "all are mirrored", says("selects 100 nodes"))
}

func TestASelectedNodeWithoutAnInterfaceIsNamedAndHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withServers(w, 2)
	w.NodeOn("here", serverID(0), pool("web"))
	w.NodeOn("elsewhere", serverID(9), pool("web"), addressOf(1)) // its address is that of another server
	w.Start()
	w.Create(w.Filter("part"))
	session := w.Session("part", "part", fromPools(inPool("web")))
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonInterfaceNotFound, "spec.sources[0].nodeSelector selects the node", w.NodeName("elsewhere"), "server "+serverID(9))
	copiesFrom(w, t, 0)
}

func TestASelectedNodeKeepsItsInterfaceUntilThatIsSurelyGone(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withServers(w, 2)
	w.NodeOn("stays", serverID(0), pool("web"))
	node := w.NodeOn("dies", "", pool("web"), addressOf(1))
	w.Start()
	_, session := w.Pair("keeps", fromPools(inPool("web")))
	copiesFrom(w, t, 0, 1)
	w.Readdress(node)
	harness.Because(w, session, v1alpha1.ReasonNodeNotFound, "spec.sources[0].nodeSelector selects the node", node.Name, "no InternalIP")
	copiesFrom(w, t, 0, 1)
	removeServer(w, 1)
	harness.ReconcileNow(w, session)
	copiesFrom(w, t, 0)
}
