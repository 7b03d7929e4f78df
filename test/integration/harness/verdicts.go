package harness

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// failing are the reasons of Ready with which only a person can help.
var failing = []string{
	v1alpha1.ReasonDiffers, v1alpha1.ReasonNoSources, v1alpha1.ReasonTooManySources, v1alpha1.ReasonAmbiguousAddress, v1alpha1.ReasonSourceIsTarget,
	v1alpha1.ReasonInvalidCredentials, v1alpha1.ReasonCredentialsNotAllowed, v1alpha1.ReasonEndpointNotAllowed,
	v1alpha1.ReasonAuthenticationFailed, v1alpha1.ReasonPermissionDenied, v1alpha1.ReasonForbidden, v1alpha1.ReasonStatusRefused,
	v1alpha1.ReasonAccountChanged, v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonUnsupported, v1alpha1.ReasonInvalidRequest,
}

// waiting are the reasons of Ready with which the manager goes on by itself.
var waiting = []string{
	v1alpha1.ReasonProgressing, v1alpha1.ReasonSuspended, v1alpha1.ReasonFilterInUse, v1alpha1.ReasonFilterNotFound,
	v1alpha1.ReasonFilterNotReady, v1alpha1.ReasonInterfaceNotFound, v1alpha1.ReasonLoadBalancerNotFound, v1alpha1.ReasonNodeNotFound, v1alpha1.ReasonNoNodeSelected, v1alpha1.ReasonPriorityTaken,
	v1alpha1.ReasonCredentialsNotFound, v1alpha1.ReasonCredentialsUnavailable, v1alpha1.ReasonQuotaExceeded, v1alpha1.ReasonThrottled,
	v1alpha1.ReasonConflict, v1alpha1.ReasonCloudUnavailable, v1alpha1.ReasonImportNotFound, v1alpha1.ReasonNothingToObserve,
}

// watchStatuses sees every version of every object of the namespace, not samples, and
// has kstatus judge each when the test ends.
func (w *World) watchStatuses() {
	w.t.Helper()
	watcher, err := client.NewWithWatch(w.Cluster.Config, client.Options{
		Scheme: w.Cluster.Client.Scheme(), Mapper: w.Cluster.Client.RESTMapper(),
	})
	if err != nil {
		w.t.Fatalf("making a client that watches: %v", err)
	}
	for _, kind := range []string{"MirrorFilter", "MirrorSession"} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		ctx, cancel := context.WithCancel(w.ctx())
		stream, err := watcher.Watch(ctx, list, client.InNamespace(w.Namespace))
		if err != nil {
			cancel()
			w.t.Fatalf("watching %s: %v", kind, err)
		}
		seen := &history{gone: map[types.UID]bool{}, done: make(chan struct{})}
		w.seen[kind] = seen
		go seen.collect(stream)
		w.t.Cleanup(func() {
			cancel()
			<-seen.done
			for _, problem := range w.misjudged(seen.copy()) {
				w.t.Error(problem)
			}
		})
	}
}

// history is every version of every object of a kind.
type history struct {
	mu   sync.Mutex
	all  []unstructured.Unstructured
	at   []time.Time // when each was seen
	gone map[types.UID]bool
	done chan struct{}
}

func (h *history) collect(stream watch.Interface) {
	defer close(h.done)
	for e := range stream.ResultChan() {
		if u, ok := e.Object.(*unstructured.Unstructured); ok && e.Type != watch.Error {
			h.mu.Lock()
			h.all, h.at = append(h.all, *u), append(h.at, time.Now())
			if e.Type == watch.Deleted {
				h.gone[u.GetUID()] = true
			}
			h.mu.Unlock()
		}
	}
}

func (h *history) copy() []unstructured.Unstructured {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

// latest is the last version of an object that was seen, nil for none, and whether the
// object is gone.
func (h *history) latest(uid types.UID) (u *unstructured.Unstructured, gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range slices.Backward(h.all) {
		if h.all[i].GetUID() == uid {
			return &h.all[i], h.gone[uid]
		}
	}
	return nil, false
}

// raised is when an epoch of the object began last, as far as the watch has seen.
func (h *history) raised(uid types.UID) (at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var before int64
	for i := range h.all {
		if h.all[i].GetUID() != uid {
			continue
		}
		epoch, _, _ := unstructured.NestedInt64(h.all[i].Object, "status", "epoch")
		if epoch > before {
			at = h.at[i]
		}
		before = epoch
	}
	return at
}

// Latest is the last version of an object that the watch has seen, nil for none, and whether
// the object is gone. It asks nobody.
func (w *World) Latest(o status.Object) (latest status.Object, gone bool) {
	w.t.Helper()
	u, gone := w.seen[kindOf(o)].latest(o.GetUID())
	if u == nil {
		return nil, gone
	}
	latest, err := typed(u)
	if err != nil {
		w.t.Fatal(err)
	}
	return latest, gone
}

// Versions returns every version of a session that there ever was, up to the one given.
func (w *World) Versions(s *v1alpha1.MirrorSession) []*v1alpha1.MirrorSession {
	w.t.Helper()
	return Poll(w.t, "the watch has seen version "+s.ResourceVersion, func() []*v1alpha1.MirrorSession { return versions(w, s) },
		func(all []*v1alpha1.MirrorSession) bool {
			return slices.ContainsFunc(all, func(v *v1alpha1.MirrorSession) bool { return v.ResourceVersion == s.ResourceVersion })
		})
}

// versions are those that the watch has seen so far.
func versions[T client.Object](w *World, o T) (all []T) {
	w.t.Helper()
	for _, u := range w.seen[kindOf(o)].copy() {
		if u.GetUID() != o.GetUID() {
			continue
		}
		version := reflect.New(reflect.TypeOf(o).Elem()).Interface().(T) // another of the same type
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, version); err != nil {
			w.t.Fatalf("reading version %s of %s: %v", u.GetResourceVersion(), u.GetName(), err)
		}
		all = append(all, version)
	}
	return all
}

func kindOf(o client.Object) string {
	if _, ok := o.(*v1alpha1.MirrorSession); ok {
		return "MirrorSession"
	}
	return "MirrorFilter"
}

// Misjudged says what is wrong with every version so far of every object of the namespace.
func (w *World) Misjudged() (problems []string) {
	for _, kind := range slices.Sorted(maps.Keys(w.seen)) {
		problems = append(problems, w.misjudged(w.seen[kind].copy())...)
	}
	return problems
}

func (w *World) misjudged(versions []unstructured.Unstructured) (problems []string) {
	before := map[types.UID]status.Object{}
	for _, u := range versions {
		problem := misread(&u)
		o, err := typed(&u)
		if err != nil {
			problem = err.Error()
		} else {
			if was := before[u.GetUID()]; problem == "" && was != nil && !w.isByHand(&u) {
				problem = evolved(was, o)
			}
			before[u.GetUID()] = o
		}
		if problem != "" {
			problems = append(problems, fmt.Sprintf("%s %s, version %s: %s", u.GetKind(), u.GetName(), u.GetResourceVersion(), problem))
		}
	}
	return problems
}

// typed is an object as our types have it.
func typed(u *unstructured.Unstructured) (status.Object, error) {
	var o status.Object = &v1alpha1.MirrorFilter{}
	if u.GetKind() == "MirrorSession" {
		o = &v1alpha1.MirrorSession{}
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, o); err != nil {
		return nil, fmt.Errorf("reading version %s of %s: %w", u.GetResourceVersion(), u.GetName(), err)
	}
	return o, nil
}

// isByHand reports whether a test wrote this version's status, see SetStatus.
func (w *World) isByHand(u *unstructured.Unstructured) bool {
	_, ok := w.byHand.Load(u.GetResourceVersion())
	return ok
}

// misread says how kstatus's verdict differs from what the object means.
func misread(u *unstructured.Unstructured) string {
	want, err := meaning(u)
	if err != nil {
		return err.Error()
	}
	// kstatus reads an object as a client gets it, with numbers decoded by this method.
	text, err := u.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	fresh := &unstructured.Unstructured{}
	if err := fresh.UnmarshalJSON(text); err != nil {
		return err.Error()
	}
	got, err := kstatus.Compute(fresh)
	if err != nil {
		return fmt.Sprintf("kstatus can't read it: %v\n%s", err, text)
	}
	if got.Status != want {
		return fmt.Sprintf("kstatus says %s (%s), it is %s\n%s", got.Status, got.Message, want, text)
	}
	return ""
}

// meaning is what an object's status says in our own words.
func meaning(u *unstructured.Unstructured) (kstatus.Status, error) {
	if u.GetDeletionTimestamp() != nil {
		return kstatus.TerminatingStatus, nil
	}
	observed, _, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	if err != nil {
		return "", err
	}
	if status, _, _ := unstructured.NestedMap(u.Object, "status"); len(status) <= 1 {
		// A new object has a defaulted status; a test may have wiped one, see SetStatus.
		return map[bool]kstatus.Status{true: kstatus.InProgressStatus, false: kstatus.CurrentStatus}[observed == -1], nil
	}
	conditions, _, err := unstructured.NestedSlice(u.Object, "status", "conditions")
	if err != nil {
		return "", err
	}
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if !ok || condition["type"] != v1alpha1.ConditionReady {
			continue
		}
		if observed != u.GetGeneration() {
			return kstatus.InProgressStatus, nil
		}
		return meaningOf(condition)
	}
	return kstatus.InProgressStatus, nil // nobody has reconciled it yet
}

// meaningOf is what the condition Ready of the present generation says.
func meaningOf(ready map[string]any) (kstatus.Status, error) {
	reason, _ := ready["reason"].(string)
	message, _ := ready["message"].(string)
	isTrue := ready["status"] == string(metav1.ConditionTrue)
	switch {
	case reason == v1alpha1.ReasonSynced && isTrue:
		return kstatus.CurrentStatus, nil
	case reason == v1alpha1.ReasonConflict && strings.Contains(message, "mark"): // whose it is a person has to say
		return kstatus.FailedStatus, nil
	case !isTrue && slices.Contains(failing, reason):
		return kstatus.FailedStatus, nil
	case !isTrue && slices.Contains(waiting, reason):
		return kstatus.InProgressStatus, nil
	default:
		return "", fmt.Errorf("Ready has the status %v for the reason %q, which nobody expects", ready["status"], reason)
	}
}
