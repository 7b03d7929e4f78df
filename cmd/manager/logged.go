package main

import (
	"fmt"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// logged writes transitions to the log too: the API server forgets events after an hour,
// and whoever looks for the cause of a fault has the log of the night.
type logged struct {
	events.EventRecorder

	log    logr.Logger
	scheme *runtime.Scheme
}

// Eventf makes the event and a line of the log.
func (l logged) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	l.EventRecorder.Eventf(regarding, related, kind, reason, action, note, args...)
	o, ok := regarding.(client.Object)
	if !ok {
		return
	}
	of := "object"
	if gvk, err := apiutil.GVKForObject(o, l.scheme); err == nil {
		of = gvk.Kind
	}
	l.log.Info(fmt.Sprintf(note, args...), of, klog.KObj(o), "type", kind, "reason", reason)
}
