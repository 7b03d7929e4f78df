package consumer

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
)

// maxKept is how many sockets, devices, or interfaces of a kind an observation holds.
const maxKept = 4096

// errTooMany is a list that holds more than is kept.
var errTooMany = errors.New("there are more than " + strconv.Itoa(maxKept))

// errLine is a list with a line that is not as expected.
var errLine = errors.New("a line has not the known form")

// parseSockets returns the sockets of a port in the text of /proc/net/udp or udp6. Lines
// that are not understood are left out, and the error says so.
//
// A line is (net/ipv4/udp.c, udp4_format_sock; proc_pid_net(5)): slot, local and remote address
// and port, state, send and receive queue, timer, retransmits, uid, timeout, inode,
// references, pointer, drops.
func parseSockets(text []byte, port uint16) (sockets []Socket, err error) {
	for line := range rows(text) {
		f := bytes.Fields(line)
		if len(f) < 13 {
			err = errLine
			continue
		}
		local, valid := parseHexAddress(f[1])
		if valid && local.Port() != port {
			continue
		}
		s, understood := parseSocket(f)
		if !valid || !understood {
			err = errLine
			continue
		}
		if len(sockets) == maxKept {
			return sockets, errTooMany
		}
		sockets = append(sockets, s)
	}
	return sockets, err
}

func parseSocket(f [][]byte) (Socket, bool) {
	local, ok1 := parseHexAddress(f[1])
	remote, ok2 := parseHexAddress(f[2])
	_, queue, ok3 := bytes.Cut(f[4], []byte(":"))
	queued, err1 := strconv.ParseUint(string(queue), 16, 64)
	uid, err2 := strconv.ParseUint(string(f[7]), 10, 32)
	inode, err3 := strconv.ParseUint(string(f[9]), 10, 64)
	drops, err4 := strconv.ParseUint(string(f[12]), 10, 64)
	s := Socket{Local: local, Remote: remote, UID: uint32(uid), Inode: inode, Queued: queued, Drops: drops}
	return s, ok1 && ok2 && ok3 && errors.Join(err1, err2, err3, err4) == nil
}

// parseHexAddress reads an address and a port: one word of 32 bits or four, each printed as
// a number of this machine though it holds bytes in network order, and the port.
func parseHexAddress(text []byte) (netip.AddrPort, bool) {
	words, port, found := bytes.Cut(text, []byte(":"))
	if !found || (len(words) != 8 && len(words) != 32) || len(port) != 4 {
		return netip.AddrPort{}, false
	}
	raw := make([]byte, len(words)/2)
	if _, err := hex.Decode(raw, words); err != nil {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(string(port), 16, 16)
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	address, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address, uint16(number)), err == nil
}

// parsePacketSockets returns the sockets in the text of /proc/net/packet, but those whose
// inode is own.
//
// A line is (net/packet/af_packet.c, packet_seq_show): pointer, references, type,
// protocol, interface, running, memory, uid, inode.
func parsePacketSockets(text []byte, own map[uint64]bool) (sockets []PacketSocket, err error) {
	for line := range rows(text) {
		s, understood := parsePacketSocket(bytes.Fields(line))
		switch {
		case !understood:
			err = errLine
		case own[s.Inode]:
		case len(sockets) == maxKept:
			return sockets, errTooMany
		default:
			sockets = append(sockets, s)
		}
	}
	return sockets, err
}

func parsePacketSocket(f [][]byte) (PacketSocket, bool) {
	if len(f) < 9 {
		return PacketSocket{}, false
	}
	kind, err1 := strconv.ParseUint(string(f[2]), 10, 16)
	protocol, err2 := strconv.ParseUint(string(f[3]), 16, 16)
	index, err3 := strconv.ParseInt(string(f[4]), 10, 32) // -1 when its interface was removed
	running, err4 := strconv.ParseUint(string(f[5]), 10, 8)
	uid, err5 := strconv.ParseUint(string(f[7]), 10, 32)
	inode, err6 := strconv.ParseUint(string(f[8]), 10, 64)
	return PacketSocket{
		Type: int(kind), Protocol: uint16(protocol), Interface: int(index), Running: running == 1, UID: uint32(uid), Inode: inode,
	}, errors.Join(err1, err2, err3, err4, err5, err6) == nil
}

// rows yields the lines of a table but its heading.
func rows(text []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		heading := true
		for line := range bytes.Lines(text) {
			if heading {
				heading = false
				continue
			}
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line) {
				return
			}
		}
	}
}

// table are counters by group and name, such as "Udp" and "NoPorts".
type table map[[2]string]uint64

// parsePaired reads the form of /proc/net/snmp and /proc/net/netstat: a line of names and
// a line of values, each after the group's name and a colon (proc_pid_net(5)). Groups
// that are not asked for, and values below 0, are left out.
func (t table) parsePaired(text []byte, groups ...string) {
	var group string
	var names [][]byte
	for line := range bytes.Lines(text) {
		head, rest, found := bytes.Cut(line, []byte(":"))
		if !found || len(head) > 32 {
			continue
		}
		fields := bytes.Fields(rest)
		if group != string(head) {
			group, names = string(head), fields
			continue
		}
		for _, wanted := range groups {
			if wanted != group {
				continue
			}
			for i := range min(len(names), len(fields)) {
				if v, err := strconv.ParseUint(string(fields[i]), 10, 64); err == nil {
					t[[2]string{group, string(names[i])}] = v
				}
			}
		}
		group = ""
	}
}

// parseSingle reads the form of /proc/net/snmp6: a name that begins with its group, and
// a value.
func (t table) parseSingle(text []byte, groups ...string) {
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) != 2 {
			continue
		}
		for _, group := range groups {
			name, found := bytes.CutPrefix(f[0], []byte(group))
			if v, err := strconv.ParseUint(string(f[1]), 10, 64); found && err == nil {
				t[[2]string{group, string(name)}] = v
			}
		}
	}
}

// errCounter is a counter that the kernel does not have.
var errCounter = errors.New("a counter is not there")

// counters picks the counters of one family: its groups are "Ip" and "Udp", or "Ip6" and
// "Udp6". The sum of packets that an unknown counter would spoil is never made: a missing
// one is an error. Kernels have all of them since 2.6.30.
func (t table) counters(ip, udp string) (c Counters, err error) {
	// IPv6 calls some Out, what IPv4 calls plainly; IPv4's NoRoutes is in another file.
	forwarded, noRoutes := [2]string{ip, "OutForwDatagrams"}, [2]string{ip, "InNoRoutes"}
	if ip == "Ip" {
		forwarded, noRoutes = [2]string{ip, "ForwDatagrams"}, [2]string{"IpExt", "InNoRoutes"}
	}
	for key, into := range map[[2]string]*uint64{
		{ip, "InReceives"}:    &c.Receives,
		{ip, "InDelivers"}:    &c.Delivers,
		forwarded:             &c.Forwarded,
		{ip, "InAddrErrors"}:  &c.AddressErrors,
		noRoutes:              &c.NoRoutes,
		{ip, "InHdrErrors"}:   &c.HeaderErrors,
		{ip, "ReasmReqds"}:    &c.Fragments,
		{ip, "ReasmOKs"}:      &c.Reassembled,
		{udp, "InDatagrams"}:  &c.Datagrams,
		{udp, "NoPorts"}:      &c.NoPorts,
		{udp, "InErrors"}:     &c.Errors,
		{udp, "InCsumErrors"}: &c.Checksum,
	} {
		value, known := t[key]
		if !known {
			err = errCounter
		}
		*into = value
	}
	if ip == "Ip" {
		c.ReversePath = t[[2]string{"TcpExt", "IPReversePathFilter"}]
	}
	return c, err
}

// since returns by how much each counter grew. It fails where one fell: they were begun
// anew, or it is another network namespace.
func (c Counters) since(o Counters) (growth Counters, ok bool) {
	ok = true
	sub := func(now, then uint64) uint64 {
		ok = ok && now >= then
		return now - then
	}
	return Counters{
		Receives: sub(c.Receives, o.Receives), Delivers: sub(c.Delivers, o.Delivers), Forwarded: sub(c.Forwarded, o.Forwarded),
		AddressErrors: sub(c.AddressErrors, o.AddressErrors), NoRoutes: sub(c.NoRoutes, o.NoRoutes),
		HeaderErrors: sub(c.HeaderErrors, o.HeaderErrors), Fragments: sub(c.Fragments, o.Fragments),
		Reassembled: sub(c.Reassembled, o.Reassembled), ReversePath: sub(c.ReversePath, o.ReversePath),
		Datagrams: sub(c.Datagrams, o.Datagrams), NoPorts: sub(c.NoPorts, o.NoPorts),
		Errors: sub(c.Errors, o.Errors), Checksum: sub(c.Checksum, o.Checksum),
	}, ok
}
