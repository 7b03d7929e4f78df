package mirrorsession

import (
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/lifecycle"
)

func TestHowOldAnAnswerAboutTheWayMayBe(t *testing.T) {
	const resync = 10 * time.Minute
	began := time.Now()
	read := observation{path: &diagnosis.Path{}, generation: 2, epoch: 3}
	said := func(generation int64) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) {
			s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionPathClear, ObservedGeneration: generation}}
		}
	}
	epoch := func(number int64) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) { s.Status.Epoch = number }
	}
	requested := func(s *v1alpha1.MirrorSession) {
		s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAnnotation: "now"}
	}
	for name, c := range map[string]struct {
		memo      observation
		session   *v1alpha1.MirrorSession
		notBefore time.Duration
		want      time.Duration
	}{
		"in the steady state":                   {read, session(epoch(3)), 0, resync},
		"after the spec has changed":            {observation{path: read.path, generation: 1, epoch: 3}, session(epoch(3)), 0, 30 * time.Second},
		"after the cloud has changed":           {read, session(epoch(4)), 0, 30 * time.Second},
		"of a new session":                      {observation{}, session(), 0, 30 * time.Second},
		"after a restart":                       {observation{}, session(said(2), epoch(3)), 0, resync},
		"after a restart with another spec":     {observation{}, session(said(1), epoch(3)), 0, 30 * time.Second},
		"at an edge":                            {read, session(epoch(3)), 10 * time.Second, 10 * time.Second},
		"on request, whatever else is the case": {read, session(epoch(4), requested), 10 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			services := lifecycle.New(lifecycle.Options{Clock: func() time.Time { return began }, Resync: resync})
			s := &scope{Scope: services.NewScope(t.Context(), c.session), reconciler: &Reconciler{}, session: c.session, began: began}
			if c.notBefore > 0 {
				s.NotBefore = began.Add(-c.notBefore)
			}
			same(t, "the age", c.want, began.Sub(s.pathSince(c.memo)))
		})
	}
}

// Whoever asks for many sessions at once, or makes them, gets them by few lists.
func TestARequestAndAnEditAreServedByAnyAnswerThatBeganAfterTheyCame(t *testing.T) {
	for name, c := range map[string]struct {
		session *v1alpha1.MirrorSession
		older   time.Duration // than what came
	}{
		"a request": {session(func(s *v1alpha1.MirrorSession) {
			s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAnnotation: "now"}
		}), 0},
		"a new spec": {session(), changedAge},
	} {
		t.Run(name, func(t *testing.T) {
			came := time.Now()
			now := came
			services := lifecycle.New(lifecycle.Options{Clock: func() time.Time { return now }, Resync: time.Hour})
			seen := services.Arrivals()
			seen.Create(event.CreateEvent{Object: c.session})
			now = came.Add(time.Second)
			seen.Update(event.UpdateEvent{ObjectOld: c.session, ObjectNew: c.session}) // another change of the same object
			look := func() time.Time {
				now = now.Add(time.Minute)
				s := &scope{Scope: services.NewScope(t.Context(), c.session), reconciler: &Reconciler{}, session: c.session, began: now}
				return s.pathSince(observation{})
			}
			same(t, "since", came.Add(-c.older), look())
			same(t, "since, another time", came.Add(-c.older), look())
			c.session.Generation++
			c.session.Annotations = map[string]string{v1alpha1.ReconcileRequestedAnnotation: "again"}
			same(t, "since, of what was not seen to come", now.Add(time.Minute), look())
		})
	}
}

func TestTheWayIsNotReadOfACloudThatDoesNotAnswer(t *testing.T) {
	failed := func(class cloud.Class) error { return fmt.Errorf("find it: %w", &cloud.Error{Class: class}) }
	for name, c := range map[string]struct {
		outcome error
		want    bool
	}{
		"all is well":                 {nil, true},
		"what the spec names is gone": {lifecycle.Wait(v1alpha1.ReasonInterfaceNotFound, "gone"), true},
		"the cloud refuses":           {failed(cloud.ClassInvalid), true},
		"a right is missing":          {failed(cloud.ClassPermission), true},
		"a quota is used up":          {failed(cloud.ClassQuota), true},
		"the cloud is away":           {failed(cloud.ClassServer), false},
		"the cloud is asked too much": {failed(cloud.ClassThrottled), false},
		"the key is wrong":            {failed(cloud.ClassAuthentication), false},
		"the API server is away":      {errors.New("no route to host"), false},
	} {
		t.Run(name, func(t *testing.T) { same(t, "asked", c.want, answers(c.outcome)) })
	}
}

func TestASessionOfTheCloudIsCalledByItsObject(t *testing.T) {
	theirs := cloud.Session{ID: "id", SessionSpec: cloud.SessionSpec{Name: "theirs"}}
	same(t, "one without a name", "the session id", nameOf(cloud.Session{ID: "id"}, ""))
	same(t, "one without an object", "the session id (theirs)", nameOf(theirs, ""))
	same(t, "one with an object", "MirrorSession default/c04 (id)", nameOf(theirs, "default/c04"))
}
