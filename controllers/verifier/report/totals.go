package report

import (
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
	Counts v1alpha1.Counts
	// First and Last are the times of the first and the last packet, zero for none.
	First, Last time.Time

	packet *tally.Packet // the last one, to be rendered; nil where line stands for it
	line   string
}

// Counted are the totals of one stretch of counting, in which the interface's ring
// dropped so many frames. While the filter is not known (judged is false) a packet that
// no rule matched is undecided, because nobody asked the right rules.
func Counted(c tally.SessionCounts, drops uint64, judged bool) Totals {
	unexpected, undecided := c.Unexpected+c.NotIP, c.Undecidable+c.Malformed+c.DirectionUnknown
	if !judged {
		unexpected, undecided = c.NotIP, undecided+c.Unexpected
	}
	return Totals{
		Counts: v1alpha1.Counts{
			Packets:       int64(c.Accepted),
			Bytes:         int64(c.AcceptedBytes),
			Unexpected:    int64(unexpected),
			Undecided:     int64(undecided),
			ForeignSource: int64(c.ForeignSource),
			Dropped:       int64(drops),
		},
		First: c.FirstSeen, Last: c.LastSeen, packet: c.Last,
	}
}

// TotalsOf are those of an entry.
func TotalsOf(e v1alpha1.Verification) Totals {
	t := Totals{Counts: e.Counts.InBounds(), line: e.LastPacket}
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
	sum.Counts = t.Counts.Plus(u.Counts)
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
	// Ended says that it counts the session no more.
	Ended bool
}

// Entry is the status entry, except the line of the last packet, which costs more than
// all the rest and is needed only when the entry is written.
func (t Totals) Entry(o Observation) v1alpha1.Verification {
	return v1alpha1.Verification{
		Counts:        t.Counts.InBounds(),
		Node:          o.Node,
		Interface:     v1alpha1.FitASCII(o.Interface, maxInterface),
		ObservedAt:    micro(o.At),
		StartedAt:     optional(o.Started),
		FirstPacketAt: optional(t.First),
		LastPacketAt:  optional(t.Last),
		Message:       v1alpha1.FitASCII(o.Message, maxText),
		Shared:        v1alpha1.FitASCII(o.Shared, maxText),
		Ended:         o.Ended,
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

// The bounds of an entry's texts, in characters. With a longer one the API server would
// refuse the whole entry.
const (
	maxInterface = 64
	maxText      = 512
)
