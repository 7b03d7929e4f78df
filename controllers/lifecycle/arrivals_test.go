package lifecycle

import (
	"errors"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/status"
)

func TestAnAnswerServesAnObjectThatBeganAfterItCameHoweverLateItsTurnIs(t *testing.T) {
	const resync = 10 * time.Minute
	now := noon
	s := New(Options{Clock: func() time.Time { return now }, Resync: resync})
	f := filter()
	f.Generation = 1
	since := func() time.Duration { return s.NewScope(f).FreshSince().Sub(noon) }
	s.Arrivals().Create(event.CreateEvent{Object: f})
	now = noon.Add(5 * time.Minute)
	same(t, "of a new object", 0, since())
	now = noon.Add(12 * time.Minute)
	same(t, "of one that waits longer than answers are kept", 2*time.Minute, since())

	edited := f.DeepCopy()
	edited.Generation = 2
	s.Arrivals().Update(event.UpdateEvent{ObjectOld: f, ObjectNew: edited})
	now = noon.Add(13 * time.Minute)
	same(t, "of one that the API server shows before the edit", 12*time.Minute, since())
	f.Generation = 2
	same(t, "of one that was edited", 12*time.Minute, since())
	f.Generation = 3
	now = noon.Add(14 * time.Minute)
	same(t, "of one whose edit was not seen to come", 14*time.Minute, since())
	now = noon.Add(15 * time.Minute)
	same(t, "of that a minute later", 14*time.Minute, since())

	f.Annotations = map[string]string{v1alpha1.ReconcileRequestedAnnotation: "now"}
	same(t, "of one that somebody asks for", 15*time.Minute, since())
	f.Annotations = nil
	status.Synced(f, "")
	f.Status.ObservedGeneration = 3
	now = noon.Add(16 * time.Minute)
	same(t, "of one that is in line", 16*time.Minute-resync, since())
}

func TestWhatCouldNotBeBroughtInLineIsTriedWithOtherAnswers(t *testing.T) {
	busy := &cloud.Error{Class: cloud.ClassThrottled, Unsent: true, RetryAfter: time.Second}
	for name, c := range map[string]struct {
		err  error
		want time.Duration // after the object came; it is looked at 100 s after that
	}{
		"one that is in line":             {nil, 0},
		"one that waits for its filter":   {Wait(v1alpha1.ReasonFilterNotReady, ""), 0},
		"one that waits for the limiter":  {busy, 0},
		"one that the API server refused": {errors.New("conflict"), 0},
		"one whose number is taken":       {&cloud.Error{Class: cloud.ClassConflict}, 90 * time.Second},
		"one whose source is not there":   {&Problem{Reason: v1alpha1.ReasonInterfaceNotFound, After: AbsentProbe}, 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			now := noon
			s := New(Options{Clock: func() time.Time { return now }, Resync: time.Hour})
			f := filter()
			s.Arrivals().Create(event.CreateEvent{Object: f})
			now = noon.Add(90 * time.Second)
			s.arrivals.end(f.UID, c.err, now)
			now = noon.Add(100 * time.Second)
			same(t, "since", c.want, s.NewScope(f).FreshSince().Sub(noon))
			same(t, "whether it was tried", c.want > 0, s.NewScope(f).Tried())
			now = noon.Add(time.Hour)
			if c.want > 0 {
				same(t, "since, long after", time.Hour-retryAge, s.NewScope(f).FreshSince().Sub(noon))
			}
		})
	}
}
