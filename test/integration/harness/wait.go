package harness

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// deadline is how long a test waits for anything; it fails then, and decides nothing else.
const deadline = 30 * time.Second

// Poll asks until the answer is good, and returns it. After 30 s the test fails with the
// last answer.
func Poll[T any](t testing.TB, what string, ask func() T, good func(T) bool) T {
	t.Helper()
	end := time.After(deadline)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		answer := ask()
		if good(answer) {
			return answer
		}
		select {
		case <-end:
			t.Fatalf("waited %s in vain for: %s; the last answer was %s", deadline, what, printed(answer))
		case <-tick.C:
		}
	}
}

func printed(v any) string {
	if text, err := yaml.Marshal(v); err == nil {
		return "\n" + string(text)
	}
	return fmt.Sprintf("%+v", v)
}

// Until reads the object until it is as wanted.
func Until[T client.Object](w *World, o T, what string, good func(T) bool) T {
	w.t.Helper()
	return Poll(w.t, o.GetName()+": "+what, func() T {
		if err := w.Get(o); err != nil {
			w.t.Fatalf("reading the %T %s while waiting for: %s: %v", o, o.GetName(), what, err)
		}
		o.SetManagedFields(nil) // nobody reads them when a test fails
		return o
	}, good)
}

// Ready waits until the present spec is in the cloud.
func Ready[T status.Object](w *World, o T) T {
	w.t.Helper()
	return Until(w, o, "Ready", func(o T) bool { return status.IsSynced(o) })
}

// Because waits until the object is not ready for the reason, for the present generation,
// and the message holds every one of the words.
func Because[T status.Object](w *World, o T, reason string, words ...string) T {
	w.t.Helper()
	return Until(w, o, fmt.Sprintf("not ready because of %s, saying %q", reason, words), func(o T) bool { return isBecause(o, reason, words) })
}

// WasBecause is Because for something that passes by itself, maybe before anybody reads
// the object: it waits until one of the object's versions was so.
func WasBecause[T status.Object](w *World, o T, reason string, words ...string) {
	w.t.Helper()
	_ = Poll(w.t, fmt.Sprintf("%s: once not ready because of %s, saying %q", o.GetName(), reason, words),
		func() []T { return versions(w, o) },
		func(all []T) bool {
			return slices.ContainsFunc(all, func(o T) bool { return isBecause(o, reason, words) })
		})
}

func isBecause(o status.Object, reason string, words []string) bool {
	c := meta.FindStatusCondition(o.Common().Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Reason == reason && c.Status != metav1.ConditionTrue && c.ObservedGeneration == o.GetGeneration() &&
		!slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(c.Message, word) })
}

// Gone waits until the API server no longer has the object.
func (w *World) Gone(o client.Object) {
	w.t.Helper()
	_ = Poll(w.t, fmt.Sprintf("the %T %s is gone", o, o.GetName()), func() error { return w.Get(o) }, apierrors.IsNotFound)
}

// Text is an object as people would see it.
func Text(o client.Object) string { return printed(o) }
