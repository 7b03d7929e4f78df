package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/demo/kernel"
)

const balancerID = "5a1f0c7e-0000-4000-8000-0000000000e1"

// playLoadBalancer has two nodes behind a load balancer. Each flow of copies comes to one of them; every verifier counts
// what its own kernel does, and the manager adds these up. A node that is offline by the health checks gets nothing more.
func playLoadBalancer(t *testing.T, w *world) {
	p := pair{namespace: "balanced", vni: 11}
	members := []string{ecsTarget, ecsTest}
	w.balance(t, members)
	w.letIn(t, scenario.WalkthroughTestGroup, "udp", vxlanPort, w.address(t, ecsSource).String())
	w.makeNamespace(t, p.namespace)
	w.apply(t, w.manifests(p, bySourceAddress, fmt.Sprintf("{loadBalancerID: %s}", balancerID)))
	w.waitReady(t, p)
	w.waitCondition(t, p, v1alpha1.ConditionPathClear, "True", v1alpha1.ReasonClear)

	judges := map[string]*kernel.Judge{}
	for _, node := range members {
		judges[node] = w.kernel(t, node, "e2e-balanced", []kernel.Counter{{Name: "copies", Fields: []kernel.Field{
			kernel.Protocol(udp), kernel.Source(w.address(t, ecsSource)), kernel.DestinationPort(vxlanPort),
		}}})
	}
	until(t, patience, "the verifiers of both nodes count", func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		counting := 0
		for _, e := range s.Status.Verification {
			if e.Interface == "eth0" && e.Message == "" && e.Epoch == s.Status.Epoch {
				counting++
			}
		}
		if counting != len(members) || len(s.Status.Verification) != len(members) {
			return fmt.Errorf("%d of %d entries count", counting, len(s.Status.Verification))
		}
		return nil
	})
	const flows = 24
	talk := func() {
		for range flows {
			l := w.connect(t)
			if err := l.say("12345"); err != nil {
				t.Fatal(err)
			}
			l.hangUp(t)
		}
	}
	w.looksAtBoth(t, p, members, talk)
	first := w.agreeAtMembers(t, p, judges)
	for _, node := range members {
		if first[node] == 0 {
			t.Errorf("of %d flows none came to %s: %v", flows, node, first)
		}
	}
	pool := w.Cloud().State.Snapshot().Pools[state.PoolOf(balancerID)]
	for _, m := range pool.Members {
		if m.Address == w.address(t, ecsTest).String() {
			if err := w.Cloud().State.SetMemberStatus(m.ID, state.MemberOffline); err != nil {
				t.Fatal(err)
			}
		}
	}
	talk()
	second := w.agreeAtMembers(t, p, judges)
	if second[ecsTest] != first[ecsTest] || second[ecsTarget] <= first[ecsTarget] {
		t.Errorf("with ecs-test offline the counts went from %v to %v", first, second)
	}
	w.checked(t, "%d copies at two members, each counted by its own node as by its kernel, and summed up", second[ecsTarget]+second[ecsTest])
}

// looksAtBoth looks at the copies of all members while something is done, by one command.
func (w *world) looksAtBoth(t *testing.T, p pair, members []string, do func()) {
	t.Helper()
	admin := &person{plugin: w.plugin(t), kubeconfig: w.Kubeconfig()}
	shown := &heard{}
	tail := w.begins(t, p, admin, shown, "-n", p.namespace)
	until(t, patience, "it has begun on both nodes", func(context.Context) error {
		if said := tail.notes.String(); strings.Count(said, "; at most ") != len(members) {
			return errors.New(said)
		}
		return nil
	})
	do()
	tail.end(t, syscall.SIGINT)
	lines := strings.Split(strings.TrimSuffix(shown.String(), "\n"), "\n")
	if !slices.IsSorted(lines) { // they begin with their times
		t.Errorf("the lines are in no order: %q", lines)
	}
	for _, node := range members {
		if !strings.Contains(strings.Join(lines, "\n"), " on "+node+": accepted by ingress rule 1") {
			t.Errorf("no copy of %s is shown: %q; %s", node, lines, tail.notes.String())
		}
	}
	w.checked(t, "kubectl mirror tail showed %d copies of both members in the order of their times", len(lines))
}

// balance makes a load balancer with nodes as members, until the scenario ends.
func (w *world) balance(t *testing.T, members []string) {
	t.Helper()
	lb := scenario.LoadBalancer{
		ID: balancerID, Name: "ids", VPCID: scenario.WalkthroughVPC, ProjectID: scenario.WalkthroughProject, Address: netip.MustParseAddr("192.168.0.100"),
	}
	for _, node := range members {
		lb.Members = append(lb.Members, w.address(t, node))
	}
	w.Cloud().State.Edit(func(world *state.World) {
		lb.SubnetID = world.Ports[scenario.WalkthroughTarget].SubnetID
		world.AddLoadBalancer(lb, time.Now())
	})
	t.Cleanup(func() {
		if err := w.Cloud().State.DeleteLoadBalancer(scenario.WalkthroughProject, balancerID); err != nil {
			t.Error(err)
		}
	})
}

// agreeAtMembers waits until each node's entry has what its kernel has counted, and the session their sum, which it returns
// by node.
func (w *world) agreeAtMembers(t *testing.T, p pair, judges map[string]*kernel.Judge) map[string]uint64 {
	t.Helper()
	counted := map[string]uint64{}
	until(t, patience, "verifiers and kernels agree", func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		sum := uint64(0)
		for node, j := range judges {
			counts, err := j.Read()
			if err != nil {
				return err
			}
			counted[node] = counts["copies"]
			sum += counts["copies"]
		}
		if sum == 0 {
			return fmt.Errorf("no copy came to any member")
		}
		for _, e := range s.Status.Verification {
			if uint64(e.Packets) != counted[e.Node] {
				return fmt.Errorf("the verifier of %s counted %d, its kernel %d", e.Node, e.Packets, counted[e.Node])
			}
		}
		if s.Status.Traffic == nil || uint64(s.Status.Traffic.Packets) != sum {
			return fmt.Errorf("the session counts %+v, the kernels %d", s.Status.Traffic, sum)
		}
		return nil
	})
	return counted
}
