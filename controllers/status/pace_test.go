package status_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// As when a manager begins while thousands of sessions have traffic.
func TestThousandsOfSumsAreRefreshedAtFiftyASecondEachOnce(t *testing.T) {
	var p status.Pace
	const all = 20000
	waits := map[types.UID]time.Time{}
	atOnce := 0
	for i := range all {
		uid := types.UID(fmt.Sprint(i))
		if wait := p.Wait(uid, noon); wait > 0 {
			waits[uid] = noon.Add(wait)
			same(t, "what it is told meanwhile", wait/2, p.Wait(uid, noon.Add(wait-wait/2)))
		} else {
			atOnce++
		}
	}
	same(t, "those that need not wait", 50, atOnce)
	perSecond := map[int64]int{}
	for uid, turn := range waits {
		perSecond[turn.Unix()]++
		same(t, "whose turn it is", time.Duration(0), p.Wait(uid, turn))
	}
	for second, n := range perSecond {
		if n > 50 {
			t.Errorf("%d in second %d", n, second-noon.Unix())
		}
	}
	same(t, "after how long all have had theirs", true, len(perSecond) <= all/50+1)
}

func TestNoMoreThanFiftyASecondAreRefreshedBesideASecondsWorthAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p status.Pace
		now := noon
		var refreshed []time.Time
		due := map[types.UID]time.Time{}
		for range rapid.IntRange(1, 300).Draw(t, "looks") {
			uid := types.UID(rapid.StringMatching("[a-z]{1,2}").Draw(t, "UID"))
			switch wait := p.Wait(uid, now); {
			case rapid.IntRange(0, 9).Draw(t, "written for another reason") == 0:
				p.Forget(uid)
				delete(due, uid)
			case wait == 0:
				refreshed = append(refreshed, now)
				delete(due, uid)
			case !due[uid].IsZero() && !due[uid].Equal(now.Add(wait)):
				t.Fatalf("%s had its turn at %v, and now at %v", uid, due[uid], now.Add(wait))
			default:
				due[uid] = now.Add(wait)
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "milliseconds")) * time.Millisecond)
		}
		for i := range refreshed {
			n := 0
			for _, at := range refreshed[i:] {
				if at.Sub(refreshed[i]) < time.Second {
					n++
				}
			}
			if n > 101+len(due) {
				t.Fatalf("%d in a second", n)
			}
		}
	})
}

func TestOnlyNumbersThatMoveOnCanWait(t *testing.T) {
	counted := func(edit func(*v1alpha1.MirrorSessionStatus)) *v1alpha1.MirrorSession {
		s := &v1alpha1.MirrorSession{}
		at := metav1.NewTime(noon)
		s.Status.Epoch = 1
		s.Status.Conditions = []metav1.Condition{{Type: "Ready", Reason: "Synced"}}
		s.Status.Traffic = &v1alpha1.Traffic{
			Counts: total(5), InEpoch: &v1alpha1.Counts{Packets: 5}, FirstPacketAt: &at, LastPacketAt: &at,
			Sources: []v1alpha1.SourceCounts{sourceCounts("a", 5, nil)}, Rules: []v1alpha1.RuleCounts{rule(1, 5)},
		}
		if edit != nil {
			edit(&s.Status)
		}
		return s
	}
	later := metav1.NewTime(noon.Add(time.Minute))
	for name, c := range map[string]struct {
		edit func(*v1alpha1.MirrorSessionStatus)
		want bool
	}{
		"more packets": {func(s *v1alpha1.MirrorSessionStatus) {
			s.Traffic.Packets, s.Traffic.InEpoch.Packets, s.Traffic.LastPacketAt, s.Traffic.Sources[0].Packets, s.Traffic.Rules[0].Packets = 9, 9, &later, 9, 9
		}, true},
		"the first ones that are dropped": {func(s *v1alpha1.MirrorSessionStatus) { s.Traffic.Packets, s.Traffic.Dropped = 9, 1 }, false},
		"the first ones in the epoch":     {func(s *v1alpha1.MirrorSessionStatus) { s.Traffic.InEpoch = &v1alpha1.Counts{} }, false},
		"the first ones of another source": {func(s *v1alpha1.MirrorSessionStatus) {
			s.Traffic.Sources = append(s.Traffic.Sources, sourceCounts("b", 1, nil))
		}, false},
		"the first ones by another rule": {func(s *v1alpha1.MirrorSessionStatus) { s.Traffic.Rules = append(s.Traffic.Rules, rule(2, 1)) }, false},
		"a source that is not counted":   {func(s *v1alpha1.MirrorSessionStatus) { s.Traffic.Sources[0].Packets = 0 }, false},
		"an entry that was folded":       {func(s *v1alpha1.MirrorSessionStatus) { s.Traffic.Retired = &v1alpha1.Retired{} }, false},
		"another epoch":                  {func(s *v1alpha1.MirrorSessionStatus) { s.Traffic.Packets, s.Epoch = 9, 2 }, false},
		"a condition":                    {func(s *v1alpha1.MirrorSessionStatus) { s.Traffic.Packets, s.Conditions[0].Reason = 9, "Conflict" }, false},
		"a finding": {func(s *v1alpha1.MirrorSessionStatus) {
			s.Traffic.Packets, s.Findings = 9, []v1alpha1.Finding{{Reason: "r"}}
		}, false},
		"no traffic any more": {func(s *v1alpha1.MirrorSessionStatus) { s.Traffic = nil }, false},
		"a first packet that was before it": {func(s *v1alpha1.MirrorSessionStatus) {
			s.Traffic.FirstPacketAt = new(metav1.NewTime(noon.Add(-time.Minute)))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "it can wait", c.want, status.Refreshes(counted(nil), counted(c.edit)))
		})
	}
	same(t, "the first packets of all", false, status.Refreshes(&v1alpha1.MirrorSession{}, counted(nil)))
	same(t, "a filter", false, status.Refreshes(&v1alpha1.MirrorFilter{}, &v1alpha1.MirrorFilter{}))
}
