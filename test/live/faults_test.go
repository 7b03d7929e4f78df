package main

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/test/cloudsim/fault"
)

// Whatever the cloud answers, and whether its writes took effect or not: what is left after a run and a clean is what was there
// before.
func TestNothingOfOursIsLeftAndNothingOfOthersIsTouchedWhateverTheCloudAnswers(t *testing.T) {
	t.Parallel()
	const lag = 60 * time.Millisecond
	draw := rapid.Custom(func(rt *rapid.T) fault.Fault {
		f := fault.Fault{
			Kind:      rapid.SampledFrom([]fault.Kind{fault.Error, fault.HTML, fault.Empty, fault.Reset, fault.Accepted}).Draw(rt, "kind"),
			Operation: rapid.SampledFrom([]string{"Create*", "Delete*", "Update*", "List*", "Show*", "*Filter", "*Session", "*Rule"}).Draw(rt, "operation"),
			Skip:      rapid.IntRange(0, 6).Draw(rt, "skip"), Times: rapid.IntRange(1, 4).Draw(rt, "times"), RetryAfter: "0",
		}
		if f.Kind == fault.Error {
			f.Status = rapid.SampledFrom([]int{400, 403, 404, 409, 429, 500, 502, 504}).Draw(rt, "status")
			f.Code = rapid.SampledFrom([]string{"VPC.9904", "APIGW.0101", "APIGW.0201"}).Draw(rt, "code")
		}
		switch {
		case f.Kind == fault.Accepted, rapid.Bool().Draw(rt, "late"):
			f.EffectIn = fault.Duration(rapid.IntRange(1, 20).Draw(rt, "in")) * fault.Duration(time.Millisecond)
		case f.Kind != fault.Error || f.Status >= 500:
			f.AfterEffect = rapid.Bool().Draw(rt, "after its effect") // who answers with a 4xx did nothing
		}
		if f.Kind == fault.Error && f.Status < 500 {
			f.EffectIn = 0
		}
		return f
	})
	rapid.Check(t, func(rt *rapid.T) {
		a := newAccount(t)
		for i, f := range rapid.SliceOfN(draw, 1, 3).Draw(rt, "faults") {
			if _, err := a.Faults.Add(f); err != nil {
				rt.Fatalf("fault %d: %v", i, err)
			}
		}
		bounds := []string{"--lag=" + lag.String(), "--patience=50ms"}
		code, said := a.run(t.Context(), a.args("run", append(bounds, "--only=filter-plain,rule-plain,session-plain")...)...)
		if code != exitFailed && len(a.names()) != 2 {
			rt.Fatalf("exit code %d, and this is left: %v\n%s", code, a.names(), said)
		}
		a.Faults.Clear()
		if code, said = a.run(t.Context(), a.args("clean", bounds...)...); code != exitSame {
			rt.Fatalf("clean: exit code %d\n%s", code, said)
		}
		if got := fmt.Sprint(a.names()); got != "[somebody-else somebody-else]" {
			rt.Fatalf("the account has %s\n%s", got, said)
		}
	})
}
