package integration_test

import (
	"net/netip"
	"slices"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// fromNode and toNode put a node in place of the walkthrough's source and target.
func fromNode(w *harness.World, name string) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) { s.Spec.Sources = harness.Sources(w.OnNode(name)) }
}

func toNode(w *harness.World, name string) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(w.OnNode(name)) }
}

func TestANodeIsASourceAndATargetByItsInternalIP(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Node("source", "192.168.0.230")
	w.Node("target", "192.168.0.164", "2001:db8::164")
	w.Node("other", "192.168.0.99")
	w.Start()
	_, session := w.Pair("by-node", fromNode(w, "source"), toNode(w, "target"))
	harness.Same(t, "the target in the status", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{
		InterfaceID: scenario.WalkthroughTarget, Addresses: []string{"192.168.0.164"}, MAC: "fa:16:3e:7e:d6:7a", NodeName: w.NodeName("target"),
	}}, session.Status.Target)
	harness.Same(t, "the sources in the status", []v1alpha1.ResolvedInterface{{
		InterfaceID: scenario.WalkthroughSource, Addresses: []string{"192.168.0.230"}, MAC: "fa:16:3e:7e:d6:bc", NodeName: w.NodeName("source"),
	}}, session.Status.Sources)
	got := w.Content().Sessions[0]
	harness.Same(t, "the session in the cloud", []string{scenario.WalkthroughSource, scenario.WalkthroughTarget}, append(got.Sources, got.TargetID))
}

// withIPv6 gives an interface of the simulated cloud one more address.
func withIPv6(w *harness.World, port, address string) {
	w.Edit(func(world *state.World) {
		p := world.Ports[port]
		p.Addresses = append(slices.Clone(p.Addresses), netip.MustParseAddr(address))
		world.Ports[port] = p
	})
}

func TestAnyInternalIPOfANodeOfEitherFamilyFindsItsInterface(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withIPv6(w, scenario.WalkthroughTarget, "2001:db8::164")
	w.Node("source", "10.99.0.5", "192.168.0.230")
	w.Node("target", "10.99.0.6", "2001:DB8:0::164")
	w.Start()
	_, session := w.Pair("by-any", fromNode(w, "source"), toNode(w, "target"))
	harness.Same(t, "the interfaces", []string{scenario.WalkthroughSource, scenario.WalkthroughTarget},
		[]string{session.Status.Sources[0].InterfaceID, session.Status.Target.InterfaceID})
	harness.Same(t, "the target's addresses", []string{"192.168.0.164", "2001:db8::164"}, session.Status.Target.Addresses)
}

func TestOfTwoInterfacesWithAnInternalIPOfANodeTheOneThatHasAllIsTheNodes(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withTwin(w)
	withIPv6(w, scenario.WalkthroughSource, "2001:db8::230")
	w.Node("source", "192.168.0.230", "2001:db8::230")
	w.Start()
	_, session := w.Pair("by-both", fromNode(w, "source"))
	harness.Same(t, "the source", scenario.WalkthroughSource, session.Status.Sources[0].InterfaceID)
}

func TestANodeWhoseInternalIPsTwoServersHaveIsRefusedNamingBothAndTheRemedy(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	node := w.Node("target", "192.168.0.161", "192.168.0.164")
	w.Start()
	filter, session := w.Filter("apart"), w.Session("apart", "apart", toNode(w, "target"))
	w.Create(filter)
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonAmbiguousAddress, "spec.target.nodeName names", node.Name, "several interfaces have its InternalIPs 192.168.0.161, 192.168.0.164",
		scenario.WalkthroughTest+" (VPC "+scenario.WalkthroughVPC+")", scenario.WalkthroughTarget+" (VPC "+scenario.WalkthroughVPC+")",
		"Put spec.target.interfaceID with the one that is meant in place of nodeName")
	harness.Same(t, "the sessions in the cloud", 0, len(w.Content().Sessions))
	w.Readdress(node, "192.168.0.164")
	harness.Ready(w, session)
}

func TestTheStatusNamesTheNodeWhenTheTargetIsGivenByAddress(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("by-address", func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.At("192.168.0.164")) })
	named := func(what, want string) {
		t.Helper()
		harness.Until(w, session, what, func(s *v1alpha1.MirrorSession) bool { return s.Status.Target.NodeName == want })
	}
	named("no node has the address", "")
	node := w.Node("target", "192.168.0.164")
	named("the node that has come", node.Name)
	twin := w.Node("twin", "192.168.0.164")
	named("none of two nodes with the address", "")
	w.Delete(twin)
	named("the node that is left", node.Name)
	w.Readdress(node, "192.168.0.99")
	named("none, since the node has another address", "")
}

func TestASessionWaitsForItsNodeAndIsWokenByIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Filter("early"), w.Session("early", "early", toNode(w, "late"))
	w.Create(filter)
	w.Create(session)
	harness.Ready(w, filter)
	harness.Because(w, session, v1alpha1.ReasonNodeNotFound, "spec.target.nodeName names", w.NodeName("late"), "the cluster has no such node")
	node := w.Node("late")
	harness.Because(w, session, v1alpha1.ReasonNodeNotFound, w.NodeName("late"), "has no InternalIP")
	w.Readdress(node, "192.168.0.99")
	harness.Because(w, session, v1alpha1.ReasonInterfaceNotFound, w.NodeName("late"), "no elastic network interface", "192.168.0.99")
	w.Readdress(node, "192.168.0.164")
	harness.Ready(w, session)
	harness.Same(t, "the target", scenario.WalkthroughTarget, w.Content().Sessions[0].TargetID)
}

func TestANodeWhoseAddressTwoVPCsHaveIsRefusedNamingTheCandidatesAndTheRemedy(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withTwin(w)
	w.Node("source", "192.168.0.230")
	w.Start()
	filter, session := w.Filter("ambiguous"), w.Session("ambiguous", "ambiguous", fromNode(w, "source"))
	w.Create(filter)
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonAmbiguousAddress, "spec.sources[0].nodeName names", w.NodeName("source"), "192.168.0.230",
		scenario.WalkthroughSource+" (VPC "+scenario.WalkthroughVPC+")", twin+" (VPC "+otherVPC+")",
		"Put spec.sources[0].address with that ip and the vpcID that is meant in place of nodeName")
	harness.Same(t, "the sessions in the cloud", 0, len(w.Content().Sessions))
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.At("192.168.0.230"))
		s.Spec.Sources[0].Address.VPCID = scenario.WalkthroughVPC
	})
	harness.Ready(w, session)
	harness.Same(t, "the sources", []string{scenario.WalkthroughSource}, w.Content().Sessions[0].Sources)
}

func TestASessionFollowsItsNodeToAnotherAddress(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	node := w.Node("target", "192.168.0.164")
	w.Start()
	_, session := w.Pair("following", toNode(w, "target"))
	id := session.Status.Sessions[0].ID
	w.Readdress(node, "192.168.0.161")
	harness.Until(w, session, "the new target", func(s *v1alpha1.MirrorSession) bool {
		return s.Status.Target.InterfaceID == scenario.WalkthroughTest && s.Status.Target.NodeName == node.Name
	})
	got := w.Content().Sessions
	harness.Same(t, "the session in the cloud", []string{id, scenario.WalkthroughTest}, []string{got[0].ID, got[0].TargetID})

	// What the cloud has stays while the node is away.
	w.Delete(node)
	harness.Because(w, session, v1alpha1.ReasonNodeNotFound)
	harness.Same(t, "the sessions without the node", got, w.Content().Sessions)
	w.Node("target", "192.168.0.161")
	harness.Ready(w, session)
	harness.Same(t, "the sessions with the node", got, w.Content().Sessions)
}
