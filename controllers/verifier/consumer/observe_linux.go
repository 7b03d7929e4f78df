package consumer

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// folder is /proc/net of the calling thread. /proc/net itself is that of the process's
// first thread, which may be in another network namespace.
const folder = "/proc/thread-self/net/"

// maxFile is how much is read of a file: 60,000 sockets.
const maxFile = 8 << 20

// Observe writes down what the network namespace of the calling thread tells of
// consumers of a UDP port. It can't fail: what can't be read is a gap.
func Observe(port uint16) *Observation {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	o := &Observation{At: time.Now()}
	o.readSockets(port)
	o.readPacketSockets()
	o.readLinks()
	o.readCounters()
	return o
}

func (o *Observation) miss(part Part, err error) {
	if err != nil {
		o.Gaps = append(o.Gaps, Gap{Part: part, Why: err.Error()})
	}
}

// readFile reads a file of /proc up to a bound, beyond which it is an error.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(content) > maxFile {
		return content[:maxFile], fmt.Errorf("%s is longer than %d bytes", name, maxFile)
	}
	return content, nil
}

func (o *Observation) readSockets(port uint16) {
	for _, name := range []string{"udp", "udp6"} {
		content, err := readFile(folder + name)
		if os.IsNotExist(err) && name == "udp6" {
			continue // a kernel without IPv6
		}
		o.miss(PartSockets, err)
		sockets, err := parseSockets(content, port)
		o.miss(PartSockets, err)
		o.Sockets = append(o.Sockets, sockets...)
	}
}

func (o *Observation) readPacketSockets() {
	// Before and after the list, so that one that is opened or closed meanwhile is known.
	own := make(map[uint64]bool)
	o.miss(PartOwnSockets, ownSockets(own))
	content, err := readFile(folder + "packet")
	o.miss(PartPacketSockets, err)
	o.miss(PartOwnSockets, ownSockets(own))
	o.PacketSockets, err = parsePacketSockets(content, own)
	o.miss(PartPacketSockets, err)
	if len(o.PacketSockets) == 0 {
		return
	}
	details := make(map[uint64]PacketSocket)
	err = dump(unix.NETLINK_SOCK_DIAG, unix.SOCK_DIAG_BY_FAMILY, packetDetailsRequest(), func() { clear(details) }, func(body []byte) {
		if inode, d, ok := parsePacketDetails(body); ok && len(details) < 2*maxKept {
			details[inode] = d
		}
	})
	o.miss(PartPacketDetails, err)
	for i := range o.PacketSockets {
		s := &o.PacketSockets[i]
		d := details[s.Inode]
		s.Ring, s.Fanout, s.Promiscuous = d.Ring, d.Fanout, d.Promiscuous
	}
}

// ownSockets adds the inodes of this process's sockets, by its own descriptors: no other
// process has to be looked at to know that a socket is not ours.
func ownSockets(own map[uint64]bool) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		var stat unix.Stat_t
		// One that was closed meanwhile is no socket any more.
		if unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFSOCK {
			own[stat.Ino] = true
		}
	}
	return nil
}

func (o *Observation) readLinks() {
	tooMany := false
	err := dump(unix.NETLINK_ROUTE, unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg),
		func() { o.Links, o.Devices, tooMany = nil, nil, false },
		func(body []byte) {
			link, device, ok := parseLink(body)
			if tooMany = tooMany || len(o.Links) == maxKept; !ok || tooMany {
				return
			}
			o.Links = append(o.Links, link)
			if device != nil {
				o.Devices = append(o.Devices, *device)
			}
		})
	o.miss(PartLinks, orTooMany(err, tooMany))
	o.readIngress()
	err = dump(unix.NETLINK_ROUTE, unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg),
		func() { o.Addresses, tooMany = nil, false },
		func(body []byte) {
			address, ok := parseAddress(body)
			if tooMany = tooMany || len(o.Addresses) == maxKept; ok && !tooMany {
				o.Addresses = append(o.Addresses, address)
			}
		})
	o.miss(PartAddresses, orTooMany(err, tooMany))
}

// readIngress notes at each interface whether it has a queue for what comes in.
func (o *Observation) readIngress() {
	places := make(map[int]*Link, len(o.Links))
	for i := range o.Links {
		places[o.Links[i].Index] = &o.Links[i]
	}
	const tcmsg = 20
	err := dump(unix.NETLINK_ROUTE, unix.RTM_GETQDISC, make([]byte, tcmsg), func() {}, func(body []byte) {
		index, ok := parseIngress(body)
		if link := places[index]; ok && link != nil {
			link.Ingress = true
		}
	})
	o.miss(PartQueues, err)
}

func orTooMany(err error, tooMany bool) error {
	if err == nil && tooMany {
		return errTooMany
	}
	return err
}

func (o *Observation) readCounters() {
	t := make(table)
	snmp, err := readFile(folder + "snmp")
	o.miss(PartCounters, err)
	netstat, err := readFile(folder + "netstat")
	o.miss(PartCounters, err)
	t.parsePaired(snmp, "Ip", "Udp")
	t.parsePaired(netstat, "TcpExt", "IpExt")
	o.IPv4, err = t.counters("Ip", "Udp")
	o.miss(PartCounters, err)
	snmp6, err := readFile(folder + "snmp6")
	if os.IsNotExist(err) {
		return // a kernel without IPv6
	}
	o.miss(PartCounters, err)
	t.parseSingle(snmp6, "Ip6", "Udp6")
	o.IPv6, err = t.counters("Ip6", "Udp6")
	o.miss(PartCounters, err)
}
