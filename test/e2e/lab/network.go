package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// The networks of the lab. None of them is ever in the machine's own namespace.
var (
	// managementNetwork is that of mgmt0; a node has there the last byte of its address
	// on eth0.
	managementNetwork = netip.MustParsePrefix("10.99.0.0/24")
	// controlAddress is the control plane's and the cloud's API's.
	controlAddress = netip.MustParseAddr("10.99.0.1")
	// podNetwork is cut into one /24 for each node.
	podNetwork = netip.MustParsePrefix("10.244.0.0/16")
	// serviceNetwork is that of ClusterIPs.
	serviceNetwork = netip.MustParsePrefix("10.96.0.0/16")
)

const (
	managementDevice = "mgmt0"
	managementBridge = "mgmt"
	publicDevice     = "eth0"
	quietIPv6        = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
	forwarding       = "/proc/sys/net/ipv4/ip_forward"
)

// setUpControl makes the bridge. It runs inside the control plane's namespace.
func setUpControl() error {
	if err := settings(map[string]string{forwarding: "1", quietIPv6: "1"}); err != nil {
		return err
	}
	if err := bringUp("lo"); err != nil {
		return err
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: managementBridge}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make the bridge of the management network: %w", err)
	}
	return addAddress(managementBridge, netip.PrefixFrom(controlAddress, managementNetwork.Bits()))
}

// connect plugs a node into the management network, and lets the control plane reach its
// pods and its InternalIP there.
func (l *Lab) connect(n *Node) error {
	inside, err := os.Open(netns.Path(n.Namespace))
	if err != nil {
		return fmt.Errorf("open the network namespace of %s: %w", n.Name, err)
	}
	defer inside.Close()
	err = netns.In(l.ControlNamespace(), func() error {
		bridge, err := netlink.LinkByName(managementBridge)
		if err != nil {
			return fmt.Errorf("find the bridge of the management network: %w", err)
		}
		port := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "to-" + n.Name, MasterIndex: bridge.Attrs().Index},
			PeerName:  managementDevice, PeerNamespace: netlink.NsFd(int(inside.Fd())),
		}
		if err := netlink.LinkAdd(port); err != nil {
			return fmt.Errorf("make the management link of %s: %w", n.Name, err)
		}
		if err := bringUp(port.Name); err != nil {
			return err
		}
		if err := addRoute(n.PodCIDR, n.Management); err != nil {
			return err
		}
		return addRoute(netip.PrefixFrom(n.Address, n.Address.BitLen()), n.Management)
	})
	if err != nil {
		return err
	}
	return netns.In(n.Namespace, func() error { return l.setUpNode(n) })
}

// setUpNode gives a node its addresses and routes. It runs inside of the node's network
// namespace, and again when the node comes back.
func (l *Lab) setUpNode(n *Node) error {
	quiet := "/proc/sys/net/ipv6/conf/" + managementDevice + "/disable_ipv6"
	if err := settings(map[string]string{forwarding: "1", quiet: "1"}); err != nil {
		return err
	}
	if err := addAddress(managementDevice, netip.PrefixFrom(n.Management, managementNetwork.Bits())); err != nil {
		return err
	}
	// kube-proxy turns a ClusterIP into the real address, but only after the kernel has
	// chosen a source address for it: without this route that would be eth0's.
	if err := addRoute(serviceNetwork, controlAddress); err != nil {
		return err
	}
	for _, other := range l.nodes {
		if other != n {
			if err := addRoute(other.PodCIDR, other.Management); err != nil {
				return err
			}
		}
	}
	if err := bringUp(publicDevice); err != nil {
		return err
	}
	return addRoute(netip.MustParsePrefix("0.0.0.0/0"), n.gateway)
}

// unplug takes the links of a dead node down, so that its kernel, which is the machine's,
// answers nobody in its name.
func unplug() error {
	for _, name := range []string{publicDevice, managementDevice} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if err := netlink.LinkSetDown(link); err != nil {
			return fmt.Errorf("take %s down: %w", name, err)
		}
	}
	return nil
}

func bringUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	return nil
}

// addAddress gives a device an address, if it hasn't got it, and brings it up.
func addAddress(device string, address netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("find %s: %w", device, err)
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(address)}); err != nil {
		return fmt.Errorf("give %s the address %s: %w", device, address, err)
	}
	return bringUp(device)
}

func addRoute(to netip.Prefix, via netip.Addr) error {
	if err := netlink.RouteReplace(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("route %s via %s: %w", to, via, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// settings writes kernel settings of the calling thread's network namespace.
func settings(values map[string]string) error {
	for path, value := range values {
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			continue // a kernel without IPv6
		}
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s to %s: %w", path, value, err)
		}
	}
	return nil
}
