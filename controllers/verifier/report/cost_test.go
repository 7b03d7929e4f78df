package report_test

import (
	"fmt"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// BenchmarkLook is what a session with traffic costs each time that it is asked whether its
// entry is worth a write.
func BenchmarkLook(b *testing.B) {
	for _, c := range []struct{ sources, rules int }{{1, 2}, {10, 20}} {
		b.Run(fmt.Sprintf("sources=%d/rules=%d", c.sources, c.rules), func(b *testing.B) {
			var counted tally.SessionCounts
			var sources []v1alpha1.SourceCounts
			var rules []v1alpha1.RuleCounts
			for n := range c.sources {
				id := fmt.Sprintf("a9d0ff4a-5cd3-44f1-a264-39b5a2a0b0%02d", n)
				counted.Sources = append(counted.Sources, tally.SourceCounts{ID: id, LastSeen: noon})
				sources = append(sources, v1alpha1.SourceCounts{InterfaceID: id, Address: "192.168.0.230"})
			}
			for n := range c.rules {
				counted.Rules = append(counted.Rules, tally.RuleCounts{Direction: v1alpha1.DirectionIngress, Priority: n + 1, Accept: true})
				rules = append(rules, v1alpha1.RuleCounts{Direction: v1alpha1.DirectionIngress, Priority: int32(n + 1)})
			}
			l, now := report.NewLedger(noon), noon
			l.List(sources, rules)
			l.SetEpoch(1)
			var p report.Pace
			p.Written(now, l.Totals().Entry(report.Observation{Node: "node-1", At: now}), time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Millisecond)
				counted.Accepted++
				counted.Sources[0].Accepted++
				counted.Rules[0].Packets++
				l.Record(now, report.Counted(counted, 0, true))
				p.Due(now, l.Totals().Entry(report.Observation{Node: "node-1", At: now}), time.Hour)
			}
		})
	}
}
