package status

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// SumTraffic returns the sum of the verifiers' entries and of what is retired, or nil when
// there is nothing to show. Of the sum so far stay the retired part, when the epoch began, and
// the first and the last packet, whose entry may be gone. The sources are those that the
// session has now, each of them, and what is of the epoch is of the present one alone. now is
// the manager's clock: no packet was seen after it, whatever a node's clock says.
func SumTraffic(st *v1alpha1.MirrorSessionStatus, now time.Time) *v1alpha1.Traffic {
	before := st.Traffic
	if len(st.Verification) == 0 && (before == nil || before.Retired == nil && before.Since == nil) {
		return nil
	}
	if before == nil {
		before = &v1alpha1.Traffic{}
	}
	total := v1alpha1.RetiredTallies(before.Retired).Now(st.Epoch)
	counting := false
	for i := range st.Verification {
		e := &st.Verification[i]
		t := v1alpha1.TalliesOf(e)
		if e.Ended || st.Epoch == 0 {
			t.Epoch, t.InEpoch, t.Rules = st.Epoch, v1alpha1.Counts{}, nil
		} else if t.Epoch == st.Epoch {
			counting = true
		}
		total = total.Plus(t)
	}
	sum := &v1alpha1.Traffic{
		Counts: total.Counts, Since: before.Since.DeepCopy(), Rules: total.Rules,
		Sources: presentSources(total.Sources, before.Sources, st.Sources, now),
		Retired: presentRetired(before.Retired, st.Sources),
	}
	if counting {
		sum.InEpoch = &total.InEpoch
	}
	sum.FirstPacketAt, sum.LastPacketAt = packetTimes(before, st.Verification, now, total.Counts != before.Counts)
	return sum
}

// packetTimes are when the first and the last packet came, cut to what the API server keeps of
// a Time, so that comparing with what was read back finds no difference. What lies after now
// was told by a clock that is ahead: the packet was there when it was first told of.
func packetTimes(before *v1alpha1.Traffic, entries []v1alpha1.Verification, now time.Time, moved bool) (first, last *metav1.Time) {
	first, last = before.FirstPacketAt.DeepCopy(), before.LastPacketAt.DeepCopy()
	for _, e := range entries {
		if e.FirstPacketAt != nil && (first == nil || e.FirstPacketAt.Time.Before(first.Time)) {
			first = &metav1.Time{Time: e.FirstPacketAt.Truncate(time.Second)}
		}
		if e.LastPacketAt != nil && (last == nil || e.LastPacketAt.After(last.Time)) {
			last = &metav1.Time{Time: e.LastPacketAt.Truncate(time.Second)}
		}
	}
	if !moved && before.LastPacketAt != nil {
		last = before.LastPacketAt.DeepCopy() // a time that was cut does not move on with the clock
	}
	now = now.Truncate(time.Second)
	for _, t := range []*metav1.Time{first, last} {
		if t != nil && t.After(now) {
			t.Time = now
		}
	}
	return first, last
}

// presentSources are the counts of the sources that the session has now, in the session's
// order, with those of which nothing was counted. sums are in order; before is what was shown.
func presentSources(sums, before []v1alpha1.SourceCounts, present []v1alpha1.ResolvedInterface, now time.Time) []v1alpha1.SourceCounts {
	var out []v1alpha1.SourceCounts
	for _, source := range present {
		id := v1alpha1.FitASCII(source.InterfaceID, maxLengths["traffic.sources[].interfaceID"])
		is, was := ofSource(sums, id), ofSource(before, id)
		is.InterfaceID, is.Address = id, ""
		if len(source.Addresses) > 0 {
			is.Address = v1alpha1.FitASCII(source.Addresses[0], maxLengths["traffic.sources[].address"])
		}
		if is.LastPacketAt != nil && is.LastPacketAt.After(now) {
			is.LastPacketAt = new(metav1.NewMicroTime(now.Truncate(time.Microsecond)))
			if told := was.LastPacketAt; told != nil && !told.After(now) && sameCounts(was, is) {
				is.LastPacketAt = told.DeepCopy()
			}
		}
		out = append(out, is)
	}
	return out
}

// ofSource is what a list has of a source.
func ofSource(list []v1alpha1.SourceCounts, id string) v1alpha1.SourceCounts {
	if i := slices.IndexFunc(list, func(s v1alpha1.SourceCounts) bool { return s.InterfaceID == id }); i >= 0 {
		return list[i]
	}
	return v1alpha1.SourceCounts{}
}

func sameCounts(a, b v1alpha1.SourceCounts) bool {
	return a.Packets == b.Packets && a.Bytes == b.Bytes && a.Unexpected == b.Unexpected && a.Truncated == b.Truncated
}

// presentRetired is what is retired, without the sources that the session has no more.
func presentRetired(r *v1alpha1.Retired, present []v1alpha1.ResolvedInterface) *v1alpha1.Retired {
	if r == nil {
		return nil
	}
	out := r.DeepCopy()
	out.Sources = slices.DeleteFunc(out.Sources, func(s v1alpha1.SourceCounts) bool {
		return !slices.ContainsFunc(present, func(p v1alpha1.ResolvedInterface) bool { return p.InterfaceID == s.InterfaceID })
	})
	if len(out.Sources) == 0 {
		out.Sources = nil
	}
	return out
}

// Retire returns the sum once entry i is gone, and its counts are retired.
func Retire(st *v1alpha1.MirrorSessionStatus, i int, now time.Time) *v1alpha1.Traffic {
	after := st.DeepCopy()
	after.Traffic = SumTraffic(st, now) // with the entry's first and last packet
	gone := v1alpha1.RetiredTallies(after.Traffic.Retired).Plus(v1alpha1.TalliesOf(&st.Verification[i]))
	after.Traffic.Retired = &v1alpha1.Retired{Counts: gone.Counts, Sources: gone.Sources}
	after.Verification = slices.Delete(after.Verification, i, i+1)
	return SumTraffic(after, now)
}
