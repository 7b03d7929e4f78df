package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/bench/result"
)

// with replaces the benchmarks for a test.
func with(t *testing.T, others ...benchmark) {
	t.Helper()
	own := benchmarks
	benchmarks = others
	t.Cleanup(func() { benchmarks = own })
}

func saying(name string, err error, rows ...result.Row) benchmark {
	return benchmark{name, func(context.Context, common, io.Writer) ([]result.Row, error) { return rows, err }}
}

func TestOneThatCannotRunDoesNotKeepTheOthersFromIt(t *testing.T) {
	with(t, saying("first", errors.New("needs root")), saying("second", nil, result.Row{What: "calls", Value: 3, Unit: "calls", AtMost: 2, Count: true}))
	var out strings.Builder
	err := bench(t.Context(), "", common{quick: true}, &out)
	want := "first: needs root\ncalls: 3 calls, the goal is at most 2"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if !strings.Contains(out.String(), "\ncalls  3      calls  at most 2  MISSED\n") {
		t.Errorf("no table:\n%s", out.String())
	}
}

func TestAnInterruptedRunShowsWhatItMeasured(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := benchmark{"second", func(context.Context, common, io.Writer) ([]result.Row, error) {
		cancel()
		return nil, ctx.Err()
	}}
	never := benchmark{"third", func(context.Context, common, io.Writer) ([]result.Row, error) {
		t.Error("a benchmark began after the interrupt")
		return nil, nil
	}}
	with(t, saying("first", nil, result.Row{What: "calls", Value: 1, Unit: "calls", AtMost: 2, Count: true}), interrupted, never)
	var out strings.Builder
	err := bench(ctx, "", common{}, &out)
	if want := "second: context canceled\ninterrupted"; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if !strings.Contains(out.String(), "\ncalls  1      calls  at most 2  ok\n") {
		t.Errorf("no table:\n%s", out.String())
	}
}

func TestAShortRunIsJudgedByItsCountsAlone(t *testing.T) {
	slow := result.Row{What: "a copy", Value: 3, Unit: "us/packet", AtMost: 2}
	with(t, saying("one", nil, slow))
	if err := bench(t.Context(), "", common{quick: true}, io.Discard); err != nil {
		t.Errorf("quick: %v", err)
	}
	if err := bench(t.Context(), "", common{}, io.Discard); err == nil {
		t.Error("a goal that is missed is no error")
	}
}

func TestOnlyTakesTheBenchmarksThatItNames(t *testing.T) {
	with(t, saying("offline", nil), saying("live", nil), saying("scale", nil))
	for only, want := range map[string][]string{"": {"offline", "live", "scale"}, "scale,offline": {"offline", "scale"}, "live": {"live"}} {
		chosen, err := choose(only)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range chosen {
			got = append(got, b.name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("--only=%s: %s", only, diff)
		}
	}
	_, err := choose("live,nod")
	if want := `--only=live,nod: there is no benchmark "nod": choose from offline,live,scale`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAFieldOfTheProcessorIsFoundByItsName(t *testing.T) {
	const lines = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC: two\nmodel name\t: another\n"
	if got := fieldOf(lines, "model name", "x"); got != "AMD EPYC: two" {
		t.Errorf("%q", got)
	}
	if got := fieldOf(lines, "CPU part", "arm64"); got != "arm64" {
		t.Errorf("%q", got)
	}
}
