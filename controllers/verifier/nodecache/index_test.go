package nodecache

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
)

var (
	here      = map[string]struct{}{"fa:16:3e:00:00:01": {}}
	elsewhere = map[string]struct{}{"fa:16:3e:00:00:99": {}}
)

// indexWith is one in which the session is, and which was asked what concerns these places.
func indexWith(t *testing.T, s *v1alpha1.MirrorSession, places map[string]struct{}, followed ...types.NamespacedName) *Index {
	t.Helper()
	x := NewIndex(node)
	if _, err := x.Put(s); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Concerning(places, followed); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestWhichUpdatesOfASessionMatter(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*v1alpha1.MirrorSession)
		want bool
	}{
		{"a new generation does", func(s *v1alpha1.MirrorSession) { s.Generation++ }, true},
		{"another VNI does", func(s *v1alpha1.MirrorSession) { s.Status.VNI = new(int32(2)) }, true},
		{"no VNI does", func(s *v1alpha1.MirrorSession) { s.Status.VNI = nil }, true},
		{"another source does", func(s *v1alpha1.MirrorSession) { s.Status.Sources[0].Addresses = []string{"10.0.0.1"} }, true},
		{"another target does", func(s *v1alpha1.MirrorSession) { s.Status.Target = nil }, true},
		{"a session made anew does", func(s *v1alpha1.MirrorSession) { s.UID = "other" }, true},
		{"another filter does", func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "other" }, true},
		{"that the cloud has it no more does", func(s *v1alpha1.MirrorSession) { s.Status.Sessions = nil }, true},
		{"that it is not Ready does", func(s *v1alpha1.MirrorSession) { s.Status.Conditions[0].Status = metav1.ConditionFalse }, true},
		{"another epoch does", func(s *v1alpha1.MirrorSession) { s.Status.Epoch++ }, true},
		{"that the manager has acted on another generation does", func(s *v1alpha1.MirrorSession) { s.Status.ObservedGeneration++ }, true},
		{"that the node's entry is gone does", func(s *v1alpha1.MirrorSession) { s.Status.Verification = s.Status.Verification[:1] }, true},
		{"the node's own entry does not", func(s *v1alpha1.MirrorSession) { s.Status.Verification[1].Packets++ }, false},
		{"another node's entry does not", func(s *v1alpha1.MirrorSession) { s.Status.Verification = s.Status.Verification[1:] }, false},
		{"the manager's sum does not", func(s *v1alpha1.MirrorSession) { s.Status.Traffic.Packets++ }, false},
		{"another condition does not", func(s *v1alpha1.MirrorSession) { s.Status.Conditions[1].Status = metav1.ConditionTrue }, false},
		{"what a condition says does not", func(s *v1alpha1.MirrorSession) { s.Status.Conditions[0].Message = "still" }, false},
		{"a finding does not", func(s *v1alpha1.MirrorSession) { s.Status.Findings = nil }, false},
		{"a change that the manager lists does not", func(s *v1alpha1.MirrorSession) { s.Status.Changes = nil }, false},
		{"that a request was handled does not", func(s *v1alpha1.MirrorSession) { s.Status.LastHandledReconcileAt = "now" }, false},
		{"an account does not", func(s *v1alpha1.MirrorSession) { s.Status.Account = &v1alpha1.Account{} }, false},
		{"a new version alone does not", func(s *v1alpha1.MirrorSession) { s.ResourceVersion = "8" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, after := indexWith(t, full(), here), full()
			c.edit(after)
			if got, err := x.Put(after); err != nil || got != c.want {
				t.Errorf("got %t, %v", got, err)
			}
			if got, err := x.Put(after); err != nil || got {
				t.Errorf("the same once more: %t, %v", got, err)
			}
		})
	}
}

func TestWhoseEventsMatter(t *testing.T) {
	key := types.NamespacedName{Namespace: "team", Name: "web"}
	foreign := func() *v1alpha1.MirrorSession {
		s := full()
		s.Status.Verification = s.Status.Verification[:1]
		return s
	}
	for _, c := range []struct {
		name string
		x    *Index
		is   *v1alpha1.MirrorSession
		want bool
	}{
		{"those of a session whose target is here do", indexWith(t, foreign(), here), foreign(), true},
		{"those of a session whose target is elsewhere don't", indexWith(t, foreign(), elsewhere), foreign(), false},
		{"those of one that has this node's entry do", indexWith(t, full(), elsewhere), full(), true},
		{"those of one that is followed do", indexWith(t, foreign(), elsewhere, key), foreign(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.is.Generation++
			if got, err := c.x.Put(c.is); err != nil || got != c.want {
				t.Errorf("an update: %t, %v", got, err)
			}
			gone := toolscache.DeletedFinalStateUnknown{Key: key.String(), Obj: c.is}
			if got, err := c.x.Delete(gone); err != nil || got != c.want || c.x.Has(key, c.is.UID) {
				t.Errorf("its end: %t, %v", got, err)
			}
		})
	}
	t.Run("a target that comes here does, and one that leaves", func(t *testing.T) {
		x, there := indexWith(t, foreign(), here), foreign()
		there.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{MAC: "fa:16:3e:00:00:99"}}
		for _, s := range []*v1alpha1.MirrorSession{there, foreign()} {
			if got, err := x.Put(s); err != nil || !got {
				t.Errorf("to %s: %t, %v", s.Status.Target.MAC, got, err)
			}
		}
	})
}

func TestAFilterMattersOnceItWasAskedFor(t *testing.T) {
	x, f := NewIndex(node), filter("http")
	put := func(want bool) {
		t.Helper()
		if got, err := x.Put(f); err != nil || got != want {
			t.Errorf("got %t, %v", got, err)
		}
	}
	put(false)
	key := types.NamespacedName{Namespace: f.Namespace, Name: f.Name}
	if _, err := x.Filter(key); err != nil {
		t.Fatal(err)
	}
	f.ResourceVersion = "2"
	put(false)
	f.Status.Conditions[0].Status = metav1.ConditionFalse
	put(true)
	f.Spec.Rules[0].Priority++
	put(true)
	if got, err := x.Delete(f); err != nil || !got {
		t.Errorf("its end: %t, %v", got, err)
	}
	put(true)
	if _, err := x.Concerning(here, nil); err != nil { // nobody has asked for it since
		t.Fatal(err)
	}
	f.Generation++
	put(false)
}

func TestAnObjectOfAnotherKindIsAnError(t *testing.T) {
	x := NewIndex(node)
	if _, err := x.Put(&metav1.ObjectMeta{}); err == nil {
		t.Error("it was put")
	}
	if _, err := x.Delete(&metav1.ObjectMeta{}); err == nil {
		t.Error("it was deleted")
	}
}

// What an index finds after any row of events is what a look at all sessions would find.
func TestAnIndexFindsWhatALookAtAllWouldFind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, all := NewIndex(node), map[types.NamespacedName]*v1alpha1.MirrorSession{}
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			key := types.NamespacedName{Namespace: "team", Name: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")}
			if was := all[key]; was != nil && rapid.Bool().Draw(t, "deleted") {
				if _, err := x.Delete(was); err != nil {
					t.Fatal(err)
				}
				delete(all, key)
				continue
			}
			s := drawSession(t, key)
			if _, err := x.Put(s); err != nil {
				t.Fatal(err)
			}
			all[key] = s
		}
		places := map[string]struct{}{}
		for _, place := range rapid.SliceOf(rapid.SampledFrom([]string{"02:00:00:00:00:01", "02:00:00:00:00:02", "10.0.0.1", "10.0.0.2"})).Draw(t, "here") {
			places[place] = struct{}{}
		}
		got, err := x.Concerning(places, nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range got {
			names = append(names, fmt.Sprint(s.Name, s.Generation))
		}
		slices.Sort(names)
		if diff := cmp.Diff(wanted(all, places), names); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if x.Sessions() != len(all) {
			t.Fatalf("%d sessions, want %d", x.Sessions(), len(all))
		}
	})
}

func drawSession(t *rapid.T, key types.NamespacedName) *v1alpha1.MirrorSession {
	s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Generation: rapid.Int64Range(1, 9).Draw(t, "generation")}}
	if rapid.Bool().Draw(t, "resolved") {
		s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{
			MAC:       rapid.SampledFrom([]string{"", "02:00:00:00:00:01", "02:00:00:00:00:02"}).Draw(t, "mac"),
			Addresses: rapid.SliceOfN(rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "?"}), 0, 3).Draw(t, "addresses"),
		}}
	}
	if rapid.Bool().Draw(t, "entered") {
		s.Status.Verification = []v1alpha1.Verification{{Node: node}}
	}
	return s
}

func wanted(all map[types.NamespacedName]*v1alpha1.MirrorSession, places map[string]struct{}) (names []string) {
	for _, s := range maps.All(all) {
		at := func(place string) bool { _, ok := places[place]; return ok }
		if len(s.Status.Verification) > 0 || slices.ContainsFunc(Places(s.Status.Target), at) {
			names = append(names, fmt.Sprint(s.Name, s.Generation))
		}
	}
	slices.Sort(names)
	return names
}
