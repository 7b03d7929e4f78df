package diagnosis_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/diagnosis"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func same[T any](t *testing.T, what string, want, got T, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// world is one session over time, as a manager sees it: each look moves its clock on.
type world struct {
	session  *v1alpha1.MirrorSession
	lost     map[string]bool
	overdue  map[string]bool
	shared   string
	changing bool
	delay    time.Duration
	now      time.Time
	movement diagnosis.Movement
	known    *diagnosis.Known
}

// newWorld has a session in the cloud, in line with its spec, in its third epoch, with two
// sources and a verifier on node n that has counted nothing.
func newWorld() *world {
	return &world{
		now: noon, lost: map[string]bool{}, overdue: map[string]bool{},
		session: &v1alpha1.MirrorSession{
			Spec: v1alpha1.MirrorSessionSpec{Sources: make([]v1alpha1.SourceSelector, 2)},
			Status: v1alpha1.MirrorSessionStatus{
				CommonStatus: v1alpha1.CommonStatus{Conditions: []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Synced"}}},
				VNI:          new(int32(7)),
				Sessions:     []v1alpha1.CloudSession{{ID: "s"}},
				Sources:      []v1alpha1.ResolvedInterface{source("a"), source("b")},
				Target:       &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "id-t", Addresses: []string{"10.0.0.1"}}},
				Epoch:        3,
				Verification: []v1alpha1.Verification{{Node: "n", Interface: "eth0", Epoch: 3, InEpoch: &v1alpha1.Counts{}, ObservedAt: metav1.NewMicroTime(noon)}},
			},
		},
	}
}

func source(name string) v1alpha1.ResolvedInterface {
	return v1alpha1.ResolvedInterface{InterfaceID: "id-" + name, Addresses: []string{"10.0.0." + name}}
}

func (w *world) entry() *v1alpha1.Verification { return &w.session.Status.Verification[0] }

// counts lets the verifier report counts of the epoch, and as many of before.
func (w *world) counts(of v1alpha1.Counts) {
	const before = 1000
	e := w.entry()
	e.InEpoch, e.Counts = &of, of.Plus(v1alpha1.Counts{Packets: before, Unexpected: before, ForeignSource: before, Undecided: before})
	e.ObservedAt = metav1.NewMicroTime(w.now)
}

// from lets the verifier report so many packets of each source.
func (w *world) from(a, b int64) {
	w.counts(v1alpha1.Counts{Packets: a + b})
	w.entry().Sources = []v1alpha1.SourceCounts{{InterfaceID: "id-a", Packets: a}, {InterfaceID: "id-b", Packets: b}}
}

// look is a reconcile, so much later than the last one. What it finds is stored.
func (w *world) look(later time.Duration) (diagnosis.Verdict, []v1alpha1.Finding) {
	w.now = w.now.Add(later)
	stored := w.session.Status.DeepCopy()
	w.session.Status.Traffic = w.sum()
	w.known = &diagnosis.Known{
		Session: w.session, Reported: stored, Lost: w.lost, Overdue: w.overdue, Now: w.now, CountsDelay: w.delay, SharedVNI: w.shared, FilterChanging: w.changing,
	}
	w.movement = w.movement.Next(w.known)
	w.known.Movement = w.movement
	verdict := diagnosis.Judge(w.known)
	w.session.Status.Findings = diagnosis.Findings(w.known)
	return verdict, w.session.Status.Findings
}

// sum is that of the entries, as far as anything here goes by it.
func (w *world) sum() *v1alpha1.Traffic {
	sum := &v1alpha1.Traffic{InEpoch: &v1alpha1.Counts{}}
	for _, e := range w.session.Status.Verification {
		if e.InEpoch != nil && e.Epoch == w.session.Status.Epoch {
			*sum.InEpoch = sum.InEpoch.Plus(*e.InEpoch)
		}
		sum.Sources = append(sum.Sources, e.Sources...)
	}
	return sum
}

// restarted is a manager that knows the status alone.
func (w *world) restarted() { w.movement = diagnosis.Movement{} }

var cmpSaid = cmp.AllowUnexported(said{})

// reasons are what is found, in short.
func reasons(findings []v1alpha1.Finding) []string {
	var out []string
	for _, f := range findings {
		text := string(f.Severity) + " " + f.Reason
		if f.Subject != "" {
			text += " " + f.Subject
		}
		out = append(out, text)
	}
	return out
}
