package tally_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

const deadline = 20 * time.Second

// reader runs a ring on the receiving side until stop is called, which returns
// after the last block was removed and counted.
type reader struct {
	ring  *capture.Ring
	tally *tally.Tally
	done  chan error
}

func startReader(t *testing.T, side *frametest.Side, sessions ...tally.Session) *reader {
	t.Helper()
	r := &reader{tally: tally.New(vxlan.Port), done: make(chan error, 1)}
	if _, err := r.tally.SetSessions(sessions); err != nil {
		t.Fatal(err)
	}
	side.Do(t, func() (err error) {
		r.ring, err = capture.OpenRing(side.Index, vxlan.Port, capture.RingOptions{})
		return err
	})
	go func() {
		for {
			block, err := r.ring.Next(time.Second)
			if err != nil {
				r.done <- err
				return
			}
			if block != nil {
				r.tally.Count(block)
				block.Release()
			}
		}
	}()
	t.Cleanup(func() {
		r.ring.Stop()
		if err := <-r.done; !errors.Is(err, capture.ErrClosed) {
			t.Errorf("the ring ended with %v, not because it was stopped", err)
		}
		if err := r.ring.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// drain waits until every frame that the kernel put into the ring was
// counted, checks the books on the way and returns them.
func (r *reader) drain(t *testing.T) (tally.Snapshot, capture.Stats) {
	t.Helper()
	until := time.Now().Add(deadline)
	for {
		before := r.tally.Snapshot()
		stats, err := r.ring.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if err := before.Check(); err != nil {
			t.Fatal(err)
		}
		waiting := int64(stats.Frames-stats.Drops) - int64(before.Frames.Read)
		switch {
		case waiting < 0:
			t.Fatalf("%d frames more were read than the kernel delivered: %+v %+v", -waiting, before.Frames, stats)
		case waiting == 0:
			return before, stats
		case time.Now().After(until):
			t.Fatalf("%d frames are still in the ring after %s", waiting, deadline)
		}
		block := make(chan struct{})
		time.AfterFunc(5*time.Millisecond, func() { close(block) })
		<-block
	}
}

func walkthrough(vni uint32) tally.Session {
	return tally.Session{
		ID: "walkthrough", VNI: vni,
		Sources: []tally.Source{{
			ID: "source", OuterAddrs: []netip.Addr{frametest.SourceAddr}, MAC: frametest.SourceMAC, Addrs: []netip.Addr{frametest.SourceAddr},
		}},
		Rules: []v1alpha1.Rule{{
			Direction: v1alpha1.DirectionIngress, Priority: 1, Accept: true, Protocol: v1alpha1.ProtocolTCP,
			Source:      v1alpha1.Peer{Prefix: netip.MustParsePrefix("192.168.0.161/32")},
			Destination: v1alpha1.Peer{Prefix: netip.MustParsePrefix("192.168.0.230/32"), Ports: v1alpha1.PortRange{Low: 1234, High: 1234}},
		}},
	}
}

// judge makes the receiving kernel count datagrams to port 4789 by itself, and
// drop them, so that it does not answer.
func judge(t *testing.T, side *frametest.Side) func() uint64 {
	t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(side.Handle()))
	if err != nil {
		t.Fatal(err)
	}
	table := c.AddTable(&nftables.Table{Name: "judge", Family: nftables.TableFamilyIPv4})
	chain := c.AddChain(&nftables.Chain{
		Name: "raw", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, vxlan.Port)},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.Flush(); err != nil {
		t.Skipf("the kernel has no nftables to judge by: %v", err)
	}
	return func() uint64 {
		rules, err := c.GetRules(table, chain)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range rules[0].Exprs {
			if counter, ok := e.(*expr.Counter); ok {
				return counter.Packets
			}
		}
		t.Fatal("the rule has lost its counter")
		return 0
	}
}

func TestCopiesOnARealWireAreCountedAsTheKernelCountsThem(t *testing.T) {
	pair := frametest.NewPair(t)
	kernel := judge(t, &pair.Receiver)
	r := startReader(t, &pair.Receiver, walkthrough(1))
	to := func(p frametest.Packet) []byte {
		p.DestinationMAC = pair.Receiver.MAC
		return p.Bytes()
	}
	good := to(frametest.Copy(1, frametest.Inner("12345\n").Bytes()))
	foreign := frametest.Copy(1, frametest.Inner("x").Bytes())
	foreign.Source = frametest.ClientAddr
	wrongPort := frametest.Inner("x")
	wrongPort.DestinationPort = 22
	// The lastUnexpected ones first, while the ring is empty: what a busy machine drops are good ones.
	frames := [][]byte{to(foreign), to(frametest.Copy(2, frametest.Inner("x").Bytes())),
		to(frametest.Copy(1, wrongPort.Bytes())), to(frametest.Copy(1, frametest.ARP()))}
	other := frametest.Copy(1, nil)
	other.DestinationPort = 4790
	frames = append(frames, to(other))
	for range 50000 {
		frames = append(frames, good)
	}

	before := pair.Receiver.Received(t)
	pair.Sender.Send(t, frames...)
	got, stats := r.drain(t)

	if n := pair.Receiver.Received(t) - before; n != uint64(len(frames)) {
		t.Fatalf("the interface received %d frames of %d", n, len(frames))
	}
	if n := kernel(); stats.Frames != n || n != uint64(len(frames)-1) {
		t.Fatalf("nftables counted %d datagrams to port 4789, the ring %d, sent were %d", n, stats.Frames, len(frames)-1)
	}
	s := got.Sessions[0]
	want := tally.Frames{Read: 50004 - stats.Drops, Attributed: 50002 - stats.Drops, ForeignSource: 1, ForeignVNI: 1}
	if got.Frames != want {
		t.Errorf("frames %+v, want %+v (ring: %+v)", got.Frames, want, stats)
	}
	if s.Accepted != 50000-stats.Drops || s.Unexpected != 1 || s.NotIP != 1 || s.ForeignSource != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTagsAndNestingOnARealWire(t *testing.T) {
	pair := frametest.NewPair(t)
	inside := walkthrough(77)
	inside.ID = "inside"
	r := startReader(t, &pair.Receiver, walkthrough(1), inside)
	inner := frametest.Inner("12345\n").Bytes()
	build := func(f func(*frametest.Packet)) []byte {
		p := frametest.Copy(1, inner)
		p.DestinationMAC = pair.Receiver.MAC
		f(&p)
		return p.Bytes()
	}
	frames := [][]byte{
		build(func(*frametest.Packet) {}),
		build(func(p *frametest.Packet) { p.VLANs = []uint16{7} }),
		build(func(p *frametest.Packet) { p.VLANs = []uint16{7, 8} }),
		build(func(p *frametest.Packet) { p.VLANs = []uint16{7, 8, 9} }),
		build(func(p *frametest.Packet) { p.Options = 10 }),
		// A copy of a copy: only the outermost VNI counts.
		build(func(p *frametest.Packet) {
			p.Payload = append(frametest.VXLANHeader(1), frametest.Copy(77, inner).Bytes()...)
		}),
		build(func(p *frametest.Packet) { p.FragmentOffset = 8 }),
		build(func(p *frametest.Packet) { p.DestinationMAC = frametest.TargetMAC }), // another host's
	}
	pair.Sender.Send(t, frames...)
	got, stats := r.drain(t)
	want := tally.Frames{Read: 8, Attributed: 6, OuterFragment: 1, OtherHost: 1}
	if got.Frames != want || stats.Drops != 0 {
		t.Errorf("%+v, want %+v (%+v)", got.Frames, want, stats)
	}
	if n := pair.Receiver.Received(t); n != uint64(len(frames)) {
		t.Errorf("the interface received %d frames of %d", n, len(frames))
	}
	outside, _ := got.Session("walkthrough")
	if outside.Arrived != 6 || outside.Accepted != 5 || outside.Unexpected != 1 { // the copy of a copy is no TCP to port 1234
		t.Errorf("%+v", outside)
	}
	if s, _ := got.Session("inside"); s.Arrived != 0 {
		t.Errorf("a sender inside the mirrored network moved counts to another session: %+v", s)
	}
}
