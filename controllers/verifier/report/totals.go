package report

import (
	"net/netip"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/sample"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// Totals are what was counted for one session: on one interface, over several, or over
// several runs of the verifier. The zero value is nothing. It is a value: no method
// changes it.
type Totals struct {
	v1alpha1.Tallies
	// First and Last are the times of the first and the last packet, zero for none.
	First, Last time.Time

	packet *tally.Packet // the last one, to be rendered; nil where line stands for it
	line   string
}

// Counted are the totals of one stretch of counting, in which the interface's ring
// dropped so many frames; those of the rules are of all of it, of no epoch. While the filter
// is not known (judged is false) a packet that no rule matched, or that one rejects, is
// undecided, because nobody asked the right rules.
func Counted(c tally.SessionCounts, drops uint64, judged bool) Totals {
	unexpected, undecided := c.Unexpected+c.NotIP, c.Undecidable+c.Malformed+c.DirectionUnknown
	if !judged {
		unexpected, undecided = c.NotIP, undecided+c.Unexpected
	}
	out := Totals{First: c.FirstSeen, Last: c.LastSeen, packet: c.Last}
	out.Counts = v1alpha1.Counts{
		Packets:       int64(c.Accepted),
		Bytes:         int64(c.AcceptedBytes),
		Unexpected:    int64(unexpected),
		Undecided:     int64(undecided),
		ForeignSource: int64(c.ForeignSource),
		Dropped:       int64(drops),
		Truncated:     int64(c.Truncated),
		Unreadable:    int64(c.Unreadable),
	}
	for _, s := range c.Sources {
		out.Sources = append(out.Sources, countedOf(s, judged))
	}
	for _, r := range c.Rules {
		if !judged && !r.Accept {
			r.Packets = 0
		}
		out.Rules = append(out.Rules, v1alpha1.RuleCounts{Direction: r.Direction, Priority: int32(r.Priority), Packets: int64(r.Packets)})
	}
	out.Sources, out.Rules = v1alpha1.SortedSources(out.Sources), v1alpha1.SortedRules(out.Rules)
	return out
}

func countedOf(s tally.SourceCounts, judged bool) v1alpha1.SourceCounts {
	unexpected := s.NotIP
	if judged {
		unexpected += s.Unexpected
	}
	return v1alpha1.SourceCounts{
		InterfaceID: s.ID, Packets: int64(s.Accepted), Bytes: int64(s.AcceptedBytes),
		Unexpected: int64(unexpected), Truncated: int64(s.Truncated), LastPacketAt: optional(s.LastSeen),
	}
}

// TotalsOf are those of an entry.
func TotalsOf(e v1alpha1.Verification) Totals {
	t := Totals{Tallies: v1alpha1.TalliesOf(&e), line: e.LastPacket}
	if e.FirstPacketAt != nil {
		t.First = e.FirstPacketAt.Time
	}
	if e.LastPacketAt != nil {
		t.Last = e.LastPacketAt.Time
	}
	return t
}

// Plus is the sum of both.
func (t Totals) Plus(u Totals) Totals {
	sum := t.times(u)
	sum.Tallies = t.Tallies.Plus(u.Tallies)
	return sum
}

// times has the earlier first and the later last packet of both.
func (t Totals) times(u Totals) Totals {
	out := t
	if out.First.IsZero() || (!u.First.IsZero() && u.First.Before(out.First)) {
		out.First = u.First
	}
	if u.Last.After(out.Last) {
		out.Last, out.packet, out.line = u.Last, u.packet, u.line
	}
	return out
}

// LastPacket is the last packet as one line, empty for none; port is the UDP port of the
// copies.
func (t Totals) LastPacket(port uint16) string {
	if t.packet == nil {
		return v1alpha1.FitASCII(t.line, maxText)
	}
	return v1alpha1.FitASCII(sample.Line(t.packet.Data, t.packet.Length, port), maxText)
}

// Observation is the rest of an entry: where and when the copies were counted.
type Observation struct {
	Node, Interface string
	// At is the time as of which the counts are exact, Started when this run began to count.
	At, Started time.Time
	// Message says what keeps the verifier from counting, Shared which other sessions claim
	// the same copies.
	Message, Shared string
	// Concealed says that a session of another namespace claims the same copies: of these
	// nothing is said but how many there are.
	Concealed bool
	// ForeignSender sent the most packets of foreign sources that no session claims; it is not
	// valid for none.
	ForeignSender netip.Addr
	// Imbalance is by how many frames the books of the interface's capture are off.
	Imbalance int64
	// Ended says that it counts the session no more.
	Ended bool
	// Consumer says what takes the copies, nil while that was not looked at.
	Consumer *v1alpha1.Consumer
}

// Entry is the status entry, except the line of the last packet, which costs more than
// all the rest and is needed only when the entry is written.
func (t Totals) Entry(o Observation) v1alpha1.Verification {
	in := t.InBounds()
	e := v1alpha1.Verification{
		Counts:        in.Counts,
		Node:          o.Node,
		Interface:     v1alpha1.FitASCII(o.Interface, MaxInterface),
		ObservedAt:    micro(o.At),
		StartedAt:     optional(o.Started),
		FirstPacketAt: optional(t.First),
		LastPacketAt:  optional(t.Last),
		Epoch:         max(in.Epoch, 0),
		InEpoch:       &in.InEpoch,
		Imbalance:     min(max(o.Imbalance, -v1alpha1.MaxCount), v1alpha1.MaxCount),
		Message:       v1alpha1.FitASCII(o.Message, maxText),
		Shared:        v1alpha1.FitASCII(o.Shared, maxText),
		Ended:         o.Ended,
		Consumer:      fitted(o.Consumer),
	}
	if o.Concealed {
		return e
	}
	if o.ForeignSender.IsValid() {
		e.ForeignSender = v1alpha1.FitASCII(o.ForeignSender.String(), maxAddress)
	}
	for _, s := range in.Sources[:min(len(in.Sources), maxSources)] {
		s.InterfaceID, s.Address = v1alpha1.FitASCII(s.InterfaceID, MaxInterfaceID), v1alpha1.FitASCII(s.Address, maxAddress)
		e.Sources = append(e.Sources, s)
	}
	e.Rules = in.Rules[:min(len(in.Rules), maxRules)]
	return e
}

// fitted is a consumer within its bounds. Its texts name what programs and people of the node
// have called things.
func fitted(c *v1alpha1.Consumer) *v1alpha1.Consumer {
	if c == nil {
		return nil
	}
	return &v1alpha1.Consumer{
		Status: c.Status, Reason: v1alpha1.FitASCII(c.Reason, maxReason), Partial: c.Partial,
		Message: v1alpha1.FitASCII(c.Message, maxText), Remedy: v1alpha1.FitASCII(c.Remedy, maxText),
	}
}

// micro cuts a time to what the API server keeps of a MicroTime, so that what is read
// back equals what was written.
func micro(t time.Time) metav1.MicroTime {
	return metav1.NewMicroTime(t.Truncate(time.Microsecond))
}

func optional(t time.Time) *metav1.MicroTime {
	if t.IsZero() {
		return nil
	}
	m := micro(t)
	return &m
}

// The bounds of an entry's texts, in characters, and of its lists. With a longer one the API
// server would refuse the whole entry.
const (
	// MaxInterfaceID is that of a source's interface.
	MaxInterfaceID = 36
	// MaxInterface is that of the node's own.
	MaxInterface = 64

	maxAddress = 45
	maxReason  = 64
	maxText    = 512
	maxSources = 200
	maxRules   = 20
)
