package install

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
)

// largest is an entry that is as large as one may be.
func largest(node string) v1alpha1.Verification {
	const most = v1alpha1.MaxCount
	at := metav1.NewMicroTime(time.Date(2026, 1, 2, 12, 0, 0, 123456000, time.UTC))
	counts := v1alpha1.Counts{
		Packets: most, Bytes: most, Unexpected: most, Undecided: most, ForeignSource: most, Dropped: most, Truncated: most, Unreadable: most,
	}
	text := strings.Repeat(`"`, 512) // each is two characters in JSON
	e := v1alpha1.Verification{
		Counts: counts, Node: node, Interface: text[:64], ObservedAt: at, StartedAt: &at, FirstPacketAt: &at, LastPacketAt: &at, LastPacket: text,
		Epoch: 1<<63 - 1, InEpoch: &counts, ForeignSender: text[:45], Imbalance: -most, Message: text, Shared: text,
		Consumer: &v1alpha1.Consumer{Status: metav1.ConditionUnknown, Reason: text[:64], Message: text, Remedy: text, Partial: true},
	}
	for n := range 200 {
		e.Sources = append(e.Sources, v1alpha1.SourceCounts{
			InterfaceID: text[:33] + fmt.Sprintf("%03d", n), Address: text[:45], Packets: most, Bytes: most, Unexpected: most, Truncated: most, LastPacketAt: &at,
		})
	}
	for n := range 20 {
		e.Rules = append(e.Rules, v1alpha1.RuleCounts{Direction: v1alpha1.DirectionIngress, Priority: int32(65535 - n), Packets: most})
	}
	return e
}

// reports writes a node's entry as its verifier does.
func reports(t *testing.T, cluster *env.Cluster, s *v1alpha1.MirrorSession, e v1alpha1.Verification) error {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&e)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"verification": []any{content}}}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSession"))
	u.SetNamespace(s.Namespace)
	u.SetName(s.Name)
	return verifierOf(t, cluster, e.Node).Status().Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u),
		client.FieldOwner(v1alpha1.VerifierName(e.Node)), client.ForceOwnership)
}

// The policies read all entries at each write, within what the API server lets an expression
// cost; and etcd takes 1.5 MiB. With real IDs and addresses an entry of 100 sources has 20 KiB.
func TestTheLargestEntriesOfAsManyNodesAsThereMayBeAreTakenAndStaySmall(t *testing.T) {
	const most = 1500 << 10
	cluster := installed(t)
	s := reported(t, cluster)
	inForce(t, cluster, s)
	s.Status.Verification = nil
	if err := cluster.Client.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var want []v1alpha1.Verification
	for n := range 16 {
		e := largest(fmt.Sprintf("%s-%02d", strings.Repeat("n", 250), n))
		if err := reports(t, cluster, s, e); err != nil {
			t.Fatalf("entry %d: %v", n, err)
		}
		want = append(want, e)
	}
	for i := range want { // each once more, with the others there
		want[i].Packets--
		if err := reports(t, cluster, s, want[i]); err != nil {
			t.Fatalf("entry %d again: %v", i, err)
		}
	}
	stored := &v1alpha1.MirrorSession{}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(s), stored); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, stored.Status.Verification); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	content, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the object has %d bytes", len(content))
	if len(content) > most {
		t.Errorf("the object has %d bytes, want at most %d", len(content), most)
	}
}
