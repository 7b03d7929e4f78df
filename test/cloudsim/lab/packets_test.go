package lab

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// knock tries to connect from ecs-test to a port of ecs-source on which nobody listens: one SYN arrives, one reset returns.
func knock(t *testing.T, l *Lab) {
	t.Helper()
	err := netns.In(l.Plane.Namespace("ecs-test"), func() error {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = syscall.Close(fd) }()
		// Bounds the wait of connect; a reset ends it at once.
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &syscall.Timeval{Sec: 10}); err != nil {
			return err
		}
		return syscall.Connect(fd, &syscall.SockaddrInet4{Port: 1234, Addr: [4]byte(net.IPv4(192, 168, 0, 230).To4())})
	})
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("connect = %v; want the reset of ecs-source", err)
	}
}

// reach waits for the session's counters to be the wanted ones.
func reach(t *testing.T, l *Lab, id string, want dataplane.SessionStats) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		got := l.Plane.Stats().Sessions[id]
		got.InnerBytes = want.InnerBytes // a SYN's options are the kernel's affair
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the session counts %+v; want %+v", got, want)
		}
	}
}

func TestRealPacketsObeyTheAPI(t *testing.T) {
	cloud := sim.ForTest(t)
	network := startHosts(t, cloud)
	const project = scenario.WalkthroughProject
	filter, err := cloud.State.CreateFilter(project, state.FilterInput{Name: ptr("f")})
	if err != nil {
		t.Fatal(err)
	}
	rule, err := cloud.State.CreateRule(project, state.RuleInput{
		FilterID: &filter.ID, Direction: ptr("ingress"), Protocol: ptr("TCP"), EtherType: ptr("IPv4"), Action: ptr("accept"), Priority: ptr(1),
		DestinationPortRange: ptr("1234-1234"),
	})
	if err != nil {
		t.Fatal(err)
	}
	session, err := cloud.State.CreateSession(project, state.SessionInput{
		Name: ptr("s"), FilterID: &filter.ID, Sources: &[]string{scenario.WalkthroughSource}, TargetID: ptr(scenario.WalkthroughTarget),
		TargetType: ptr("eni"), PacketLength: ptr(1460), Priority: ptr(1), Enabled: ptr(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	knock(t, network)
	reach(t, network, session.ID, dataplane.SessionStats{Copies: 1, Delivered: 1})

	t.Run("without the rule for UDP 4789 the copy is made and dropped", func(t *testing.T) {
		if err := cloud.State.DeleteGroupRule(project, scenario.WalkthroughVXLANRule); err != nil {
			t.Fatal(err)
		}
		knock(t, network)
		reach(t, network, session.ID, dataplane.SessionStats{Copies: 2, Delivered: 1, DeniedByTargetGroup: 1})
	})
	t.Run("a rule turned to reject makes no copy", func(t *testing.T) {
		if _, err := cloud.State.UpdateRule(project, rule.ID, state.RuleInput{Action: ptr("reject")}); err != nil {
			t.Fatal(err)
		}
		knock(t, network)
		reach(t, network, session.ID, dataplane.SessionStats{Copies: 2, Delivered: 1, DeniedByTargetGroup: 1, Rejected: 1})
	})
}
