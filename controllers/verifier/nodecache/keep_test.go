package nodecache

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
)

const node = "worker-1"

// full is a session with everything that an API server has of it.
func full() *v1alpha1.MirrorSession {
	s := &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: "web", UID: "uid-web", ResourceVersion: "7", Generation: 3, Labels: map[string]string{"a": "b"},
			Annotations: map[string]string{"kubectl": strings.Repeat("x", 500)}, Finalizers: []string{"vpcmirror.io/cloud"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: &metav1.FieldsV1{}}}, CreationTimestamp: metav1.NewTime(time.Unix(1, 0)),
		},
		Spec: v1alpha1.MirrorSessionSpec{FilterRef: v1alpha1.FilterReference{Name: "http"}, PacketLength: new(int32(96))},
	}
	s.Status = v1alpha1.MirrorSessionStatus{
		VNI: new(int32(0)), Epoch: 5, Sessions: []v1alpha1.CloudSession{{ID: "b9d0", Priority: 1}},
		Target:  &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "t", Addresses: []string{"192.168.0.164"}, MAC: "FA:16:3e:00:00:01", NodeName: node}},
		Sources: []v1alpha1.ResolvedInterface{{InterfaceID: "s", Addresses: []string{"192.168.0.230", "::1"}, MAC: "fa:16:3e:00:00:02"}},
		Verification: []v1alpha1.Verification{
			{Node: "worker-0", Interface: "eth0"}, {Node: node, Interface: "eth1", Counts: v1alpha1.Counts{Packets: 4}, LastPacket: "a > b"},
		},
		Traffic: &v1alpha1.Traffic{}, Findings: []v1alpha1.Finding{{Reason: "Silent"}}, Changes: []v1alpha1.Change{{What: "a rule is gone"}},
	}
	s.Status.ObservedGeneration = 3
	s.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Synced", Message: "the cloud has it"}, {Type: "PathClear", Status: metav1.ConditionFalse},
	}
	return s
}

func TestOfASessionIsKeptWhatItIsCountedByAndTheNodesOwnEntry(t *testing.T) {
	x := NewIndex(node)
	if _, err := x.Put(full()); err != nil {
		t.Fatal(err)
	}
	got, err := x.Concerning(map[string]struct{}{"fa:16:3e:00:00:01": {}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := full()
	want := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web", UID: "uid-web", ResourceVersion: "7", Generation: 3}}
	want.Spec.FilterRef = f.Spec.FilterRef
	want.Status = v1alpha1.MirrorSessionStatus{
		VNI: f.Status.VNI, Epoch: 5, Sessions: make([]v1alpha1.CloudSession, 1), Target: f.Status.Target, Sources: f.Status.Sources,
		Verification: f.Status.Verification[1:],
	}
	want.Status.ObservedGeneration = 3
	want.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	if diff := cmp.Diff([]*v1alpha1.MirrorSession{want}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOfAFilterIsKeptWhatPacketsAreJudgedBy(t *testing.T) {
	f := filter("http")
	f.Annotations = map[string]string{"a": "b"}
	x := NewIndex(node)
	if _, err := x.Put(f); err != nil {
		t.Fatal(err)
	}
	got, err := x.Filter(types.NamespacedName{Namespace: "team", Name: "http"})
	if err != nil {
		t.Fatal(err)
	}
	want := filter("http")
	want.Spec.Rules[0].Description = ""
	want.Status.Conditions[0].Reason = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := x.Filter(types.NamespacedName{Namespace: "team", Name: "http"})
	if err != nil || again != got {
		t.Errorf("asked again it is another object: %v, %v", again, err)
	}
}

func filter(name string) *v1alpha1.MirrorFilter {
	f := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1", Generation: 2}}
	f.Spec.Rules = []v1alpha1.FilterRule{{
		Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionAccept, EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolTCP,
		Source: &v1alpha1.RulePeer{CIDR: "192.168.0.161/32"}, Destination: &v1alpha1.RulePeer{CIDR: "192.168.0.230/32", Port: new(int32(1234))}, Description: "why",
	}}
	f.Status.ObservedGeneration = 2
	f.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Synced"}}
	return f
}

func TestKeepLeavesWhatItHasKeptAndWhatItDoesNotKnow(t *testing.T) {
	keep := Keep(node)
	once, err := keep(full())
	if err != nil {
		t.Fatal(err)
	}
	lease := &metav1.ObjectMeta{Name: "lease"}
	for _, object := range []any{once, lease} {
		if got, err := keep(object); err != nil || got != object {
			t.Errorf("of %T it makes %v, %v", object, got, err)
		}
	}
}

func TestWhereATargetIsLookedFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		target *v1alpha1.ResolvedTarget
		want   []string
	}{
		{"nowhere while it is not known", nil, nil},
		{"by its MAC, however that is written", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{MAC: "FA-16-3E-00-00-01", Addresses: []string{"10.0.0.1"}}}, []string{"fa:16:3e:00:00:01"}},
		{"at all members of a load balancer, and not at its own address", &v1alpha1.ResolvedTarget{
			ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "vip", Addresses: []string{"10.0.0.100"}, MAC: "fa:16:3e:00:00:99"}, LoadBalancerID: "lb",
			Members: []v1alpha1.TargetMember{{Address: "10.0.0.1", MAC: "fa:16:3e:00:00:01"}, {Address: "10.0.0.2"}},
		}, []string{"fa:16:3e:00:00:01", "10.0.0.2"}},
		{"by all addresses where the MAC is none", &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{MAC: "?", Addresses: []string{"10.0.0.1", "::ffff:10.0.0.2", "2001:DB8:0::1", "?"}}},
			[]string{"10.0.0.1", "10.0.0.2", "2001:db8::1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Places(c.target), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
