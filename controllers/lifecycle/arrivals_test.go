package lifecycle

import (
	"context"
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
	since := func() time.Duration { return s.NewScope(t.Context(), f).FreshSince().Sub(noon) }
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
			s.arrivals.end(f.UID, s.NewScope(t.Context(), f).arrived, c.err, now)
			now = noon.Add(100 * time.Second)
			same(t, "since", c.want, s.NewScope(t.Context(), f).FreshSince().Sub(noon))
			same(t, "whether it was tried", c.want > 0, s.NewScope(t.Context(), f).Tried())
			now = noon.Add(time.Hour)
			if c.want > 0 {
				same(t, "since, long after", time.Hour-retryAge, s.NewScope(t.Context(), f).FreshSince().Sub(noon))
			}
		})
	}
}

// An edit that was only held back by the limiter (nothing of it was done) is still an edit.
func TestAnEditThatWasHeldBackIsStillAnEdit(t *testing.T) {
	s, _ := newTestServices()
	f := filter()
	f.Generation = 1
	status.Synced(f, "")
	f.Generation = 2 // the user's edit
	same(t, "at first", cloud.Edited, s.NewScope(t.Context(), f).urgency())
	for name, err := range map[string]error{
		"own limiter": &cloud.Error{Class: cloud.ClassThrottled, Unsent: true, RetryAfter: 3 * time.Second},
		"429":         &cloud.Error{Class: cloud.ClassThrottled, HTTPStatus: 429, RetryAfter: 3 * time.Second},
		"filter":      Wait(v1alpha1.ReasonFilterNotReady, ""),
	} {
		after, _, _ := conclude(t, s.outcome, f, err)
		same(t, "after "+name, cloud.Edited, s.NewScope(t.Context(), after).urgency())
	}
}

// A first create that the cloud refuses (a priority taken by somebody since the list) was tried:
// the next choice must be from a list of after that.
func TestARefusedFirstCreateIsRememberedAsTried(t *testing.T) {
	f, a := filter(), &account{}
	p, _, pass := partOf(t, a, f)
	p.FreshSince() // what Connect does
	refused := &cloud.Error{Class: cloud.ClassConflict, Op: "Create", HTTPStatus: 409}
	_, err := p.Create(t.Context(), func(context.Context) (thing, error) { return thing{}, refused })
	p.arrivals.end(f.UID, p.arrived, err, p.Clock()) // what reconcile does
	pass(time.Second)
	next := p.NewScope(t.Context(), f)
	same(t, "tried", true, next.Tried())
	if since := next.FreshSince(); next.Clock().Sub(since) < 500*time.Millisecond {
		t.Errorf("needs answers of now (%v): none that others have read serves", next.Clock().Sub(since))
	}
}

func TestNothingIsCalledByItsNameOnceItIsGone(t *testing.T) {
	for what, end := range map[string]func(s *Services, f *v1alpha1.MirrorFilter){
		"deleted": func(s *Services, f *v1alpha1.MirrorFilter) {
			s.Arrivals().Delete(event.DeleteEvent{Object: f})
		},
		"deleted while a reconcile has just read it": func(s *Services, f *v1alpha1.MirrorFilter) {
			s.Arrivals().Delete(event.DeleteEvent{Object: f})
			scope := s.NewScope(t.Context(), f)
			s.arrivals.end(f.UID, scope.arrived, &cloud.Error{Class: cloud.ClassConflict}, noon)
		},
		"deleted and made anew while the watch was away, which a list shows as an update": func(s *Services, f *v1alpha1.MirrorFilter) {
			anew := f.DeepCopy()
			anew.UID = "another"
			s.Arrivals().Update(event.UpdateEvent{ObjectOld: f, ObjectNew: anew})
			name, known := s.Named("another")
			same(t, "the name of the new one", f.Namespace+"/"+f.Name, name.String())
			same(t, "the new one is known", true, known)
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := New(Options{Clock: func() time.Time { return noon }, Resync: time.Hour})
			f := filter()
			f.Generation = 1
			s.Arrivals().Create(event.CreateEvent{Object: f})
			_, known := s.Named(f.UID)
			same(t, "it is known before", true, known)
			end(s, f)
			_, known = s.Named(f.UID)
			same(t, "it is known afterwards", false, known)
		})
	}
}
