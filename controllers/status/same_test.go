package status_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// What is not written must never be what would have made a difference.
func TestAStatusThatCountsAsTheSameWouldBeWrittenAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := anyStatus(t), anyStatus(t)
		if rapid.Bool().Draw(t, "unchanged") {
			after = before.DeepCopy()
			after.Status.Verification = nil
		}
		written := func(s *v1alpha1.MirrorSession) map[string]any {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(s)
			if err != nil {
				t.Fatal(err)
			}
			all, _ := content["status"].(map[string]any)
			delete(all, "verification")
			delete(all, "probeReports")
			return all
		}
		alike := equality.Semantic.DeepEqual(written(before), written(after))
		if got := status.Same(before, after); got && !alike {
			t.Fatalf("%+v and %+v count as the same", before.Status, after.Status)
		}
		if got := status.Same(before, before.DeepCopy()); !got {
			t.Fatalf("%+v differs from its copy", before.Status)
		}
	})
}

// What Same compares by itself is what equality.Semantic would, but for the verifiers' entries.
func TestStatusesAreTheSameWhereTheirMeaningIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := anyStatus(t)
		after := before.DeepCopy()
		switch rapid.IntRange(0, 6).Draw(t, "change") {
		case 0:
			after = anyStatus(t)
		case 1:
			after.Status.Findings = []v1alpha1.Finding{}
		case 2:
			after.Status.Changes = []v1alpha1.Change{{What: "x"}}
		case 3:
			for i := range after.Status.Conditions {
				after.Status.Conditions[i].LastTransitionTime.Time = after.Status.Conditions[i].LastTransitionTime.In(time.FixedZone("x", 3600))
			}
		case 4:
			after.Status.VNI = new(int32(rapid.IntRange(0, 1).Draw(t, "VNI")))
		case 5:
			after.Status.Sources = append(after.Status.Sources, v1alpha1.ResolvedInterface{Addresses: []string{"10.0.0.1"}})
			before.Status.Sources = append(before.Status.Sources, v1alpha1.ResolvedInterface{Addresses: rapid.SliceOfN(rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2"}), 0, 2).Draw(t, "addresses")})
		}
		was, is := before.Status, after.Status
		was.Verification, is.Verification = nil, nil
		if got, want := status.Same(before, after), equality.Semantic.DeepEqual(was, is); got != want {
			t.Fatalf("the same: %t, want %t, of\n%+v and\n%+v", got, want, was, is)
		}
	})
}

func anyStatus(t *rapid.T) *v1alpha1.MirrorSession {
	at := func(name string) metav1.Time {
		return metav1.NewTime(noon.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, name)) * time.Second))
	}
	number := rapid.Int64Range(0, 1)
	s := &v1alpha1.MirrorSession{}
	if rapid.Bool().Draw(t, "conditions") {
		s.Status.Conditions = []metav1.Condition{{Type: "Ready", Message: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "message"), LastTransitionTime: at("transition")}}
	}
	s.Status.Epoch = number.Draw(t, "epoch")
	if rapid.Bool().Draw(t, "traffic") {
		last := at("last packet")
		s.Status.Traffic = &v1alpha1.Traffic{LastPacketAt: &last, Counts: v1alpha1.Counts{Packets: number.Draw(t, "packets")}}
	}
	s.Status.Sources = make([]v1alpha1.ResolvedInterface, rapid.IntRange(0, 1).Draw(t, "sources"))
	s.Status.Verification = make([]v1alpha1.Verification, rapid.IntRange(0, 2).Draw(t, "entries"))
	return s
}

func TestFiltersAreTheSameWithTheSameStatus(t *testing.T) {
	before, after := &v1alpha1.MirrorFilter{}, &v1alpha1.MirrorFilter{}
	same(t, "two that are empty", true, status.Same(before, after))
	after.Status.RuleCount = 1
	same(t, "with one rule", false, status.Same(before, after))
	same(t, "with a session", false, status.Same(before, &v1alpha1.MirrorSession{}))
}

func BenchmarkSame(b *testing.B) {
	s := &v1alpha1.MirrorSession{}
	for range 6 {
		s.Status.Conditions = append(s.Status.Conditions, metav1.Condition{Type: "Ready", Reason: "Reason", Message: "a message", LastTransitionTime: metav1.NewTime(noon)})
	}
	s.Status.Sources = make([]v1alpha1.ResolvedInterface, 3)
	s.Status.Traffic = &v1alpha1.Traffic{Sources: make([]v1alpha1.SourceCounts, 3), Rules: make([]v1alpha1.RuleCounts, 5)}
	copied := s.DeepCopy()
	for b.Loop() {
		if !status.Same(s, copied) {
			b.Fatal()
		}
	}
}
