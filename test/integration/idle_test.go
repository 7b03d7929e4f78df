//go:build !oldest

package integration_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// A minute is what is claimed, so a minute is watched: it decides by what was asked meanwhile,
// and not by how fast. Where copies have come and don't any more the cloud's lists are read, ever more
// seldom: twice in the minute, or once more where it begins late.
func TestAMinuteOfWaitingCostsNoWriteAndNoCallButListsWhereCopiesAreMissed(t *testing.T) {
	t.Parallel()
	sessionWith := func(edit func(*v1alpha1.MirrorSession)) func(*harness.World) status.Object {
		return func(w *harness.World) status.Object {
			_, session := w.Pair("idle")
			harness.Change(w, session, edit)
			return session
		}
	}
	for reason, reach := range map[string]func(*harness.World) status.Object{
		v1alpha1.ReasonSynced: func(w *harness.World) status.Object {
			_, session := w.Pair("idle")
			write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1, Unexpected: 1}, time.Second, time.Second))
			traffic(w, session, v1alpha1.ReasonPacketsObserved)
			return session
		},
		v1alpha1.ReasonSilent: func(w *harness.World) status.Object {
			_, session := w.Pair("idle", func(s *v1alpha1.MirrorSession) { s.Spec.SilenceAfter = &metav1.Duration{Duration: 10 * time.Second} })
			write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1}, time.Second, time.Second))
			traffic(w, session, v1alpha1.ReasonSilent)
			return session
		},
		v1alpha1.ReasonSuspended: sessionWith(func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true }),
		v1alpha1.ReasonNoSources: sessionWith(func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil }),
		v1alpha1.ReasonSourceIsTarget: sessionWith(func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources = harness.Sources(harness.At("192.168.0.164")) // that of the target
		}),
		v1alpha1.ReasonFilterNotFound: sessionWith(func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "missing" }),
		v1alpha1.ReasonFilterInUse: func(w *harness.World) status.Object {
			filter, session := w.Pair("idle")
			write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1}, time.Second, time.Second)) // else one is missed after a minute
			traffic(w, session, v1alpha1.ReasonPacketsObserved)
			w.Delete(filter)
			return filter
		},
		v1alpha1.ReasonInvalidRequest: func(w *harness.World) status.Object {
			w.Fault(fault.Fault{Kind: fault.Error, Operation: "CreateTrafficMirrorFilter", Status: 400, Code: "VPC.0002", Message: "invalid"})
			filter := w.Filter("idle")
			w.Create(filter)
			return filter
		},
		v1alpha1.ReasonConflict: func(w *harness.World) status.Object {
			_, session := w.Pair("idle")
			w.EditSession(session.Status.Sessions[0].ID, func(s *state.Session) {
				s.Description = "[vpcmirror 00000000/5a1f0c7e-0000-4000-8000-000000000009]"
			})
			w.RequestReconcile(session)
			return session
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			m := w.Start()
			o := reach(w)
			switch reason {
			case v1alpha1.ReasonSynced, v1alpha1.ReasonSilent:
				harness.Ready(w, o)
			default:
				harness.Because(w, o, reason)
			}
			<-time.After(10 * time.Second) // the look after a start is over, and every event is sent
			asked, written := w.Cloud.Journal.Last(), len(m.Writes())
			<-time.After(time.Minute)
			calls := harness.Count(w.Cloud.Journal.Since(asked))
			switch reason {
			case v1alpha1.ReasonSynced, v1alpha1.ReasonSilent, v1alpha1.ReasonFilterInUse: // with counts that stand still
				for list := range with(wayReads, map[string]int{"ListTrafficMirrorFilters": 1, "ListTrafficMirrorSessions": 1}) {
					if calls[list] > 3 {
						t.Errorf("%s was asked for %d times in a minute", list, calls[list])
					}
					delete(calls, list)
				}
			}
			harness.Same(t, "the calls", map[string]int{}, calls)
			harness.Same(t, "the writes", []string{}, append([]string{}, m.Writes()[written:]...))
		})
	}
}
