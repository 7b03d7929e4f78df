// Package kernel lets the kernel of a host count packets, with nftables rules in a
// table of our own inside the host's network namespace. It is the demo's judge:
// nothing of what is judged takes part in it.
//
// It may import test/cloudsim/dataplane/netns of ours.
package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// Way says where on their way through the host packets are counted.
type Way int

const (
	// Received counts what comes in, before anything else of the host sees it.
	Received Way = iota
	// Sent counts what goes out, after everything else.
	Sent
)

// Field is a condition on a packet: how the bytes at an offset of a header compare with
// others.
type Field struct {
	base   expr.PayloadBase
	offset uint32
	op     expr.CmpOp
	want   []byte
}

// Offsets in an IPv4 header without options (RFC 791) and in a TCP or UDP header.
const (
	offsetLength      = 2
	offsetProtocol    = 9
	offsetSource      = 12
	offsetDestination = 16
	offsetPortTo      = 2
)

// Offsets in a VXLAN datagram, from the start of the outer UDP header (RFC 7348): the
// VNI, the inner IPv4 header behind the inner Ethernet header, and behind that TCP or
// UDP, where the inner IPv4 header has no options.
const (
	offsetVNI            = 8 + 4
	offsetInnerSourceMAC = 8 + 8 + 6
	offsetInner          = 8 + 8 + 14
	offsetInnerTransport = offsetInner + 20
)

func equal(base expr.PayloadBase, offset uint32, want []byte) Field {
	return Field{base, offset, expr.CmpOpEq, want}
}

// Protocol is the IPv4 protocol number, such as 6 for TCP.
func Protocol(n uint8) Field {
	return equal(expr.PayloadBaseNetworkHeader, offsetProtocol, []byte{n})
}

// LongerThan is an IPv4 total length that is greater.
func LongerThan(n uint16) Field {
	f := equal(expr.PayloadBaseNetworkHeader, offsetLength, binary.BigEndian.AppendUint16(nil, n))
	f.op = expr.CmpOpGt
	return f
}

// Source is the IPv4 source address.
func Source(a netip.Addr) Field {
	return equal(expr.PayloadBaseNetworkHeader, offsetSource, a.AsSlice())
}

// Destination is the IPv4 destination address.
func Destination(a netip.Addr) Field {
	return equal(expr.PayloadBaseNetworkHeader, offsetDestination, a.AsSlice())
}

// SourcePort is the source port of TCP or UDP.
func SourcePort(port uint16) Field {
	return equal(expr.PayloadBaseTransportHeader, 0, binary.BigEndian.AppendUint16(nil, port))
}

// DestinationPort is the destination port of TCP or UDP.
func DestinationPort(port uint16) Field {
	return equal(expr.PayloadBaseTransportHeader, offsetPortTo, binary.BigEndian.AppendUint16(nil, port))
}

// VNI is the network identifier of a VXLAN datagram.
func VNI(vni uint32) Field {
	return equal(expr.PayloadBaseTransportHeader, offsetVNI, binary.BigEndian.AppendUint32(nil, vni<<8)[:3])
}

// InnerSourceMAC is the source of the Ethernet frame inside a VXLAN datagram. A text that
// is no MAC matches nothing.
func InnerSourceMAC(mac string) Field {
	want, err := net.ParseMAC(mac)
	if err != nil {
		want = make([]byte, 6)
	}
	return equal(expr.PayloadBaseTransportHeader, offsetInnerSourceMAC, want)
}

// Inner is the same condition on the packet inside a VXLAN datagram.
func Inner(f Field) Field {
	if f.base == expr.PayloadBaseNetworkHeader {
		f.offset += offsetInner
	} else {
		f.offset += offsetInnerTransport
	}
	f.base = expr.PayloadBaseTransportHeader
	return f
}

// Counter counts the IPv4 packets that meet all conditions.
type Counter struct {
	// Name is unique among the counters of one host.
	Name string
	Way  Way
	// Fields are the conditions. Protocol comes first where ports are asked for.
	Fields []Field
}

// Counts are packets by the counter's name.
type Counts map[string]uint64

// Judge reads the counters of one host.
type Judge struct {
	namespace string
	file      *os.File
	conn      *nftables.Conn
	table     *nftables.Table
	chains    []*nftables.Chain
	counters  int
}

// Watch lets the host count from now on. Nothing is changed for any packet. Its table
// must not be there yet.
func Watch(namespace, table string, counters []Counter) (*Judge, error) {
	file, err := os.Open(netns.Path(namespace))
	if err != nil {
		return nil, fmt.Errorf("opening network namespace %s: %w", namespace, err)
	}
	conn, err := nftables.New(nftables.WithNetNSFd(int(file.Fd())))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reaching the kernel's nftables in %s: %w", namespace, err), file.Close())
	}
	j := &Judge{namespace: namespace, file: file, conn: conn, counters: len(counters)}
	j.table = conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: table})
	received := j.chain("received", nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	sent := j.chain("sent", nftables.ChainHookPostrouting, nftables.ChainPriorityLast)
	for _, c := range counters {
		chain := received
		if c.Way == Sent {
			chain = sent
		}
		conn.AddRule(&nftables.Rule{Table: j.table, Chain: chain, Exprs: c.expressions(), UserData: []byte(c.Name)})
	}
	if err := conn.Flush(); err != nil {
		return nil, errors.Join(fmt.Errorf("setting the kernel's counters in %s: %w", namespace, err), file.Close())
	}
	return j, nil
}

func (j *Judge) chain(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
	chain := j.conn.AddChain(&nftables.Chain{
		Name: name, Table: j.table, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: priority,
	})
	j.chains = append(j.chains, chain)
	return chain
}

// expressions are the rule in the kernel's own terms. A packet that fails a condition
// leaves the rule before its counter; no rule decides about a packet.
func (c Counter) expressions() []expr.Any {
	var out []expr.Any
	for _, f := range c.Fields {
		out = append(out,
			&expr.Payload{DestRegister: 1, Base: f.base, Offset: f.offset, Len: uint32(len(f.want))},
			&expr.Cmp{Op: f.op, Register: 1, Data: f.want},
		)
	}
	return append(out, &expr.Counter{})
}

// Read returns what was counted so far.
func (j *Judge) Read() (Counts, error) {
	counts := Counts{}
	for _, chain := range j.chains {
		rules, err := j.conn.GetRules(j.table, chain)
		if err != nil {
			return nil, fmt.Errorf("reading the kernel's counters in %s: %w", j.namespace, err)
		}
		for _, rule := range rules {
			for _, e := range rule.Exprs {
				if n, ok := e.(*expr.Counter); ok {
					counts[string(rule.UserData)] = n.Packets
				}
			}
		}
	}
	if len(counts) != j.counters {
		return nil, fmt.Errorf("reading the kernel's counters in %s: it gave %d of %d", j.namespace, len(counts), j.counters)
	}
	return counts, nil
}

// Close removes the table. It is no error when the host is gone already.
func (j *Judge) Close() error {
	j.conn.DelTable(j.table)
	return errors.Join(j.conn.Flush(), j.file.Close())
}
