package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/memory"
	"vpcmirror.io/operator/controllers/verifier/report"
)

func TestAVerifierThatIsShortOfMemorySaysSoInItsEntriesAndGoesOnCounting(t *testing.T) {
	w, s, h := counting(t)
	usage := memory.Usage{Go: 30 << 20, GoLimit: 64 << 20}
	h.Memory = func() memory.Usage { return usage }
	expect := func(needs uint64, scarcity string, want v1alpha1.Verification) {
		t.Helper()
		usage.Go = needs << 20
		h.judgeMemory()
		w.send(good(2)...)
		h.trail()
		w.expectEntries(s, want)
		series := "# HELP vpcmirror_verifier_memory_scarcity How scarce this process's memory is: 0 for enough, 1 for nearly short, 2 for short, " +
			"so that it may be ended, or works for its memory alone.\n# TYPE vpcmirror_verifier_memory_scarcity gauge\nvpcmirror_verifier_memory_scarcity " + scarcity + "\n"
		if err := testutil.CollectAndCompare(h.Agent, strings.NewReader(series), "vpcmirror_verifier_memory_scarcity"); err != nil {
			t.Error(err)
		}
	}
	expect(30, "0", entry(2))
	expect(57, "1", entry(4))
	expect(63, "2", entry(6, func(e *v1alpha1.Verification) {
		e.Message = "the verifier is short of memory: it needs almost all of the 64 MiB that GOMEMLIMIT allows; the process then works for the " +
			"garbage collector alone: raise verifier.goMemLimit and verifier.resources.limits.memory of the chart"
	}))
	w.later(report.Level + time.Second)
	expect(30, "0", entry(8))
}
