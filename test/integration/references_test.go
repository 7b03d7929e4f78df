package integration_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestASessionThatCameFirstWaitsForItsFilterAndIsWokenByIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	session := w.Session("early", "late")
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonFilterNotFound, `"late"`, w.Namespace, "create it")
	harness.Same(t, "what the cloud was asked to change", []string{}, harness.Operations(w.Cloud.Journal.Writes(0)))

	// The filter exists, but can't be ready: its Secret is missing.
	filter := w.Filter("late", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = "missing" })
	w.Create(filter)
	harness.Because(w, session, v1alpha1.ReasonFilterNotReady, `"late"`)

	w.Create(w.Secret("missing"))
	harness.ReconcileNow(w, filter)
	harness.Ready(w, session)
}

func TestAFilterInUseIsDeletedAfterItsSessions(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, first := w.Pair("shared")
	second := w.Session("second", "shared")
	w.Create(second)
	harness.Ready(w, second)

	w.Delete(filter)
	harness.Because(w, filter, v1alpha1.ReasonFilterInUse, "second, shared")
	if c := w.Content(); len(c.Filters) != 1 || len(c.Sessions) != 2 {
		t.Errorf("the cloud has %d filters and %d sessions, want 1 and 2", len(c.Filters), len(c.Sessions))
	}
	w.Delete(first)
	w.Gone(first)
	harness.Because(w, filter, v1alpha1.ReasonFilterInUse, "second.")
	w.Delete(second)
	w.Gone(second)
	w.Gone(filter)
	w.Holds(harness.Content{})
	w.EventSays(filter, "Deleted", filter.Status.ID)
}

func TestAFilterIsFreedByASessionThatUsesAnother(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	old, session := w.Pair("old")
	other := w.Filter("other")
	w.Create(other)
	harness.Ready(w, other)
	w.Delete(old)
	harness.Because(w, old, v1alpha1.ReasonFilterInUse, "old")
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "other" })
	harness.Ready(w, session)
	w.Gone(old)
	harness.Same(t, "the session's filter", other.Status.ID, w.Content().Sessions[0].FilterID)
}

func TestEverythingGoesInWhicheverOrderANamespaceIsEmptied(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"filter first", "session first", "Secret first"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			filter, session := w.Pair("going")
			switch order {
			case "filter first":
				w.Delete(filter)
				w.Delete(session)
			case "session first":
				w.Delete(session)
				w.Delete(filter)
			default:
				w.Delete(w.Secret(harness.SecretName))
				w.Delete(filter)
				w.Delete(session)
			}
			w.Gone(session)
			w.Gone(filter)
			w.Holds(harness.Content{})
		})
	}
}

func TestASessionOfAFilterThatIsBeingDeletedIsNotMade(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("ending")
	w.Delete(filter)
	harness.Because(w, filter, v1alpha1.ReasonFilterInUse)
	late := w.Session("late", "ending")
	w.Create(late)
	harness.Because(w, late, v1alpha1.ReasonFilterNotReady, "is being deleted")
	if n := len(w.Content().Sessions); n != 1 {
		t.Errorf("the cloud has %d sessions, want 1", n)
	}
	// Its session goes on until it is deleted too.
	harness.ReconcileNow(w, session)
	if !meta.IsStatusConditionTrue(session.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("the session that was there before is %+v", session.Status.Conditions)
	}
}
