package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/demo/wire"
	"vpcmirror.io/operator/test/env/need"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// host is a network namespace of the test with loopback alone.
func host(t *testing.T) string {
	t.Helper()
	need.Root(t)
	prefix := fmt.Sprintf("judge-test-%d-", os.Getpid())
	claim, err := netns.Acquire(prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := claim.Release(); err != nil {
			t.Error(err)
		}
	})
	name := prefix + "host"
	err = claim.Create(name, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// send sends datagrams over the host's loopback, from the port 38944.
func send(t *testing.T, host string, port uint16, payload []byte, times int) {
	t.Helper()
	err := netns.In(host, func() error {
		near, err := net.ListenPacket("udp4", "127.0.0.1:38944")
		if err != nil {
			return err
		}
		defer near.Close()
		for range times {
			// Nobody listens: what the kernel answers is for the next call to tell.
			_, _ = near.WriteTo(payload, net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, port)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheKernelCountsWhatMeetsAllConditionsAndNothingElse(t *testing.T) {
	name := host(t)
	inner := wire.Frame{
		SourceMAC: "fa:16:3e:7e:d6:77", DestinationMAC: "fa:16:3e:7e:d6:bc",
		Source: netip.MustParseAddrPort("192.168.0.161:38944"), Destination: netip.MustParseAddrPort("192.168.0.230:1234"),
	}
	copied, err := wire.Forgery{VNI: 258, Inner: inner}.Datagram()
	if err != nil {
		t.Fatal(err)
	}
	to := func(port uint16, more ...Field) []Field {
		return append([]Field{Protocol(17), Source(loopback), Destination(loopback), DestinationPort(port)}, more...)
	}
	judge, err := Watch(name, "judge-test", []Counter{
		{Name: "any", Fields: to(1234)},
		{Name: "sent", Way: Sent, Fields: to(1234)},
		{Name: "sourcePort", Fields: to(1234, SourcePort(38944))},
		{Name: "otherSourcePort", Fields: to(1234, SourcePort(38945))},
		{Name: "otherProtocol", Fields: []Field{Protocol(6), DestinationPort(1234)}},
		{Name: "otherSource", Fields: []Field{Source(netip.MustParseAddr("127.0.0.2"))}},
		{Name: "vni", Fields: to(4789, VNI(258))},
		{Name: "otherVNI", Fields: to(4789, VNI(2))},
		{Name: "inner", Fields: to(4789, Inner(Protocol(6)), Inner(Source(inner.Source.Addr())), Inner(Destination(inner.Destination.Addr())),
			Inner(SourcePort(38944)), Inner(DestinationPort(1234)), InnerSourceMAC(inner.SourceMAC))},
		{Name: "longer", Fields: to(1234, LongerThan(20+8+4))},
		{Name: "notLonger", Fields: to(1234, LongerThan(20+8+5))},
		{Name: "innerLonger", Fields: to(4789, Inner(LongerThan(20+19)))},
		{Name: "innerNotLonger", Fields: to(4789, Inner(LongerThan(20+20)))},
		{Name: "otherInnerPort", Fields: to(4789, Inner(Protocol(6)), Inner(DestinationPort(4321)))},
		{Name: "otherInnerMAC", Fields: to(4789, InnerSourceMAC(inner.DestinationMAC))},
	})
	if err != nil {
		t.Fatal(err)
	}
	send(t, name, 1234, []byte("hello"), 3)
	send(t, name, 4789, copied, 2)
	got, err := judge.Read()
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{
		"any": 3, "sent": 3, "sourcePort": 3, "otherSourcePort": 0, "otherProtocol": 0, "otherSource": 0,
		"vni": 2, "otherVNI": 0, "inner": 2, "otherInnerPort": 0, "otherInnerMAC": 0,
		"longer": 3, "notLonger": 0, "innerLonger": 2, "innerNotLonger": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if err := judge.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	if _, err := judge.Read(); err == nil {
		t.Error("a closed judge still gives counts")
	}
}

func TestAHostThatIsNotThereIsNamed(t *testing.T) {
	need.Root(t)
	_, err := Watch("no-such-host", "judge-test", nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "no-such-host") {
		t.Errorf("the error is %v; it is to wrap fs.ErrNotExist and name the host", err)
	}
}
