package status_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/env"
)

func TestMain(m *testing.M) { env.Main(m) }

// wild is what somebody else may tell: of any length, with whatever in it.
var wild = rapid.Custom(func(t *rapid.T) string {
	text := rapid.OneOf(
		rapid.String(), rapid.SampledFrom([]string{"", "\x00", "\x1b[31m\a", "a\u202eb\u009bc", "\ud7ff\xff\xfe", "字", "one\ntwo"}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }),
	).Draw(t, "text")
	return strings.Repeat(text, rapid.SampledFrom([]int{1, 1, 10, 700}).Draw(t, "times"))
})

func wilds(most int) *rapid.Generator[[]string] { return rapid.SliceOfN(wild, 0, most) }

var wildInterface = rapid.Custom(func(t *rapid.T) v1alpha1.ResolvedInterface {
	return v1alpha1.ResolvedInterface{
		InterfaceID: wild.Draw(t, "id"), Addresses: wilds(70).Draw(t, "addresses"), MAC: wild.Draw(t, "mac"), NodeName: wild.Draw(t, "node"),
	}
})

// common draws what both kinds have.
func common(t *rapid.T, o status.Object) {
	c := o.Common()
	c.Account = &v1alpha1.Account{Region: wild.Draw(t, "region"), ProjectID: wild.Draw(t, "project"), Endpoint: wild.Draw(t, "endpoint")}
	c.SecretName, c.LastHandledReconcileAt = wild.Draw(t, "secret"), wild.Draw(t, "request")
	c.Conditions = nil
	switch message := wild.Draw(t, "message"); rapid.IntRange(0, 2).Draw(t, "outcome") {
	case 0:
		status.Stalled(o, v1alpha1.ReasonConflict, message)
	case 1:
		status.Waiting(o, v1alpha1.ReasonConflict, message)
	default:
		status.Synced(o, message)
	}
}

// One field that is refused would leave the whole status as it was before.
func TestWhateverIsToldTheAPIServerTakesTheStatus(t *testing.T) {
	ctx, cluster := t.Context(), env.Start(t)
	here := metav1.ObjectMeta{Namespace: cluster.Namespace(t), Name: "wild"}
	filter := &v1alpha1.MirrorFilter{ObjectMeta: here}
	session := &v1alpha1.MirrorSession{ObjectMeta: here, Spec: v1alpha1.MirrorSessionSpec{
		FilterRef: v1alpha1.FilterReference{Name: "wild"},
		Target:    v1alpha1.TargetSelector{InterfaceSelector: v1alpha1.InterfaceSelector{NodeName: "node"}},
	}}
	for _, o := range []client.Object{filter, session} {
		if err := cluster.Client.Create(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	stored := func(t *rapid.T, before, after status.Object) {
		for _, wants := range []bool{true, false} {
			wrote, err := status.Write(ctx, cluster.Client, cluster.Client, before, after)
			if err != nil || wrote && !wants {
				t.Fatalf("the write gives %t and %v", wrote, err)
			}
			if err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(before), before); err != nil {
				t.Fatal(err)
			}
			after.SetResourceVersion(before.GetResourceVersion())
		}
	}
	counts := rapid.Custom(func(t *rapid.T) v1alpha1.Counts {
		n := rapid.Int64()
		return v1alpha1.Counts{Packets: n.Draw(t, "packets"), Bytes: n.Draw(t, "bytes"), Dropped: n.Draw(t, "dropped")}
	})
	rapid.Check(t, func(t *rapid.T) {
		f := filter.DeepCopy()
		common(t, f)
		f.Status.ID, f.Status.Rules = wild.Draw(t, "id"), nil
		for _, id := range wilds(50).Draw(t, "rules") {
			f.Status.Rules = append(f.Status.Rules, v1alpha1.FilterRuleStatus{ID: id, Direction: v1alpha1.DirectionEgress, Priority: rapid.Int32().Draw(t, "priority")})
		}
		stored(t, filter, f)

		s := session.DeepCopy()
		common(t, s)
		s.Status.VNI, s.Status.Target = new(rapid.Int32().Draw(t, "vni")), wildTarget(t)
		s.Status.Sources, s.Status.Sessions = rapid.SliceOfN(wildInterface, 0, 3).Draw(t, "sources"), nil
		for _, id := range wilds(20).Draw(t, "sessions") {
			s.Status.Sessions = append(s.Status.Sessions, v1alpha1.CloudSession{ID: id, Priority: rapid.Int32().Draw(t, "priority"), Sources: wilds(3).Draw(t, "from")})
		}
		entries := []v1alpha1.Verification{{Node: wild.Draw(t, "node"), Counts: counts.Draw(t, "one")}, {Counts: counts.Draw(t, "two"), LastPacketAt: new(metav1.NowMicro())}}
		s.Status.Verification = entries // which the manager sums up and never writes
		status.Traffic(s, time.Now())
		status.TrafficObserved(s, metav1.ConditionUnknown, v1alpha1.ReasonCaptureFailed, wild.Draw(t, "failed"))
		s.Status.Findings = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) v1alpha1.Finding {
			return v1alpha1.Finding{
				Reason: v1alpha1.ReasonCaptureFailed, Severity: v1alpha1.SeverityWarning, Subject: wild.Draw(t, "subject"), Message: wild.Draw(t, "found"),
				Remedy: wild.Draw(t, "remedy"), DecidedBy: v1alpha1.DecidedByNode, Since: metav1.NewTime(time.Now().Truncate(time.Second)),
			}
		}), 0, 20).Draw(t, "findings")
		stored(t, session, s)
	})
}

// wildTarget is a load balancer or an interface that says anything.
func wildTarget(t *rapid.T) *v1alpha1.ResolvedTarget {
	target := &v1alpha1.ResolvedTarget{ResolvedInterface: wildInterface.Draw(t, "target"), LoadBalancerID: wild.Draw(t, "load balancer")}
	for range rapid.IntRange(0, 40).Draw(t, "members") {
		target.Members = append(target.Members, v1alpha1.TargetMember{
			Address: wild.Draw(t, "address"), InterfaceID: wild.Draw(t, "interface"), MAC: wild.Draw(t, "MAC"), NodeName: wild.Draw(t, "node"), Health: wild.Draw(t, "health"),
		})
	}
	return target
}
