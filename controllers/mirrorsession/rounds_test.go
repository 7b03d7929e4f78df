package mirrorsession

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestTheEdgesOfALargeAccountUseUpNoMoreOfItsCallsThanThoseOfASmallOne(t *testing.T) {
	account := cloud.Account{ProjectID: "p"}
	rapid.Check(t, func(t *rapid.T) {
		var o observations
		calls := rapid.IntRange(1, 300).Draw(t, "calls")
		began := time.Now()
		var rounds []time.Time
		for now := began; now.Sub(began) < time.Hour; {
			switch in := o.round(account, calls, now); {
			case in < 0 || in > roundGap(calls):
				t.Fatalf("an edge waits %s", in)
			case in == 0 && (len(rounds) == 0 || now.Sub(rounds[len(rounds)-1]) > edgeAge): // no kept answer serves it
				rounds = append(rounds, now)
			case in > 0: // it comes back when it has its turn
				if later := o.round(account, calls, now.Add(in)); later != 0 {
					t.Fatalf("an edge that has waited %s waits %s more", in, later)
				}
				now = now.Add(in)
				rounds = append(rounds, now)
			}
			now = now.Add(time.Duration(rapid.IntRange(1, 20_000).Draw(t, "ms")) * time.Millisecond)
		}
		for n := range rounds[1:] {
			if gap := rounds[n+1].Sub(rounds[n]); gap < roundGap(calls) {
				t.Fatalf("two rounds of %d calls lie %s apart, want %s", calls, gap, roundGap(calls))
			}
		}
		if other := o.round(cloud.Account{ProjectID: "q"}, calls, began.Add(time.Hour)); other != 0 {
			t.Fatalf("the first edge of another account waits %s", other)
		}
	})
}

func TestHowFarRoundsForEdgesLieApart(t *testing.T) {
	for calls, want := range map[int]time.Duration{1: edgeAge, 10: edgeAge, 27: 44 * time.Second, 190: 370 * time.Second} {
		same(t, "the gap", want, roundGap(calls))
	}
}
