package v1alpha1

import (
	"cmp"
	"slices"
	"strings"
)

// Tallies is all of one session that is added up: the counts, those of each source, and
// those of one epoch with each rule's. The verifier's ledger and the manager's sums go by its
// arithmetic, so that a count is told in one way everywhere. The zero value is nothing. It is
// a value: no method changes it, and what a method returns shares nothing with it.
//
// What was counted in another epoch than that of the left operand counts as nothing.
// +kubebuilder:object:generate=false
type Tallies struct {
	Counts
	// Sources are sorted by interface, each is there once.
	Sources []SourceCounts
	// Epoch is the one of what follows.
	Epoch   int64
	InEpoch Counts
	// Rules are sorted by direction and priority, each is there once.
	Rules []RuleCounts
}

// TalliesOf are those of an entry, whatever order its lists have.
func TalliesOf(e *Verification) Tallies {
	t := Tallies{Counts: e.Counts, Sources: inOrder(e.Sources, SourceCounts.order), Epoch: e.Epoch, Rules: inOrder(e.Rules, RuleCounts.order)}
	if e.InEpoch != nil {
		t.InEpoch = *e.InEpoch
	}
	return t.InBounds()
}

// RetiredTallies are those of entries that are gone: nothing of the epoch.
func RetiredTallies(r *Retired) Tallies {
	if r == nil {
		return Tallies{}
	}
	return Tallies{Counts: r.Counts, Sources: inOrder(r.Sources, SourceCounts.order)}.InBounds()
}

// Now returns the tallies for an epoch: what was counted in another one is gone.
func (t Tallies) Now(epoch int64) Tallies {
	return Tallies{Epoch: epoch}.Plus(t)
}

// InBounds returns the tallies as the API server takes them, see [Counts.InBounds].
func (t Tallies) InBounds() Tallies {
	return t.combine(Tallies{Epoch: t.Epoch}, func(a, _ int64) int64 { return max(saturated(a), 0) })
}

// Plus is the sum, see [Counts.Plus].
func (t Tallies) Plus(other Tallies) Tallies {
	return t.combine(other, func(a, b int64) int64 { return saturated(saturated(a) + saturated(b)) })
}

// Minus is the difference, see [Counts.Minus].
func (t Tallies) Minus(other Tallies) Tallies {
	return t.combine(other, func(a, b int64) int64 { return saturated(saturated(a) - saturated(b)) })
}

// Min is the smaller of each count.
func (t Tallies) Min(other Tallies) Tallies {
	return t.combine(other, func(a, b int64) int64 { return min(a, b) })
}

// Max is the larger of each count.
func (t Tallies) Max(other Tallies) Tallies {
	return t.combine(other, func(a, b int64) int64 { return max(a, b) })
}

// Equal reports whether both are the same. A source or a rule of which nothing was counted
// is not the same as one that is not there.
func (t Tallies) Equal(other Tallies) bool {
	return t.Counts == other.Counts && t.Epoch == other.Epoch && t.InEpoch == other.InEpoch &&
		slices.EqualFunc(t.Sources, other.Sources, SourceCounts.equal) && slices.Equal(t.Rules, other.Rules)
}

// combine applies f to each count and its fellow, which is 0 where there is none.
func (t Tallies) combine(other Tallies, f func(a, b int64) int64) Tallies {
	if other.Epoch != t.Epoch {
		other.InEpoch, other.Rules = Counts{}, nil
	}
	return Tallies{
		Counts:  t.Counts.combine(other.Counts, f),
		Sources: joined(t.Sources, other.Sources, SourceCounts.order, func(a, b SourceCounts) SourceCounts { return a.combine(b, f) }),
		Epoch:   t.Epoch,
		InEpoch: t.InEpoch.combine(other.InEpoch, f),
		Rules:   joined(t.Rules, other.Rules, RuleCounts.order, func(a, b RuleCounts) RuleCounts { return a.combine(b, f) }),
	}
}

// joined goes through two sorted lists at once. Where one has no fellow, f gets the zero value.
func joined[T any](a, b []T, order func(x, y T) int, f func(x, y T) T) []T {
	var none T
	out := make([]T, 0, max(len(a), len(b)))
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0, len(a) > 0 && order(a[0], b[0]) < 0:
			out, a = append(out, f(a[0], none)), a[1:]
		case len(a) == 0, order(a[0], b[0]) > 0:
			out, b = append(out, f(none, b[0])), b[1:]
		default:
			out, a, b = append(out, f(a[0], b[0])), a[1:], b[1:]
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (s SourceCounts) order(other SourceCounts) int {
	return strings.Compare(s.InterfaceID, other.InterfaceID)
}

// combine keeps the later packet; what names the source is the same in both, or is in one.
func (s SourceCounts) combine(other SourceCounts, f func(a, b int64) int64) SourceCounts {
	out := SourceCounts{
		InterfaceID: cmp.Or(s.InterfaceID, other.InterfaceID), Address: cmp.Or(s.Address, other.Address),
		Packets: f(s.Packets, other.Packets), Bytes: f(s.Bytes, other.Bytes),
		Unexpected: f(s.Unexpected, other.Unexpected), Truncated: f(s.Truncated, other.Truncated),
		LastPacketAt: s.LastPacketAt.DeepCopy(),
	}
	if later := other.LastPacketAt; later != nil && (out.LastPacketAt == nil || later.After(out.LastPacketAt.Time)) {
		out.LastPacketAt = later.DeepCopy()
	}
	return out
}

func (s SourceCounts) equal(other SourceCounts) bool {
	same := s.LastPacketAt.Equal(other.LastPacketAt)
	s.LastPacketAt, other.LastPacketAt = nil, nil
	return same && s == other
}

func (r RuleCounts) order(other RuleCounts) int {
	return cmp.Or(strings.Compare(string(r.Direction), string(other.Direction)), cmp.Compare(r.Priority, other.Priority))
}

func (r RuleCounts) combine(other RuleCounts, f func(a, b int64) int64) RuleCounts {
	return RuleCounts{
		Direction: cmp.Or(r.Direction, other.Direction), Priority: max(r.Priority, other.Priority),
		Packets: f(r.Packets, other.Packets),
	}
}

// SortedSources are the counts as Tallies need them: in order, each source once.
func SortedSources(list []SourceCounts) []SourceCounts { return inOrder(list, SourceCounts.order) }

// SortedRules are the counts as Tallies need them: in order, each rule once.
func SortedRules(list []RuleCounts) []RuleCounts { return inOrder(list, RuleCounts.order) }

// inOrder returns a sorted copy, with the first of those that are the same.
func inOrder[T any](list []T, order func(a, b T) int) []T {
	out := slices.Clone(list)
	slices.SortStableFunc(out, order)
	return slices.CompactFunc(out, func(a, b T) bool { return order(a, b) == 0 })
}
