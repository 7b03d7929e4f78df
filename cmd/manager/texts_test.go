package main

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
)

// sessionOf is as it is decoded: every text is its own.
func sessionOf(uid, own, common string) *v1alpha1.MirrorSession {
	s := &v1alpha1.MirrorSession{}
	s.UID, s.Namespace = types.UID(uid), strings.Clone(common)
	s.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local))
	s.Finalizers = []string{strings.Clone(common)}
	s.Annotations = map[string]string{strings.Clone(own): strings.Clone(common)}
	s.Spec.Sources = []v1alpha1.SourceSelector{{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: strings.Clone(own)}}}
	s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: strings.Clone(own), NodeName: strings.Clone(common)}}
	s.Status.Conditions = []metav1.Condition{{Type: strings.Clone(common), Message: strings.Clone(own)}}
	return s
}

func TestATextIsKeptOnceThatManyObjectsSayAndOneThatAnObjectSaysOftenOnceForIt(t *testing.T) {
	t.Parallel()
	shared := newTexts()
	const own, common = "of this one alone", "of all of them"
	var all []*v1alpha1.MirrorSession
	for _, uid := range []string{"1", "2", "3", "4", "4"} { // the last one is another version of the fourth
		s := sessionOf(uid, own+uid, common)
		shared.share(s, uid)
		all = append(all, s)
	}
	at := func(text string) *byte { return unsafe.StringData(text) }
	type kept struct{ together, alone, again bool }
	s, next := all[2], all[3]
	got := kept{
		together: at(s.Namespace) == at(next.Status.Target.NodeName) && at(s.Finalizers[0]) == at(next.Status.Conditions[0].Type),
		alone:    at(s.Spec.Sources[0].InterfaceID) == at(s.Status.Target.InterfaceID),
		again:    at(next.Spec.Sources[0].InterfaceID) == at(all[4].Spec.Sources[0].InterfaceID),
	}
	if want := (kept{together: true, alone: true}); want != got {
		t.Errorf("the texts are kept %+v, want %+v", got, want)
	}
}

func TestATextAsLongAsAnObjectIsNotKeptForOthers(t *testing.T) {
	t.Parallel()
	shared := newTexts()
	long := strings.Repeat("x", maxShared+1)
	for _, uid := range []string{"1", "2", "3"} {
		shared.share(sessionOf(uid, "own"+uid, long), uid)
	}
	if n := shared.all.Len(); n != 0 {
		t.Errorf("%d texts are kept, want none", n)
	}
}

func TestAnObjectSaysTheSameOnceItsTextsAreShared(t *testing.T) {
	t.Parallel()
	shared := newTexts()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "a", "b", "ab", "abc"})
		uid, own, common := text.Draw(t, "uid"), text.Draw(t, "own"), text.Draw(t, "common")
		want, got := sessionOf(uid, own, common), sessionOf(uid, own, common)
		shared.share(got, uid)
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("it is %+v, want %+v", got, want)
		}
	})
}
