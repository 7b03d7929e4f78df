package integration_test

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/integration/harness"
)

// rules is an edit that sets the rules of a filter.
func rules(all ...v1alpha1.FilterRule) func(*v1alpha1.MirrorFilter) {
	return func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = all }
}

// What the API server takes every program must be able to read, or none could read any session.
func TestSilenceAfterIsATimeThatEveryProgramReads(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	const says = " a time from 10s to 720h, such as 90s, 15m or 24h; leave it out to have silence never judged"
	create := func(value any) (*unstructured.Unstructured, error) {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(w.Session("", "f"))
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{Object: content}
		u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSession"))
		u.SetGenerateName("silence-")
		if err := unstructured.SetNestedField(u.Object, value, "spec", "silenceAfter"); err != nil {
			t.Fatal(err)
		}
		return u, w.Cluster.Client.Create(t.Context(), u)
	}
	for text, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "90s": 90 * time.Second, "15m": 15 * time.Minute, "24h": 24 * time.Hour, "720h": 720 * time.Hour,
		"1h30m": 90 * time.Minute, "9s1000ms": 10 * time.Second, "000010s": 10 * time.Second, "0h10s": 10 * time.Second, "43200m0s": 720 * time.Hour,
	} {
		u, err := create(text)
		if err != nil {
			t.Errorf("%q is refused: %v", text, err)
			continue
		}
		session := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: u.GetNamespace(), Name: u.GetName()}}
		if err := w.Get(session); err != nil {
			t.Fatalf("%q can't be read: %v", text, err)
		}
		harness.Same(t, text, want, session.Spec.SilenceAfter.Duration)
	}
	for _, text := range []string{
		"9s", "9999ms", "721h", "720h1ms", "0s", "", "10", "soon", "1d", "-10s", "+10s", "1.5m", "10 s", "10S", "10us", "1e3s", "１０s", "10s\n",
		"1000000s", "999999h999999h",
	} {
		_, err := create(text)
		if !apierrors.IsInvalid(err) || strings.Count(err.Error(), says) != 1 || strings.Contains(err.Error(), ", <nil>") {
			t.Errorf("of %q the API server says %v", text, err)
		}
	}
	for _, other := range []any{int64(10), true} {
		if _, err := create(other); !apierrors.IsInvalid(err) {
			t.Errorf("of %v the API server says %v", other, err)
		}
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	filter := w.Filter("plain", rules(v1alpha1.FilterRule{Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionAccept}))
	session := w.Session("plain", "plain")
	w.Create(filter)
	w.Create(session)
	wantFilter, wantSession := w.Filter("plain").Spec, w.Session("plain", "plain").Spec
	wantFilter.ManagementPolicy, wantSession.ManagementPolicy = v1alpha1.ManagementManaged, v1alpha1.ManagementManaged
	wantFilter.Rules = []v1alpha1.FilterRule{{
		Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionAccept,
		EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolAll,
	}}
	wantSession.PacketLength, wantSession.Enabled = new(int32(1460)), new(true)
	harness.Same(t, "the filter's spec", wantFilter, filter.Spec)
	harness.Same(t, "the session's spec", wantSession, session.Spec)
	harness.Same(t, "the filter's observed generation", int64(-1), filter.Status.ObservedGeneration)
	harness.Same(t, "the session's observed generation", int64(-1), session.Status.ObservedGeneration)
}
