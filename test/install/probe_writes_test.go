package install

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

func TestAVerifierReportsOnAProbeOnlyWhereItHasAPartInIt(t *testing.T) {
	cluster := installed(t)
	s := reported(t, cluster)
	inForce(t, cluster, s)
	const id = "0badcafe"
	goesOn := &v1alpha1.Probe{
		RequestedAt: "2026-01-02T12:00:00Z", ID: id, StartedAt: metav1.Now(), Watchers: []string{"node-a"},
		Sends:   []v1alpha1.ProbeSend{{InterfaceID: "s", Node: "node-c", Kind: v1alpha1.ProbeTCP, From: "192.168.0.161", To: "192.168.0.230", HopLimit: 64}},
		Results: []v1alpha1.ProbeResult{{InterfaceID: "s"}},
	}
	over := goesOn.DeepCopy()
	over.FinishedAt, over.Sends = new(metav1.Now()), nil
	const noPart = "the report of its own node in status.probeReports and no other"
	for name, c := range map[string]struct {
		probe *v1alpha1.Probe
		token string
		by    v1alpha1.ProbeReport
		want  string
	}{
		"who watches":                    {goesOn, "node-a", v1alpha1.ProbeReport{Node: "node-a", Probe: id, Watching: true}, ""},
		"who sends, without an entry":    {goesOn, "node-c", v1alpha1.ProbeReport{Node: "node-c", Probe: id, Claimed: true}, ""},
		"who counts, but is not asked":   {goesOn, "node-b", v1alpha1.ProbeReport{Node: "node-b", Probe: id, Watching: true}, noPart},
		"in another node's name":         {goesOn, "node-a", v1alpha1.ProbeReport{Node: "node-c", Probe: id, Claimed: true}, noPart},
		"on another probe":               {goesOn, "node-a", v1alpha1.ProbeReport{Node: "node-a", Probe: "00000000", Watching: true}, noPart},
		"on one that is over":            {over, "node-a", v1alpha1.ProbeReport{Node: "node-a", Probe: id, Watching: true}, noPart},
		"where nobody asked for a probe": {nil, "node-a", v1alpha1.ProbeReport{Node: "node-a", Probe: id, Watching: true}, noPart},
	} {
		t.Run(name, func(t *testing.T) {
			now := &v1alpha1.MirrorSession{}
			if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(s), now); err != nil {
				t.Fatal(err)
			}
			now.Status.Probe, now.Status.ProbeReports = c.probe, []v1alpha1.ProbeReport{{Node: "node-x", Probe: "an old one"}}
			if err := cluster.Client.Status().Update(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			answered(t, report.WriteProbe(t.Context(), verifierOf(t, cluster, c.token), now, c.by), c.want)
		})
	}
}

func TestAVerifierWritesNoPartOfTheProbeThatIsTheManagers(t *testing.T) {
	cluster := installed(t)
	s := reported(t, cluster)
	inForce(t, cluster, s)
	for field, value := range map[string]any{
		"probe":        map[string]any{"requestedAt": "now", "startedAt": time.Now().UTC().Format(time.RFC3339)},
		"probeReports": []map[string]any{{"node": "node-b", "probe": "0badcafe"}},
	} {
		t.Run(field, func(t *testing.T) {
			err := patched(t.Context(), t, verifierOf(t, cluster, "node-a"), s, operation{"add", "/status/" + field, value})
			if err == nil {
				t.Errorf("it wrote status.%s", field)
			}
		})
	}
}

// The two lists have owners of their own, so that a verifier that writes one of its entries keeps the other.
func TestAVerifiersReportAndItsEntryLiveBesideEachOther(t *testing.T) {
	cluster := installed(t)
	s := reported(t, cluster)
	inForce(t, cluster, s)
	s.Status.Probe = &v1alpha1.Probe{RequestedAt: "x", ID: "0badcafe", StartedAt: metav1.Now(), Watchers: []string{"node-a"}}
	if err := cluster.Client.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	verifier := verifierOf(t, cluster, "node-a")
	read := func(ctx context.Context) *v1alpha1.MirrorSession {
		var now v1alpha1.MirrorSession
		if err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(s), &now); err != nil {
			t.Fatal(err)
		}
		return &now
	}
	for i := range 3 {
		entry := v1alpha1.Verification{Node: "node-a", Interface: "eth0", ObservedAt: s.Status.Verification[0].ObservedAt}
		entry.Packets = int64(i)
		answered(t, report.Write(t.Context(), verifier, read(t.Context()), entry), "")
		mine := v1alpha1.ProbeReport{Node: "node-a", Probe: "0badcafe", Watching: true, Claimed: i > 0}
		answered(t, report.WriteProbe(t.Context(), verifier, read(t.Context()), mine), "")
		now := read(t.Context())
		got := fmt.Sprint(report.Own(now, "node-a").Packets, report.OwnProbe(now, "node-a", "0badcafe") != nil, len(now.Status.Verification))
		if want := fmt.Sprint(i, true, 2); got != want {
			t.Errorf("after round %d there are %s, want %s", i, got, want)
		}
	}
}
