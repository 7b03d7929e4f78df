package diagnosis

import (
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// recently is for how long something that happens now and then is said after it was
	// seen last: long enough to be read, short enough to be about now.
	recently = 5 * time.Minute
	// clockTolerance is how far the clock of a node may be ahead: clocks that are kept by NTP
	// differ by less.
	clockTolerance = 2 * time.Second
	// catchUp is how long a verifier may take at least, see [Known.catchUp].
	catchUp = time.Minute
	// renewalPoll is how often is looked whether a renewal that is overdue has come.
	renewalPoll = 5 * time.Second
	// fewInAHundred is which share of the packets may be cut: some protocol's large packets
	// are in any network.
	fewInAHundred = 3
)

// Movement is when, by the manager's clock, each count of a session last moved. It is a value
// that a process keeps for each session, and that [Movement.Next] moves on at each look. The
// zero value has seen nothing: what moved before it began is not known, so all time is
// measured anew, but for what the status already says. The times have the process's own clock in
// them (see package time): what is measured between two looks does not change when the time of
// day is set.
type Movement struct {
	begun bool
	epoch int64
	// judged is whether somebody counted at the last look.
	judged bool
	// entries are what the verifiers had written at the last look, by node.
	entries handful[string, entry]
	// accepted is when a copy that the filter accepts was counted last, or the watch began.
	accepted time.Time
	// sources are the same for each source, by interface.
	sources handful[string, time.Time]
	// came is when this process saw in this epoch that a copy was counted, and cameFrom the same of
	// each source; neither is there before it has.
	came     time.Time
	cameFrom handful[string, time.Time]
	// holds are what is held back at the sources, by the way as it was read last.
	holds map[hold]holdSince
	// denials are what lets no copies come, by the way as it was read last.
	denials map[denial]denialSince
	// recent is when something was seen last that happens now and then.
	recent handful[cause, time.Time]
	// cut is how many packets came cut, by source; that of all has no name.
	cut handful[string, share]
}

// cause is what a finding is told apart by.
type cause struct{ reason, subject string }

// entry is what is remembered of a verifier's entry.
type entry struct {
	v1alpha1.Tallies
	observedAt time.Time
	// behind is since when the entry is of another epoch than the session, zero if it is not.
	behind time.Time
}

// share is how many of how many were cut in the last minutes: those of now, and those of the
// time before.
type share struct {
	from        time.Time
	of, cut     int64
	lastOf, was int64
}

func (s share) plus(now time.Time, of, cut int64) share {
	if s.from.IsZero() || now.Sub(s.from) >= 2*recently {
		s = share{from: now}
	}
	if now.Sub(s.from) >= recently {
		s = share{from: now, lastOf: s.of, was: s.cut}
	}
	s.of, s.cut = s.of+of, s.cut+cut
	return s
}

// exceeded reports whether more than a few in a hundred were cut.
func (s share) exceeded() bool {
	return float64(s.cut+s.was)*100 > float64(s.of+s.lastOf)*fewInAHundred
}

// Next is the movement after a look at what is known, whose own Movement is not used.
func (m Movement) Next(k *Known) Movement {
	now := k.Now
	next := Movement{begun: true, epoch: k.Session.Status.Epoch, judged: k.judged(), accepted: m.accepted}
	anew := !m.begun || m.epoch != next.epoch
	next.keep(m, anew, now)
	if anew || !m.judged {
		next.accepted = now
	}
	for _, source := range k.Session.Status.Sources {
		at, known := m.sources.at(source.InterfaceID)
		if !known || anew || !m.judged {
			at = now
		}
		next.sources.set(source.InterfaceID, at)
	}
	for _, e := range k.Session.Status.Verification {
		next.see(k, m, e, now)
	}
	if anew {
		m.holds, m.denials = nil, nil
	}
	next.hold(k, m.holds, now)
	next.deny(k, m.denials, now)
	if !m.begun {
		next.goOn(k, now)
	}
	return next
}

// keep takes over what was seen recently. Of another epoch only what has nothing to do with it.
func (m *Movement) keep(before Movement, anew bool, now time.Time) {
	for c, at := range before.recent.all() {
		ofAll := c.reason == v1alpha1.ReasonCaptureDrops || c.reason == v1alpha1.ReasonClockAhead
		if now.Sub(at) < recently && (!anew || ofAll) {
			m.recent.set(c, at)
		}
	}
	if !anew {
		m.came = before.came
		m.cameFrom, m.cut = slices.Clone(before.cameFrom), slices.Clone(before.cut)
	}
}

// see takes an entry in.
func (m *Movement) see(k *Known, before Movement, e v1alpha1.Verification, now time.Time) {
	was, known := before.entries.at(e.Node)
	tallies := v1alpha1.TalliesOf(&e)
	tallies.InEpoch = k.inEpoch(e)
	is := entry{Tallies: tallies, observedAt: e.ObservedAt.Time}
	clock := cause{v1alpha1.ReasonClockAhead, e.Node}
	if ahead(e, now) {
		m.recent.set(clock, now)
	} else if known && !is.observedAt.Equal(was.observedAt) {
		m.recent.remove(clock) // it was set
	}
	if e.Epoch != m.epoch && !k.Lost[e.Node] && !e.Ended && e.Message == "" {
		is.behind = was.behind
		if is.behind.IsZero() || before.epoch != m.epoch {
			is.behind = now
		}
	}
	m.entries.set(e.Node, is)
	if !before.begun {
		return // nobody knows when that moved
	}
	if was.Epoch != is.Epoch || before.epoch != m.epoch {
		was.InEpoch = v1alpha1.Counts{}
	}
	m.moved(e.Node, was.Counts, is.Counts, was.InEpoch, is.InEpoch, now)
	undecided := max(is.Undecided-was.Undecided, 0)
	for _, source := range is.Sources {
		m.movedFrom(source, sourceOf(was.Sources, source.InterfaceID), undecided, now)
	}
}

// moved notes what an entry's counts say that is new.
func (m *Movement) moved(node string, ever, nowEver, was, is v1alpha1.Counts, now time.Time) {
	if is.Packets > was.Packets {
		m.accepted, m.came = now, now
	}
	if nowEver.Dropped > ever.Dropped {
		m.recent.set(cause{v1alpha1.ReasonCaptureDrops, node}, now)
	}
	for reason, more := range map[string]bool{
		v1alpha1.ReasonUnexpectedPackets: is.Unexpected > was.Unexpected,
		v1alpha1.ReasonForeignSource:     is.ForeignSource > was.ForeignSource,
		v1alpha1.ReasonUnreadableCopies:  is.Unreadable > was.Unreadable,
	} {
		if more {
			m.recent.set(cause{reason, ""}, now)
		}
	}
	own := func(c v1alpha1.Counts) int64 { return c.Packets + c.Unexpected + c.Undecided }
	m.cutMore("", max(own(is)-own(was), 0), max(is.Truncated-was.Truncated, 0), now)
}

// movedFrom notes the same of a source. undecided are the session's: which of its sources they came
// from is not counted, so each may be this one's.
func (m *Movement) movedFrom(is, was v1alpha1.SourceCounts, undecided int64, now time.Time) {
	if _, present := m.sources.at(is.InterfaceID); !present {
		return
	}
	if is.Packets > 0 && is.Packets != was.Packets { // one that was away begins anew
		m.sources.set(is.InterfaceID, now)
		m.cameFrom.set(is.InterfaceID, now)
	}
	m.cutMore(is.InterfaceID, max(is.Packets+is.Unexpected-was.Packets-was.Unexpected, 0)+undecided, max(is.Truncated-was.Truncated, 0), now)
}

// cutMore notes how many of how many packets came cut.
func (m *Movement) cutMore(source string, of, cut int64, now time.Time) {
	if of == 0 && cut == 0 {
		return
	}
	share := m.cut.of(source).plus(now, of, cut)
	m.cut.set(source, share)
	if cut > 0 && share.exceeded() {
		m.recent.set(cause{v1alpha1.ReasonPayloadTruncated, source}, now)
	}
}

// goOn takes over what the status says of the same epoch, so that a new manager does not take
// back what is still so, and say it again later.
func (m *Movement) goOn(k *Known, now time.Time) {
	if k.Reported == nil || k.Reported.Epoch != m.epoch {
		return
	}
	for _, f := range k.Reported.Findings {
		if !ofEpochBefore(k, f) {
			m.takeOver(k, f, now)
		}
	}
}

// ofEpochBefore reports whether a finding is older than the epoch: an epoch is stored alone
// where a manager ends before it has said what follows from it.
func ofEpochBefore(k *Known, f v1alpha1.Finding) bool {
	traffic := k.Session.Status.Traffic
	return traffic != nil && traffic.Since != nil && f.Since.Time.Before(traffic.Since.Truncate(time.Second)) &&
		f.Reason != v1alpha1.ReasonClockAhead && f.Reason != v1alpha1.ReasonCaptureDrops
}

func (m *Movement) takeOver(k *Known, f v1alpha1.Finding, now time.Time) {
	switch f.Reason {
	case v1alpha1.ReasonSilent:
		if !k.cameMeanwhile() {
			m.accepted = f.Since.Time
		}
	case v1alpha1.ReasonSourceSilent:
		if id := k.interfaceOf(f.Subject); id != "" && !k.cameMeanwhileFrom(id) {
			m.sources.set(id, f.Since.Time)
		}
	case v1alpha1.ReasonUnexpectedPackets, v1alpha1.ReasonForeignSource, v1alpha1.ReasonUnreadableCopies, v1alpha1.ReasonCaptureDrops, v1alpha1.ReasonClockAhead:
		m.recent.set(cause{f.Reason, f.Subject}, now)
	case v1alpha1.ReasonPayloadTruncated:
		m.recent.set(cause{f.Reason, k.interfaceOf(f.Subject)}, now)
	case v1alpha1.ReasonVerifierBehind:
		if e, is := m.entries.at(f.Subject); is && !e.behind.IsZero() {
			e.behind = f.Since.Time.Add(-k.catchUp())
			m.entries.set(f.Subject, e)
		}
	}
}

// cameMeanwhile reports whether there are more accepted copies of the epoch now than when the
// reported status was written, by another manager.
func (k *Known) cameMeanwhile() bool {
	packets := func(t *v1alpha1.Traffic) int64 {
		if t == nil || t.InEpoch == nil {
			return 0
		}
		return t.InEpoch.Packets
	}
	return packets(k.Session.Status.Traffic) > packets(k.Reported.Traffic)
}

// cameMeanwhileFrom reports whether the same is so of one source.
func (k *Known) cameMeanwhileFrom(id string) bool {
	packets := func(t *v1alpha1.Traffic) int64 {
		if t == nil {
			return 0
		}
		return sourceOf(t.Sources, id).Packets
	}
	return packets(k.Session.Status.Traffic) > packets(k.Reported.Traffic)
}

// ahead reports whether a node's clock is: its entry is from later than now. Of an entry that is
// old by now nobody can tell.
func ahead(e v1alpha1.Verification, now time.Time) bool {
	limit := now.Add(clockTolerance)
	return e.ObservedAt.After(limit) || e.LastPacketAt != nil && e.LastPacketAt.After(limit)
}

func sourceOf(list []v1alpha1.SourceCounts, id string) v1alpha1.SourceCounts {
	for _, s := range list {
		if s.InterfaceID == id {
			return s
		}
	}
	return v1alpha1.SourceCounts{}
}

// happened reports whether something was seen recently, while somebody counts.
func (k *Known) happened(reason, subject string) bool {
	return k.judged() && k.recently(reason, subject)
}

func (k *Known) recently(reason, subject string) bool {
	at, is := k.Movement.recent.at(cause{reason, subject})
	return is && k.Now.Sub(at) < recently
}

// Next is after how long the answer may be another one although nothing new is reported, 0
// when it stays. Where the cloud is not in line with the spec a look costs calls: silence alone is
// worth them.
func Next(k *Known) time.Duration {
	var soonest time.Duration
	at := func(due time.Time) {
		if in := due.Sub(k.Now); in > 0 && (soonest == 0 || in < soonest) {
			soonest = in
		}
	}
	if after := k.silenceAfter(); after > 0 && k.judged() {
		at(k.Movement.accepted.Add(after))
		for _, moved := range k.Movement.sources.all() {
			at(moved.Add(after))
		}
		if k.overdue() { // nobody says when it is not any more
			at(k.Now.Add(renewalPoll))
		}
	}
	for _, due := range k.believed() {
		at(due)
	}
	if !k.inLine() {
		return soonest
	}
	for _, seen := range k.Movement.recent.all() {
		at(seen.Add(recently))
	}
	for _, e := range k.Movement.entries.all() {
		if !e.behind.IsZero() {
			at(e.behind.Add(k.catchUp()))
		}
	}
	for _, f := range k.Session.Status.Findings {
		if f.Reason == v1alpha1.ReasonNoVerifier {
			at(f.Since.Add(k.catchUp()))
		}
	}
	return soonest
}
