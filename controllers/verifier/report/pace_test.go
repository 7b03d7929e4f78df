package report_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// at is a moment so long after noon.
func at(d time.Duration) *metav1.MicroTime { return new(metav1.NewMicroTime(noon.Add(d))) }

func counts(change func(*v1alpha1.Verification)) v1alpha1.Verification {
	e := v1alpha1.Verification{Node: "node-1", Interface: "eth0", LastPacketAt: at(0)}
	e.Counts = v1alpha1.Counts{Packets: 10, Bytes: 1000, Unexpected: 1, ForeignSource: 1, Undecided: 1, Dropped: 1}
	if change != nil {
		change(&e)
	}
	return e
}

func TestWhenAnEntryIsWorthAWrite(t *testing.T) {
	more := func(e *v1alpha1.Verification) { e.Packets++; e.LastPacketAt = at(time.Second) }
	fromZero := func(set func(*v1alpha1.Verification)) (was, is v1alpha1.Verification) {
		was = v1alpha1.Verification{Node: "node-1", Interface: "eth0"}
		is = was
		set(&is)
		return was, is
	}
	for _, c := range []struct {
		name string
		// was is written at noon, is is what there is after.
		was, is  v1alpha1.Verification
		after    time.Duration
		sessions int
		want     report.Urgency
	}{
		{"nothing is written when nothing is new", counts(nil), counts(nil), time.Hour, 1, report.Nothing},
		{"nothing is written when only the time of looking is new", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.ObservedAt = *at(time.Minute) }), time.Minute, 1, report.Nothing},
		{"numbers wait for the interval", counts(nil), counts(more), 2 * time.Second, 1, report.Nothing},
		{"numbers wait no longer than the interval and its jitter", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.Packets++; e.LastPacketAt = at(16 * time.Second) }), 16500 * time.Millisecond, 1, report.Numbers},
		{"numbers wait longer in a large cluster", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.Packets++; e.LastPacketAt = at(16 * time.Second) }), 17 * time.Second, 5000, report.Nothing},
		{"a large cluster's interval ends too", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.Packets++; e.LastPacketAt = at(110 * time.Second) }), 110 * time.Second, 5000, report.Numbers},
		{"silence is written at once", counts(nil), counts(more), time.Second + report.Silence, 1, report.Edge},
		{"a foreign source alone is no end of silence", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.ForeignSource++ }), 5 * time.Second, 1, report.Nothing},
		{"a message is written at once", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.Message = "the interface is down" }), 20 * time.Second, 1, report.Edge},
		{"a message that comes and goes is not written each time", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.Message = "the interface is down" }), time.Second, 1, report.Nothing},
		{"a source more is written at once", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.Sources = sourcesOf(0, 0) }), 20 * time.Second, 5000, report.Edge},
		{"other rules are written at once", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.Rules = rulesOf(0, 0) }), 20 * time.Second, 5000, report.Edge},
		{"books that are off are written at once", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.Imbalance = -3 }), 20 * time.Second, 5000, report.Edge},
		{"by how much they are off goes with the numbers", counts(func(e *v1alpha1.Verification) { e.Imbalance = -3 }),
			counts(func(e *v1alpha1.Verification) { e.Imbalance = -4 }), 17 * time.Second, 1, report.Numbers},
		{"who is the foreign sender goes with the numbers", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.ForeignSender = "192.0.2.1" }), time.Hour, 1, report.Numbers},
		{"another epoch is written at once", counts(nil), counts(func(e *v1alpha1.Verification) { e.Epoch = 1 }), time.Second, 5000, report.Edge},
		{"the first packet in an epoch is written at once", counts(func(e *v1alpha1.Verification) { e.Epoch = 1 }),
			counts(func(e *v1alpha1.Verification) { e.Epoch = 1; e.Packets++; e.InEpoch = &v1alpha1.Counts{Packets: 1} }), time.Second, 5000, report.Edge},
		{"the second in an epoch is not", counts(func(e *v1alpha1.Verification) { e.InEpoch = &v1alpha1.Counts{Packets: 1} }),
			counts(func(e *v1alpha1.Verification) { e.Packets++; e.InEpoch = &v1alpha1.Counts{Packets: 2} }), time.Second, 5000, report.Nothing},
		{"another interface is written at once", counts(nil),
			counts(func(e *v1alpha1.Verification) { e.Interface = "eth1" }), 20 * time.Second, 5000, report.Edge},
		{"what takes the copies is written at once when it was looked at first", counts(nil), counts(consumed("False", "NobodyListens")), time.Second, 5000, report.Edge},
		{"another verdict about that is written at once", counts(consumed("Unknown", "NoCopies")), counts(consumed("False", "NobodyListens")), 20 * time.Second, 5000, report.Edge},
		{"one that changes again soon waits", counts(consumed("True", "ConsumerSeen")), counts(consumed("False", "NobodyListens")), 10 * time.Second, 1, report.Nothing},
		{"that nobody looks any more is written", counts(consumed("True", "ConsumerSeen")), counts(nil), 20 * time.Second, 5000, report.Edge},
		{"its numbers and names alone are not worth a write", counts(consumed("False", "NobodyListens")),
			counts(func(e *v1alpha1.Verification) {
				consumed("False", "NobodyListens")(e)
				e.Consumer.Message = "the kernel refused 7"
			}), time.Hour, 1, report.Nothing},
	} {
		t.Run(c.name, func(t *testing.T) { expectUrgency(t, c.was, c.is, c.after, c.sessions, c.want) })
	}
	for name, set := range map[string]func(*v1alpha1.Verification){
		"the first packet":            func(e *v1alpha1.Verification) { e.Packets = 1 },
		"the first unexpected packet": func(e *v1alpha1.Verification) { e.Unexpected = 1 },
		"the first undecided packet":  func(e *v1alpha1.Verification) { e.Undecided = 1 },
		"the first foreign source":    func(e *v1alpha1.Verification) { e.ForeignSource = 1 },
		"the first dropped frame":     func(e *v1alpha1.Verification) { e.Dropped = 1 },
	} {
		t.Run(name+" is written at once", func(t *testing.T) {
			was, is := fromZero(set)
			expectUrgency(t, was, is, time.Millisecond, 5000, report.Edge)
		})
	}
	t.Run("the very first entry is written at once, also with nothing to report", func(t *testing.T) {
		var p report.Pace
		if got := p.Due(noon, v1alpha1.Verification{Node: "node-1"}, report.Level); got != report.Edge {
			t.Errorf("got urgency %d, want an edge", got)
		}
	})
}

// consumed is an entry's verdict about what takes the copies.
func consumed(status metav1.ConditionStatus, reason string) func(*v1alpha1.Verification) {
	return func(e *v1alpha1.Verification) {
		e.Consumer = &v1alpha1.Consumer{Status: status, Reason: reason, Message: "the kernel refused 6"}
	}
}

func TestTheFirstVerdictAboutTheConsumerDoesNotWaitForTheFirstEntry(t *testing.T) {
	var p report.Pace
	p.Written(noon, counts(nil), report.Level)
	p.Written(noon.Add(time.Second), counts(consumed("Unknown", "NoCopies")), report.Level)
	if got := p.Due(noon.Add(report.Level), counts(consumed("False", "NobodyListens")), report.Level); got == report.Edge {
		t.Error("the second verdict is written sooner than an interval after the first")
	}
	if got := p.Due(noon.Add(report.Level+time.Second), counts(consumed("False", "NobodyListens")), report.Level); got != report.Edge {
		t.Errorf("the second verdict has urgency %d", got)
	}
}

func expectUrgency(t *testing.T, was, is v1alpha1.Verification, after time.Duration, sessions int, want report.Urgency) {
	t.Helper()
	var p report.Pace
	interval := report.Interval(sessions)
	p.Written(noon, was, interval)
	for range 2 { // asking changes nothing
		if got := p.Due(noon.Add(after), is, interval); got != want {
			t.Errorf("%s after the write the urgency is %d, want %d", after, got, want)
		}
	}
}

func TestEpochsThatFollowEachOtherQuicklyAreNotWrittenEachTime(t *testing.T) {
	const tick, length = 500 * time.Millisecond, 10 * time.Minute
	var p report.Pace
	e := v1alpha1.Verification{Node: "node-1", Interface: "eth0", InEpoch: &v1alpha1.Counts{}}
	writes, last := 0, time.Duration(0)
	for now := time.Duration(0); now <= length; now += tick {
		if now < length-report.Level-2*time.Second { // each with a first packet
			e.Epoch++
			e.Packets++
			e.InEpoch, e.LastPacketAt = &v1alpha1.Counts{Packets: e.Epoch % 2, Unexpected: 1 - e.Epoch%2}, at(now)
			last = now
		}
		if p.Due(noon.Add(now), e, report.Interval(5000)) != report.Nothing {
			p.Written(noon.Add(now), e, report.Interval(5000))
			writes++
		}
	}
	// In each stretch of 15 s one because of the epoch and one for silence or numbers.
	if most := 2*int(length/report.Level) + 3; writes > most {
		t.Errorf("%d writes in %s, want at most %d", writes, length, most)
	}
	if p.Differs(e) {
		t.Errorf("the last epoch, of %s, is not written", last)
	}
}

func TestTheIntervalFollowsTheSizeOfTheCluster(t *testing.T) {
	for sessions, want := range map[int]time.Duration{0: 15 * time.Second, 1: 15 * time.Second, 750: 15 * time.Second, 1000: 20 * time.Second, 5000: 100 * time.Second} {
		if got := report.Interval(sessions); got != want {
			t.Errorf("with %d sessions the interval is %s, want %s", sessions, got, want)
		}
	}
}

// write is one that the simulation made.
type write struct {
	at       time.Time
	urgency  report.Urgency
	packets  int64
	lastSeen time.Time
}

// simulate lets packets arrive and asks every half second, as the agent does.
func simulate(arrivals []time.Duration, length, interval time.Duration) []write {
	const tick = 500 * time.Millisecond
	var p report.Pace
	var out []write
	e := v1alpha1.Verification{Node: "node-1", Interface: "eth0"}
	for now := time.Duration(0); now <= length; now += tick {
		for len(arrivals) > 0 && arrivals[0] <= now {
			e.Packets++
			e.LastPacketAt = at(arrivals[0])
			arrivals = arrivals[1:]
		}
		if u := p.Due(noon.Add(now), e, interval); u != report.Nothing {
			p.Written(noon.Add(now), e, interval)
			w := write{at: noon.Add(now), urgency: u, packets: e.Packets}
			if e.LastPacketAt != nil {
				w.lastSeen = e.LastPacketAt.Time
			}
			out = append(out, w)
		}
	}
	return out
}

func TestWhateverArrivesIsReportedInTimeAndWithFewWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const traffic, length = 10 * time.Minute, 15 * time.Minute
		interval := report.Interval(rapid.IntRange(0, 10000).Draw(t, "sessions"))
		var arrivals []time.Duration
		for now := time.Duration(0); now < traffic; {
			// Bursts, streams with pauses, and hours of nothing.
			longest := rapid.SampledFrom([]int{50, 1500, 4000, 20000, 200000}).Draw(t, "longest pause")
			now += time.Duration(rapid.IntRange(1, longest).Draw(t, "pause")) * time.Millisecond
			if now < traffic {
				arrivals = append(arrivals, now)
			}
		}
		writes := simulate(arrivals, length, interval)
		checkPromises(t, arrivals, writes, interval)
		// Each level interval has at most one write for silence and one for numbers, and
		// a second more or less; the first entry and the first packet come on top.
		if most := 2*int(traffic/(report.Level-time.Second)) + 6; len(writes) > most {
			t.Errorf("%d writes in %s, want at most %d", len(writes), traffic, most)
		}
	})
}

func checkPromises(t *rapid.T, arrivals []time.Duration, writes []write, interval time.Duration) {
	reported := func(from, to time.Time, packets int64) bool {
		for _, w := range writes {
			if !w.at.Before(from) && !w.at.After(to) && w.packets >= packets {
				return true
			}
		}
		return false
	}
	for i, a := range arrivals {
		came := noon.Add(a)
		switch {
		case i == 0:
			if !reported(came, came.Add(time.Second), 1) {
				t.Errorf("the first packet, after %s, was not reported at once", a)
			}
		case !reported(came, came.Add(interval+interval/10+time.Second), int64(i+1)):
			t.Errorf("packet %d, after %s, was not reported within the interval", i, a)
		}
		if last := i+1 == len(arrivals) || arrivals[i+1]-a > report.Level; last && !reported(came, came.Add(report.Level), int64(i+1)) {
			t.Errorf("packet %d, after %s, was the last for 15 s, and its count did not trail by then", i, a)
		}
	}
	for i := 1; i < len(writes); i++ {
		if writes[i].urgency == report.Numbers && writes[i].at.Sub(writes[i-1].at) < interval {
			t.Errorf("a write that only moves numbers came %s after another one", writes[i].at.Sub(writes[i-1].at))
		}
	}
	if n := len(writes); writes[n-1].packets != int64(len(arrivals)) {
		t.Errorf("the last write reports %d packets of %d", writes[n-1].packets, len(arrivals))
	}
}

func TestASteadyNetworkWithoutPacketsIsWrittenOnce(t *testing.T) {
	if got := len(simulate(nil, 24*time.Hour, report.Level)); got != 1 {
		t.Errorf("%d writes in a day without a packet, want only the first entry", got)
	}
}

func TestAStreamThatPausesAgainAndAgainIsNotWrittenEachTime(t *testing.T) {
	var arrivals []time.Duration
	for now := time.Duration(0); now < 10*time.Minute; now += 4 * time.Second {
		arrivals = append(arrivals, now)
	}
	for _, interval := range []time.Duration{report.Level, 100 * time.Second} {
		// 40 stretches of 15 s: in each one write for silence and one for numbers.
		if got := len(simulate(arrivals, 10*time.Minute, interval)); got > 82 {
			t.Errorf("%d writes in 10 minutes with an interval of %s", got, interval)
		}
	}
}

func TestABusySessionIsWrittenEveryFifteenSeconds(t *testing.T) {
	var arrivals []time.Duration
	for now := time.Duration(0); now < 10*time.Minute; now += 10 * time.Millisecond {
		arrivals = append(arrivals, now)
	}
	if got, most := len(simulate(arrivals, 10*time.Minute, report.Level)), 41; got > most || got < most-5 {
		t.Errorf("%d writes in 10 minutes, want about one each 15 s, at most %d", got, most)
	}
}

// Whoever sleeps until the next time misses nothing: no entry is due before, and it is due then.
func TestAnEntryIsDueJustWhenItWasSaidToBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pace report.Pace
		now := noon
		interval := report.Interval(rapid.IntRange(1, 2000).Draw(t, "sessions"))
		for range rapid.IntRange(0, 5).Draw(t, "writes") {
			pace.Written(now, drawEntry(t, now), interval)
			now = now.Add(time.Duration(rapid.IntRange(0, 30000).Draw(t, "pause")) * time.Millisecond)
		}
		entry := drawEntry(t, now)
		at, ever := pace.Next(entry, interval)
		if !ever {
			if later := pace.Due(now.Add(24*time.Hour), entry, interval); later != report.Nothing {
				t.Fatalf("it is never due, and a day later %d", later)
			}
			return
		}
		at = later(at, now)
		if pace.Due(at, entry, interval) == report.Nothing {
			t.Fatalf("it is not due in %s", at.Sub(now))
		}
		if before := at.Add(-time.Nanosecond); !before.Before(now) && pace.Due(before, entry, interval) != report.Nothing {
			t.Fatalf("it is due before %s have passed", at.Sub(now))
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func drawEntry(t *rapid.T, now time.Time) v1alpha1.Verification {
	e := v1alpha1.Verification{
		Node: "node-1", Epoch: rapid.Int64Range(0, 1).Draw(t, "epoch"), Message: rapid.SampledFrom([]string{"", "it is down"}).Draw(t, "message"),
		Counts: v1alpha1.Counts{Packets: rapid.Int64Range(0, 3).Draw(t, "packets"), ForeignSource: rapid.Int64Range(0, 1).Draw(t, "foreign")},
	}
	if e.Packets > 0 {
		e.LastPacketAt = at(now.Sub(noon) - time.Duration(rapid.IntRange(0, 5000).Draw(t, "ago"))*time.Millisecond)
	}
	if rapid.Bool().Draw(t, "judged") {
		e.Consumer = &v1alpha1.Consumer{Status: "True", Reason: "ConsumerSeen"}
	}
	return e
}
