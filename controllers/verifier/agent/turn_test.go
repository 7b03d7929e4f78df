package agent

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

// Streams that pause again and again have an edge each time, and more of them than one host may
// write must not keep one that never pauses from its turn: the manager would call it silent.
func TestNumbersHaveTheirTurnBesideEdgesWithoutEnd(t *testing.T) {
	const pausing, pause, lasts = 30, 7 * time.Second, 10 * time.Minute
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	a := New(Options{Node: node, Clock: func() time.Time { return now }, Log: logr.Discard()})
	c := a.newCapturer(Interface{Index: 1, Name: "eth0"})
	c.tried = true
	a.capturers[c.local.key()] = c
	steady := &tracked{session: &v1alpha1.MirrorSession{}, capturer: c, ledger: report.NewLedger(now)}
	a.tracked["steady"] = steady
	var others []*tracked
	for i := range pausing {
		other := &tracked{session: &v1alpha1.MirrorSession{}, capturer: c, ledger: report.NewLedger(now)}
		others = append(others, other)
		a.tracked[types.UID(fmt.Sprint("pausing-", i))] = other
	}
	packet := func(of *tracked) {
		counted := report.Totals{Last: now}
		counted.Packets = 1
		of.ledger.Close(counted)
	}
	longest, most := time.Duration(0), v1alpha1.CountsDelay(len(a.tracked), len(a.tracked))
	for end := now.Add(lasts); now.Before(end); now = now.Add(tick) {
		packet(steady)
		for i, other := range others {
			if (now.Sub(end)+time.Duration(i)*tick)%pause == 0 {
				packet(other)
			}
		}
		all, _ := a.due()
		for _, due := range all {
			if a.budget.Spend(now, due.urgency) {
				s := c.snapshot()
				due.pace.Written(now, due.entry(a.Node, &s), report.Interval(len(a.tracked)))
			}
		}
		if last := steady.pace.Last(); !last.IsZero() {
			longest = max(longest, now.Sub(last))
		}
	}
	if longest > most {
		t.Errorf("the counts of a stream that never pauses stood still for %s, and the manager takes more than %s for silence", longest, most)
	}
}

func TestWhileNothingChangesTheAgentSleepsAndNewsWakesItAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		a := New(Options{Node: node, Clock: func() time.Time { looks.Add(1); return time.Now() }, Log: logr.Discard()})
		c := a.newCapturer(Interface{Index: 1, Name: "eth0"})
		c.tried = true
		a.capturers[c.local.key()] = c
		quiet := &tracked{session: &v1alpha1.MirrorSession{}, capturer: c, ledger: report.NewLedger(time.Now())}
		s := c.snapshot()
		quiet.pace.Written(time.Now(), quiet.entry(a.Node, &s), report.Interval(1))
		a.tracked["quiet"] = quiet
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); a.flushUntilDone(ctx) }()
		<-time.After(time.Minute) // the bubble's own time
		before := looks.Load()
		<-time.After(24 * time.Hour)
		if got := looks.Load() - before; got != 0 {
			t.Errorf("it asked for the time %d times in a day", got)
		}
		a.tellNews()
		synctest.Wait()
		if looks.Load() == before {
			t.Error("what came was not looked at at once")
		}
		cancel()
		<-done
	})
}

// By the agent's own clock: what the API server takes for the writes comes on top.
func TestTheFirstEntriesOf300SessionsAreWrittenWithinSeconds(t *testing.T) {
	const sessions, most = 300, 12 * time.Second
	began := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	now := began
	a := New(Options{Node: node, Clock: func() time.Time { return now }, Log: logr.Discard()})
	c := a.newCapturer(Interface{Index: 1, Name: "eth0"})
	c.tried = true
	a.capturers[c.local.key()] = c
	for i := range sessions {
		a.tracked[types.UID(fmt.Sprint(i))] = &tracked{session: &v1alpha1.MirrorSession{}, capturer: c, ledger: report.NewLedger(now)}
	}
	for written := 0; ; now = now.Add(minFlushInterval) {
		all, _ := a.due()
		for _, due := range all {
			if a.budget.Spend(now, due.urgency) {
				s := c.snapshot()
				due.pace.Written(now, due.entry(a.Node, &s), report.Interval(sessions))
				written++
			}
		}
		if written == sessions {
			break
		}
		if now.Sub(began) > most {
			t.Fatalf("%d are written after %s", written, now.Sub(began))
		}
	}
	if all, next := a.due(); len(all) != 0 || !next.IsZero() {
		t.Errorf("then %d are due, and the next at %s, though nothing has come", len(all), next)
	}
}

// As TestNumbersHaveTheirTurnBesideEdgesWithoutEnd, but for 200 steady streams beside 100 that pause, from a start on.
func TestNumbersKeepTheirOwnBudgetBesideEdges(t *testing.T) {
	const steady, pausing, pause, lasts = 200, 100, 15 * time.Second, 20 * time.Minute
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	begin := now
	a := New(Options{Node: node, Clock: func() time.Time { return now }, Log: logr.Discard()})
	c := a.newCapturer(Interface{Index: 1, Name: "eth0"})
	c.tried = true
	a.capturers[c.local.key()] = c
	var all []*tracked
	for i := range steady + pausing {
		one := &tracked{session: &v1alpha1.MirrorSession{}, capturer: c, ledger: report.NewLedger(now)}
		all = append(all, one)
		a.tracked[types.UID(fmt.Sprint(i))] = one
	}
	packet := func(of *tracked) {
		counted := report.Totals{Last: now}
		counted.Packets = 1
		of.ledger.Close(counted)
	}
	longest, when, most := time.Duration(0), time.Duration(0), v1alpha1.CountsDelay(len(all), len(all))
	for end := now.Add(lasts); now.Before(end); now = now.Add(tick) {
		for i, one := range all {
			if i < steady || (now.Sub(begin)+time.Duration(i)*tick)%pause == 0 {
				packet(one)
			}
		}
		dues, _ := a.due()
		for _, due := range dues {
			if a.budget.Spend(now, due.urgency) {
				s := c.snapshot()
				due.pace.Written(now, due.entry(a.Node, &s), report.Interval(len(all)))
			}
		}
		for _, one := range all[:steady] {
			if last := one.pace.Last(); !last.IsZero() && now.Sub(last) > longest {
				longest, when = now.Sub(last), now.Sub(begin)
			}
		}
	}
	if longest > most {
		t.Errorf("the counts of a stream that never pauses stood still for %s (%s after the start), and the manager takes more than %s for silence", longest, when, most)
	}
}
