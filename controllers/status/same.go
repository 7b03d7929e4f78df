package status

import (
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Same reports whether two versions of an object surely have the same status, the verifiers' entries
// aside, before anything of it is made ready to be written: it is asked at each look, and in the
// steady state that is all. Where it says no, what is written may still be the same.
func Same(before, after Object) bool {
	switch after := after.(type) {
	case *v1alpha1.MirrorSession:
		if before, ok := before.(*v1alpha1.MirrorSession); ok {
			was, is := before.Status, after.Status
			was.Verification, is.Verification = nil, nil
			was.ProbeReports, is.ProbeReports = nil, nil
			return alike(&was, &is)
		}
	case *v1alpha1.MirrorFilter:
		if before, ok := before.(*v1alpha1.MirrorFilter); ok {
			return alike(&before.Status, &after.Status)
		}
	}
	return false
}

// alike compares as the API server would tell them apart: an empty list is none, and a moment is the same in
// every zone. It says what equality.Semantic says, and needs no table of what it has visited, as a status is a
// tree: that table was most of what a look at a session at rest left as garbage.
func alike[T any](was, is *T) bool {
	return sameValue(reflect.ValueOf(was).Elem(), reflect.ValueOf(is).Elem())
}

func sameValue(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return a.UnsafePointer() == b.UnsafePointer() || sameValue(a.Elem(), b.Elem())
	case reflect.Slice, reflect.Array:
		return sameItems(a, b)
	case reflect.Map:
		return sameEntries(a, b)
	case reflect.Struct:
		return sameFields(a, b)
	case reflect.String:
		return a.String() == b.String()
	default:
		return a.Equal(b)
	}
}

func sameItems(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		if !sameValue(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

func sameEntries(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for entries := a.MapRange(); entries.Next(); {
		if other := b.MapIndex(entries.Key()); !other.IsValid() || !sameValue(entries.Value(), other) {
			return false
		}
	}
	return true
}

func sameFields(a, b reflect.Value) bool {
	if was, ok := timeOf(a); ok {
		is, _ := timeOf(b)
		return was.Equal(*is)
	}
	for i := range a.NumField() {
		if !sameValue(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

// timeOf is the moment that a value of a status is, if it is one.
func timeOf(v reflect.Value) (at *time.Time, ok bool) {
	if !v.CanAddr() {
		return nil, false
	}
	switch is := v.Addr().Interface().(type) {
	case *metav1.Time:
		return &is.Time, true
	case *metav1.MicroTime:
		return &is.Time, true
	case *time.Time:
		return is, true
	}
	return nil, false
}
