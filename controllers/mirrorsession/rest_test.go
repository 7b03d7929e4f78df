package mirrorsession

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

func TestAHealthySessionIsJudgedAgainOnceSomethingItIsJudgedByIsAnother(t *testing.T) {
	first := types.NamespacedName{Namespace: "n", Name: name("session", 0)}
	for what, tc := range map[string]struct {
		change func(*testing.T, *steadyWorld)
		judged bool
		// path and packets are what is said then.
		path    metav1.ConditionStatus
		packets int64
	}{
		"nothing": {func(*testing.T, *steadyWorld) {}, false, metav1.ConditionTrue, 1000},
		"another copy was counted": {func(_ *testing.T, w *steadyWorld) {
			s := w.sessions[first].DeepCopy()
			s.ResourceVersion = "2"
			s.Status.Verification[0].Packets++
			s.Status.Verification[0].InEpoch.Packets++
			w.sessions[first] = s
		}, true, metav1.ConditionTrue, 1001},
		"the target's group is closed, though copies came a moment ago": {func(_ *testing.T, w *steadyWorld) {
			w.cloud.groups = []cloud.SecurityGroup{w.cloud.groups[0]}
			w.cloud.groups[0].Rules = slices.Clone(w.cloud.groups[0].Rules)[2:]
		}, true, metav1.ConditionTrue, 1000},
		"an interface has come that has nothing to do with it, but is a member of the group": {func(_ *testing.T, w *steadyWorld) {
			more := w.cloud.interfaces[0]
			more.ID, more.Addresses = uuid(1, 999), []netip.Addr{netip.MustParseAddr("10.9.9.9")}
			w.cloud.interfaces = append(slices.Clone(w.cloud.interfaces), more)
		}, true, metav1.ConditionTrue, 1000},
		"somebody asks for a look": {func(_ *testing.T, w *steadyWorld) {
			s := w.sessions[first].DeepCopy()
			s.ResourceVersion, s.Annotations = "2", map[string]string{v1alpha1.ReconcileRequestedAnnotation: "now"}
			w.sessions[first] = s
		}, true, metav1.ConditionTrue, 1000},
		"its filter is edited": {func(_ *testing.T, w *steadyWorld) {
			key := types.NamespacedName{Namespace: "n", Name: name("filter", 0)}
			f := w.filters[key].DeepCopy()
			f.Generation++
			w.filters[key] = f
		}, true, metav1.ConditionTrue, 1000},
	} {
		t.Run(what, func(t *testing.T) {
			w := newSteadyWorld(t, 20)
			w.reconciler.Resync = time.Nanosecond // every look is served by lists of its own
			w.settle(t, 0)
			judged := func() *stream {
				return unsafe.SliceData(w.reconciler.observed.of(w.sessions[first]).edges.streams)
			}
			before := judged()
			tc.change(t, w)
			w.look(t, 0)
			s := w.sessions[first]
			got := map[string]any{
				"judged":  judged() != before,
				"path":    meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionPathClear).Status,
				"packets": s.Status.Traffic.Packets,
			}
			want := map[string]any{"judged": tc.judged, "path": tc.path, "packets": tc.packets}
			if !reflect.DeepEqual(want, got) {
				t.Errorf("it is %v, want %v", got, want)
			}
		})
	}
}

func TestWhoSaysWhatASessionIsJudgedByIsPartOfIt(t *testing.T) {
	w := newSteadyWorld(t, 20)
	w.settle(t, 0)
	stored := w.sessions[types.NamespacedName{Namespace: "n", Name: name("session", 0)}]
	session := stored.DeepCopy()
	s := &scope{Scope: w.reconciler.NewScope(t.Context(), session), reconciler: w.reconciler, session: session}
	known := func(edit func(*diagnosis.Known)) rest {
		node := session.Status.Verification[0].Node
		k := &diagnosis.Known{Session: session, Lost: map[string]bool{node: false}, Overdue: map[string]bool{}, CountsDelay: time.Second}
		edit(k)
		return s.restOf(k)
	}
	at := known(func(*diagnosis.Known) {})
	for what, edit := range map[string]func(*diagnosis.Known){
		"a verifier is lost":              func(k *diagnosis.Known) { k.Lost = map[string]bool{session.Status.Verification[0].Node: true} },
		"a verifier is overdue":           func(k *diagnosis.Known) { k.Overdue = map[string]bool{session.Status.Verification[0].Node: true} },
		"counts take another time":        func(k *diagnosis.Known) { k.CountsDelay++ },
		"another session has its VNI":     func(k *diagnosis.Known) { k.SharedVNI = "so it is" },
		"the filter is not in line":       func(k *diagnosis.Known) { k.FilterChanging = true },
		"a field was left out":            func(k *diagnosis.Known) { k.Unknown.Filter = "spec.x" },
		"the way was read anew":           func(k *diagnosis.Known) { k.Path = &diagnosis.Path{} },
		"something is about to be stored": func(*diagnosis.Known) { session.Status.Epoch++ },
		"something was stored amid this reconcile, with what a verifier wrote meanwhile": func(*diagnosis.Known) { s.Stored.SetResourceVersion("2") },
	} {
		now := known(edit)
		if at.goesOn(now) || s.Stored.GetResourceVersion() != stored.ResourceVersion && now.version != "" {
			t.Errorf("%s, and it is taken for the same", what)
		}
		session.Status.Epoch = stored.Status.Epoch
		s.Stored.SetResourceVersion(stored.ResourceVersion)
	}
	if !at.goesOn(known(func(*diagnosis.Known) {})) || (rest{}).goesOn(rest{}) {
		t.Error("the same is not taken for the same, or nothing for something")
	}
}
