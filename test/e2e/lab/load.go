package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

const loadDevice = "load0"

// Sender makes a network namespace whose packets to the node's InternalIP arrive on the
// node's eth0 as if they had come from the cloud, with the source address given, but past
// the simulated switch: it is for more packets per second than the switch can carry. It
// returns the namespace's name. An ordinary UDP socket in it does (package netns).
// There is one per lab; it goes with the lab.
//
// The node gets a veth whose incoming packets tc redirects to the ingress of eth0, so
// that packet sockets and programs on eth0 see them (tc-mirred(8)). Only the counters of
// the device itself, such as rx_packets, don't: its driver counts there.
func (l *Lab) Sender(node string, source netip.Addr) (string, error) {
	n, err := l.Node(node)
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sender != nil {
		return "", errors.New("the lab has its sender already: use that one")
	}
	namespace := prefix + "sender"
	if err := l.ledger.add(change{Kind: claimNamespaces, Name: namespace}); err != nil {
		return "", err
	}
	if l.sender, err = netns.Acquire(namespace); err != nil {
		return "", err
	}
	inside, err := os.Open(netns.Path(n.Namespace))
	if err != nil {
		return "", fmt.Errorf("open the network namespace of %s: %w", node, err)
	}
	defer inside.Close()
	var mac net.HardwareAddr
	err = netns.In(n.Namespace, func() error {
		link, err := netlink.LinkByName(publicDevice)
		if err == nil {
			mac = link.Attrs().HardwareAddr
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the MAC of %s: %w", node, err)
	}
	if err := l.sender.Create(namespace, func() error { return setUpSender(n, int(inside.Fd()), source, mac) }); err != nil {
		return "", err
	}
	if err := netns.In(n.Namespace, redirect); err != nil {
		return "", err
	}
	// Until the kernel has noticed that both ends are up it drops what is sent.
	return namespace, poll(context.Background(), dialTimeout, 10*time.Millisecond, "the sender's link is up", func() error {
		return netns.In(namespace, func() error {
			link, err := netlink.LinkByName(loadDevice)
			if err == nil && link.Attrs().OperState != netlink.OperUp {
				err = fmt.Errorf("it is %s", link.Attrs().OperState)
			}
			return err
		})
	})
}

// setUpSender makes the link. It runs inside of the sender's namespace.
func setUpSender(n *Node, node int, source netip.Addr, mac net.HardwareAddr) error {
	if err := settings(map[string]string{quietIPv6: "1"}); err != nil {
		return err
	}
	if err := bringUp("lo"); err != nil {
		return err
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: loadDevice}, PeerName: loadDevice, PeerNamespace: netlink.NsFd(node)}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make the sender's link: %w", err)
	}
	if err := addAddress(loadDevice, netip.PrefixFrom(source, source.BitLen())); err != nil {
		return err
	}
	link, err := netlink.LinkByName(loadDevice)
	if err != nil {
		return fmt.Errorf("find %s: %w", loadDevice, err)
	}
	to := n.Address.AsSlice()
	// Nobody answers for the node on this link.
	err = netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: to, HardwareAddr: mac, State: netlink.NUD_PERMANENT})
	if err != nil {
		return fmt.Errorf("set the MAC of %s: %w", n.Name, err)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(netip.PrefixFrom(n.Address, 32)), Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("route to %s: %w", n.Name, err)
	}
	return nil
}

// redirect hands what comes from the sender to eth0. It runs inside of the node's network
// namespace.
func redirect() error {
	if err := settings(map[string]string{"/proc/sys/net/ipv6/conf/" + loadDevice + "/disable_ipv6": "1"}); err != nil {
		return err
	}
	if err := bringUp(loadDevice); err != nil {
		return err
	}
	from, err := netlink.LinkByName(loadDevice)
	if err != nil {
		return fmt.Errorf("find %s: %w", loadDevice, err)
	}
	to, err := netlink.LinkByName(publicDevice)
	if err != nil {
		return fmt.Errorf("find %s: %w", publicDevice, err)
	}
	// Else the kernel takes the packets for somebody else's: it looks at the MAC of the
	// device that they come in by.
	if err := netlink.LinkSetHardwareAddr(from, to.Attrs().HardwareAddr); err != nil {
		return fmt.Errorf("give %s the MAC of %s: %w", loadDevice, publicDevice, err)
	}
	clsact := &netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: from.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	if err := netlink.QdiscAdd(clsact); err != nil {
		return fmt.Errorf("make a place for filters on %s: %w", loadDevice, err)
	}
	action := netlink.NewMirredAction(to.Attrs().Index)
	action.MirredAction = netlink.TCA_INGRESS_REDIR
	err = netlink.FilterAdd(&netlink.U32{ // without a selector it matches every packet
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: from.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 1, Protocol: unix.ETH_P_IP,
		},
		Actions: []netlink.Action{action},
	})
	if err != nil {
		return fmt.Errorf("redirect %s to %s: %w", loadDevice, publicDevice, err)
	}
	return nil
}
