//go:build !oldest

package integration_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/integration/harness"
)

// convergeVariable is for how many sessions the calls are counted too. 2000 take minutes.
const convergeVariable = "VPCMIRROR_CONVERGE_SESSIONS"

const (
	perConvergingFilter = 10 // sessions
	rulesOfEach         = 5
)

// applied creates so many sessions with a filter for each ten, as quickly as the API server takes
// them. Every other session names its interfaces by their addresses.
func applied(w *harness.World, count int) (filters []*v1alpha1.MirrorFilter, sessions []*v1alpha1.MirrorSession) {
	for n := range count {
		if n%perConvergingFilter == 0 {
			filters = append(filters, w.Filter(fmt.Sprintf("wave-%d", n/perConvergingFilter), func(f *v1alpha1.MirrorFilter) {
				f.Spec.Rules = nil
				for priority := range int32(rulesOfEach) {
					f.Spec.Rules = append(f.Spec.Rules, harness.Rule(priority+1))
				}
			}))
			w.Create(filters[len(filters)-1])
		}
		sessions = append(sessions, w.Session(fmt.Sprintf("wave-%d", n), filters[len(filters)-1].Name, func(s *v1alpha1.MirrorSession) {
			source, target := harness.ID(interfaceID(1, n)), harness.ID(interfaceID(2, n/perTarget))
			if n%2 == 1 {
				source, target = harness.At(interfaceAddress(1, n)), harness.At(interfaceAddress(2, n/perTarget))
			}
			s.Spec.Sources, s.Spec.Target = harness.Sources(source), harness.Target(target)
		}))
		w.Create(sessions[n])
	}
	return filters, sessions
}

// allMade waits until the cloud has so many sessions, which takes longer than anything else that a test
// waits for.
func allMade(t *testing.T, w *harness.World, count int) {
	t.Helper()
	for end := time.Now().Add(4*time.Minute + time.Duration(count)*100*time.Millisecond); len(w.Content().Sessions) < count; {
		if time.Now().After(end) {
			t.Fatalf("%d of %d sessions were made", len(w.Content().Sessions), count)
		}
		<-time.After(time.Second / 2)
	}
}

func convergeSizes(t *testing.T) []int {
	t.Helper()
	text := os.Getenv(convergeVariable)
	if text == "" {
		return []int{200}
	}
	count, err := strconv.Atoi(text)
	if err != nil || count > 1<<15 {
		t.Fatalf("%s=%s is no number of sessions", convergeVariable, text)
	}
	return []int{count}
}

func TestConvergingManyObjectsCostsAtMost5PercentMoreThanTheFewestCalls(t *testing.T) {
	for _, count := range convergeSizes(t) {
		for name, running := range map[string]bool{"made while the manager runs": true, "there when it starts": false} {
			t.Run(fmt.Sprint(count, " sessions ", name), func(t *testing.T) { converge(t, count, running) })
		}
	}
}

// converge counts what it costs to bring so many sessions in line, and their filters.
func converge(t *testing.T, count int, running bool) {
	t.Helper()
	w := harness.New(t)
	servers(w, count)
	start := func() { w.Start(patient, harness.WithResync(steadyResync), harness.WithCalls(50, 10)) }
	if running {
		start()
	}
	began := time.Now()
	filters, sessions := applied(w, count)
	came := time.Since(began)
	if !running {
		began = time.Now()
		start()
	}
	allMade(t, w, count)
	for _, f := range filters {
		harness.Ready(w, f)
	}
	for _, s := range sessions {
		harness.Ready(w, s)
	}
	calls := harness.Count(w.Cloud.Journal.Since(0))
	writes := map[string]int{
		"CreateTrafficMirrorFilter": len(filters), "CreateTrafficMirrorFilterRule": len(filters) * rulesOfEach, "CreateTrafficMirrorSession": count,
	}
	took := time.Since(began)
	t.Logf("%d calls for %d writes, in %s: %v", sum(calls), sum(writes), took.Round(time.Second/10), calls)
	fewest := sum(writes) + len(wayReads) + 3 // and one list of sessions, one of filters, and the quota
	most := fewest * 105 / 100
	most += 5 * int(took/(20*time.Second)) // where this machine is slow a list of interfaces gets too old on the way
	if running {                           // while objects come an answer that began before they did serves none of them
		most += 10 * int(1+came/(2*time.Second))
	}
	if sum(calls) > most {
		t.Errorf("%d calls, want %d at most", sum(calls), most)
	}
	for operation, n := range calls {
		if want, write := writes[operation]; write && n != want || !write && !strings.HasPrefix(operation, "List") && !few[operation] {
			t.Errorf("%s was called for %d times, want %d", operation, n, want)
		}
	}
}

// few are the reads beside lists that a wave may cost: the first interfaces are read one by one.
var few = map[string]bool{"ShowPort": true, "ShowQuota": true}
