package consumer

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
)

// target is the place of the tests that need no kernel.
var target = Place{Node: "tgt", Interface: "eth5", Index: 5, Address: netip.MustParseAddr("192.168.0.164"), Port: 4789, VNI: 1}

// quiet is a host on which nothing listens.
func quiet() *Observation {
	return &Observation{
		At:        time.Unix(1000, 0),
		Links:     []Link{{Index: 1, Name: "lo", Up: true}, {Index: 5, Name: "eth5", Up: true}},
		Addresses: []netip.Addr{target.Address},
	}
}

// later is the host a minute later, after a change.
func later(o *Observation, change func(*Observation)) *Observation {
	next := *o
	next.At = o.At.Add(time.Minute)
	next.Sockets = append([]Socket(nil), o.Sockets...)
	next.PacketSockets = append([]PacketSocket(nil), o.PacketSockets...)
	next.Devices = append([]Device(nil), o.Devices...)
	next.Links = append([]Link(nil), o.Links...)
	next.Gaps = append([]Gap(nil), o.Gaps...)
	if change != nil {
		change(&next)
	}
	return &next
}

func with(change func(*Observation)) *Observation {
	o := quiet()
	change(o)
	return o
}

var (
	openSocket = Socket{Local: netip.MustParseAddrPort("0.0.0.0:4789"), Remote: netip.MustParseAddrPort("0.0.0.0:0"), UID: 1000, Inode: 7}
	deviceUp   = Device{Index: 9, Name: "mirror0", Up: true, VNI: 1, Port: 4789}
	command    = "ip link add mirror0 type vxlan id 1 dev eth5 dstport 4789 && ip link set mirror0 up"
	startIDS   = "start the IDS on tgt (eth5), or: " + command
	refused674 = `on tgt no socket, vxlan device or packet socket but vpcmirror's takes UDP 4789 at 192.168.0.164: ` +
		`the kernel refused 674 datagrams with "port unreachable" within 1m0s`
)

func TestAVerdictSaysWhatTakesTheCopiesOrWhyNothingDoes(t *testing.T) {
	withSocket := with(func(o *Observation) { o.Sockets = []Socket{openSocket} })
	withDevice := with(func(o *Observation) { o.Devices = []Device{deviceUp} })
	withOverlay := with(func(o *Observation) {
		o.Devices = []Device{{Index: 9, Name: "vxlan.calico", Up: true, VNI: 4096, Port: 4789}}
		o.Sockets = []Socket{openSocket}
	})
	refuse := func(o *Observation) { o.IPv4.Receives, o.IPv4.Delivers, o.IPv4.NoPorts = 674, 674, 674 }
	drop := func(o *Observation) { o.IPv4.Receives = 674 }
	for _, e := range []struct {
		name          string
		at            Place
		before, after *Observation
		arrived       Arrived
		want          Verdict
	}{
		{
			name: "nobody listens", before: quiet(), after: later(quiet(), refuse), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: refused674, Remedy: startIDS},
		},
		{
			name: "a single copy that was refused is enough where nobody listens", before: quiet(),
			after: later(quiet(), func(o *Observation) { o.IPv4.NoPorts = 1 }), arrived: Arrived{Session: 1},
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: strings.Replace(refused674, "674", "1", 1), Remedy: startIDS},
		},
		{
			name: "no copy came, so that the open door of a pod is not excluded", before: quiet(), after: later(quiet(), nil),
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoCopies, Message: "no copy came within 1m0s, and no consumer is seen at tgt (eth5)", Remedy: startIDS},
		},
		{
			name: "the first look", after: quiet(), arrived: Arrived{Session: 3},
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotDecided,
				Message: "no consumer is seen at tgt (eth5); what the kernel does with copies shows at the next look", Remedy: "wait for it"},
		},
		{
			name: "a socket at the first look", after: withSocket,
			want: Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: "UDP socket on 0.0.0.0:4789 (user 1000, inode 7)",
				Message: "a UDP socket on 0.0.0.0:4789 (user 1000, inode 7) is open on tgt"},
		},
		{
			name: "an IDS that started meanwhile", before: quiet(), after: later(withSocket, refuse), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: "UDP socket on 0.0.0.0:4789 (user 1000, inode 7)",
				Message: "a UDP socket on 0.0.0.0:4789 (user 1000, inode 7) is open on tgt"},
		},
		{
			name: "a device that was set up meanwhile",
			before: with(func(o *Observation) {
				o.Devices = []Device{deviceUp}
				o.Devices[0].Up = false
			}),
			after: later(withDevice, refuse), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: "vxlan device mirror0 (VNI 1)", Message: "vxlan device mirror0 (VNI 1) takes the copies on tgt"},
		},
		{
			name: "refusals at another address of the host don't accuse a socket", before: withSocket, after: later(withSocket, refuse), arrived: Arrived{Session: 100, Others: 674},
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotDecided,
				Message: "100 copies came within 1m0s to tgt (eth5), and the counters of the kernel don't show where they went; " +
					"but UDP socket on 0.0.0.0:4789 (user 1000, inode 7) is bound to another interface, or takes IPv6 alone", Remedy: startIDS},
		},
		{
			name: "counters that were begun anew decide nothing", before: later(quiet(), refuse), after: quiet(), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotDecided,
				Message: "no consumer is seen at tgt (eth5); what the kernel does with copies shows at the next look", Remedy: "wait for it"},
		},
		{
			name: "counters that can't be read are named", before: quiet(), arrived: Arrived{Session: 674},
			after: later(quiet(), func(o *Observation) { o.Gaps = []Gap{{PartCounters, "permission denied"}} }),
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotObserved,
				Message: "what takes copies on tgt can't be told: the counters of IP and UDP could not be read: permission denied", Remedy: "look at the verifier's log on tgt"},
		},
		{
			name: "nobody is accused while packet sockets can't be read", before: quiet(), arrived: Arrived{Session: 674},
			after: later(quiet(), func(o *Observation) {
				refuse(o)
				o.Gaps = []Gap{{PartPacketSockets, "permission denied"}}
			}),
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotObserved,
				Message: refused674 + "; but whether an IDS has a packet socket on tgt can't be told, the packet sockets could not be read: permission denied", Remedy: startIDS},
		},
		{
			name: "a packet socket that may be our own is no consumer", before: quiet(), arrived: Arrived{Session: 674},
			after: later(quiet(), func(o *Observation) {
				refuse(o)
				o.PacketSockets = []PacketSocket{{Type: 3, Protocol: 3, Interface: 5, Running: true, Ring: true, Inode: 3}}
				o.Gaps = []Gap{{PartOwnSockets, "permission denied"}}
			}),
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotObserved,
				Message: refused674 + "; but whether an IDS has a packet socket on tgt can't be told, this process's own sockets could not be read: permission denied", Remedy: startIDS},
		},
		{
			name: "an IDS on the bridge that the interface is a port of", before: quiet(),
			after: later(quiet(), func(o *Observation) {
				o.Links = []Link{{Index: 5, Name: "eth5", Up: true, Master: 6}, {Index: 6, Name: "br0", Up: true, Kind: "bridge"}}
				o.PacketSockets = []PacketSocket{{Type: 3, Protocol: 3, Interface: 6, Running: true, Fanout: true, UID: 4, Inode: 3}}
			}),
			want: Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: "packet socket on br0 (user 4, inode 3)",
				Message: "a packet socket on br0 (user 4, inode 3) reads what arrives at tgt (eth5)"},
		},
		{
			name: "an IDS on another interface, and one that does not run", before: quiet(), arrived: Arrived{Session: 674},
			after: later(quiet(), func(o *Observation) {
				refuse(o)
				o.PacketSockets = []PacketSocket{
					{Type: 3, Protocol: 3, Interface: 1, Running: true, Ring: true, Inode: 3}, {Type: 3, Protocol: 3, Interface: 5, Ring: true, Inode: 4},
				}
			}),
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: refused674 + "; but packet socket on eth5 (user 0, inode 4) is not running", Remedy: startIDS},
		},
		{
			name: "masters that go round in circles", before: quiet(), arrived: Arrived{Session: 674},
			after: later(quiet(), func(o *Observation) {
				refuse(o)
				o.Links = []Link{{Index: 5, Name: "eth5", Master: 6}, {Index: 6, Name: "br0", Master: 5}}
				o.PacketSockets = []PacketSocket{{Type: 3, Protocol: 3, Interface: 8, Running: true, Ring: true}}
			}),
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: refused674, Remedy: startIDS},
		},
		{
			name: "an overlay's device of another VNI, and a pod behind a host port", before: withOverlay,
			after: later(withOverlay, func(o *Observation) { o.IPv4.Receives, o.IPv4.Forwarded = 674, 674 }), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonOutOfSight,
				Message: "674 copies came within 1m0s to tgt (eth5), and no socket of this host got them: the host forwarded 674 packets, and they may be among these, as with the host port of a pod",
				Remedy:  "if nothing takes them there: " + startIDS},
		},
		{
			name: "a list of VNIs that lacks this one",
			before: with(func(o *Observation) {
				o.Devices = []Device{{Index: 9, Name: "vx", Up: true, External: true, VNIFilter: true, Port: 4789}}
			}),
			after: later(with(func(o *Observation) {
				o.Devices = []Device{{Index: 9, Name: "vx", Up: true, External: true, VNIFilter: true, Port: 4789}}
			}), func(o *Observation) { o.IPv4.Datagrams = 674 }), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWrongVNI, Consumer: "vxlan device vx (the VNIs of a list)",
				Message: "on tgt vxlan device vx (the VNIs of a list) has the port; nothing listens for VNI 1, with which 674 copies came", Remedy: "bridge vni add dev vx vni 1"},
		},
		{
			name: "a device whose socket is in another network namespace",
			before: with(func(o *Observation) {
				o.Devices = []Device{{Index: 9, Name: "vx", Up: true, VNI: 1, Port: 4789, Elsewhere: true}}
			}),
			after: later(with(func(o *Observation) {
				o.Devices = []Device{{Index: 9, Name: "vx", Up: true, VNI: 1, Port: 4789, Elsewhere: true}}
			}), refuse), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: refused674, Remedy: startIDS},
		},
		{
			name: "a bridge that Open vSwitch is", before: quiet(), arrived: Arrived{Session: 674},
			after: later(quiet(), func(o *Observation) {
				o.Links = []Link{{Index: 5, Name: "eth5", Master: 6}, {Index: 6, Name: "ovs-system", Kind: "openvswitch"}}
			}),
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonOutOfSight, Remedy: "if nothing takes them there: " + startIDS,
				Message: "674 copies came within 1m0s to tgt (eth5), and no socket of this host got them: eth5 is a port of openvswitch ovs-system, which may pass them on"},
		},
		{
			name: "a firewall, and a DHCP client's socket that could be an IDS", before: quiet(), arrived: Arrived{Session: 674},
			after: later(quiet(), func(o *Observation) {
				drop(o)
				o.PacketSockets = []PacketSocket{{Type: 3, Protocol: 3, Interface: 5, Running: true, Inode: 3}}
			}),
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonOutOfSight,
				Message: "674 copies came within 1m0s to tgt (eth5), and the host threw them away: 674 packets came in and were neither delivered nor forwarded, " +
					"as when a firewall of this host drops them; nothing listens behind that; but a packet socket on eth5 (user 0, inode 3) may be an IDS, or a DHCP client",
				Remedy: "see whose it is (ss -0 -p on tgt); if it is no IDS: accept UDP 4789 at eth5 in the host's firewall " +
					"(nft list ruleset, iptables-save, or a network policy for hosts); then " + startIDS},
		},
		{
			name: "a firewall before a device, on a host that asks for many names", before: withDevice,
			after: later(withDevice, func(o *Observation) {
				drop(o)
				o.IPv4.Receives += 5000
				o.IPv4.Delivers, o.IPv4.Datagrams = 5000, 5000
			}), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Consumer: "vxlan device mirror0 (VNI 1)",
				Message: "674 copies came within 1m0s to tgt (eth5), and the host threw them away: 674 packets came in and were neither delivered nor forwarded, " +
					"as when a firewall of this host drops them; vxlan device mirror0 (VNI 1) waits for them",
				Remedy: "accept UDP 4789 at eth5 in the host's firewall (nft list ruleset, iptables-save, or a network policy for hosts)"},
		},
		{
			name: "reserved bits on a Linux that does not count what it refuses", before: withDevice,
			after: later(withDevice, func(o *Observation) {
				o.IPv4.Receives, o.IPv4.Delivers, o.IPv4.Datagrams = 674, 674, 674
			}), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Consumer: "vxlan device mirror0 (VNI 1)",
				Message: "vxlan device mirror0 (VNI 1) has the port on tgt, but took only 0 of 674 copies and threw the others away: Linux refuses VXLAN headers " +
					"with reserved bits set, which mirrors number their packets with, and inner frames that bear the device's own address",
				Remedy: "make mirror0 anew with reserved_bits of which the copies use none (Linux 6.14 or later), or take the copies with an IDS that reads eth5 itself"},
		},
		{
			name: "an overlay's own traffic is not the copies", before: withOverlay,
			after: later(withOverlay, func(o *Observation) {
				o.Devices[0].Received = 9000
				o.IPv4.Receives, o.IPv4.Delivers, o.IPv4.Forwarded, o.IPv4.Datagrams = 9674, 9000, 674, 9000
			}), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonOutOfSight,
				Message: "674 copies came within 1m0s to tgt (eth5), and no socket of this host got them: the host forwarded 674 packets, and they may be among these, as with the host port of a pod",
				Remedy:  "if nothing takes them there: " + startIDS},
		},
		{
			name: "copies that come to an overlay's device", before: withOverlay,
			after: later(withOverlay, func(o *Observation) {
				o.Devices[0].Received = 9000
				o.IPv4.Receives, o.IPv4.Delivers, o.IPv4.Datagrams = 9674, 9674, 9674
			}), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWrongVNI, Consumer: "vxlan device vxlan.calico (VNI 4096)",
				Message: "on tgt vxlan device vxlan.calico (VNI 4096) has the port; nothing listens for VNI 1, with which 674 copies came",
				Remedy:  command + "; or, if vxlan.calico is meant for this mirror, set spec.vni of the session to 4096"},
		},
		{
			name: "a wrong checksum", before: withSocket, after: later(withSocket, func(o *Observation) {
				o.IPv4.Receives, o.IPv4.Delivers, o.IPv4.Errors, o.IPv4.Checksum = 674, 674, 674, 674
			}),
			arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Consumer: "UDP socket on 0.0.0.0:4789 (user 1000, inode 7)",
				Message: "674 copies came within 1m0s to tgt (eth5), and the host threw them away: 674 datagrams have a wrong UDP checksum; " +
					"UDP socket on 0.0.0.0:4789 (user 1000, inode 7) waits for them",
				Remedy: "take the copies with an IDS that reads eth5 itself; if the card checks checksums: ethtool -K eth5 rx off"},
		},
		{
			name: "the other family", at: Place{Node: "tgt", Interface: "eth5", Index: 5, Address: netip.MustParseAddr("2001:db8::5"), Port: 4789, VNI: 1},
			before: withSocket, after: later(withSocket, func(o *Observation) { o.IPv6.NoPorts = 674 }), arrived: Arrived{Session: 674},
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens,
				Message: strings.Replace(refused674, "192.168.0.164", "2001:db8::5", 1) + "; but UDP socket on 0.0.0.0:4789 (user 1000, inode 7) is bound to another address",
				Remedy:  "start the IDS on tgt (eth5), or: ip link add mirror0 type vxlan id 1 dev eth5 local 2001:db8::5 dstport 4789 && ip link set mirror0 up"},
		},
		{
			name: "a name that a terminal would obey", before: quiet(), arrived: Arrived{Session: 674},
			after: later(with(func(o *Observation) { o.Devices = []Device{{Index: 9, Name: "\x1b[2Jx", VNI: 1, Port: 4789}} }), refuse),
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonConsumerDown, Consumer: `vxlan device "\x1b[2Jx" (VNI 1)`,
				Message: `vxlan device "\x1b[2Jx" (VNI 1) is there on tgt, but down`, Remedy: `ip link set "\x1b[2Jx" up`},
		},
	} {
		t.Run(e.name, func(t *testing.T) {
			at := target
			if e.at.Node != "" {
				at = e.at
			}
			equal(t, Judge(at, e.before, e.after, e.arrived), e.want)
		})
	}
}

// drawNoise adds what the rest of the host may do meanwhile.
func drawNoise(t *rapid.T, c *Counters) {
	n := func(name string) uint64 { return rapid.Uint64Range(0, 5000).Draw(t, name) }
	delivered, forwarded, vanished := n("delivered"), n("forwarded"), n("vanished")
	c.Receives += delivered + forwarded + vanished
	c.Delivers += delivered
	c.Forwarded += forwarded
	c.ReversePath += n("reverse path")
	c.AddressErrors += n("address errors")
	c.Datagrams += n("datagrams")
	c.NoPorts += n("no ports")
	c.Errors += n("errors")
	c.Checksum += n("checksum")
}

// Whatever else happens on the host: where a consumer gets the copies it is not accused,
// though the counters were read a moment before or after.
func TestAConsumerThatGetsItsCopiesIsNeverAccused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		copies := rapid.Uint64Range(0, 5000).Draw(t, "copies")
		before := quiet()
		counted := rapid.Uint64Range(copies/2, copies).Draw(t, "counted")
		byDevice := rapid.Bool().Draw(t, "a device")
		before.Sockets = []Socket{openSocket}
		if byDevice {
			before.Devices = []Device{deviceUp}
		}
		after := later(before, func(o *Observation) {
			o.IPv4.Receives, o.IPv4.Delivers, o.IPv4.Datagrams = counted, counted, counted
			if byDevice {
				o.Devices[0].Received += counted
			}
			drawNoise(t, &o.IPv4)
		})
		if v := Judge(target, before, after, Arrived{Session: copies, Others: rapid.Uint64Range(0, 5000).Draw(t, "others")}); v.Status != metav1.ConditionTrue {
			t.Fatalf("%+v", v)
		}
	})
}

// Whatever else happens on the host: a pod that takes the copies by its host port is not said to be missing.
func TestCopiesThatWereForwardedAccuseNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		copies := rapid.Uint64Range(0, 5000).Draw(t, "copies")
		after := later(quiet(), func(o *Observation) {
			o.IPv4.Receives, o.IPv4.Forwarded = copies, copies
			o.IPv4.NoPorts = rapid.Uint64Range(0, copies/3).Draw(t, "no ports of others")
			o.IPv4.Datagrams = rapid.Uint64Range(0, 5000).Draw(t, "datagrams of others")
			o.IPv4.Receives += o.IPv4.Datagrams + o.IPv4.NoPorts
			o.IPv4.Delivers += o.IPv4.Datagrams + o.IPv4.NoPorts
		})
		if v := Judge(target, quiet(), after, Arrived{Session: copies}); v.Status != metav1.ConditionUnknown {
			t.Fatalf("%+v", v)
		}
	})
}

// Whatever else happens on the host: copies that it refuses are said to be refused.
func TestCopiesThatAreRefusedAreNeverCalledTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		copies := rapid.Uint64Range(1, 5000).Draw(t, "copies")
		after := later(quiet(), func(o *Observation) {
			o.IPv4.Receives, o.IPv4.Delivers, o.IPv4.NoPorts = copies, copies, copies
			drawNoise(t, &o.IPv4)
		})
		if v := Judge(target, quiet(), after, Arrived{Session: copies}); v.Reason != v1alpha1.ReasonNobodyListens {
			t.Fatalf("%+v", v)
		}
	})
}

// drawObservation makes what no kernel would say too.
func drawObservation(t *rapid.T) *Observation {
	address := rapid.SampledFrom([]netip.Addr{{}, target.Address, netip.IPv4Unspecified(), netip.IPv6Unspecified(), netip.MustParseAddr("2001:db8::1")})
	number := rapid.Custom(func(t *rapid.T) uint64 {
		return rapid.SampledFrom([]uint64{0, 1, 2, 3, 1000, 1 << 62, ^uint64(0)}).Draw(t, "number")
	})
	index := rapid.IntRange(-1, 7)
	flag := rapid.Bool()
	port := rapid.SampledFrom([]uint16{0, 4789, 8472})
	o := &Observation{At: time.Unix(rapid.Int64Range(0, 100).Draw(t, "at"), 0)}
	o.Sockets = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Socket {
		return Socket{
			Local: netip.AddrPortFrom(address.Draw(t, "local"), 4789), Remote: netip.AddrPortFrom(address.Draw(t, "remote"), 0),
			Inode: uint64(index.Draw(t, "inode")), Queued: number.Draw(t, "queued"), Drops: number.Draw(t, "drops"),
		}
	}), 0, 3).Draw(t, "sockets")
	o.PacketSockets = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) PacketSocket {
		return PacketSocket{
			Type: index.Draw(t, "type"), Protocol: rapid.SampledFrom([]uint16{3, 0x800, 0x86dd, 0x88cc}).Draw(t, "protocol"), Interface: index.Draw(t, "interface"),
			Running: flag.Draw(t, "running"), Ring: flag.Draw(t, "ring"),
		}
	}), 0, 3).Draw(t, "packet sockets")
	o.Devices = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Device {
		return Device{
			Index: index.Draw(t, "index"), Name: rapid.String().Draw(t, "name"), Up: flag.Draw(t, "up"), VNI: uint32(index.Draw(t, "vni")), Port: port.Draw(t, "port"),
			External: flag.Draw(t, "external"), VNIFilter: flag.Draw(t, "filter"), IPv6: flag.Draw(t, "six"), Elsewhere: flag.Draw(t, "elsewhere"),
			Received: number.Draw(t, "received"), Errors: number.Draw(t, "errors"), Dropped: number.Draw(t, "dropped"),
		}
	}), 0, 3).Draw(t, "devices")
	o.Links = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Link {
		return Link{Index: index.Draw(t, "index"), Name: rapid.SampledFrom([]string{"mirror0", "mirror1", "eth5"}).Draw(t, "name"), Master: index.Draw(t, "master"), Ingress: flag.Draw(t, "ingress")}
	}), 0, 4).Draw(t, "links")
	o.Addresses = rapid.SliceOfN(address, 0, 2).Draw(t, "addresses")
	for _, c := range []*uint64{&o.IPv4.Receives, &o.IPv4.Delivers, &o.IPv4.Forwarded, &o.IPv4.ReversePath, &o.IPv4.Datagrams, &o.IPv4.NoPorts, &o.IPv4.Errors, &o.IPv4.Checksum} {
		*c = number.Draw(t, "counter")
	}
	for _, part := range []Part{PartSockets, PartPacketSockets, PartPacketDetails, PartOwnSockets, PartLinks, PartAddresses, PartQueues, PartCounters} {
		if rapid.IntRange(0, 9).Draw(t, "gap") == 0 {
			o.Gaps = append(o.Gaps, Gap{part, "why"})
		}
	}
	return o
}

func TestEveryVerdictIsWholeWhateverTheHostSays(t *testing.T) {
	allowed := map[metav1.ConditionStatus]map[string]bool{
		metav1.ConditionTrue:    {v1alpha1.ReasonConsumerSeen: true},
		metav1.ConditionFalse:   {v1alpha1.ReasonNobodyListens: true, v1alpha1.ReasonWrongVNI: true, v1alpha1.ReasonConsumerDown: true, v1alpha1.ReasonDroppedOnNode: true},
		metav1.ConditionUnknown: {v1alpha1.ReasonNoCopies: true, v1alpha1.ReasonNotObserved: true, v1alpha1.ReasonOutOfSight: true, v1alpha1.ReasonNotDecided: true},
	}
	rapid.Check(t, func(t *rapid.T) {
		before, after := drawObservation(t), drawObservation(t)
		if rapid.Bool().Draw(t, "first") {
			before = nil
		}
		n := rapid.SampledFrom([]uint64{0, 1, 2, 3, 1000, ^uint64(0)})
		v := Judge(target, before, after, Arrived{Session: n.Draw(t, "copies"), Others: n.Draw(t, "others")})
		whole := v.Message != "" && (v.Remedy == "") == (v.Status == metav1.ConditionTrue) && (v.Consumer != "" || v.Status != metav1.ConditionTrue)
		if !whole || !allowed[v.Status][v.Reason] || strings.ContainsAny(v.Message+v.Remedy, "\n\x1b\x00") {
			t.Fatal(fmt.Sprintf("%+v", v))
		}
	})
}
