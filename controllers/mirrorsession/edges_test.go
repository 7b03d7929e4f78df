package mirrorsession

import (
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/diagnosis"
)

// asks lets time pass and returns when the cloud was asked, counted from the beginning.
// moves says when the count of each source has moved by then.
func asks(t *testing.T, until, resync time.Duration, blocked bool, moves func(after time.Duration) []diagnosis.Awaited) (at []time.Duration) {
	t.Helper()
	begin := time.Now()
	var e edges
	for after := time.Duration(0); after <= until; {
		now := time.Now()
		e = e.track(now, moves(after), blocked)
		if e.due(now) {
			at = append(at, after)
			e = e.asked(now, resync)
		}
		<-time.After(min(max(e.next(time.Now()), time.Millisecond), time.Second))
		after = time.Since(begin)
	}
	return at
}

// seconds are so many of them.
func seconds(all ...int) (out []time.Duration) {
	for _, s := range all {
		out = append(out, time.Duration(s)*time.Second)
	}
	return out
}

func TestTheCloudIsAskedOnceWhenCopiesStopAndThenEverLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		got := asks(t, 20*time.Minute, 10*time.Minute, false, func(after time.Duration) []diagnosis.Awaited {
			last := min(after.Truncate(time.Second), 50*time.Second) // when the last copy came
			return []diagnosis.Awaited{{Since: begin.Add(last), Within: 22 * time.Second}}
		})
		same(t, "asked at", seconds(72, 92, 132, 212, 372, 692), got)
	})
}

func TestWhileCopiesComeNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		got := asks(t, time.Hour, 10*time.Minute, true, func(after time.Duration) []diagnosis.Awaited {
			return []diagnosis.Awaited{{Since: begin.Add(after.Truncate(15 * time.Second)), Within: 22 * time.Second}}
		})
		same(t, "asked at", nil, got)
	})
}

func TestOneSourceOfWhichNothingComesIsAskedForToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		got := asks(t, 5*time.Minute, time.Minute, false, func(after time.Duration) []diagnosis.Awaited {
			return []diagnosis.Awaited{
				{Since: begin.Add(after.Truncate(time.Second)), Within: 22 * time.Second},
				{Source: "a", Since: begin.Add(after.Truncate(time.Second)), Within: 22 * time.Second},
				{Source: "b", Since: begin, Within: 22 * time.Second},
			}
		})
		same(t, "asked at", seconds(22, 42, 82), got)
	})
}

func TestCopiesThatComeAgainAreAnEdgeWhereSomethingWasSaidToBeInTheWay(t *testing.T) {
	for blocked, want := range map[bool][]time.Duration{true: seconds(22, 42, 60), false: seconds(22, 42)} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			got := asks(t, 5*time.Minute, 10*time.Minute, blocked, func(after time.Duration) []diagnosis.Awaited {
				last := time.Duration(0)
				if after >= 50*time.Second {
					last = after.Truncate(time.Second)
				}
				return []diagnosis.Awaited{{Since: begin.Add(last), Within: 22 * time.Second}}
			})
			same(t, "asked at", want, got)
		})
	}
}

func TestWhereNothingIsAwaitedNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		got := asks(t, time.Hour, 10*time.Minute, true, func(after time.Duration) []diagnosis.Awaited {
			if after >= 30*time.Second {
				return nil // switched off, for example
			}
			return []diagnosis.Awaited{{Since: begin, Within: 22 * time.Second}}
		})
		same(t, "asked at", seconds(22), got)
	})
}

func TestAFrequentComparisonLeavesNothingToBeAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		got := asks(t, time.Hour, 10*time.Second, false, func(time.Duration) []diagnosis.Awaited {
			return []diagnosis.Awaited{{Since: begin, Within: 22 * time.Second}}
		})
		same(t, "asked at", seconds(22), got)
	})
}

func TestAnEdgeThatIsDueByTheEndOfAReconcileIsNotForgotten(t *testing.T) {
	began := time.Now()
	awaited := []diagnosis.Awaited{{Since: began.Add(-20 * time.Second), Within: 22 * time.Second}}
	e := edges{}.track(began, awaited, false)
	same(t, "due when the reconcile began", false, e.due(began))
	for name, c := range map[string]struct {
		began time.Time
		after time.Duration
		want  time.Duration
	}{
		"its lists took less":         {began, time.Second, time.Second},
		"its lists took until then":   {began, 2 * time.Second, time.Second},
		"its lists took longer":       {began, 40 * time.Second, time.Second},
		"it did not get to the cloud": {time.Time{}, 3 * time.Second, 20 * time.Second},
		"there is more time":          {began, -3 * time.Second, 5 * time.Second},
		"there is time to get there":  {time.Time{}, -3 * time.Second, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			end := began.Add(c.after)
			s := &scope{began: c.began}
			same(t, "another reconcile comes in", c.want, soonest(0, s.comesBack(e.track(end, awaited, false).next(end)), s.pathAgainIn(end)))
		})
	}
	for after, want := range map[time.Duration]time.Duration{0: 20 * time.Second, 20 * time.Second: atOnce, time.Minute: atOnce} {
		s := &scope{began: began, pathAgain: began.Add(20 * time.Second)}
		same(t, "a way that could not be read is read again in", want, soonest(0, never, s.pathAgainIn(began.Add(after))))
	}
}

// comes is a count that moves each period as long as on, in each cycle.
func comes(begin time.Time, period, on, cycle time.Duration) func(time.Duration) []diagnosis.Awaited {
	return func(after time.Duration) []diagnosis.Awaited {
		last := after.Truncate(cycle) + min(after%cycle, on).Truncate(period)
		return []diagnosis.Awaited{{Since: begin.Add(last), Within: 22 * time.Second}}
	}
}

func TestAHealthySessionWhoseTrafficComesInBurstsHasTheCloudAskedEverLess(t *testing.T) {
	for name, c := range map[string]struct {
		period, on, cycle time.Duration
		most              int
	}{
		"a copy each minute":                {time.Minute, 0, time.Minute, 5},
		"a copy each five minutes":          {time.Minute, 0, 5 * time.Minute, 15},
		"half a minute of two":              {time.Second, 30 * time.Second, 2 * time.Minute, 8},
		"ten minutes of eleven":             {time.Second, 10 * time.Minute, 11 * time.Minute, 15},
		"a copy each second, without a gap": {time.Second, time.Hour, time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := asks(t, 59*time.Minute, 10*time.Minute, false, comes(time.Now(), c.period, c.on, c.cycle))
				if len(got) > c.most {
					t.Errorf("the cloud is asked %d times in an hour, at %v, want at most %d", len(got), got, c.most)
				}
			})
		})
	}
}

func TestHowSoonTheCloudIsAskedGoesByWhatCameOfItBefore(t *testing.T) {
	const within, resync = 22 * time.Second, 10 * time.Minute
	for name, c := range map[string]struct {
		// silences are such that came before, with whether something was found, and flow is how long
		// copies came after the last.
		silences []bool
		flow     time.Duration
		want     time.Duration
	}{
		"the first time":                             {nil, time.Minute, within},
		"after one that came to nothing":             {[]bool{false}, time.Minute, 2 * within},
		"after two":                                  {[]bool{false, false}, time.Minute, 4 * within},
		"after many":                                 {make([]bool, 9), time.Minute, resync},
		"after one that did not":                     {[]bool{true}, time.Minute, within},
		"after many of which the last did not":       {[]bool{false, false, false, true}, time.Minute, within},
		"after many, once copies came for long":      {make([]bool, 9), 11 * time.Minute, within},
		"after many, and copies that came for a bit": {make([]bool, 9), 9 * time.Minute, resync},
	} {
		t.Run(name, func(t *testing.T) {
			now, last := time.Now(), time.Time{}
			var e edges
			look := func(blocked bool) {
				e = e.track(now, []diagnosis.Awaited{{Since: last, Within: within}}, blocked)
			}
			flow := func(lasts time.Duration) {
				for until := now.Add(lasts); now.Before(until); now = now.Add(10 * time.Second) {
					last = now
					look(false)
				}
			}
			flow(time.Minute)
			for _, found := range c.silences {
				now = now.Add(e.next(now))
				e = e.asked(now, resync)
				look(found)
				flow(time.Minute)
				e.resumed = time.Time{}
			}
			flow(c.flow)
			same(t, "the cloud is asked after a silence of", c.want, now.Add(e.next(now)).Sub(last))
		})
	}
}

func TestWhatWasChangedInTheCloudIsSomethingFoundToo(t *testing.T) {
	begin := time.Now()
	silence := func(found bool) time.Duration {
		at := func(after int) []diagnosis.Awaited {
			return []diagnosis.Awaited{{Since: begin.Add(time.Duration(after) * time.Second), Within: 22 * time.Second}}
		}
		e := edges{}.track(begin, at(0), false).track(begin, at(10), false).asked(begin.Add(32*time.Second), 10*time.Minute)
		if found {
			e = e.found()
		}
		e = e.track(begin.Add(time.Minute), at(60), false)
		return e.next(begin.Add(time.Minute))
	}
	same(t, "the next silence, after drift", 22*time.Second, silence(true))
	same(t, "the next silence, after nothing", 44*time.Second, silence(false))
}
