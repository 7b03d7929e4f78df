package read

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/sample"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Report is what one file holds. Frames = the frames of all streams + all of
// Other.
type Report struct {
	File string `json:"file"`
	// Interim is set where more is to come: what --every asks for.
	Interim bool     `json:"interim,omitempty"`
	Frames  uint64   `json:"frames"`
	Streams []Stream `json:"streams"`
	Other   Other    `json:"other"`
	// LinkTypes are the frames of Other.UnreadableLinkType by link type.
	LinkTypes []capture.LinkFrames `json:"linkTypes,omitempty"`
	// OtherPorts are the frames of Other.NotVXLAN that would be VXLAN with another
	// --port, the most first.
	OtherPorts []PortFrames `json:"otherPorts,omitempty"`
	// Rules are the rules of --filter, in the order of its spec.
	Rules []Rule `json:"rules,omitempty"`
	// Note says why the file was not read to its end, empty when it was.
	Note string `json:"note,omitempty"`
}

// Stream is what came from one outer source address with one VNI. A packet is
// one UDP datagram to the VXLAN port whose header has the I flag, outermost
// header only.
type Stream struct {
	Source netip.Addr `json:"source"`
	// Destination is the outer one of the first packet; OtherDestinations counts
	// the packets to another.
	Destination       netip.Addr `json:"destination"`
	OtherDestinations uint64     `json:"otherDestinations,omitempty"`
	VNI               uint32     `json:"vni"`
	Packets           uint64     `json:"packets"`
	// Bytes is the length of the inner frames on the wire, also where the
	// capture cut them.
	Bytes  uint64 `json:"bytes"`
	Frames uint64 `json:"frames"`
	// First and Last are the earliest and the latest time; the rates are those
	// between them, absent where they are the same.
	First            time.Time `json:"first,omitzero"`
	Last             time.Time `json:"last,omitzero"`
	PacketsPerSecond float64   `json:"packetsPerSecond,omitempty"`
	BytesPerSecond   float64   `json:"bytesPerSecond,omitempty"`
	// Protocols and Directions each have every packet once.
	Protocols  Protocols  `json:"protocols"`
	Directions Directions `json:"directions"`
	// Truncated are copies whose inner IP packet is longer than what the mirror
	// sent of it.
	Truncated uint64 `json:"truncated"`
	// SuperFrames are frames longer than 1522 bytes. Where the link carries no jumbo
	// frames the kernel has joined several packets in each.
	SuperFrames uint64 `json:"superFrames"`
	// Sample is the first packet as tcpdump would show it, without payload.
	Sample string `json:"sample"`
	// Judged is what --filter says.
	Judged *Judged `json:"judged,omitempty"`
}

// Protocols are the packets of a stream by their inner protocol.
type Protocols struct {
	TCP     uint64 `json:"tcp"`
	UDP     uint64 `json:"udp"`
	ICMP    uint64 `json:"icmp"`
	ICMPv6  uint64 `json:"icmpv6"`
	OtherIP uint64 `json:"otherIP"`
	NotIP   uint64 `json:"notIP"`
	// Unknown are those cut before the field, or malformed.
	Unknown uint64 `json:"unknown"`
}

// Directions are the packets of a stream as the mirror source saw them, by the inner
// addresses: the outer source address is taken to be the mirror source's.
type Directions struct {
	Ingress uint64 `json:"ingress"`
	Egress  uint64 `json:"egress"`
	Unknown uint64 `json:"unknown"`
}

// Judged is what a filter says of the packets of a stream, in the words of the
// status: packets = accepted + unexpected + undecided.
type Judged struct {
	Accepted uint64 `json:"accepted"`
	// AcceptedBytes is what the status calls bytes.
	AcceptedBytes uint64 `json:"acceptedBytes"`
	Unexpected    uint64 `json:"unexpected"`
	Undecided     uint64 `json:"undecided"`
	// Rules are the packets that each rule decided, in the order of the filter's
	// spec.
	Rules []uint64 `json:"rules"`
}

// Rule is a rule of a filter, with the packets of all streams that it decided.
type Rule struct {
	Direction string `json:"direction"`
	Priority  int    `json:"priority"`
	Accept    bool   `json:"accept"`
	Packets   uint64 `json:"packets"`
}

// PortFrames are frames to a UDP port.
type PortFrames struct {
	Port   uint16 `json:"port"`
	Frames uint64 `json:"frames"`
}

// Other counts the frames that belong to no stream, by what they are; package
// vxlan explains the classes.
type Other struct {
	NotVXLAN      uint64 `json:"notVXLAN"`
	OuterFragment uint64 `json:"outerFragment"`
	BadHeader     uint64 `json:"badHeader"`
	GPE           uint64 `json:"gpe"`
	Malformed     uint64 `json:"malformed"`
	Cut           uint64 `json:"cut"`
	// TooManyStreams are frames of streams beyond the number that is kept
	// apart.
	TooManyStreams uint64 `json:"tooManyStreams"`
	// UnreadableLinkType are frames whose link type is not read.
	UnreadableLinkType uint64 `json:"unreadableLinkType"`
}

// report is what was counted so far, the streams by address and VNI.
func (c *counter) report(name string, unread []capture.LinkFrames) Report {
	r := Report{
		File: name, Frames: c.frames, LinkTypes: unread, OtherPorts: c.ports.list(),
		Streams: make([]Stream, len(c.streams)), // never nil: an empty list is [] in JSON
		Other: Other{
			NotVXLAN:       c.classes[vxlan.NotVXLAN],
			OuterFragment:  c.classes[vxlan.Fragment],
			BadHeader:      c.classes[vxlan.BadHeader],
			GPE:            c.classes[vxlan.GPE],
			Malformed:      c.classes[vxlan.Malformed],
			Cut:            c.classes[vxlan.Cut],
			TooManyStreams: c.beyond,
		},
	}
	for i := range unread {
		r.Frames += unread[i].Frames
		r.Other.UnreadableLinkType += unread[i].Frames
	}
	for i := range c.streams {
		r.Streams[i] = c.streams[i].report(c.port)
	}
	slices.SortFunc(r.Streams, func(a, b Stream) int {
		return cmp.Or(a.Source.Compare(b.Source), cmp.Compare(a.VNI, b.VNI))
	})
	if c.filter != nil {
		r.Rules = c.filter.report(r.Streams)
	}
	return r
}

func (s *streamCount) report(port uint16) Stream {
	s.endRun()
	packets := uint64(0)
	for _, n := range s.kinds {
		packets += n
	}
	out := Stream{
		Source: s.key.Source(), Destination: s.destination, OtherDestinations: s.elsewhere, VNI: s.key.VNI(),
		// In a file a frame is one packet, whatever it was to the kernel.
		Packets: packets, Bytes: s.bytes, Frames: packets,
		Protocols: Protocols{
			TCP: s.protocol(isTCP), UDP: s.protocol(isUDP), ICMP: s.protocol(isICMP), ICMPv6: s.protocol(isICMPv6),
			OtherIP: s.protocol(isOtherIP), NotIP: s.protocol(isNotIP), Unknown: s.protocol(isUnknown),
		},
		Directions: Directions{
			Ingress: s.direction(match.Ingress), Egress: s.direction(match.Egress), Unknown: s.direction(match.Unknown),
		},
		Truncated: s.truncated, SuperFrames: s.super,
		Sample: sample.Line(s.sample, s.sampleLength, port),
	}
	if s.judged != nil {
		judged := *s.judged
		judged.Rules = slices.Clone(judged.Rules)
		out.Judged = &judged
	}
	if s.last == 0 {
		return out // the file does not say when
	}
	out.First, out.Last = time.Unix(0, s.first).UTC(), time.Unix(0, s.last).UTC()
	if seconds := float64(s.last-s.first) / 1e9; seconds > 0 {
		out.PacketsPerSecond, out.BytesPerSecond = rate(packets, seconds), rate(s.bytes, seconds)
	}
	return out
}

// protocol is the number of packets of one kind of protocol.
func (s *streamCount) protocol(kind int) (n uint64) {
	for _, packets := range s.kinds[kind*directions : (kind+1)*directions] {
		n += packets
	}
	return n
}

// direction is the number of packets in one direction.
func (s *streamCount) direction(d match.Direction) (n uint64) {
	for i := int(d); i < len(s.kinds); i += directions {
		n += s.kinds[i]
	}
	return n
}

// rate is rounded, so that it reads well.
func rate(n uint64, seconds float64) float64 {
	return math.Round(float64(n)/seconds*1000) / 1000
}
