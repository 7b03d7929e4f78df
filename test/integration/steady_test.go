//go:build !oldest

package integration_test

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// sessionsVariable is for how many healthy sessions an interval is measured too. 2000 take minutes.
const sessionsVariable = "VPCMIRROR_STEADY_SESSIONS"

const steadyResync = 10 * time.Minute

// herd is so many healthy sessions, each with a source of its own, with few filters, and with
// targets on one host.
type herd struct {
	w        *harness.World
	sessions []*v1alpha1.MirrorSession
	entries  []v1alpha1.Verification // as written last
}

// perTarget and perFilter are how many sessions one target and one filter can have.
const perTarget, perFilter = 10, 1000

// interfaceID is that of one of many interfaces.
func interfaceID(kind, n int) string { return fmt.Sprintf("5a1f0c7e-0000-4000-800%d-%012x", kind, n) }

// interfaceAddress is the address of interfaceID.
func interfaceAddress(kind, n int) string {
	return netip.AddrFrom4([4]byte{10, 1, byte(100*kind + n>>8), byte(n)}).String()
}

// servers puts so many servers like ecs-source into the cloud, whose copies the targets' group
// admits and to whose port 1234 ecs-test may connect; and interfaces of ecs-target for them.
func servers(w *harness.World, count int) {
	w.Edit(func(world *state.World) {
		source, target := world.Ports[scenario.WalkthroughSource], world.Ports[scenario.WalkthroughTarget]
		server, subnet := world.Servers[source.ServerID], world.Subnets[source.SubnetID]
		subnet.ID, subnet.Name, subnet.CIDR = "5a1f0c7e-0000-4000-8000-000000000012", "subnet-herd", netip.MustParsePrefix("10.1.0.0/16")
		subnet.Gateway = netip.MustParseAddr("10.1.0.1")
		world.Subnets[subnet.ID] = subnet
		rule := world.GroupRules[scenario.WalkthroughVXLANRule]
		rule.ID, rule.RemotePrefix = "5a1f0c7e-0000-4000-8000-0000000000b2", subnet.CIDR.String()
		world.GroupRules[rule.ID] = rule
		put := func(port state.Port, kind, n int) {
			port.ID, port.SubnetID, port.Interface = interfaceID(kind, n), subnet.ID, ""
			port.Addresses = []netip.Addr{netip.MustParseAddr(interfaceAddress(kind, n))}
			port.MAC = fmt.Sprintf("fa:16:3f:%02x:%02x:%02x", kind, n>>8, n&0xff)
			world.Ports[port.ID] = port
		}
		for n := range count {
			server.ID, server.Name = interfaceID(3, n), fmt.Sprintf("ecs-%d", n)
			world.Servers[server.ID] = server
			source.ServerID = server.ID
			put(source, 1, n)
			put(target, 2, n/perTarget)
		}
	})
}

// raise makes the sessions, and waits until each is Ready.
func raise(w *harness.World, count int) *herd {
	servers(w, count)
	h := &herd{w: w, entries: make([]v1alpha1.Verification, count)}
	var filter *v1alpha1.MirrorFilter
	for n := range count {
		if n%perFilter == 0 {
			filter = w.Filter(fmt.Sprintf("herd-%d", n/perFilter), func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.CIDR = "10.1.0.0/16" })
			w.Create(filter)
			harness.Ready(w, filter)
		}
		h.sessions = append(h.sessions, w.Session(fmt.Sprintf("healthy-%d", n), filter.Name, func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources, s.Spec.Target = harness.Sources(harness.ID(interfaceID(1, n))), harness.Target(harness.ID(interfaceID(2, n/perTarget)))
		}))
		w.Create(h.sessions[n])
	}
	for _, s := range h.sessions {
		harness.Ready(w, s)
	}
	return h
}

// report has one more copy of each session counted, and waits until the manager has summed it up.
func (h *herd) report(t *testing.T) {
	t.Helper()
	for n, s := range h.sessions {
		e := h.entries[n]
		if e.Node == "" {
			e = entry("ecs-target", v1alpha1.Counts{}, time.Second, 2*time.Second)
			e.Consumer = &v1alpha1.Consumer{Status: "True", Reason: v1alpha1.ReasonConsumerSeen, Message: "a packet socket reads what arrives"}
		}
		e.Packets++
		h.entries[n] = write(t, h.w, s, inEpoch(s, e))
	}
	for n, s := range h.sessions {
		harness.Until(h.w, s, "the sum", func(s *v1alpha1.MirrorSession) bool { return s.Status.Traffic.Packets == h.entries[n].Packets })
	}
}

// steadySizes are how many sessions there are, from few to many.
func steadySizes(t *testing.T) []int {
	t.Helper()
	sizes := []int{3, 200}
	if text := os.Getenv(sessionsVariable); text != "" {
		more, err := strconv.Atoi(text)
		if err != nil || more > 1<<15 {
			t.Fatalf("%s=%s is no number of sessions", sessionsVariable, text)
		}
		sizes = append(sizes, more)
	}
	return sizes
}

func TestHealthySessionsHaveNoFindingAndCostListsAlone(t *testing.T) {
	for _, count := range steadySizes(t) {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start(patient, harness.WithResync(steadyResync))
			h := raise(w, count)
			h.report(t)
			// As often as a verifier with so many sessions writes each of them.
			every := min(max(v1alpha1.ReportInterval, v1alpha1.ReportTurn(count, count)*3/4), steadyResync)
			asked := w.Cloud.Journal.Last()
			for range steadyResync / every {
				w.Clock.Advance(every)
				h.report(t)
			}
			calls := harness.Count(w.Cloud.Journal.Since(asked))
			t.Logf("an interval of %d sessions: %d calls, %v", count, sum(calls), calls)
			h.costsListsAlone(t, calls)
			for _, s := range h.sessions {
				if len(s.Status.Findings) > 0 || !meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionPathClear) {
					t.Errorf("something is said to be wrong: %s", harness.Text(s))
				}
			}
		})
	}
}

// costsListsAlone fails the test unless nothing but lists was read, each of them once, in pages;
// beside the interfaces of a few sessions.
func (h *herd) costsListsAlone(t *testing.T, calls map[string]int) {
	t.Helper()
	const page = 2000
	rest := maps.Clone(calls)
	for list := range with(wayReads, map[string]int{"ListTrafficMirrorSessions": 1, "ListTrafficMirrorFilters": 1}) {
		if most := 1 + (len(h.sessions)+3)/page; rest[list] > most {
			t.Errorf("%s was asked for %d times, want %d at most", list, rest[list], most)
		}
		delete(rest, list)
	}
	if few := len(h.sessions) + 1; few <= 8 && rest["ShowPort"] <= few {
		delete(rest, "ShowPort")
	}
	if len(rest) > 0 {
		t.Errorf("an interval costs more than lists: %s", strings.Join(slices.Sorted(maps.Keys(rest)), ", "))
	}
}

func sum(calls map[string]int) (all int) {
	for _, n := range calls {
		all += n
	}
	return all
}
