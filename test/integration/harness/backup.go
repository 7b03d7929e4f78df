package harness

import (
	"context"

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
	switch o := any(o).(type) {
	case *v1alpha1.MirrorFilter:
		any(from).(*v1alpha1.MirrorFilter).Status.DeepCopyInto(&o.Status)
	case *v1alpha1.MirrorSession:
		any(from).(*v1alpha1.MirrorSession).Status.DeepCopyInto(&o.Status)
	}
	if err := w.Cluster.Client.Status().Update(context.WithoutCancel(w.t.Context()), o, client.FieldOwner("backup")); err != nil {
		w.t.Fatalf("writing the status of %s: %v", o.GetName(), err)
	}
	w.byHand.Store(o.GetResourceVersion(), true)
}
