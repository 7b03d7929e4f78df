package lifecycle

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/events"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// newTestServices returns services whose clock stands at noon, and where their events go.
func newTestServices() (*Services, *events.FakeRecorder) {
	recorder := events.NewFakeRecorder(10)
	return New(Options{Recorder: recorder, Clock: func() time.Time { return noon }, Resync: 10 * time.Minute, Cluster: "0a1b2c3d"}), recorder
}

func TestARequestToReconcileIsEchoedOnceItWasDone(t *testing.T) {
	out, _ := newTestOutcome()
	f := filter()
	same(t, "without a request", false, ReconcileRequested(f))
	f.Annotations = map[string]string{v1alpha1.ReconcileRequestedAnnotation: strings.Repeat("字", 200)}
	same(t, "with a request", true, ReconcileRequested(f))
	after, _, _ := conclude(t, out, f, errors.New("the API server is away"))
	same(t, "after a reconcile that did not come to the cloud", true, ReconcileRequested(after))
	after, _, _ = conclude(t, out, f, Wait("FilterNotReady", ""))
	same(t, "after a reconcile", false, ReconcileRequested(after))
	same(t, "the echo", strings.Repeat("字", 121)+"… (+79)", after.Status.LastHandledReconcileAt)
}

func TestAnAnswerMayBeAsOldAsTheResyncIntervalOnlyInTheSteadyState(t *testing.T) {
	services, _ := newTestServices()
	f := filter()
	fresh := func() time.Time { return services.NewScope(t.Context(), f).FreshSince() }
	same(t, "before the first reconcile", noon, fresh())
	status.Synced(f, "")
	same(t, "once synced", noon.Add(-10*time.Minute), fresh())
	f.Annotations = map[string]string{v1alpha1.ReconcileRequestedAnnotation: "now"}
	same(t, "when asked", noon, fresh())
	handled(f)
	f.Generation++
	same(t, "when the spec changed", noon, fresh())
}
