package status_test

import (
	"math"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func micro(after time.Duration) *metav1.MicroTime { return new(metav1.NewMicroTime(noon.Add(after))) }

func second(after time.Duration) *metav1.Time { return new(metav1.NewTime(noon.Add(after))) }

func TestTheSumOfTheEntries(t *testing.T) {
	for name, c := range map[string]struct {
		entries []v1alpha1.Verification
		want    *v1alpha1.Traffic
	}{
		"of none is none": {nil, nil},
		"of an entry that saw nothing is nothing": {
			[]v1alpha1.Verification{{Node: "a"}}, &v1alpha1.Traffic{},
		},
		"has the earliest and the latest packet": {
			[]v1alpha1.Verification{
				{Node: "a", Counts: v1alpha1.Counts{Packets: 1, Bytes: 2, Unexpected: 3, Undecided: 4, ForeignSource: 5, Dropped: 6}, FirstPacketAt: micro(3 * time.Second), LastPacketAt: micro(4 * time.Second)},
				{Node: "b", Counts: v1alpha1.Counts{Packets: 10, Bytes: 20, Unexpected: 30, Undecided: 40, ForeignSource: 50, Dropped: 60}, FirstPacketAt: micro(1900 * time.Millisecond), LastPacketAt: micro(3 * time.Second)},
				{Node: "c"},
			},
			&v1alpha1.Traffic{
				Counts:        v1alpha1.Counts{Packets: 11, Bytes: 22, Unexpected: 33, Undecided: 44, ForeignSource: 55, Dropped: 66},
				FirstPacketAt: second(time.Second), LastPacketAt: second(4 * time.Second),
			},
		},
		"is no smaller for an entry that was stored before there were bounds": {
			[]v1alpha1.Verification{
				{Node: "a", Counts: v1alpha1.Counts{Packets: math.MaxInt64 - 51, Bytes: 1}}, {Node: "b", Counts: v1alpha1.Counts{Packets: 100, Bytes: -51}},
			},
			&v1alpha1.Traffic{Counts: v1alpha1.Counts{Packets: v1alpha1.MaxCount, Bytes: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "the sum", c.want, status.SumTraffic(&v1alpha1.MirrorSessionStatus{Verification: c.entries}, noon.Add(time.Hour)))
		})
	}
}

func TestTrafficObservedIsOfTheGenerationThatTheCloudMatches(t *testing.T) {
	for name, c := range map[string]struct {
		conclude func(status.Object)
		want     int64
	}{
		"of the spec when the cloud matches it":               {func(o status.Object) { status.Synced(o, "all") }, 4},
		"of the spec when it is suspended":                    {func(o status.Object) { status.Suspended(o) }, 4},
		"of the spec when it is switched off":                 {func(o status.Object) { status.Stalled(o, v1alpha1.ReasonNoSources, "none") }, 4},
		"of before while the cloud is being changed":          {func(o status.Object) { status.Waiting(o, v1alpha1.ReasonProgressing, "soon") }, 3},
		"of before when the cloud refuses":                    {func(o status.Object) { status.Stalled(o, v1alpha1.ReasonInvalidRequest, "no") }, 3},
		"of before when what Ready says is of before as well": {func(status.Object) {}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
			status.Synced(s, "all")
			status.TrafficObserved(s, metav1.ConditionTrue, v1alpha1.ReasonPacketsObserved, "they arrive")
			s.Generation = 4
			c.conclude(s)
			status.TrafficObserved(s, metav1.ConditionUnknown, v1alpha1.ReasonNoPackets, "none yet")
			want := metav1.Condition{Type: "TrafficObserved", Status: "Unknown", Reason: "NoPackets", Message: "none yet", ObservedGeneration: c.want}
			var got metav1.Condition
			for _, is := range s.Status.Conditions {
				if is.Type == want.Type {
					got = is
				}
			}
			same(t, "the condition", want, got, noTimes)
		})
	}
}
