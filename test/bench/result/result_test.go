package result_test

import (
	"math"
	"strings"
	"testing"

	"vpcmirror.io/operator/test/bench/result"
)

var rows = []result.Row{
	{What: "calls to converge", Value: 3231, Unit: "calls", AtMost: 3391, Count: true},
	{What: "reads in the steady state", Value: 2, Unit: "reads", AtMost: 0.5, Count: true},
	{What: "full speed", Value: 0.07, Unit: "us/packet", AtMost: 0.06},
	{What: "faster than printing", Value: 61, Unit: "x", AtLeast: 60},
	{What: "ring drained unread", Value: 0.02, Unit: "us/packet"},
	{What: "copies", Value: 2_000_000, Unit: "of 2000000", AtLeast: 2_000_000, AtMost: 2_000_000, Count: true},
	{What: "at 50 k", Value: 0.1, Unit: "us/packet", AtMost: 0.12, Void: "3 packets are missing"},
	{What: "printing at 50 k", Value: math.NaN(), Unit: "us/packet", Void: "4 packets were dropped"},
}

func TestATableShowsEachFigureBesideItsGoal(t *testing.T) {
	var out strings.Builder
	if err := result.Print(&out, rows); err != nil {
		t.Fatal(err)
	}
	want := `
what                       value    unit        goal             
calls to converge          3231     calls       at most 3391     ok
reads in the steady state  2        reads       at most 0.5      MISSED
full speed                 0.07     us/packet   at most 0.06     MISSED
faster than printing       61       x           at least 60      ok
ring drained unread        0.02     us/packet   -                
copies                     2000000  of 2000000  exactly 2000000  ok
at 50 k                    0.1      us/packet   at most 0.12     void: 3 packets are missing
printing at 50 k           -        us/packet   -                void: 4 packets were dropped
`
	if got := "\n" + out.String(); got != want {
		t.Errorf("got%s\nwant%s", got, want)
	}
}

func TestOnlyCountsDecideWhereTheMachineIsNotKnown(t *testing.T) {
	if err := result.Err(rows, true); err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.HasPrefix(err.Error(), "reads in the steady state: 2 reads") {
		t.Errorf("with counts alone: %v", err)
	}
	// What is void and only there for comparison decides nothing.
	want := `reads in the steady state: 2 reads, the goal is at most 0.5
full speed: 0.07 us/packet, the goal is at most 0.06
at 50 k: void: 3 packets are missing`
	if err := result.Err(rows, false); err == nil || err.Error() != want {
		t.Errorf("with all: %v, want %s", err, want)
	}
	if err := result.Err(rows[:1], false); err != nil {
		t.Errorf("none is missed: %v", err)
	}
}
