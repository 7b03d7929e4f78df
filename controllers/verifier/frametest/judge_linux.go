package frametest

import (
	"encoding/binary"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Judge makes the side's kernel count the UDP datagrams over IPv4 to a port by itself,
// and drop them behind the point where they are captured, so that it does not answer.
// It returns how many there were. The test is skipped where the kernel has no nftables.
func (s *Side) Judge(t *testing.T, port uint16) func() uint64 {
	t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(s.Handle()))
	must(t, err)
	table := c.AddTable(&nftables.Table{Name: "judge", Family: nftables.TableFamilyIPv4})
	chain := c.AddChain(&nftables.Chain{
		Name: "raw", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.Flush(); err != nil {
		t.Skipf("the kernel has no nftables to judge by: %v", err)
	}
	return func() uint64 {
		t.Helper()
		rules, err := c.GetRules(table, chain)
		must(t, err)
		for _, e := range rules[0].Exprs {
			if counter, ok := e.(*expr.Counter); ok {
				return counter.Packets
			}
		}
		t.Fatal("the rule has lost its counter")
		return 0
	}
}
