package dataplane

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// UnavailableError says that this machine or user lacks something that the
// plane needs, such as root or /dev/net/tun. A test skips on it.
type UnavailableError = netns.UnavailableError

const (
	tunDevice = "/dev/net/tun"
	// capNetAdmin is what devices, addresses and routes ask for.
	capNetAdmin = "CAP_NET_ADMIN"
	// queueLength is how many frames of a host may wait for the switch. It has
	// to take a TCP window that the host sends in one go.
	queueLength = 4096
)

// device is the switch's end of a host's interface.
type device struct {
	file *os.File
	mtu  int // of the host's side
}

// write hands a frame to the host.
func (d *device) write(frame []byte) error {
	_, err := d.file.Write(frame)
	return err
}

// setUpHost makes the interfaces of a host and gives the switch's ends of them
// in the same order. It must run on a thread that is inside the host's
// namespace. On failure it has closed what it had opened.
func setUpHost(h Host) (_ []*os.File, err error) {
	var files []*os.File
	defer func() {
		if err != nil {
			for _, f := range files {
				f.Close()
			}
		}
	}()
	if err := bringUp("lo"); err != nil {
		return nil, netns.Needs(capNetAdmin, err)
	}
	for i, nic := range h.Interfaces {
		file, err := openTAP(nic.Name)
		if err != nil {
			return nil, fmt.Errorf("make interface %s: %w", nic.Name, err)
		}
		files = append(files, file)
		if err := configure(nic, i); err != nil {
			return nil, fmt.Errorf("set up interface %s: %w", nic.Name, netns.Needs(capNetAdmin, err))
		}
	}
	return files, nil
}

// openTAP makes a TAP device in the calling thread's namespace. No offloads are
// offered (TUNSETOFFLOAD is left alone), so the kernel cuts TCP into segments
// and fills in checksums before a frame gets here: a frame is a packet.
func openTAP(name string) (*os.File, error) {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return nil, &UnavailableError{
			Need:   "the kernel's TAP driver, " + tunDevice + ",",
			Remedy: "load it (modprobe tun) or give the container the device",
			Err:    err,
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", tunDevice, netns.Needs(capNetAdmin, err))
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make TAP device %s: %w", name, netns.Needs(capNetAdmin, err))
	}
	// Only now: the poller must not see the descriptor before it is a device.
	return os.NewFile(uintptr(fd), tunDevice), nil
}

// configure gives an interface its MAC, addresses and routes and brings it up.
// position is its place in the host: the default route of the first is preferred.
func configure(nic Interface, position int) error {
	link, err := netlink.LinkByName(nic.Name)
	if err != nil {
		return fmt.Errorf("find it: %w", err)
	}
	if err := netlink.LinkSetHardwareAddr(link, nic.MAC); err != nil {
		return fmt.Errorf("set MAC %s: %w", nic.MAC, err)
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("set MTU %d: %w", mtu, err)
	}
	if err := netlink.LinkSetTxQLen(link, queueLength); err != nil {
		return fmt.Errorf("set queue length %d: %w", queueLength, err)
	}
	if err := setIPv6(nic); err != nil {
		return err
	}
	if err := bringUp(nic.Name); err != nil {
		return err
	}
	for _, a := range nic.Addresses {
		address := &netlink.Addr{IPNet: ipNet(a)}
		if a.Addr().Is6() {
			address.Flags = unix.IFA_F_NODAD // usable at once; the layout has no doubles
		}
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("add address %s: %w", a, err)
		}
	}
	for _, gateway := range []netip.Addr{nic.Gateway, nic.Gateway6} {
		if !gateway.IsValid() {
			continue
		}
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice(), Priority: position * 100}
		if err := netlink.RouteAdd(route); err != nil {
			return fmt.Errorf("add default route via %s: %w", gateway, err)
		}
	}
	return nil
}

func setMTU(name string, value int) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetMTU(link, value); err != nil {
		return fmt.Errorf("set MTU %d: %w", value, err)
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

// setIPv6 keeps a quiet interface quiet: what nobody asked for must not turn up
// in a count. Without an IPv6 address the protocol is off; with one, only
// neighbour discovery is left of what a kernel sends by itself.
func setIPv6(nic Interface) error {
	wanted := false
	for _, a := range nic.Addresses {
		wanted = wanted || a.Addr().Is6()
	}
	settings := []struct{ name, value string }{
		{"accept_ra", "0"}, {"autoconf", "0"}, {"router_solicitations", "0"}, {"accept_dad", "0"},
	}
	if !wanted {
		settings = append(settings, struct{ name, value string }{"disable_ipv6", "1"})
	}
	for _, s := range settings {
		path := filepath.Join("/proc/sys/net/ipv6/conf", nic.Name, s.name)
		err := os.WriteFile(path, []byte(s.value), 0o644)
		if err != nil && (wanted || !errors.Is(err, fs.ErrNotExist)) { // no file: a kernel without IPv6
			return fmt.Errorf("set %s: %w", path, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
