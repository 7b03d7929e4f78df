package dataplane

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// counter counts, in a host's kernel, packets of a protocol to a port. It is the
// judge of these tests: nothing of what is tested takes part in it.
type counter struct {
	t     *testing.T
	conn  *nftables.Conn
	table *nftables.Table
	chain *nftables.Chain
}

// countIn puts a counter in front of everything that a host receives for itself.
func countIn(t *testing.T, p *Plane, host string, protocol byte, port uint16) counter {
	t.Helper()
	file, err := os.Open(netns.Path(p.Namespace(host)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	conn, err := nftables.New(nftables.WithNetNSFd(int(file.Fd())))
	if err != nil {
		t.Fatal(err)
	}
	c := counter{t: t, conn: conn}
	c.table = conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "judge"})
	c.chain = conn.AddChain(&nftables.Chain{
		Name: "in-" + string(rune('a'+protocol%26)) + "-" + string(rune('a'+port%26)), Table: c.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	destination := binary.BigEndian.AppendUint16(nil, port)
	conn.AddRule(&nftables.Rule{Table: c.table, Chain: c.chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: destination},
		&expr.Counter{},
	}})
	if err := conn.Flush(); err != nil {
		t.Skipf("the kernel's nftables, which judge this test: %v", err)
	}
	return c
}

// packets is the count so far.
func (c counter) packets() uint64 {
	c.t.Helper()
	rules, err := c.conn.GetRules(c.table, c.chain)
	if err != nil || len(rules) != 1 {
		c.t.Fatalf("read the kernel's counter: %d rules, %v", len(rules), err)
	}
	for _, e := range rules[0].Exprs {
		if n, ok := e.(*expr.Counter); ok {
			return n.Packets
		}
	}
	c.t.Fatal("the kernel's rule has no counter")
	return 0
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still not so after %v: %s", patience, what)
		}
	}
}

// linkCounters are a host's own counters of its eth0.
func linkCounters(t *testing.T, p *Plane, host string) (received, sent uint64) {
	t.Helper()
	within(t, p, host, func() error {
		link, err := linkByName("eth0")
		if err != nil {
			return err
		}
		received, sent = link.Statistics.RxPackets, link.Statistics.TxPackets
		return nil
	})
	return received, sent
}

func addressOf(port uint16) netip.AddrPort { return netip.AddrPortFrom(addrSource, port) }
