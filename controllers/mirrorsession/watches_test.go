package mirrorsession

import (
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestASessionWaitsForRoomWhileItHasNoneOrMayBeAboutToFindNone(t *testing.T) {
	because := func(reason string) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) {
			s.Status.ObservedGeneration = s.Generation
			s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, ObservedGeneration: s.Generation}}
		}
	}
	for name, c := range map[string]struct {
		edit func(*v1alpha1.MirrorSession)
		want []string
	}{
		"in line":                       {because(v1alpha1.ReasonSynced), nil},
		"whose priority is taken":       {because(v1alpha1.ReasonPriorityTaken), []string{forRoom}},
		"whose quota is used up":        {because(v1alpha1.ReasonQuotaExceeded), []string{forRoom}},
		"that waits for something else": {because(v1alpha1.ReasonFilterNotReady), nil},
		"whose spec is new":             {func(s *v1alpha1.MirrorSession) { s.Generation++ }, []string{forRoom}},
	} {
		t.Run(name, func(t *testing.T) {
			s := session(c.edit)
			same(t, "what it waits for", c.want, waitsOf(s), cmpopts.EquateEmpty())
		})
	}
}

// At the start every session is looked at anyway.
func TestWhatWasThereAtTheStartWakesNobody(t *testing.T) {
	for what, passes := range map[string]func(event.CreateEvent) bool{"a node": nodeMatters().Create, "a filter": filterMatters().Create} {
		for initial, want := range map[bool]bool{true: false, false: true} {
			if got := passes(event.CreateEvent{Object: session(), IsInInitialList: initial}); got != want {
				t.Errorf("%s that was there at the start: %t, passes: %t, want %t", what, initial, got, want)
			}
		}
	}
}
