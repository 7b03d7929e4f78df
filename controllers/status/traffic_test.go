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

func TestTrafficObserved(t *testing.T) {
	made := []v1alpha1.CloudSession{{ID: "s"}}
	seen := func(c v1alpha1.Counts) []v1alpha1.Verification {
		return []v1alpha1.Verification{{Node: "n1", Interface: "eth0"}, {Node: "n2", Counts: c}}
	}
	for name, c := range map[string]struct {
		spec   v1alpha1.MirrorSessionSpec
		status v1alpha1.MirrorSessionStatus
		want   metav1.Condition
	}{
		"is unknown before the cloud has the session": {
			want: condition("TrafficObserved", "Unknown", "NotReady", "the session is not in the cloud yet"),
		},
		"is unknown while the session is switched off": {
			spec:   v1alpha1.MirrorSessionSpec{Enabled: new(false)},
			status: v1alpha1.MirrorSessionStatus{Sessions: made},
			want:   condition("TrafficObserved", "Unknown", "Disabled", "spec.enabled is false: the cloud makes no copies"),
		},
		"is unknown while no verifier has reported": {
			status: v1alpha1.MirrorSessionStatus{Sessions: made, Target: &v1alpha1.ResolvedInterface{InterfaceID: "t", Addresses: []string{"10.0.0.1"}}},
			want:   condition("TrafficObserved", "Unknown", "NoVerifier", "no verifier has reported from the host that owns the target 10.0.0.1: run one there"),
		},
		"is unknown while a verifier can't capture": {
			status: v1alpha1.MirrorSessionStatus{Sessions: made, Verification: []v1alpha1.Verification{{Node: "n", Message: "no capability"}}},
			want:   condition("TrafficObserved", "Unknown", "CaptureFailed", "n: no capability"),
		},
		"is unknown while nothing came": {
			status: v1alpha1.MirrorSessionStatus{Sessions: made, Verification: seen(v1alpha1.Counts{Dropped: 5})},
			want: condition("TrafficObserved", "Unknown", "NoPackets", "no packet has arrived on n1 (eth0), n2 yet: is there traffic that the filter accepts, "+
				"and does the target's security group allow UDP 4789 from the sources?"),
		},
		"is false when what came can't be decided": {
			status: v1alpha1.MirrorSessionStatus{Sessions: made, Verification: seen(v1alpha1.Counts{Undecided: 1})},
			want: condition("TrafficObserved", "False", "Undecided", "packets arrive on n1 (eth0), n2, but whether the filter accepts them can't be told: "+
				"raise spec.packetLength, or look at the last packet in status.verification"),
		},
		"is false when only foreign packets came": {
			status: v1alpha1.MirrorSessionStatus{Sessions: made, Verification: seen(v1alpha1.Counts{ForeignSource: 1, Undecided: 1})},
			want: condition("TrafficObserved", "False", "ForeignSource", "packets with the session's VNI arrive on n1 (eth0), n2, but from an address that is no source of it: "+
				"another session may use the same VNI for this target"),
		},
		"is false when only unexpected packets came": {
			status: v1alpha1.MirrorSessionStatus{Sessions: made, Verification: seen(v1alpha1.Counts{Unexpected: 1, ForeignSource: 1})},
			want: condition("TrafficObserved", "False", "UnexpectedPackets", "only packets that the filter does not accept arrive on n1 (eth0), n2: "+
				"look at the last packet in status.verification, and at the filter's directions, addresses and ports"),
		},
		"is true once a right packet came, whatever else did": {
			spec: v1alpha1.MirrorSessionSpec{Enabled: new(false)},
			status: v1alpha1.MirrorSessionStatus{Verification: []v1alpha1.Verification{
				{Node: "n", Counts: v1alpha1.Counts{Packets: 1, Unexpected: 9, ForeignSource: 9, Undecided: 9}, Message: "broken now"},
			}},
			want: condition("TrafficObserved", "True", "PacketsObserved", "copies that the filter accepts arrive on n"),
		},
		"says of packets that were seen which other session claims them": {
			status: v1alpha1.MirrorSessionStatus{Sessions: made, Verification: []v1alpha1.Verification{
				{Node: "n", Counts: v1alpha1.Counts{Packets: 1}, Shared: "copies are claimed by another too"},
			}},
			want: condition("TrafficObserved", "True", "PacketsObserved", "copies that the filter accepts arrive on n; n: copies are claimed by another too"),
		},
		"does not take another claimant for a capture that failed": {
			status: v1alpha1.MirrorSessionStatus{Sessions: made, Verification: []v1alpha1.Verification{{Node: "n", Shared: "copies are claimed by another too"}}},
			want: condition("TrafficObserved", "Unknown", "NoPackets", "no packet has arrived on n yet: is there traffic that the filter accepts, "+
				"and does the target's security group allow UDP 4789 from the sources?; n: copies are claimed by another too"),
		},
		"says nothing of other claimants by an entry that has ended": {
			status: v1alpha1.MirrorSessionStatus{Sessions: made, Verification: []v1alpha1.Verification{
				{Node: "n", Counts: v1alpha1.Counts{Packets: 1}}, {Node: "left", Ended: true, Shared: "copies are claimed by another too"},
			}},
			want: condition("TrafficObserved", "True", "PacketsObserved", "copies that the filter accepts arrive on n"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Generation: 4}, Spec: c.spec, Status: c.status}
			status.Traffic(s, func(string, bool) bool { return false }, time.Now())
			same(t, "the conditions", []metav1.Condition{c.want}, s.Status.Conditions, noTimes)
			same(t, "the sum", status.SumTraffic(&v1alpha1.MirrorSessionStatus{Verification: c.status.Verification}, time.Now()), s.Status.Traffic)
			same(t, "TrafficIs", c.want.Status, status.TrafficIs(s))
		})
	}
}
