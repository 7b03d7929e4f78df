package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"
)

// Interface is a network interface of this host.
type Interface struct {
	Index int
	Name  string
	// MAC is the hardware address in lower case with colons, empty for none.
	MAC       string
	Addresses []netip.Addr
}

// LocalInterfaces returns the interfaces of the network namespace that the calling
// thread is in, except the loopback. It asks the kernel twice, however many interfaces
// there are: a node has one for each pod, and net's own Addrs would list all addresses
// for each of them.
func LocalInterfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	addresses, err := localAddresses()
	if err != nil {
		return nil, err
	}
	out := make([]Interface, 0, len(all))
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 {
			out = append(out, Interface{Index: i.Index, Name: i.Name, MAC: i.HardwareAddr.String(), Addresses: addresses[i.Index]})
		}
	}
	return out, nil
}

// errInterrupted is a list that changed while the kernel wrote it (NLM_F_DUMP_INTR):
// an address that is there could be missing in it.
var errInterrupted = errors.New("the list changed while it was read")

// localAddresses returns all addresses by the index of their interface.
func localAddresses() (map[int][]netip.Addr, error) {
	const attempts = 5
	var err error
	for range attempts {
		var out map[int][]netip.Addr
		if out, err = dumpAddresses(); !errors.Is(err, errInterrupted) {
			return out, err
		}
	}
	return nil, err
}

func dumpAddresses() (map[int][]netip.Addr, error) {
	raw, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("list the addresses: %w", os.NewSyscallError("netlink", err))
	}
	messages, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		return nil, fmt.Errorf("read the list of addresses: %w", os.NewSyscallError("netlink", err))
	}
	out := make(map[int][]netip.Addr)
	for i := range messages {
		m := &messages[i]
		const interrupted = 0x10 // NLM_F_DUMP_INTR of linux/netlink.h
		if m.Header.Flags&interrupted != 0 {
			return nil, fmt.Errorf("list the addresses: %w", errInterrupted)
		}
		if m.Header.Type != syscall.RTM_NEWADDR || len(m.Data) < syscall.SizeofIfAddrmsg {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return nil, fmt.Errorf("read an address: %w", os.NewSyscallError("netlink", err))
		}
		index := int((*syscall.IfAddrmsg)(unsafe.Pointer(&m.Data[0])).Index)
		if address, ok := ownAddress(attributes); ok {
			out[index] = append(out[index], address)
		}
	}
	return out, nil
}

// ownAddress is the interface's end: on a point-to-point link IFA_ADDRESS is the peer's
// and IFA_LOCAL its own; IPv6 has IFA_ADDRESS alone (linux/if_addr.h).
func ownAddress(attributes []syscall.NetlinkRouteAttr) (address netip.Addr, ok bool) {
	for _, a := range attributes {
		local := a.Attr.Type == syscall.IFA_LOCAL
		if !local && (a.Attr.Type != syscall.IFA_ADDRESS || ok) {
			continue
		}
		if parsed, valid := netip.AddrFromSlice(a.Value); valid {
			address, ok = parsed.Unmap(), true
		}
	}
	return address, ok
}
