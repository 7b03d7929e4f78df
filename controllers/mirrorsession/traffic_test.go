package mirrorsession

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// statusWith has TrafficObserved for a reason, and findings.
func statusWith(reason string, findings ...v1alpha1.Finding) *v1alpha1.MirrorSessionStatus {
	st := &v1alpha1.MirrorSessionStatus{Findings: findings}
	st.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionTrafficObserved, Reason: reason}}
	return st
}

func TestEachFindingThatComesOrGoesIsOneEvent(t *testing.T) {
	found := func(reason, subject string, severity v1alpha1.Severity) v1alpha1.Finding {
		return v1alpha1.Finding{
			Reason: reason, Subject: subject, Severity: severity, Message: "it is so", Remedy: "mend it",
			Since: metav1.NewTime(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)),
		}
	}
	drops := found("CaptureDrops", "n", "Warning")
	for name, c := range map[string]struct {
		before, now *v1alpha1.MirrorSessionStatus
		want        []findingEvent
	}{
		"one that comes":  {statusWith("Fine"), statusWith("Fine", drops), []findingEvent{{"Warning", "CaptureDrops", "Find n", "it is so. Remedy: mend it"}}},
		"one that stays":  {statusWith("Fine", drops), statusWith("Fine", drops), nil},
		"one that goes":   {statusWith("Fine", drops), statusWith("Fine"), []findingEvent{{"Normal", "CaptureDrops", "Over n", "over, since 2026-01-02T12:00:00Z: it is so"}}},
		"of another node": {statusWith("Fine", drops), statusWith("Fine", drops, found("CaptureDrops", "m", "Warning")), []findingEvent{{"Warning", "CaptureDrops", "Find m", "it is so. Remedy: mend it"}}},
		"one that begins to need somebody": {
			statusWith("NoVerifier", found("NoVerifier", "", "Info")), statusWith("NoVerifier", found("NoVerifier", "", "Warning")),
			[]findingEvent{{"Warning", "NoVerifier", "Find", "it is so. Remedy: mend it"}},
		},
		"one that needs nobody any more":       {statusWith("NoVerifier", found("NoVerifier", "", "Warning")), statusWith("NoVerifier", found("NoVerifier", "", "Info")), nil},
		"one that the condition begins to say": {statusWith("Fine"), statusWith("SourceSilent", found("SourceSilent", "a", "Warning")), nil},
		"a second one for the same reason": {
			statusWith("SourceSilent", found("SourceSilent", "a", "Warning")),
			statusWith("SourceSilent", found("SourceSilent", "a", "Warning"), found("SourceSilent", "b", "Warning")),
			[]findingEvent{{"Warning", "SourceSilent", "Find b", "it is so. Remedy: mend it"}},
		},
		"one of two that goes": {
			statusWith("SourceSilent", found("SourceSilent", "a", "Warning"), found("SourceSilent", "b", "Warning")),
			statusWith("SourceSilent", found("SourceSilent", "b", "Warning")),
			[]findingEvent{{"Normal", "SourceSilent", "Over a", "over, since 2026-01-02T12:00:00Z: it is so"}},
		},
		"one that the condition said": {statusWith("SourceSilent", found("SourceSilent", "a", "Warning")), statusWith("Fine"), nil},
		"another message":             {statusWith("Fine", drops), statusWith("Fine", func() v1alpha1.Finding { f := drops; f.Message = "it is otherwise"; return f }()), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := findingEvents(c.before, c.now)
			if len(got) != len(c.want) {
				t.Fatalf("the events are %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("event %d is %q, want %q", i, got[i], c.want[i])
				}
			}
		})
	}
}
