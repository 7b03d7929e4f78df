package integration_test

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestAStatusIsNotWrittenToAnotherObjectOfTheSameName(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	old := w.Filter("again")
	w.Create(old)
	before := old.DeepCopy()
	w.Delete(old)
	w.Gone(old)
	fresh := w.Filter("again")
	w.Create(fresh)

	after := before.DeepCopy()
	after.Status.ID = "an ID of the old object"
	wrote, err := status.Write(t.Context(), w.Cluster.Client, w.Cluster.Client, before, after)
	if wrote || !apierrors.IsConflict(err) {
		t.Errorf("the write gives %v and %v, want a conflict", wrote, err)
	}
	if err := w.Get(fresh); err != nil {
		t.Fatal(err)
	}
	harness.Same(t, "the new object's ID", "", fresh.Status.ID)
}

func TestAStatusIsWrittenThoughAVerifierWroteItsEntryMeanwhile(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	session := w.Session("busy", "busy")
	w.Create(session)
	before := session.DeepCopy()
	e := entry("ecs-target", v1alpha1.Counts{Packets: 1}, time.Second, time.Second)
	write(t, w, session, e)

	after := before.DeepCopy()
	after.Status.VNI = new(int32(5))
	wrote, err := status.Write(t.Context(), w.Cluster.Client, w.Cluster.Client, before, after)
	if !wrote || err != nil {
		t.Fatalf("the write gives %v and %v, want it done", wrote, err)
	}
	if err := w.Get(session); err != nil {
		t.Fatal(err)
	}
	harness.Same(t, "the version", session.ResourceVersion, after.ResourceVersion)
	harness.Same(t, "the status", v1alpha1.MirrorSessionStatus{
		CommonStatus: v1alpha1.CommonStatus{ObservedGeneration: -1}, VNI: new(int32(5)), Verification: []v1alpha1.Verification{e},
	}, session.Status, times)
}

func TestAStatusIsNotWrittenOverAnotherManagers(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	filter := w.Filter("taken")
	w.Create(filter)
	before := filter.DeepCopy()
	theirs := filter.DeepCopy()
	theirs.Status.ID = "what the successor made"
	if _, err := status.Write(t.Context(), w.Cluster.Client, w.Cluster.Client, filter, theirs); err != nil {
		t.Fatal(err)
	}

	ours := before.DeepCopy()
	ours.Status.ID = "what the one made that was paused"
	wrote, err := status.Write(t.Context(), w.Cluster.Client, w.Cluster.Client, before, ours)
	if wrote || !apierrors.IsConflict(err) {
		t.Errorf("the write gives %v and %v, want a conflict", wrote, err)
	}
	if err := w.Get(filter); err != nil {
		t.Fatal(err)
	}
	harness.Same(t, "the ID", "what the successor made", filter.Status.ID)
}
