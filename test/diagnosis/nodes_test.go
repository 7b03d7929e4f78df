package diagnosis

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/demo/wire"
)

// vxlan makes a vxlan device on the target's host.
func (s *site) vxlan(vni int, up bool) error {
	return s.inside(s.target.host, func() error {
		lower, err := netlink.LinkByName(s.target.device)
		if err != nil {
			return err
		}
		device := &netlink.Vxlan{
			LinkAttrs: netlink.LinkAttrs{Name: "mirror0"}, VxlanId: vni, Port: 4789, VtepDevIndex: lower.Attrs().Index, Learning: false,
		}
		if err := netlink.LinkAdd(device); err != nil {
			return fmt.Errorf("making a vxlan device: %w", err)
		}
		if up {
			return netlink.LinkSetUp(device)
		}
		return nil
	})
}

// firewall drops UDP 4789 on the target's host, at a hook.
func (s *site) firewall(hook *nftables.ChainHook) error {
	file, err := os.Open(netns.Path(s.lab.Plane.Namespace(s.target.host)))
	if err != nil {
		return err
	}
	defer file.Close()
	conn, err := nftables.New(nftables.WithNetNSFd(int(file.Fd())))
	if err != nil {
		return err
	}
	t := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "guard"})
	chain := conn.AddChain(&nftables.Chain{Name: "in", Table: t, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityRaw})
	conn.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{17}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{4789 >> 8, 4789 & 0xff}},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	return conn.Flush()
}

// linkDown sets the target's device down on its host.
func (s *site) linkDown() error {
	return s.inside(s.target.host, func() error {
		link, err := netlink.LinkByName(s.target.device)
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(link)
	})
}

// signal sends the verifier of the target's host a signal.
func (s *site) signal(signal syscall.Signal) error {
	return syscall.Kill(s.verifiers[s.target.host].PID, signal)
}

// send lets a host send a datagram to UDP 4789 of the target, again and again.
func (s *site) send(from nic, datagram []byte) error {
	_, err := s.open(from, 0, netip.AddrPortFrom(s.target.addr, 4789), datagram)
	return err
}

// copyOf is a false copy with the session's VNI: a packet to a port that the filter does not
// accept.
func (s *site) copyOf(vni int) ([]byte, error) {
	return wire.Forgery{VNI: uint32(vni), Inner: wire.Frame{
		SourceMAC: s.peer.mac, DestinationMAC: s.sources[0].mac,
		Source: netip.AddrPortFrom(s.peer.addr, 999), Destination: netip.AddrPortFrom(s.sources[0].addr, 998), Payload: []byte("false"),
	}}.Datagram()
}

// forge lets a host send false copies with the session's VNI.
func (s *site) forge(from nic) error {
	vni := s.inCloud().VNI
	if vni == 0 {
		return errors.New("the session has no VNI yet")
	}
	datagram, err := s.copyOf(vni)
	if err != nil {
		return err
	}
	if err := s.admit(state.GroupRuleInput{Multiport: new("4789"), RemotePrefix: new(s.peer.cidr())}); err != nil {
		return err
	}
	return s.send(from, datagram)
}

// onHost is what is said of the target's host.
func onHost(reason string, words ...string) says { return says{reason: reason, words: words} }

// nodeCauses: the target's host and its verifier.
var nodeCauses = []cause{
	{
		id: "nobody-listens", name: "nothing on the target's host listens for the copies", by: "node", needs: needs{ownHost: true},
		want: onHost(v1alpha1.ReasonNobodyListens, "{host}", "port unreachable", "ip link add", "vxlan", "4789"),
	},
	{
		id: "consumer-stopped", name: "the program that takes the copies ends", by: "node", flows: true, needs: needs{ownHost: true, consumer: true},
		inject: func(s *site) error { return s.consumers[s.target.host].Close() },
		want:   onHost(v1alpha1.ReasonNobodyListens, "{host}", "port unreachable", "4789"),
	},
	{
		id: "vxlan-other", name: "the vxlan device on the target's host is for another VNI", by: "node", needs: needs{ownHost: true},
		inject: func(s *site) error { return s.vxlan(777, true) },
		want:   onHost(v1alpha1.ReasonWrongVNI, "mirror0", "777", "VNI"),
	},
	{
		id: "vxlan-down", name: "the vxlan device on the target's host is down", by: "node", needs: needs{ownHost: true},
		shape:  func(_ *site, _ *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) { m.Spec.VNI = new(int32(778)) },
		inject: func(s *site) error { return s.vxlan(778, false) },
		want:   onHost(v1alpha1.ReasonConsumerDown, "mirror0", "up"),
	},
	{
		id: "firewall", name: "the firewall of the target's host drops the copies", by: "node", flows: true, needs: needs{ownHost: true, consumer: true},
		inject: func(s *site) error { return s.firewall(nftables.ChainHookInput) },
		want:   onHost(v1alpha1.ReasonDroppedOnNode, "{host}", "firewall", "4789"),
	},
	{
		id: "firewall-first", name: "the firewall of the target's host drops the copies before routing", by: "node", needs: needs{ownHost: true, consumer: true},
		inject: func(s *site) error { return s.firewall(nftables.ChainHookPrerouting) },
		want:   onHost(v1alpha1.ReasonDroppedOnNode, "{host}", "firewall", "4789"),
	},
	{
		id: "link-down", name: "the target's interface is set down on its host", by: "node", flows: true, needs: needs{ownHost: true, consumer: true},
		inject: (*site).linkDown,
		want:   onHost(v1alpha1.ReasonCaptureFailed, "eth0", "down"),
	},
	{
		id: "verifier-absent", name: "no verifier runs on the target's host", by: "node", needs: needs{ownHost: true, consumer: true, noVerifier: true},
		want: says{reason: v1alpha1.ReasonNoVerifier, subject: "{target}", words: []string{"DaemonSet"}},
	},
	{
		id: "verifier-rights", name: "the verifier of the target's host may not open packet sockets", by: "node", needs: needs{ownHost: true, consumer: true, noVerifier: true},
		inject: func(s *site) error { s.startUnprivileged(s.target.host); return nil },
		want:   says{reason: v1alpha1.ReasonNoVerifier, or: []string{v1alpha1.ReasonCaptureFailed}, words: []string{"CAP_NET_RAW"}},
	},
	{
		id: "verifier-killed", name: "the verifier of the target's host is killed", by: "node", flows: true, needs: needs{ownHost: true, consumer: true},
		inject: func(s *site) error { return s.signal(syscall.SIGKILL) }, within: 60 * time.Second,
		want: onHost(v1alpha1.ReasonVerifierLost, "{host}", "pod"),
	},
	{
		id: "verifier-hangs", name: "the verifier of the target's host hangs", by: "node", flows: true, needs: needs{ownHost: true, consumer: true},
		inject: func(s *site) error { return s.signal(syscall.SIGSTOP) }, within: 60 * time.Second,
		want: onHost(v1alpha1.ReasonVerifierLost, "{host}", "pod"),
	},
	{
		id: "clock", name: "the clock of the target's host is an hour ahead", by: "node", needs: needs{ownHost: true, consumer: true, skew: time.Hour},
		want: says{reason: v1alpha1.ReasonClockAhead, subject: "{host}", words: []string{"NTP"}},
	},
	{
		id: "forged", name: "another server sends false copies with the session's VNI", by: "count", flows: true,
		inject: func(s *site) error { return s.forge(s.peer) },
		want:   says{reason: v1alpha1.ReasonForeignSource, words: []string{"{peer}", "VNI"}},
	},
	{
		id: "forged-source", name: "the source itself sends copies that the filter does not accept", by: "count", flows: true,
		inject: func(s *site) error { return s.forge(s.sources[0]) },
		want:   says{reason: v1alpha1.ReasonUnexpectedPackets, words: []string{"lastPacket"}},
	},
	{
		id: "unreadable", name: "the source itself sends to UDP 4789 what is no copy", by: "count", flows: true,
		inject: func(s *site) error { return s.send(s.sources[0], make([]byte, 40)) },
		want:   says{reason: v1alpha1.ReasonUnreadableCopies, words: []string{"4789"}},
	},
}
