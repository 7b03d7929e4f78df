package report

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/sample"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// Base is what an earlier run of this verifier had counted already. Totals go on from
// there, so that they never fall when a pod is restarted.
type Base struct {
	Counts v1alpha1.Counts
	// First and Last are the times of the first and the last packet, nil for none.
	First, Last *metav1.MicroTime
	// LastPacket is shown until a new packet comes.
	LastPacket string
}

// BaseOf returns the node's entry in a session's status as the base of a new run.
func BaseOf(s *v1alpha1.MirrorSession, node string) Base {
	for _, e := range s.Status.Verification {
		if e.Node == node {
			return Base{Counts: e.Counts, First: e.FirstPacketAt, Last: e.LastPacketAt, LastPacket: e.LastPacket}
		}
	}
	return Base{}
}

// Reading is what is known of one session at one moment.
type Reading struct {
	Node, Interface string
	// At is when the counts were read, Started when this run began to count.
	At, Started time.Time
	Counts      tally.SessionCounts
	// Drops are frames that the ring had no room for since Started.
	Drops uint64
	// Message says what keeps the verifier from counting.
	Message string
}

// Entry is the status entry for a reading.
func (b Base) Entry(r Reading) v1alpha1.Verification {
	e := v1alpha1.Verification{
		Node:          r.Node,
		Interface:     r.Interface,
		ObservedAt:    micro(r.At),
		StartedAt:     optional(r.Started),
		Counts:        b.Counts,
		FirstPacketAt: b.First,
		LastPacketAt:  b.Last,
		LastPacket:    b.LastPacket,
		Message:       r.Message,
	}
	e.Packets += int64(r.Counts.Accepted)
	e.Bytes += int64(r.Counts.Bytes)
	e.Unexpected += int64(r.Counts.Unexpected + r.Counts.NotIP)
	e.Undecided += int64(r.Counts.Undecidable + r.Counts.Malformed + r.Counts.DirectionUnknown)
	e.ForeignSource += int64(r.Counts.ForeignSource)
	e.Dropped += int64(r.Drops)
	if e.FirstPacketAt == nil {
		e.FirstPacketAt = optional(r.Counts.FirstSeen)
	}
	if !r.Counts.LastSeen.IsZero() {
		e.LastPacketAt = optional(r.Counts.LastSeen)
	}
	if p := r.Counts.Last; p != nil {
		e.LastPacket = cut(sample.Line(p.Data, p.Length))
	}
	return e
}

// micro cuts a time to what the API server keeps of a MicroTime, so that what is read
// back equals what was written.
func micro(t time.Time) metav1.MicroTime { return metav1.NewMicroTime(t.Truncate(time.Microsecond)) }

func optional(t time.Time) *metav1.MicroTime {
	if t.IsZero() {
		return nil
	}
	m := micro(t)
	return &m
}

// cut keeps a line within the bound of the status field.
func cut(line string) string {
	const bound = 512
	if len(line) > bound {
		return line[:bound-4] + " ..."
	}
	return line
}
