package consumer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// errInterrupted is a list that changed while the kernel wrote it (NLM_F_DUMP_INTR):
// what is there could be missing in it.
var errInterrupted = errors.New("the list changed while it was read")

// errMessage is an answer of the kernel that is not built as netlink(7) says.
var errMessage = errors.New("the answer has not the known form")

// parseAnswer hands the bodies of the messages in one piece of an answer to each. It is
// done when the kernel said so. Whatever the bytes are, it reads none twice.
func parseAnswer(b []byte, sequence uint32, each func(body []byte)) (done bool, err error) {
	interrupted := false
	for len(b) >= unix.SizeofNlMsghdr {
		length := uint64(binary.NativeEndian.Uint32(b))
		kind, flags := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:])
		if length < unix.SizeofNlMsghdr || length > uint64(len(b)) {
			return false, errMessage
		}
		body := b[unix.SizeofNlMsghdr:length]
		mine := binary.NativeEndian.Uint32(b[8:]) == sequence
		b = b[min(uint64(len(b)), (length+3)&^3):]
		interrupted = interrupted || flags&unix.NLM_F_DUMP_INTR != 0
		switch {
		case !mine: // of a question that was given up
		case kind == unix.NLMSG_DONE || kind == unix.NLMSG_ERROR: // either ends the list, and may bear an error
			if err := answered(body); err != nil {
				return false, err
			}
			done = true
		case kind >= unix.NLMSG_MIN_TYPE:
			each(body)
		}
	}
	if interrupted {
		return done, errInterrupted
	}
	return done, nil
}

// answered reads the error that ends a list: minus its number, 0 or nothing for none.
func answered(body []byte) error {
	if len(body) < 4 {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(body)); code < 0 {
		return os.NewSyscallError("netlink", unix.Errno(-int64(code)))
	}
	return nil
}

// attributes yields the type and value of each attribute. It ends at the first that is
// not as netlink(7) says.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		const flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
		for len(b) >= unix.SizeofNlAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofNlAttr || length > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&^flags, b[unix.SizeofNlAttr:length]) {
				return
			}
			b = b[min(len(b), (length+3)&^3):]
		}
	}
}

// number reads an unsigned number of this machine's order, 0 where there is none.
func number(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(b))
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	case 8:
		return binary.NativeEndian.Uint64(b)
	}
	return 0
}

// text reads a string that ends with a zero byte.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// parseLink reads an interface (rtnetlink(7), RTM_NEWLINK), and what it is as a vxlan
// device, nil for any other.
func parseLink(body []byte) (link Link, device *Device, ok bool) {
	if len(body) < unix.SizeofIfInfomsg {
		return link, nil, false
	}
	link.Index = int(int32(binary.NativeEndian.Uint32(body[4:])))
	link.Up = binary.NativeEndian.Uint32(body[8:])&unix.IFF_UP != 0
	var d Device
	for kind, value := range attributes(body[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			link.Name = text(value)
		case unix.IFLA_MASTER:
			link.Master = int(int32(number(value)))
		case unix.IFLA_LINK_NETNSID:
			d.Elsewhere = true
		case unix.IFLA_STATS64:
			d.parseCounters(value)
		case unix.IFLA_LINKINFO:
			link.Kind = d.parseInfo(value)
		}
	}
	if link.Kind != "vxlan" {
		return link, nil, true
	}
	d.Index, d.Name, d.Up = link.Index, link.Name, link.Up
	return link, &d, true
}

// parseCounters reads struct rtnl_link_stats64 of linux/if_link.h: numbers of 64 bits,
// of which rx_packets is the first, rx_errors the fifth and rx_dropped the seventh.
func (d *Device) parseCounters(b []byte) {
	for place, into := range map[int]*uint64{0: &d.Received, 4: &d.Errors, 6: &d.Dropped} {
		if len(b) >= 8*place+8 {
			*into = binary.NativeEndian.Uint64(b[8*place:])
		}
	}
}

// parseInfo reads IFLA_LINKINFO: the kind, and the fields of a vxlan device.
func (d *Device) parseInfo(b []byte) (kind string) {
	for attribute, value := range attributes(b) {
		switch attribute {
		case unix.IFLA_INFO_KIND:
			kind = text(value)
		case unix.IFLA_INFO_DATA:
			if kind == "vxlan" { // the kernel writes the kind first
				d.parseVXLAN(value)
			}
		}
	}
	return kind
}

// parseVXLAN reads the attributes of a vxlan device (drivers/net/vxlan/vxlan_core.c,
// vxlan_fill_info). It listens for IPv6 when either of its addresses is one.
func (d *Device) parseVXLAN(b []byte) {
	for kind, value := range attributes(b) {
		switch kind {
		case unix.IFLA_VXLAN_ID:
			d.VNI = uint32(number(value))
		case unix.IFLA_VXLAN_PORT:
			if len(value) == 2 {
				d.Port = binary.BigEndian.Uint16(value)
			}
		case unix.IFLA_VXLAN_LINK:
			d.Lower = int(int32(number(value)))
		case unix.IFLA_VXLAN_LEARNING:
			d.Learning = number(value) != 0
		case unix.IFLA_VXLAN_COLLECT_METADATA:
			d.External = len(value) == 0 || number(value) != 0
		case unix.IFLA_VXLAN_VNIFILTER:
			d.VNIFilter = number(value) != 0
		case unix.IFLA_VXLAN_LOCAL, unix.IFLA_VXLAN_LOCAL6:
			d.Local, _ = netip.AddrFromSlice(value)
		case unix.IFLA_VXLAN_GROUP, unix.IFLA_VXLAN_GROUP6:
			d.Group, _ = netip.AddrFromSlice(value)
		}
	}
	d.IPv6 = d.Local.Is6() || d.Group.Is6()
}

// parseAddress reads an address (rtnetlink(7), RTM_NEWADDR). IFA_LOCAL is the host's own
// where both are there, and IPv6 has IFA_ADDRESS alone (linux/if_addr.h).
func parseAddress(body []byte) (address netip.Addr, ok bool) {
	if len(body) < unix.SizeofIfAddrmsg {
		return address, false
	}
	for kind, value := range attributes(body[unix.SizeofIfAddrmsg:]) {
		local := kind == unix.IFA_LOCAL
		if !local && (kind != unix.IFA_ADDRESS || ok) {
			continue
		}
		if parsed, valid := netip.AddrFromSlice(value); valid {
			address, ok = parsed.Unmap(), true
		}
	}
	return address, ok
}

// parseIngress returns the index of the interface when the message (rtnetlink(7),
// RTM_NEWQDISC, struct tcmsg) is of a queue for what comes in.
func parseIngress(body []byte) (index int, ok bool) {
	const tcmsg = 20
	if len(body) < tcmsg {
		return 0, false
	}
	for kind, value := range attributes(body[tcmsg:]) {
		if kind == unix.TCA_KIND {
			name := text(value)
			ok = name == "ingress" || name == "clsact"
		}
	}
	return int(int32(binary.NativeEndian.Uint32(body[4:]))), ok
}

// Attributes of sock_diag's answer about a packet socket (linux/packet_diag.h).
const (
	diagMemberships = 1
	diagRing        = 2
	diagFanout      = 4
)

// parsePacketDetails reads what sock_diag says of a packet socket (linux/packet_diag.h,
// struct packet_diag_msg).
func parsePacketDetails(body []byte) (inode uint64, details PacketSocket, ok bool) {
	const header = 16
	if len(body) < header || body[0] != unix.AF_PACKET {
		return 0, details, false
	}
	for kind, value := range attributes(body[header:]) {
		switch kind {
		case diagMemberships:
			details.Promiscuous = promiscuous(value)
		case diagRing:
			details.Ring = len(value) > 0
		case diagFanout:
			details.Fanout = len(value) > 0
		}
	}
	return uint64(binary.NativeEndian.Uint32(body[4:])), details, true
}

// promiscuous finds the membership PACKET_MR_PROMISC among those of a packet socket
// (struct packet_diag_mclist).
func promiscuous(b []byte) bool {
	const size, kind = 44, 8
	for ; len(b) >= size; b = b[size:] {
		if binary.NativeEndian.Uint16(b[kind:]) == unix.PACKET_MR_PROMISC {
			return true
		}
	}
	return false
}

// packetDetailsRequest asks for what parsePacketDetails reads (struct packet_diag_req).
func packetDetailsRequest() []byte {
	const memberships, ring, fanout = 2, 4, 8
	b := make([]byte, 20)
	b[0] = unix.AF_PACKET
	binary.NativeEndian.PutUint32(b[8:], memberships|ring|fanout)
	return b
}

// request builds a question for a list.
func request(kind uint16, sequence uint32, body []byte) []byte {
	b := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	binary.NativeEndian.PutUint32(b, uint32(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(b[8:], sequence)
	return append(b, body...)
}

// dump asks a protocol of netlink for a list, in the network namespace of the calling
// thread, and hands each entry to each. A list that changed meanwhile is asked for again;
// reset forgets what was handed out before.
func dump(protocol int, kind uint16, body []byte, reset func(), each func(body []byte)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return fmt.Errorf("open a netlink socket: %w", err)
	}
	defer unix.Close(fd)
	// The kernel answers at once; this only bounds what must not happen.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return fmt.Errorf("set the deadline of a netlink socket: %w", err)
	}
	const attempts = 5
	for sequence := range uint32(attempts) {
		reset()
		if err = ask(fd, request(kind, sequence+1, body), sequence+1, each); !errors.Is(err, errInterrupted) {
			return err
		}
	}
	return err
}

func ask(fd int, question []byte, sequence uint32, each func(body []byte)) error {
	if err := unix.Sendto(fd, question, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask netlink: %w", err)
	}
	// The kernel fills a buffer of up to 32 KiB at a time (netlink_dump).
	const piece, most = 1 << 16, 1 << 26
	buffer := make([]byte, piece)
	var interrupted error
	for total := 0; total < most; {
		n, _, flags, _, err := unix.Recvmsg(fd, buffer, nil, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read netlink's answer: %w", err)
		}
		if flags&unix.MSG_TRUNC != 0 {
			return errMessage
		}
		total += max(n, unix.SizeofNlMsghdr)
		done, err := parseAnswer(buffer[:n], sequence, each)
		if errors.Is(err, errInterrupted) {
			interrupted = err // the rest is still to be read
		} else if err != nil {
			return err
		}
		if done {
			return interrupted
		}
	}
	return fmt.Errorf("netlink's answer is longer than %d bytes", most)
}
