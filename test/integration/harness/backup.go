package harness

import (
	"context"

	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// Restore makes an object, with the finalizers of the original and with its status, as a
// backup gives it back under another name. No manager may be at work meanwhile.
func Restore[T status.Object](w *World, original, fresh T, finalizers ...string) T {
	w.t.Helper()
	fresh.SetFinalizers(finalizers)
	w.Create(fresh)
	SetStatus(w, fresh, original)
	return fresh
}

// SetStatus gives o the status of another object, all of it.
func SetStatus[T status.Object](w *World, o, from T) {
	w.t.Helper()
	from = from.DeepCopyObject().(T) // a copy has its original's type
	// The last write of a manager that was stopped may come while it is read.
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := w.Get(o); err != nil {
			return err
		}
		switch o := any(o).(type) {
		case *v1alpha1.MirrorFilter:
			any(from).(*v1alpha1.MirrorFilter).Status.DeepCopyInto(&o.Status)
		case *v1alpha1.MirrorSession:
			any(from).(*v1alpha1.MirrorSession).Status.DeepCopyInto(&o.Status)
		}
		return w.Cluster.Client.Status().Update(context.WithoutCancel(w.t.Context()), o, client.FieldOwner("backup"))
	})
	if err != nil {
		w.t.Fatalf("writing the status of %s: %v", o.GetName(), err)
	}
	w.byHand.Store(o.GetResourceVersion(), true)
}
