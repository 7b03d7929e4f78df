package offline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/bench/result"
)

func TestRatiosAreOfMediansAndStandBesideTheirGoals(t *testing.T) {
	took := func(name string, ms ...time.Duration) *program {
		p := &program{name: name}
		for _, d := range ms {
			p.times, p.used = append(p.times, d*time.Millisecond), append(p.used, time.Millisecond)
		}
		return p
	}
	programs := []*program{took("a", 50, 900, 40), took("b", 100, 100, 100), took("c", 4000, 3000, 2000), took("d", 25, 25, 25)}
	want := []result.Row{
		{What: "offline, copies counted right", Value: 1000, Unit: "of 1000", AtLeast: 1000, AtMost: 1000, Count: true},
		{What: "offline, verifier read", Value: 0.5, Unit: "x tcpdump --count -r", AtMost: 0.45},
		{What: "offline, tcpdump -nneS -r", Value: 60, Unit: "x verifier read", AtLeast: 60},
		{What: "offline, time of a", Value: 50, Unit: "us/packet"},
		{What: "offline, time of b", Value: 100, Unit: "us/packet"},
		{What: "offline, time of c", Value: 3000, Unit: "us/packet"},
		{What: "offline, time of d", Value: 25, Unit: "us/packet"},
		{What: "offline, CPU of a", Value: 1, Unit: "us/packet"},
		{What: "offline, CPU of b", Value: 1, Unit: "us/packet"},
		{What: "offline, CPU of c", Value: 1, Unit: "us/packet"},
		{What: "offline, CPU of d", Value: 1, Unit: "us/packet"},
	}
	if diff := cmp.Diff(want, rate(programs, 1000, 1000, "")); diff != "" {
		t.Error(diff)
	}
	for _, row := range rate(programs, 1000, 999, "a copy is missing") {
		if hasGoal := row.AtMost+row.AtLeast > 0; row.Void != "a copy is missing" || row.Missed() != hasGoal {
			t.Errorf("wrong counts leave a figure standing: %+v", row)
		}
	}
}
