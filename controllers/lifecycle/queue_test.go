package lifecycle

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/api/v1alpha1"
)

// The queue is controller-runtime's own, and so is what puts into it what comes back by itself.
func TestAnEditGoesBeforeWhatFollowsAndThatBeforeResyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := priorityqueue.New[reconcile.Request]("test")
		defer q.ShutDown()
		named := func(name string) *v1alpha1.MirrorSession {
			s := &v1alpha1.MirrorSession{}
			s.Name = name
			return s
		}
		update := func(h handler.EventHandler, name string) {
			before, after := named(name), named(name)
			after.ResourceVersion = "2"
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, q)
		}
		edited := &handler.EnqueueRequestForObject{}
		follows := Follows(handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
			return []reconcile.Request{request("follows"), request("edited too")}
		}))
		resync := func(name string) {
			q.AddWithOpts(priorityqueue.AddOpts{After: time.Second, Priority: new(priorityOf(false))}, request(name))
		}
		for _, name := range []string{"resync", "another resync", "resync of what is edited"} {
			resync(name)
		}
		q.AddWithOpts(priorityqueue.AddOpts{After: time.Second, Priority: new(priorityOf(true))}, request("held back"))
		<-time.After(2 * time.Second)
		update(follows, "filter")
		update(Follows[client.Object](edited), "reported")
		update(edited, "edited")
		update(edited, "edited too")
		update(edited, "resync of what is edited")
		synctest.Wait()
		var order []string
		for q.Len() > 0 {
			r, _, _ := q.GetWithPriority()
			q.Done(r)
			order = append(order, r.Name)
		}
		same(t, "the order", []string{"edited", "edited too", "resync of what is edited", "held back", "follows", "reported", "resync", "another resync"}, order)
	})
}
