package report_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

// spend takes what the budget gives, looking as often as a host does, until so much is spent.
func spend(b *report.Budget, now time.Time, urgency report.Urgency, amount int) (took time.Duration) {
	const look = 250 * time.Millisecond
	for began := now; ; now = now.Add(look) {
		for b.Spend(now, urgency) {
			if amount--; amount == 0 {
				return now.Sub(began)
			}
		}
	}
}

func TestHowLongTheEdgesOfAHostTake(t *testing.T) {
	for _, c := range []struct {
		name             string
		sessions, ofNode int
		edges            int
		most             time.Duration
	}{
		{"one is written at once", 20000, 1, 1, 0},
		{"those of a few sessions are", 20000, 5, 5, 0},
		{"those of 300 take some seconds, where the cluster has no others", 300, 300, 300, 10 * time.Second},
		{"and where it has as many as a cloud's account", 20000, 300, 300, 12 * time.Second},
		{"a first entry, a first packet and a verdict about the consumer of each of 300 take half a minute", 300, 300, 900, 25 * time.Second},
		{"those of all sessions of a cluster that begin at once take as long", 20000, 30, 30, 12 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := report.NewBudget()
			b.Share(noon, c.sessions, c.ofNode)
			if took := spend(b, noon, report.Edge, c.edges); took > c.most {
				t.Errorf("it took %s, want %s at most", took, c.most)
			}
		})
	}
}

// Whatever a host has to write, and whenever: so much in any time and no more, and numbers get their
// share beside edges without end.
func TestTheWritesOfAHostStayWithinItsBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now := report.NewBudget(), noon
		b.Share(now, rapid.IntRange(1, 20000).Draw(t, "sessions"), rapid.IntRange(1, 300).Draw(t, "of node"))
		edges, numbers := 0, 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "pause")) * time.Millisecond)
			urgency := rapid.SampledFrom([]report.Urgency{report.Numbers, report.Edge}).Draw(t, "urgency")
			for range rapid.IntRange(1, 30).Draw(t, "wanted") {
				next := b.Next(now, urgency)
				got := b.Spend(now, urgency)
				if wait := next.Sub(now); got && wait > 2*time.Millisecond || !got && wait <= 0 {
					t.Fatalf("spent %t, and the next time was in %s", got, wait)
				}
				if got && urgency == report.Edge {
					edges++
				} else if got {
					numbers++
				}
			}
		}
		lasted := now.Sub(noon).Seconds()
		if most := 5 + v1alpha1.NodeReportsPerSecond*lasted; float64(numbers) > most+1 {
			t.Errorf("%d numbers in %.0f s", numbers, lasted)
		}
		row := report.EdgesAtOnce + v1alpha1.NodeReportsPerSecond*lasted
		if most := row + 5 + v1alpha1.NodeReportsPerSecond*lasted; float64(edges+numbers) > most+1 {
			t.Errorf("%d edges and %d numbers in %.0f s", edges, numbers, lasted)
		}
		if most := 15 + (report.EdgesPerSecond+v1alpha1.NodeReportsPerSecond)*lasted; float64(edges) > most+1 {
			t.Errorf("%d edges in %.0f s", edges, lasted)
		}
	})
}

func TestEdgesWithoutEndLeaveNumbersTheirShare(t *testing.T) {
	b := report.NewBudget()
	b.Share(noon, 300, 300)
	numbers, now := 0, noon
	for ; now.Before(noon.Add(10 * time.Minute)); now = now.Add(250 * time.Millisecond) {
		if b.Spend(now, report.Numbers) { // a turn that has come goes first
			numbers++
		}
		for b.Spend(now, report.Edge) {
			continue
		}
	}
	if least := int(now.Sub(noon)/time.Second) * 9 / 10; numbers < least {
		t.Errorf("%d numbers in %s, want %d", numbers, now.Sub(noon), least)
	}
}
