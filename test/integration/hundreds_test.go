//go:build !oldest

package integration_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/integration/harness"
)

// fullParts is what the cloud has of so many sources in parts of ten, each with the priority after the one before.
func fullParts(sources int) (all []divided) {
	for from := 0; from < sources; from += 10 {
		n := from / 10
		all = append(all, divided{5 + n, 77, fmt.Sprint(n + 1), numbered(from, from+10)})
	}
	return all
}

// callsOf counts the reads and the writes in a journal.
func callsOf(entries []journal.Entry) (reads, writes map[string]int) {
	reads, writes = map[string]int{}, map[string]int{}
	for _, e := range entries {
		if e.Method == http.MethodGet {
			reads[e.Operation]++
		} else {
			writes[e.Operation]++
		}
	}
	return reads, writes
}

// Twenty sessions of ten are the most that one object can be: a load balancer takes twice as many as an interface.
func TestTwoHundredSourcesAreCopiedToALoadBalancerByTwentySessionsAndShrinkWithoutAGap(t *testing.T) {
	t.Parallel()
	const most = 200
	w := harness.New(t)
	servers(w, most)
	withBalancer(w, "192.168.0.164", "192.168.0.161")
	w.Start(patient, harness.WithResync(steadyResync), harness.WithCalls(50, 10))
	filter := w.Filter("many")
	w.Create(filter)
	harness.Ready(w, filter)
	began := w.Cloud.Journal.Last()
	session := w.Session("many", "many", toBalancer, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources, s.Spec.Priority, s.Spec.VNI = naming(numbered(0, most)...), new(int32(5)), new(int32(77))
	})
	w.Create(session)
	allMade(t, w, 20)
	readyIn(w, session, 20)
	harness.Same(t, "what the cloud has", fullParts(most), dividedIn(w))
	harness.Same(t, "how many sources the status has", most, len(session.Status.Sources))
	reads, writes := callsOf(w.Cloud.Journal.Since(began))
	harness.Same(t, "what was written", map[string]int{"CreateTrafficMirrorSession": 20}, writes)
	t.Logf("%d reads: %v", sum(reads), reads)
	if reads["ShowPort"] > 0 || sum(reads) > 15 { // one of each list, and one more of sessions
		t.Errorf("%d reads for 20 sessions: %v", sum(reads), reads)
	}

	began = w.Cloud.Journal.Last()
	stay := slices.Concat(numbered(0, 10), numbered(15, 20), numbered(190, 200))
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(stay...) })
	readyIn(w, session, 3)
	harness.Same(t, "what the cloud has of the few that stay", []divided{
		{5, 77, "1", numbered(0, 10)}, {6, 77, "2", numbered(15, 20)}, {24, 77, "20", numbered(190, 200)},
	}, dividedIn(w))
	reads, writes = callsOf(w.Cloud.Journal.Since(began))
	harness.Same(t, "what was written to shrink it", map[string]int{"DeleteTrafficMirrorSession": 17, "RemoveSourcesFromTrafficMirrorSession": 1}, writes)
	t.Logf("%d reads to shrink it: %v", sum(reads), reads)
	if reads["ShowPort"] > 0 || reads["ListPorts"] > 1 || reads["ShowTrafficMirrorSession"] > 20+2*17+2 { // each part, and each that is deleted before and after
		t.Errorf("%d reads to shrink it: %v", sum(reads), reads)
	}
	for _, e := range w.Cloud.Journal.Writes(began) {
		for _, id := range stay {
			if strings.Contains(e.Body, id) && e.Operation == "RemoveSourcesFromTrafficMirrorSession" {
				t.Errorf("the source %s was removed, which stays: %s", id, harness.Describe(e))
			}
		}
	}

	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(numbered(0, most)...) })
	allMade(t, w, 20)
	harness.Until(w, session, "all are mirrored again", func(s *v1alpha1.MirrorSession) bool {
		return status.IsSynced(s) && len(s.Status.Sources) == most && len(s.Status.Sessions) == 20
	})
	w.Delete(session)
	w.Gone(session)
	harness.Same(t, "what the cloud has when the session is deleted", nil, dividedIn(w))
}
