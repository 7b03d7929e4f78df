package crash_test

import (
	"net/netip"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// divided is how many sources a session takes where few of them are to be divided among several.
const divided = 2

// numbered gives a session a VNI and a priority of its own, as part of an edit.
func numbered(edit func(*v1alpha1.MirrorSession)) func(*v1alpha1.MirrorSession) {
	return func(m *v1alpha1.MirrorSession) {
		edit(m)
		m.Spec.VNI, m.Spec.Priority = new(int32(77)), new(int32(5))
	}
}

// divisions are the lives of a session that is several ones in the cloud.
func divisions() []play {
	three, five := from(portA, portB, portC), from(portA, portB, portC, portD, portE)
	plays := []play{
		{name: "create a session that is divided", before: makeFilter, act: func(s *stage) { s.newSession("m", "f", five) }},
		{name: "grow by a part", before: with(three), act: editSession(five)},
		{name: "grow into a second part", before: with(from(portA)), act: editSession(three)},
		{name: "shrink by a part", before: with(five), act: editSession(from(portA, portB, portD))},
		{name: "shrink by the first part", before: with(numbered(three)), act: editSession(numbered(from(portC)))},
		{name: "exchange all sources of a part and grow", before: with(three), act: editSession(from(portD, portE, portB, portA))},
		{name: "delete a session that is divided", before: with(five), act: removeAll},
		{name: "delete a divided session that is retained", before: func(s *stage) {
			s.newFilter("f", retainFilter)
			s.newSession("m", "f", three, retain)
		}, act: removeAll},
		{name: "move the target of two parts", before: with(three), act: editSession(to(portU, portA, portB, portC))},
		{name: "the target and a source of two parts exchange their roles", before: with(three), act: editSession(to(portC, portA, portB, portT))},
		{name: "take the priority of the second part for the first", before: with(numbered(three)), act: editSession(func(m *v1alpha1.MirrorSession) {
			m.Spec.Priority = new(int32(6))
		})},
		{name: "move the VNI of two parts", before: with(three), act: editSession(func(m *v1alpha1.MirrorSession) { m.Spec.VNI = new(int32(99)) })},
		{name: "the status of two parts is wiped", before: with(three), away: true, act: wipe},
		{name: "the status of two parts is wiped and the objects deleted", before: with(three), away: true, act: func(s *stage) {
			wipe(s)
			s.removeAll()
		}},
		{name: "a second part is deleted outside while no manager runs", before: with(three), away: true, act: lose(1)},
		{name: "a first part is deleted outside while no manager runs", before: with(three), away: true, act: lose(0)},
	}
	for i := range plays {
		plays[i].limit = divided
	}
	return plays
}

// lose deletes a part in the cloud, by its place in the status.
func lose(at int) func(*stage) {
	return func(s *stage) {
		id := named[*v1alpha1.MirrorSession](s, "m").Status.Sessions[at].ID
		s.Edit(func(world *state.World) { delete(world.Sessions, id) })
	}
}

const balancerID = "5a1f0c7e-0000-4000-8000-0000000000e1"

func toBalancer(m *v1alpha1.MirrorSession) {
	m.Spec.Target = v1alpha1.TargetSelector{LoadBalancerID: balancerID}
}

// balancer makes a load balancer with two members.
func balancer(s *stage) {
	s.Edit(func(world *state.World) {
		world.AddLoadBalancer(scenario.LoadBalancer{
			ID: balancerID, Name: "ids", VPCID: scenario.WalkthroughVPC, ProjectID: scenario.WalkthroughProject, SubnetID: world.Ports[portT].SubnetID,
			Address: netip.MustParseAddr("192.168.0.100"), Members: []netip.Addr{netip.MustParseAddr("192.168.0.164"), netip.MustParseAddr("192.168.0.161")},
		}, time.Now())
	})
}

// balances are what is done with a session whose target is a load balancer.
func balances() []play {
	balanced := func(s *stage) {
		balancer(s)
		with(toBalancer)(s)
	}
	return []play{
		{name: "create a session to a load balancer", before: func(s *stage) {
			balancer(s)
			makeFilter(s)
		}, act: func(s *stage) { s.newSession("m", "f", toBalancer) }},
		{name: "move the target to a load balancer", before: func(s *stage) {
			balancer(s)
			pair(s)
		}, act: editSession(toBalancer)},
		{name: "delete a session to a load balancer", before: balanced, act: removeAll},
	}
}
