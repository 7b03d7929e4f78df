package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// The network namespaces: the node's, and that from which copies come.
const (
	prefix    = "vpcmirror-bench-node-"
	nodeSpace = prefix + "node"
	wireSpace = prefix + "wire"
	// server is where the verifier finds the API server, in its own namespace.
	server = "127.0.0.1:6443"
	health = "127.0.0.1:14790"
)

var nodeMAC, wireMAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}

// wire is the network of the node.
type wire struct {
	claim  *netns.Claim
	socket int // sends to the node
	index  int
}

// newWire makes the node's network: eth0 with the addresses of all targets, and the other end of it.
func newWire() (w *wire, err error) {
	w = &wire{socket: -1}
	if w.claim, err = netns.Acquire(prefix); err != nil {
		return w, err
	}
	if err := w.claim.Create(wireSpace, nil); err != nil {
		return w, err
	}
	if err := w.claim.Create(nodeSpace, layWire); err != nil {
		return w, err
	}
	return w, netns.In(wireSpace, func() error {
		link, err := up("wire0")
		if err != nil {
			return err
		}
		w.index = link.Attrs().Index
		if w.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open a packet socket: %w", err)
		}
		return nil
	})
}

func layWire() error {
	far, err := os.Open(netns.Path(wireSpace))
	if err != nil {
		return fmt.Errorf("open a network namespace: %w", err)
	}
	defer far.Close()
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0", HardwareAddr: nodeMAC, MTU: 9000},
		PeerName:  "wire0", PeerHardwareAddr: wireMAC, PeerMTU: 9000, PeerNamespace: netlink.NsFd(far.Fd()),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make the node's interface: %w", err)
	}
	if _, err := up("lo"); err != nil {
		return err
	}
	link, err := up("eth0")
	if err != nil {
		return err
	}
	for target := range ownMost / perTarget {
		address := &netlink.Addr{IPNet: &net.IPNet{IP: ownTarget(target).AsSlice(), Mask: net.CIDRMask(16, 32)}}
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("give the node's interface the address %s: %w", address, err)
		}
	}
	return nil
}

func up(name string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find the interface %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("set the interface %s up: %w", name, err)
	}
	return link, nil
}

func (w *wire) close() error {
	var errs []error
	if w.socket >= 0 {
		errs = append(errs, unix.Close(w.socket))
	}
	if w.claim != nil {
		errs = append(errs, w.claim.Release())
	}
	return errors.Join(errs...)
}

// send sends copies of own sessions to the node, one each.
func (w *wire) send(own int) error {
	for n := range own {
		frame, err := frameOf(n)
		if err != nil {
			return err
		}
		to := &unix.SockaddrLinklayer{Ifindex: w.index, Halen: 6}
		copy(to.Addr[:], nodeMAC)
		if err := unix.Sendto(w.socket, frame, 0, to); err != nil {
			return fmt.Errorf("send a copy: %w", err)
		}
	}
	return nil
}

// frameOf is a copy of a packet to own session's source, that the filter's first rule accepts.
func frameOf(n int) ([]byte, error) {
	source := ownSource(n)
	ip := func(from, to netip.Addr, protocol layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	}
	outer, inner := ip(source, ownTarget(n/perTarget), layers.IPProtocolUDP), ip(netip.MustParseAddr("10.16.0.9"), source, layers.IPProtocolTCP)
	udp, tcp := &layers.UDP{SrcPort: 50000, DstPort: 4789}, &layers.TCP{SrcPort: 40000, DstPort: 1000, SYN: true}
	for _, transport := range []struct {
		layer interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}
		network gopacket.NetworkLayer
	}{{udp, outer}, {tcp, inner}} {
		if err := transport.layer.SetNetworkLayerForChecksum(transport.network); err != nil {
			return nil, fmt.Errorf("make a copy: %w", err)
		}
	}
	ether := func(from, to net.HardwareAddr) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: layers.EthernetTypeIPv4}
	}
	buffer := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ether(wireMAC, nodeMAC), outer, udp, &layers.VXLAN{ValidIDFlag: true, VNI: uint32(ownVNI(n))},
		ether(wireMAC, ownMAC(n)), inner, tcp, gopacket.Payload("hello"))
	if err != nil {
		return nil, fmt.Errorf("make a copy: %w", err)
	}
	return buffer.Bytes(), nil
}

// forward carries connections from the node's namespace to the API server, until ctx ends.
func forward(ctx context.Context, to string) error {
	var listener net.Listener
	err := netns.In(nodeSpace, func() (err error) {
		listener, err = net.Listen("tcp", server)
		return err
	})
	if err != nil {
		return fmt.Errorf("make the way to the API server: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go join(near, to)
		}
	}()
	return nil
}

// join connects one connection with the other side until one of the two ends.
func join(near net.Conn, to string) {
	defer near.Close()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return // the verifier tries again
	}
	defer far.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1]) // how a connection ends is its users' business
			ended <- struct{}{}
		}()
	}
	<-ended
}

// inside is a client that asks in the node's namespace.
var inside = &http.Client{Timeout: time.Second, Transport: &http.Transport{
	DisableKeepAlives: true,
	DialContext: func(context.Context, string, string) (connection net.Conn, err error) {
		err = netns.In(nodeSpace, func() (err error) {
			connection, err = net.Dial("tcp", health)
			return err
		})
		return connection, err
	},
}}
