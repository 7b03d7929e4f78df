package dataplane

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
)

// Layout says which hosts exist and where they are plugged in. It does not
// change while the plane runs.
type Layout struct {
	// Prefix begins the name of every namespace, so that several planes fit on
	// one machine. Letters, digits, dots, dashes and underscores.
	Prefix string
	// Hosts are the servers.
	Hosts []Host
	// Gateways are the subnets' gateways.
	Gateways []Gateway
}

// Host is a server. Its namespace is named Prefix+Name.
type Host struct {
	Name       string
	Interfaces []Interface
}

// Interface is a network interface of a host, and its port in the cloud.
type Interface struct {
	// PortID is the port's ID in the cloud, unique in the layout.
	PortID string
	// Name is the device's name in the host, such as eth0.
	Name string
	// MAC is the interface's address, unique in the layout.
	MAC net.HardwareAddr
	// Addresses are its addresses with the length of their subnet, unique in
	// the VPC. The first IPv4 address is the outer source of mirrored copies.
	Addresses []netip.Prefix
	// Gateway and Gateway6 are the next hops of the host's default routes, of IPv4
	// and IPv6; zero for none.
	Gateway, Gateway6 netip.Addr
	// VPC is the network that the interface is in. Frames leave it only over a
	// peering.
	VPC string
}

// Gateway is the gateway of a subnet. It answers ARP and neighbour
// solicitations for its address, forwards between the subnets of its VPC, and
// its MAC is the outer source MAC of mirrored copies to targets of the subnet.
type Gateway struct {
	VPC     string
	Subnet  netip.Prefix
	Address netip.Addr
	MAC     net.HardwareAddr
}

var (
	hostForm      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	interfaceForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`) // IFNAMSIZ is 16 with the final zero
)

// Validate gives the first mistake of the layout as one sentence, or nil.
func (l Layout) Validate() error {
	v := layoutCheck{
		hosts: map[string]bool{}, ports: map[string]bool{}, macs: map[string]string{},
		addresses: map[vpcAddress]string{}, gateways: map[vpcAddress]bool{},
	}
	for i, g := range l.Gateways {
		if err := v.gateway(g); err != nil {
			return fmt.Errorf("gateways[%d]: %w", i, err)
		}
	}
	for i, h := range l.Hosts {
		name := l.Prefix + h.Name
		if !hostForm.MatchString(name) || len(name) > 63 || h.Name == "" {
			return fmt.Errorf("hosts[%d].name %q with prefix %q: use letters, digits, dots, dashes and underscores, at most 63 in all", i, h.Name, l.Prefix)
		}
		if v.hosts[h.Name] {
			return fmt.Errorf("hosts[%d].name %q: another host has this name, choose a different one", i, h.Name)
		}
		v.hosts[h.Name] = true
		devices := map[string]bool{"lo": true}
		for _, nic := range h.Interfaces {
			if devices[nic.Name] || !interfaceForm.MatchString(nic.Name) {
				return fmt.Errorf("host %q, interface %q: use a name of 1 to 15 letters and digits that no other interface of the host has, such as eth0", h.Name, nic.Name)
			}
			devices[nic.Name] = true
			if err := v.nic(nic); err != nil {
				return fmt.Errorf("host %q, interface %s: %w", h.Name, nic.Name, err)
			}
		}
	}
	return nil
}

// layoutCheck remembers what was seen, to find doubles.
type layoutCheck struct {
	hosts, ports map[string]bool
	macs         map[string]string
	addresses    map[vpcAddress]string
	gateways     map[vpcAddress]bool
}

func (v *layoutCheck) gateway(g Gateway) error {
	if !g.Subnet.IsValid() || !g.Address.IsValid() || !g.Subnet.Contains(g.Address) {
		return fmt.Errorf("address %s is not in subnet %s: give an address of the subnet", g.Address, g.Subnet)
	}
	key := vpcAddress{g.VPC, g.Address}
	if owner, taken := v.addresses[key]; taken {
		return fmt.Errorf("address %s is taken by %s: give each its own", g.Address, owner)
	}
	v.addresses[key] = "a gateway"
	v.gateways[key] = true
	return v.mac(g.MAC, "a gateway") // gateways may share one: they are the same router
}

func (v *layoutCheck) nic(nic Interface) error {
	if nic.PortID == "" || v.ports[nic.PortID] {
		return fmt.Errorf("port ID %q is empty or taken: give each interface its own", nic.PortID)
	}
	v.ports[nic.PortID] = true
	if err := v.mac(nic.MAC, "port "+nic.PortID); err != nil {
		return err
	}
	for _, a := range nic.Addresses {
		if !a.IsValid() || a.Addr().IsMulticast() || a.Addr().Is4In6() || a.Addr().Zone() != "" {
			return fmt.Errorf("address %s: give a unicast IPv4 or IPv6 address with a prefix length, such as 192.168.0.230/24", a)
		}
		key := vpcAddress{nic.VPC, a.Addr()}
		if owner, taken := v.addresses[key]; taken {
			return fmt.Errorf("address %s is taken by %s: give each its own", a.Addr(), owner)
		}
		v.addresses[key] = "port " + nic.PortID
	}
	for _, gateway := range []netip.Addr{nic.Gateway, nic.Gateway6} {
		if gateway.IsValid() && !v.gateways[vpcAddress{nic.VPC, gateway}] {
			return fmt.Errorf("gateway %s: VPC %q has no gateway with this address, add it to the layout's gateways", gateway, nic.VPC)
		}
	}
	return nil
}

func (v *layoutCheck) mac(mac net.HardwareAddr, owner string) error {
	if len(mac) != 6 || mac[0]&1 != 0 {
		return fmt.Errorf("MAC %q: give 6 bytes of a unicast address, such as fa:16:3e:7e:d6:bc", mac)
	}
	if other, taken := v.macs[string(mac)]; taken && other != owner {
		return fmt.Errorf("MAC %s is taken by %s: give each its own", mac, other)
	}
	v.macs[string(mac)] = owner
	return nil
}

// vpcAddress is an address in its network: two VPCs may use the same ranges.
type vpcAddress struct {
	vpc     string
	address netip.Addr
}
