package recipes

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/consumer"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
	"vpcmirror.io/operator/test/env/need"
)

// node is a wire whose receiving end is the node that owns the target: its interface is eth0, as in
// the recipe, and nothing listens there but what the test starts.
func node(t *testing.T) *frametest.Pair {
	t.Helper()
	need.Root(t)
	p := frametest.NewPair(t)
	r := &p.Receiver
	link := r.Link(t)
	for _, err := range []error{
		r.Netlink.LinkSetDown(link), r.Netlink.LinkSetName(link, "eth0"), r.Netlink.LinkSetUp(link),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r.Name = "eth0"
	p.UntilUp(t)
	r.Address(t, r.Link(t), netip.PrefixFrom(frametest.TargetAddr, 24), frametest.SourceAddr, p.Sender.MAC)
	return p
}

// onTheWire gives frames the addresses of the wire's ends.
func onTheWire(p *frametest.Pair, frames [][]byte) [][]byte {
	for _, frame := range frames {
		copy(frame, p.Receiver.MAC[:])
		copy(frame[6:], p.Sender.MAC[:])
	}
	return frames
}

// counting counts as a verifier on the node does, for a session of VNI 1, and returns what tells how far.
func counting(t *testing.T, p *frametest.Pair) func() tally.Snapshot {
	t.Helper()
	var ring *capture.Ring
	p.Receiver.Do(t, func() (err error) {
		ring, err = agent.OpenRing(agent.Interface{Index: p.Receiver.Index}, vxlan.Port)
		return err
	})
	counts := tally.New(vxlan.Port)
	_, err := counts.SetSessions([]tally.Session{{
		ID: "source-to-target", VNI: 1,
		Sources: []tally.Source{{
			ID: "ecs-source", OuterAddrs: []netip.Addr{frametest.SourceAddr}, Addrs: []netip.Addr{frametest.SourceAddr}, MAC: frametest.SourceMAC,
		}},
		Rules: []v1alpha1.Rule{{
			Direction: v1alpha1.DirectionIngress, Priority: 1, Accept: true, Protocol: v1alpha1.ProtocolTCP,
			Destination: v1alpha1.Peer{Ports: v1alpha1.PortRange{Low: 1234, High: 1234}},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			block, err := ring.Next(100 * time.Millisecond)
			if errors.Is(err, capture.ErrClosed) {
				return
			}
			if err != nil {
				t.Errorf("reading the ring: %v", err)
				return
			}
			if block != nil {
				counts.Count(block)
				block.Release()
			}
		}
	}()
	t.Cleanup(func() {
		ring.Stop()
		<-done
		if err := ring.Close(); err != nil {
			t.Error(err)
		}
	})
	return counts.Snapshot
}

// until polls.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(time.Minute); !is(); <-poll.C {
		if time.Now().After(end) {
			t.Fatalf("within a minute not: %s", what)
		}
	}
}

func TestSuricataInItsPodAndTheVerifierBothGetEveryCopyAndTheVerifierSeesWhoTakesThem(t *testing.T) {
	p := node(t)
	observe := func() (o *consumer.Observation) {
		p.Receiver.Do(t, func() error { o = consumer.Observe(vxlan.Port); return nil })
		return o
	}
	place := consumer.Place{
		Node: "ecs-target", Interface: "eth0", Index: p.Receiver.Index, Address: frametest.TargetAddr, Port: vxlan.Port, VNI: 1,
	}
	counts := counting(t, p)
	if v := consumer.Judge(place, nil, observe(), consumer.Arrived{}); v.Status == metav1.ConditionTrue {
		t.Fatalf("before Suricata runs the verdict is %+v: the verifier takes itself for a consumer", v)
	}

	s := start(t, &p.Receiver, "--af-packet")
	s.until(t, "begun to capture", s.said("Engine started"))
	sent := onTheWire(p, all())
	p.Sender.Send(t, sent...)
	until(t, "the verifier counts every frame", func() bool { return counts().Frames.Read == uint64(len(sent)) })
	s.until(t, "decoded every copy", func() bool { return s.stats != nil && s.stats.Decoder.VXLAN == uint64(len(sent)) })

	v := consumer.Judge(place, nil, observe(), consumer.Arrived{Session: uint64(len(sent))})
	if v.Status != metav1.ConditionTrue || v.Reason != v1alpha1.ReasonConsumerSeen {
		t.Errorf("while Suricata runs the verdict is %+v", v)
	}
	session, _ := func() (tally.SessionCounts, bool) { snapshot := counts(); return snapshot.Session("source-to-target") }()
	got := s.stop(t)
	if got.Capture.Packets != uint64(len(sent)) || got.Capture.Drops != 0 {
		t.Errorf("capture.kernel_packets is %d and capture.kernel_drops %d, want %d and 0", got.Capture.Packets, got.Capture.Drops, len(sent))
	}
	// Of VNI 7, which the session has not, come the 160 that Suricata decodes beyond it.
	if session.Arrived+160 != got.Decoder.VXLAN || session.Truncated != ofSuricata(got.Decoder).Truncated {
		t.Errorf("the session has %d packets, %d of them cut; decoder.vxlan is %d, of which 160 are of another VNI, and %d are cut",
			session.Arrived, session.Truncated, got.Decoder.VXLAN, ofSuricata(got.Decoder).Truncated)
	}
	if len(s.alerts) == 0 {
		t.Error("no rule fitted: does Suricata look into the copies?")
	}
}

func TestSuricataOfTheRecipeGetsNothingOfTheNodeButCopies(t *testing.T) {
	p := node(t)
	s := start(t, &p.Receiver, "--af-packet")
	s.until(t, "begun to capture", s.said("Engine started"))
	other := frametest.Copy(1, hello())
	other.DestinationPort = 8472
	answer := frametest.Copy(1, hello())
	answer.SourcePort, answer.DestinationPort = 4789, 32838
	p.Sender.Send(t, onTheWire(p, frames(
		kind{100, other.Bytes()}, kind{100, answer.Bytes()}, kind{100, frametest.Inner("hello").Bytes()}, kind{7, copied(1, hello())},
	))...)
	s.until(t, "decoded the copies", func() bool { return s.stats != nil && s.stats.Decoder.VXLAN >= 7 })
	if got := s.stop(t); got.Decoder.Packets != 7 || got.Decoder.VXLAN != 7 {
		t.Errorf("decoder.pkts is %d and decoder.vxlan %d, want 7 of both", got.Decoder.Packets, got.Decoder.VXLAN)
	}
}
