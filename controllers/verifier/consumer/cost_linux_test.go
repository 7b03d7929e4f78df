package consumer

import "testing"

// BenchmarkObserve is what one observation of this machine costs, with the interfaces and
// sockets that it has.
func BenchmarkObserve(b *testing.B) {
	b.ReportAllocs()
	var last *Observation
	for b.Loop() {
		last = Observe(4789)
	}
	b.ReportMetric(float64(len(last.Links)), "interfaces")
}

// BenchmarkJudge is what a session costs that is judged by two observations.
func BenchmarkJudge(b *testing.B) {
	before := quiet()
	after := later(before, func(o *Observation) { o.IPv4.Receives += 700; o.IPv4.Delivers += 700; o.IPv4.NoPorts += 700 })
	b.ReportAllocs()
	for b.Loop() {
		Judge(target, before, after, Arrived{Session: 674})
	}
}
