package consumer

import (
	"fmt"
	"net/netip"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Place is where the copies of a session arrive.
type Place struct {
	// Node is this host's name and Interface that of the interface: both are for texts.
	Node, Interface string
	// Index is the index of the interface.
	Index int
	// Address and Port are where the copies go to, VNI is the session's.
	Address netip.Addr
	Port    uint16
	VNI     uint32
}

// Arrived are the frames that the capture counted between two observations. Frames, not
// packets: what the kernel joined to one frame it also counts as one.
//
// They are counted from Settle after the first observation to before the second, so that
// the counters of the kernel have grown by all of them.
type Arrived struct {
	// Session are the frames at the session's address with its VNI.
	Session uint64
	// Others are all other frames to the port on this host, of other VNIs, addresses and
	// interfaces.
	Others uint64
}

// Settle is how long after an observation counting may begin: a frame waits in the ring
// until its block is handed over, and those that came before must not be counted. That is within
// twice capture.DefaultBlockTimeout.
const Settle = 600 * time.Millisecond

// Verdict says whether something takes the copies.
type Verdict struct {
	Status metav1.ConditionStatus
	// Reason is one of the reasons of ConsumerReady in package api.
	Reason string
	// Partial says of False that some of the copies are taken all the same.
	Partial bool
	// Consumer is who takes them or is meant to, empty for nobody.
	Consumer string
	// Message is one sentence; Remedy, empty with True, is what to do.
	Message, Remedy string
}

// Judge says what takes the copies that arrive at a place. The two observations are of
// the same network namespace; the first may be nil, then only what is there now counts.
func Judge(at Place, before, after *Observation, arrived Arrived) Verdict {
	f := newFacts(at, before, after, arrived)
	for _, cause := range causes {
		if v := cause(f); v != nil {
			return f.doubted(*v)
		}
	}
	return f.undecided()
}

// doubted turns an accusation into Unknown where a capture program may be there after all:
// where packet sockets could not be read, or one of them may be a DHCP client's as well.
// Where a consumer is known that does not get its copies, it stays.
func (f *facts) doubted(v Verdict) Verdict {
	if v.Status != metav1.ConditionFalse || (v.Consumer != "" && v.Reason != v1alpha1.ReasonWrongVNI) {
		return v
	}
	for _, part := range []Part{PartPacketSockets, PartOwnSockets} {
		if why, missing := f.after.gap(part); missing {
			return *f.unknown(v1alpha1.ReasonNotObserved, fmt.Sprintf("%s; but whether an IDS has a packet socket on %s can't be told, %s could not be read: %s",
				v.Message, f.Node, part, why), v.Remedy)
		}
	}
	if s := f.suspect(); s != nil {
		return *f.unknown(v1alpha1.ReasonOutOfSight, fmt.Sprintf("%s; but a %s may be an IDS, or a DHCP client", v.Message, f.packetSocketName(s)),
			fmt.Sprintf("see whose it is (ss -0 -p on %s); if it is no IDS: %s", f.Node, v.Remedy))
	}
	return v
}

// causes are tried in turn. Whoever takes copies comes first; then what was surely thrown
// away by the one that should; then who is missing; then what happened on the way. Each
// relies on those before it having found nothing.
var causes = []func(*facts) *Verdict{
	sniffed, takenByDevice, discardedByDevice, overflows, takenBySocket,
	deviceDown, deviceOfAnotherVNI, nobodyListens,
	refusedByReversePath, damaged, notOurAddress, droppedByFirewall, lostBeforeIP, forwarded,
}

// facts are what the causes are decided by.
type facts struct {
	Place
	before, after *Observation
	// copies are the session's, others the rest.
	copies, others uint64
	// counted says that growth can be used.
	counted bool
	growth  Counters
	// listens says that something has the port, so that the datagrams that programs read may
	// be copies.
	listens bool
}

func newFacts(at Place, before, after *Observation, arrived Arrived) *facts {
	f := &facts{Place: at, before: before, after: after, copies: arrived.Session, others: arrived.Others}
	f.Address, f.Interface = f.Address.Unmap(), printable(f.Interface)
	f.listens = len(after.Sockets) > 0
	if before == nil {
		return f
	}
	f.listens = f.listens || len(before.Sockets) > 0
	_, missing := after.gap(PartCounters)
	_, missed := before.gap(PartCounters)
	then, now := before.IPv4, after.IPv4
	if !f.Address.Is4() {
		then, now = before.IPv6, after.IPv6
	}
	f.growth, f.counted = now.since(then)
	f.counted = f.counted && !missing && !missed
	return f
}

// most says whether a counter grew by at least half of the copies, so that most of them
// may be in it. The two are not taken at one moment, so that all is too much to ask.
func (f *facts) most(growth uint64) bool { return f.copies > 0 && growth >= f.copies-f.copies/2 }

// few says that a counter proves that most of the copies are not in it. One copy alone
// proves nothing.
func (f *facts) few(growth uint64) bool { return f.copies > 1 && growth < f.copies/2 }

// reached is the most of the copies that can have reached a UDP socket or been refused
// there.
func (f *facts) reached() uint64 {
	sum := f.growth.NoPorts + f.growth.Errors
	if f.listens {
		sum += f.datagrams() + f.queued()
	}
	return sum
}

// queued is by how many datagrams, at most, the queues of the sockets grew: the memory of
// a small one is 768 bytes.
func (f *facts) queued() (sum uint64) {
	const least = 512
	for i := range f.after.Sockets {
		s := &f.after.Sockets[i]
		var then uint64
		if old := f.before.socket(s.Inode); old != nil {
			then = old.Queued
		}
		sum += (s.Queued - min(then, s.Queued)) / least
	}
	return sum
}

// datagrams are those that programs read, or devices took from their sockets, but for what
// devices of other VNIs received: an overlay network's traffic.
func (f *facts) datagrams() uint64 {
	sum := f.growth.Datagrams
	for _, d := range f.listening() {
		if received, _, _ := f.grew(d); !f.takes(d) {
			sum -= min(received, sum)
		}
	}
	return sum
}

// lost says that most copies reached no UDP socket, and were not refused there either. A
// device of the VNI that has not got them proves that too, whatever else the host reads.
func (f *facts) lost() bool {
	return f.counted && (f.few(f.reached()) || f.missedByDevice())
}

// missedByDevice says that a device of the VNI was there all the time, and counts the copies
// neither as received nor as thrown away.
func (f *facts) missedByDevice() bool {
	for _, d := range f.listening() {
		received, discarded, fresh := f.grew(d)
		if f.takes(d) && !d.VNIFilter && !fresh && f.few(received+discarded) {
			return true
		}
	}
	return false
}

// vanished are the packets that came in and were neither delivered nor forwarded, nor had
// a damaged header or an address that has no place, nor wait for other fragments.
func (f *facts) vanished() uint64 {
	g := f.growth
	explained := g.Delivers + g.Forwarded + g.HeaderErrors + g.AddressErrors + g.NoRoutes + g.ReversePath +
		(g.Fragments - min(g.Reassembled, g.Fragments))
	return g.Receives - min(explained, g.Receives)
}

// listening returns the vxlan devices whose socket has the port for the family of the
// copies: a device has one only while it is up.
func (f *facts) listening() (devices []*Device) {
	for i := range f.after.Devices {
		if d := &f.after.Devices[i]; d.Up && f.fits(d) {
			devices = append(devices, d)
		}
	}
	return devices
}

// fits says whether copies could come to a device's socket: one that takes external VNIs
// has a socket of either family (vxlan_open).
func (f *facts) fits(d *Device) bool {
	return d.Port == f.Port && !d.Elsewhere && (d.External || d.IPv6 == f.Address.Is6())
}

// takes says whether a device is for the session's VNI.
func (f *facts) takes(d *Device) bool { return d.External || d.VNI == f.VNI }

// grew returns by how much the counters of a device grew. It is not fresh when it was up
// at the first observation already, so that it could have taken all.
func (f *facts) grew(d *Device) (received, discarded uint64, fresh bool) {
	if f.before == nil {
		return 0, 0, true
	}
	old := f.before.device(d.Index)
	if old == nil || !old.Up || d.Received < old.Received {
		return 0, 0, true
	}
	lost, then := d.Errors+d.Dropped, old.Errors+old.Dropped
	return d.Received - old.Received, lost - min(then, lost), false
}

// matching returns the sockets that the copies can go to: bound to their address, or to
// any, and not connected. One of IPv6 that is bound to any also takes IPv4, unless its
// program forbade it, which the list does not show. Where a vxlan device has the port
// the socket is the device's, because it shares it with nobody.
func (f *facts) matching() (sockets []*Socket) {
	if len(f.listening()) > 0 {
		return nil
	}
	for i := range f.after.Sockets {
		s := &f.after.Sockets[i]
		local := s.Local.Addr()
		anyAddress := local.IsUnspecified() && (local.Is6() || f.Address.Is4())
		if (anyAddress || local.Unmap() == f.Address) && s.Remote.Addr().IsUnspecified() {
			sockets = append(sockets, s)
		}
	}
	return sockets
}

// sniffer says whether a packet socket gets the frames of the place: it is running, for
// IP or all protocols, and bound to the interface, to the bridge or bond on top of it, or to none.
func (f *facts) sniffer(s *PacketSocket) bool {
	const all, ipv4, ipv6 = 0x0003, 0x0800, 0x86dd
	family := uint16(ipv4)
	if f.Address.Is6() {
		family = ipv6
	}
	if !s.Running || (s.Protocol != all && s.Protocol != family) {
		return false
	}
	if s.Interface == 0 {
		return true
	}
	index := f.Index
	for range 8 { // a port of a bond that is a port of a bridge: no host stacks more
		if s.Interface == index {
			return true
		}
		link := f.after.link(index)
		if link == nil || link.Master == 0 {
			return false
		}
		index = link.Master
	}
	return false
}

// captures says whether a packet socket is surely one of a capture program. Else it may be
// a DHCP client's, which gets all frames too and filters them; its filter can't be read.
func (s *PacketSocket) captures() bool {
	return s.Ring || s.Fanout || s.Promiscuous || (s.Interface == 0 && s.Type == rawSocket)
}

// rawSocket is SOCK_RAW (socket(2)).
const rawSocket = 3

// suspect returns a packet socket that may be a capture program's, nil if there is none.
// One without link headers (SOCK_DGRAM) and without a ring is a DHCP client's
// (systemd-networkd, udhcpc), unless rings could not be read.
func (f *facts) suspect() *PacketSocket {
	_, blind := f.after.gap(PartPacketDetails)
	for i := range f.after.PacketSockets {
		if s := &f.after.PacketSockets[i]; f.sniffer(s) && !s.captures() && (s.Type == rawSocket || blind) {
			return s
		}
	}
	return nil
}
