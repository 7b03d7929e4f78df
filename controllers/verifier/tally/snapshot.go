package tally

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
)

// Frames counts every frame that was read, each in exactly one class.
type Frames struct {
	// Read is the number of all frames.
	Read uint64
	// Attributed are those of a session's stream: the right VNI from one of
	// its own sources. One that several sessions claim is one frame here.
	Attributed uint64
	// ForeignSource have the VNI of a session but come from an address that is
	// no source of any session with that VNI.
	ForeignSource uint64
	// ForeignVNI come from a session's source but have a VNI that no session
	// has.
	ForeignVNI uint64
	// UnknownStream have neither.
	UnknownStream uint64
	// The rest are the classes of package vxlan; see there.
	NotVXLAN      uint64
	OuterFragment uint64
	BadHeader     uint64
	GPE           uint64
	Malformed     uint64
	Cut           uint64
	// OtherHost are frames that are not addressed to this host. They are not
	// looked at: what the host does not receive has not arrived.
	OtherHost uint64
}

// Marks counts properties of frames that are in Frames already, and packets.
type Marks struct {
	// SuperFrames carried more than one packet; SuperPackets is how many they
	// carried together.
	SuperFrames  uint64
	SuperPackets uint64
	// SuperCut are datagrams joined behind another of which the capture does not hold the
	// VXLAN header. They are in SuperPackets, and packets of no stream.
	SuperCut uint64
	// SharedFrames are attributed to more than one session; SharedClaims is to
	// how many sessions they are, added up.
	SharedFrames uint64
	SharedClaims uint64
	// FirstFragments are streams' frames that are the first fragment of their
	// outer datagram.
	FirstFragments uint64
	// Reserved are streams' frames with a reserved bit set in the VXLAN
	// header.
	Reserved uint64
}

// Packet is the last packet of some kind, to be shown to a human.
type Packet struct {
	// Data are the captured bytes of its outer frame.
	Data []byte
	// Length is the outer frame's length on the wire in bytes.
	Length int
	// Time is when the kernel saw it.
	Time time.Time
}

// PacketCounts are packets, each under one verdict of package match; see there.
// Arrived = Accepted + Unexpected + Undecidable + NotIP + Malformed + DirectionUnknown.
type PacketCounts struct {
	Arrived uint64
	// ArrivedBytes is the length of the inner frames on the wire, as the mirror sent
	// them, and AcceptedBytes the part of it that belongs to Accepted.
	ArrivedBytes  uint64
	AcceptedBytes uint64

	Accepted         uint64
	Unexpected       uint64
	Undecidable      uint64
	NotIP            uint64
	Malformed        uint64
	DirectionUnknown uint64
	// Truncated are those of all these that the mirror cut, see [vxlan.Inner.Truncated].
	Truncated uint64
}

// Plus returns the sum of both.
func (p PacketCounts) Plus(other PacketCounts) PacketCounts {
	return PacketCounts{
		Arrived: p.Arrived + other.Arrived, ArrivedBytes: p.ArrivedBytes + other.ArrivedBytes, AcceptedBytes: p.AcceptedBytes + other.AcceptedBytes,
		Accepted: p.Accepted + other.Accepted, Unexpected: p.Unexpected + other.Unexpected, Undecidable: p.Undecidable + other.Undecidable,
		NotIP: p.NotIP + other.NotIP, Malformed: p.Malformed + other.Malformed, DirectionUnknown: p.DirectionUnknown + other.DirectionUnknown,
		Truncated: p.Truncated + other.Truncated,
	}
}

// SourceCounts is what arrived from one source of a session since it was first listed as one,
// except while the session was concealed.
type SourceCounts struct {
	ID string
	PacketCounts
	// LastSeen is the kernel's time of the last of these packets, zero before the first.
	LastSeen time.Time
}

// RuleCounts are the packets that a rule decided, except while the session was concealed.
type RuleCounts struct {
	Direction v1alpha1.Direction
	Priority  int
	Accept    bool
	Packets   uint64
}

// SessionCounts is what arrived of one session since it was first listed with these rules.
type SessionCounts struct {
	ID  string
	VNI uint32
	// Frames and Arrived, in packets, differ by super-frames.
	Frames uint64
	PacketCounts
	// Ingress and Egress are the packets by direction, as far as known.
	Ingress uint64
	Egress  uint64
	// Sources are those that are listed, sorted by ID. What came from others before, or while
	// the session was concealed, is in the counts of the session alone.
	Sources []SourceCounts
	// Rules are in the order of the session's list.
	Rules []RuleCounts
	// ForeignSource are packets with the session's VNI from an address that
	// is none of its sources, whether another session claims them or not. They
	// are in none of the counts above.
	ForeignSource uint64
	// ForeignSender sent the most of them that no session claims; it is not valid
	// where nobody did, or while the session is concealed.
	ForeignSender netip.Addr
	// Unreadable are frames from one of the session's own sources in the classes BadHeader,
	// GPE (with the session's VNI), Malformed and Cut, and datagrams of such classes that were
	// joined behind others: too broken to be a copy of it. They are in none of the counts above.
	Unreadable uint64
	// ProbeFrames are frames with copies of probes' packets, and Probes what came of each probe. They are in
	// none of the counts above.
	ProbeFrames uint64
	Probes      []ProbeCounts
	// FirstSeen and LastSeen are the kernel's times of the first and the last
	// packet; zero before the first.
	FirstSeen time.Time
	LastSeen  time.Time
	// Last is the last packet, LastUnexpected the last that the filter should
	// not have copied; nil before the first. Packets that came while the session
	// was concealed are not kept: Last is nil when the last one did.
	Last           *Packet
	LastUnexpected *Packet
}

// UnknownStream is one of the streams that belong to no session. The table of
// them is bounded: Arrived may be too high by at most Error, and a stream with
// few packets may be missing, but one that has more than 1/64 of all is there.
type UnknownStream struct {
	Source  netip.Addr
	VNI     uint32
	Arrived uint64
	Error   uint64
}

// Snapshot is the state of a tally between two blocks.
type Snapshot struct {
	Frames Frames
	// LastFrame is when the last of them came, zero for none.
	LastFrame time.Time
	Marks     Marks
	// Removed is the sum of the frames of sessions that are listed no more, or that were with
	// other rules.
	Removed uint64
	// Sessions are sorted by ID.
	Sessions []SessionCounts
	// Unknown are sorted by Arrived, the most first.
	Unknown []UnknownStream
}

// Session returns the counts of the session with that ID.
func (s *Snapshot) Session(id string) (SessionCounts, bool) {
	for _, c := range s.Sessions {
		if c.ID == id {
			return c, true
		}
	}
	return SessionCounts{}, false
}

// Check proves that the books balance: every frame read is in one class, every
// attributed frame in one session or, where it is shared, in as many as claim
// it, every packet of a session under one verdict. An error says which sum is
// off; it is always a bug.
func (s *Snapshot) Check() error {
	f := &s.Frames
	sum := f.Attributed + f.ForeignSource + f.ForeignVNI + f.UnknownStream + f.NotVXLAN +
		f.OuterFragment + f.BadHeader + f.GPE + f.Malformed + f.Cut + f.OtherHost
	if sum != f.Read {
		return fmt.Errorf("%d frames were read but the classes add up to %d: %+v", f.Read, sum, *f)
	}
	frames := s.Removed
	for i := range s.Sessions {
		c := &s.Sessions[i]
		frames += c.Frames + c.ProbeFrames
		if err := c.check(); err != nil {
			return err
		}
	}
	m := &s.Marks
	if m.SharedFrames > f.Attributed || m.SharedClaims < 2*m.SharedFrames {
		return fmt.Errorf("%d frames were attributed, %d of them to %d sessions together", f.Attributed, m.SharedFrames, m.SharedClaims)
	}
	if claimed := f.Attributed - m.SharedFrames + m.SharedClaims; frames != claimed {
		return fmt.Errorf("%d frames were attributed, once for each claim, but the sessions add up to %d", claimed, frames)
	}
	return nil
}

// check proves that every packet is under one verdict, and that no source has more than all.
func (c *SessionCounts) check() error {
	var sources PacketCounts
	for _, source := range c.Sources {
		sources = sources.Plus(source.PacketCounts)
		if n := source.verdicts(); n != source.Arrived {
			return fmt.Errorf("source %s of session %s has %d packets but its verdicts add up to %d", source.ID, c.ID, source.Arrived, n)
		}
	}
	if n := c.verdicts(); n != c.Arrived {
		return fmt.Errorf("session %s has %d packets but its verdicts add up to %d", c.ID, c.Arrived, n)
	}
	if sources.Arrived > c.Arrived || c.Truncated > c.Arrived {
		return fmt.Errorf("session %s has %d packets, %d of them from its sources and %d truncated", c.ID, c.Arrived, sources.Arrived, c.Truncated)
	}
	return nil
}

func (p *PacketCounts) verdicts() uint64 {
	return p.Accepted + p.Unexpected + p.Undecidable + p.NotIP + p.Malformed + p.DirectionUnknown
}

// snapshot is a copy of what was counted; senders are those of [Tally.foreignSenders].
func (s *session) snapshot(senders map[uint32]netip.Addr) SessionCounts {
	w, sum := s.whole, s.whole.gone
	probes := slices.Clone(w.probes)
	out := SessionCounts{
		ID: s.config.ID, VNI: s.config.VNI,
		Sources:        make([]SourceCounts, 0, len(s.sources)),
		Rules:          make([]RuleCounts, len(s.perRule)),
		ForeignSource:  w.foreign,
		Unreadable:     w.unreadable,
		ProbeFrames:    w.probeFrames,
		Probes:         probes,
		Last:           w.lastCopy.packet(),
		LastUnexpected: w.lastUnexpectedCopy.packet(),
	}
	for _, id := range slices.Sorted(maps.Keys(s.sources)) {
		source := s.sources[id]
		sum.add(&source.open)
		sum.add(&source.concealed)
		out.Sources = append(out.Sources, SourceCounts{ID: id, PacketCounts: source.open.packets(), LastSeen: moment(source.open.lastSeen)})
	}
	for i, rule := range s.config.Rules {
		out.Rules[i] = RuleCounts{Direction: rule.Direction, Priority: rule.Priority, Accept: rule.Accept, Packets: s.perRule[i]}
	}
	if !s.config.Concealed {
		out.ForeignSender = senders[s.config.VNI]
	}
	out.PacketCounts = sum.packets()
	out.Frames, out.FirstSeen, out.LastSeen = sum.frames, moment(sum.firstSeen), moment(sum.lastSeen)
	out.Ingress, out.Egress = sum.directions[match.Ingress], sum.directions[match.Egress]
	return out
}

func (c *counts) packets() PacketCounts {
	return PacketCounts{
		Arrived: c.arrived, ArrivedBytes: c.arrivedBytes, AcceptedBytes: c.acceptedBytes, Truncated: c.truncated,
		Accepted:         c.verdicts[match.Accepted],
		Unexpected:       c.verdicts[match.Unexpected],
		Undecidable:      c.verdicts[match.Undecidable],
		NotIP:            c.verdicts[match.NotIP],
		Malformed:        c.verdicts[match.Malformed],
		DirectionUnknown: c.verdicts[match.DirectionUnknown],
	}
}
