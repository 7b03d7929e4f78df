package agent

import (
	"context"
	"fmt"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// watch puts the sessions and filters into the index, and requests a reconcile whenever something
// changes by which this host counts. synced are true once all that there was at first is there.
func (a *Agent) watch(ctx context.Context) (synced []toolscache.InformerSynced, unwatch func(), err error) {
	var undo []func() error
	unwatch = func() {
		for _, f := range undo {
			if err := f(); err != nil {
				a.Log.Error(err, "A watch was not ended properly")
			}
		}
	}
	for _, kind := range []client.Object{&v1alpha1.MirrorSession{}, &v1alpha1.MirrorFilter{}} {
		informer, err := a.Cache.GetInformer(ctx, kind)
		if err != nil {
			return nil, unwatch, fmt.Errorf("watch %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(is any) { a.noteEvent(a.index.Put(is)) },
			UpdateFunc: func(_, is any) { a.noteEvent(a.index.Put(is)) },
			DeleteFunc: func(was any) { a.noteEvent(a.index.Delete(was)) },
		})
		if err != nil {
			return nil, unwatch, fmt.Errorf("watch %T: %w", kind, err)
		}
		synced = append(synced, registration.HasSynced)
		undo = append(undo, func() error { return informer.RemoveEventHandler(registration) })
	}
	return synced, unwatch, nil
}

// noteEvent requests a reconcile where an event matters to this host.
func (a *Agent) noteEvent(matters bool, err error) {
	if err != nil {
		a.Log.Error(err, "An object of the API server can't be used")
	}
	if matters {
		a.requestReconcile()
	}
}
