package live

import (
	"context"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/bench/result"
)

// good is a round in which everything went well.
func good(rate int, who reader) round {
	r := round{
		rate: rate, reader: who, sent: sent{Frames: 1000, Burst: segments * 1500 * time.Nanosecond, Time: 10 * time.Millisecond},
		arrived: 1000, cpu: 100 * time.Microsecond,
	}
	if who.readsFrames() {
		r.books.Counted = 1000
	}
	return r
}

func TestARoundThatDoesNotBalanceToTheFrameIsNoMeasurement(t *testing.T) {
	for name, test := range map[string]struct {
		change                func(*round)
		unbalanced, disturbed string
	}{
		"all were counted": {change: func(*round) {}},
		"one is missing": {
			change:     func(r *round) { r.books.Counted-- },
			unbalanced: "the books don't balance: 1000 frames arrived, 999 were counted, 0 dropped, 0 taken for something else",
		},
		"one too many": {
			change:     func(r *round) { r.books.Counted++ },
			unbalanced: "the books don't balance: 1000 frames arrived, 1001 were counted, 0 dropped, 0 taken for something else",
		},
		"one was taken for something else": {
			change:     func(r *round) { r.books = books{Counted: 999, Unlike: 1} },
			unbalanced: "the books don't balance: 1000 frames arrived, 999 were counted, 0 dropped, 1 taken for something else",
		},
		"the kernel dropped two": {
			change:    func(r *round) { r.books = books{Counted: 998, Drops: 2} },
			disturbed: "2 of 1000 frames were dropped",
		},
		"at full speed it may": {
			change: func(r *round) { r.rate, r.books = full, books{Counted: 998, Drops: 2} },
		},
		"one did not arrive": {
			change:    func(r *round) { r.arrived, r.books.Counted = 999, 999 },
			disturbed: "1 of 1000 frames did not arrive",
		},
		"the sender was too slow": {
			change:    func(r *round) { r.sent.Time = 11 * time.Millisecond },
			disturbed: "90909 frames a second were sent instead of 100000",
		},
		"nobody counts": {change: func(r *round) { r.reader, r.books = refusing, books{} }},
	} {
		r := good(100_000, counting)
		test.change(&r)
		if got := r.unbalanced(); got != test.unbalanced {
			t.Errorf("%s: %q, want %q", name, got, test.unbalanced)
		}
		if got := r.disturbed(); got != test.disturbed {
			t.Errorf("%s: %q, want %q", name, got, test.disturbed)
		}
	}
}

func TestACellIsVoidUnlessMostOfItsRoundsStand(t *testing.T) {
	drop := good(100_000, counting)
	drop.books = books{Counted: 999, Drops: 1}
	off := good(100_000, counting)
	off.books.Counted = 999
	whole := good(100_000, counting)
	for name, test := range map[string]struct {
		rounds []round
		void   string
	}{
		"none":             {nil, "it was not measured"},
		"one of three":     {[]round{whole, drop, drop}, "1 of 1000 frames were dropped"},
		"two of three":     {[]round{drop, whole, whole}, ""},
		"books never heal": {[]round{whole, whole, off}, off.unbalanced()},
	} {
		c := cell{rate: 100_000, reader: counting}
		for i := range test.rounds {
			c.take(&test.rounds[i])
		}
		if got := c.void(3); got != test.void {
			t.Errorf("%s: %q, want %q", name, got, test.void)
		}
	}
}

func TestADisturbedRoundIsPlayedOnceMoreAndACellThatNeverStandsIsGivenUp(t *testing.T) {
	drop := good(100_000, counting)
	drop.books = books{Counted: 999, Drops: 1}
	whole, failed := good(100_000, counting), errors.New("the reader did not start")
	type answer struct {
		round round
		err   error
	}
	for name, test := range map[string]struct {
		answers []answer
		played  int // in two runs
		void    string
	}{
		"whole":             {[]answer{{round: whole}}, 2, ""},
		"dropped once":      {[]answer{{round: drop}, {round: whole}, {round: whole}}, 3, ""},
		"failed once":       {[]answer{{err: failed}, {round: whole}, {round: whole}}, 3, ""},
		"dropped always":    {[]answer{{round: drop}}, mostVoids, "1 of 1000 frames were dropped"},
		"failed always":     {[]answer{{err: failed}}, mostVoids, "the reader did not start"},
		"dropped the later": {[]answer{{round: whole}, {round: drop}}, 3, "1 of 1000 frames were dropped"},
	} {
		c, played := cell{rate: 100_000, reader: counting}, 0
		measure := func(context.Context, int, reader) (round, error) {
			a := test.answers[min(played, len(test.answers)-1)]
			played++
			return a.round, a.err
		}
		for range 2 {
			if err := c.fill(t.Context(), measure, io.Discard); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.void(2); played != test.played || got != test.void {
			t.Errorf("%s: played %d times, void %q, want %d and %q", name, played, got, test.played, test.void)
		}
	}
}

func TestWhereTheVerifierWasNeverMeasuredItsBooksAreVoid(t *testing.T) {
	if row := newCells([]int{full}).rows(1)[0]; row.Void != "no frame was read" || !row.Missed() {
		t.Errorf("%+v", row)
	}
}

func TestTheTableHasEachReaderAtEachRateBesideTheGoals(t *testing.T) {
	all := newCells([]int{50_000, full})
	for _, c := range all {
		r := good(c.rate, c.reader)
		r.sent.Time = 20 * time.Millisecond // 50 kpps
		switch c.reader {
		case nobody:
			r.sent.Burst = segments * time.Microsecond
		case counting:
			r.cpu = 50 * time.Microsecond
			if c.rate == full {
				r.books = books{Counted: 500, Drops: 500}
			}
		case printing:
			r.books = books{Counted: 750, Drops: 250}
		case refusing, unread, writing:
		}
		c.take(&r)
	}
	const dropped = "250 of 1000 frames were dropped"
	want := []result.Row{
		{What: "live, frames in the verifier's books", Value: 2000, Unit: "of 2000", AtLeast: 2000, AtMost: 2000, Count: true},
		{What: "live, 50 kpps, verifier", Value: 0.05, Unit: "us/packet", AtMost: 0.12},
		{What: "live, 50 kpps, ring drained unread", Value: 0.1, Unit: "us/packet"},
		{What: "live, 50 kpps, tcpdump -w", Value: 0.1, Unit: "us/packet"},
		{What: "live, 50 kpps, tcpdump -nne", Value: math.NaN(), Unit: "us/packet", Void: dropped},
		{What: "live, 50 kpps, verifier against tcpdump -w", Value: 0.5, Unit: "x tcpdump -w"},
		{What: "live, 50 kpps, sender's extra, a filter that returns 0", Value: 0.5, Unit: "us/packet"},
		{What: "live, 50 kpps, sender's extra, ring drained unread", Value: 0.5, Unit: "us/packet"},
		{What: "live, 50 kpps, sender's extra, verifier", Value: 0.5, Unit: "us/packet"},
		{What: "live, 50 kpps, sender's extra, tcpdump -w", Value: 0.5, Unit: "us/packet"},
		{What: "live, 50 kpps, sender's extra, tcpdump -nne", Value: math.NaN(), Unit: "us/packet", Void: dropped},
		{What: "live, full speed, verifier", Value: 0.1, Unit: "us/packet", AtMost: 0.06},
		{What: "live, full speed, ring drained unread", Value: 0.1, Unit: "us/packet"},
		{What: "live, full speed, tcpdump -w", Value: 0.1, Unit: "us/packet"},
		{What: "live, full speed, tcpdump -nne", Value: 100. / 750, Unit: "us/packet"},
		{What: "live, full speed, verifier against tcpdump -w", Value: 1, Unit: "x tcpdump -w", AtMost: 1},
		{What: "live, full speed, sender's extra, a filter that returns 0", Value: 0.5, Unit: "us/packet"},
		{What: "live, full speed, sender's extra, ring drained unread", Value: 0.5, Unit: "us/packet"},
		{What: "live, full speed, sender's extra, verifier", Value: 0.5, Unit: "us/packet"},
		{What: "live, full speed, sender's extra, tcpdump -w", Value: 0.5, Unit: "us/packet"},
		{What: "live, full speed, sender's extra, tcpdump -nne", Value: 0.5, Unit: "us/packet"},
		{What: "live, full speed, rate with nobody", Value: 50, Unit: "kpps"},
		{What: "live, full speed, rate with a filter that returns 0", Value: 50, Unit: "kpps"},
		{What: "live, full speed, rate with ring drained unread", Value: 50, Unit: "kpps"},
		{What: "live, full speed, rate with verifier", Value: 50, Unit: "kpps"},
		{What: "live, full speed, rate with tcpdump -w", Value: 50, Unit: "kpps"},
		{What: "live, full speed, rate with tcpdump -nne", Value: 50, Unit: "kpps"},
		{What: "live, full speed, lost by verifier", Value: 50, Unit: "% of the frames"},
		{What: "live, full speed, lost by tcpdump -w", Unit: "% of the frames"},
		{What: "live, full speed, lost by tcpdump -nne", Value: 25, Unit: "% of the frames"},
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 || math.IsNaN(a) && math.IsNaN(b) })
	if diff := cmp.Diff(want, all.rows(1), near); diff != "" {
		t.Error(diff)
	}
}

func TestTcpdumpsAnswerIsUnderstood(t *testing.T) {
	got, err := parse(writing, "tcpdump: 1 packet captured, 25000 packets received by filter, 24999 packets dropped by kernel")
	if err != nil || got != (books{Counted: 1, Drops: 24999}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parse(printing, "tcpdump: pcap_loop: The interface disappeared"); err == nil {
		t.Error("an answer without counts was taken for one")
	}
}
