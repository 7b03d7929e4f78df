package lab

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// world is a cloud with its network, for one test.
type world struct {
	t       *testing.T
	cloud   *sim.Sim
	lab     *Lab
	project string
}

var labs atomic.Int32

// startWorld runs the cloud of a scenario with its hosts, or skips where hosts can't be made.
func startWorld(t *testing.T, sc *scenario.Scenario, options ...sim.Option) *world {
	t.Helper()
	cloud, err := sim.Start(t.Context(), sc, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	return &world{t: t, cloud: cloud, lab: startHosts(t, cloud), project: sc.Accounts[0].Projects[0].ID}
}

// startHosts makes the hosts of a cloud, or skips where they can't be made.
func startHosts(t *testing.T, cloud *sim.Sim) *Lab {
	t.Helper()
	l, err := Start(t.Context(), cloud, fmt.Sprintf("lw%d-%d-", os.Getpid(), labs.Add(1)), slog.New(slog.DiscardHandler))
	var unavailable *netns.UnavailableError
	if errors.As(err, &unavailable) {
		t.Skipf("hosts cannot be made here: %v", unavailable)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// mirror makes a session that copies all UDP that the source receives to the target.
func (w *world) mirror(name, source, target string, priority int) state.Session {
	w.t.Helper()
	filter, err := w.cloud.State.CreateFilter(w.project, state.FilterInput{Name: ptr(name)})
	w.must(err)
	_, err = w.cloud.State.CreateRule(w.project, state.RuleInput{
		FilterID: &filter.ID, Direction: ptr("ingress"), Protocol: ptr("UDP"), EtherType: ptr("IPv4"), Action: ptr("accept"), Priority: ptr(1),
	})
	w.must(err)
	session, err := w.cloud.State.CreateSession(w.project, state.SessionInput{
		Name: ptr(name), FilterID: &filter.ID, Sources: &[]string{source}, TargetID: &target, TargetType: ptr("eni"), PacketLength: ptr(1460),
		Priority: &priority, Enabled: ptr(true),
	})
	w.must(err)
	return session
}

// must ends the test on an error.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// admit lets everything of IPv4 into a group's members.
func (w *world) admit(group string) {
	w.t.Helper()
	_, err := w.cloud.State.CreateGroupRule(w.project, state.GroupRuleInput{GroupID: &group, Direction: ptr("ingress"), Priority: ptr(2)})
	w.must(err)
}

// send lets a host send a datagram of so many bytes to UDP port 1234 of an address.
func (w *world) send(host, to string, size int) {
	w.t.Helper()
	w.must(netns.In(w.lab.Plane.Namespace(host), func() error {
		c, err := net.Dial("udp", net.JoinHostPort(to, "1234"))
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		_, err = c.Write(make([]byte, size))
		return err
	}))
}

// until waits for a condition on the network's counters.
func (w *world) until(what string, ok func(dataplane.Stats) bool) {
	w.t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		stats := w.lab.Plane.Stats()
		if ok(stats) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("not within 10 s: %s; the counters are %+v", what, stats)
		}
	}
}

// counts waits until a session's counters are the wanted ones.
func (w *world) counts(session string, want dataplane.SessionStats) {
	w.t.Helper()
	reach(w.t, w.lab, session, want)
}
