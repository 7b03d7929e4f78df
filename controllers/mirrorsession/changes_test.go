package mirrorsession

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// silent are the fields of the spec that decide neither about copies nor about whether the cloud is
// kept in line.
var silent = []string{"import", "cloudName", "description", "deletionPolicy", "silenceAfter"}

func TestAnEditOfEachFieldThatDecidesAboutCopiesIsSaid(t *testing.T) {
	t.Parallel()
	id := func(s string) v1alpha1.InterfaceSelector { return v1alpha1.InterfaceSelector{InterfaceID: s} }
	source := func(s v1alpha1.InterfaceSelector) v1alpha1.SourceSelector {
		return v1alpha1.SourceSelector{InterfaceSelector: s}
	}
	fields := map[string]struct {
		edit func(*v1alpha1.MirrorSessionSpec)
		want []string
	}{
		"filterRef": {func(s *v1alpha1.MirrorSessionSpec) { s.FilterRef.Name = "g" }, []string{"spec.filterRef.name was changed from f to g"}},
		"sources": {func(s *v1alpha1.MirrorSessionSpec) {
			s.Sources = []v1alpha1.SourceSelector{source(v1alpha1.InterfaceSelector{NodeName: "n"}), source(v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: "10.0.0.1", VPCID: "v"}})}
		}, []string{"s1 was taken from spec.sources", "10.0.0.1 in VPC v was added to spec.sources", "the node n was added to spec.sources"}},
		"target": {func(s *v1alpha1.MirrorSessionSpec) {
			s.Target.InterfaceSelector = v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: "10.0.0.1"}}
		}, []string{"spec.target was changed from t1 to 10.0.0.1"}},
		"vni":              {func(s *v1alpha1.MirrorSessionSpec) { s.VNI = nil }, []string{"spec.vni was left out, it was 1"}},
		"priority":         {func(s *v1alpha1.MirrorSessionSpec) { s.Priority = new(int32(3)) }, []string{"spec.priority was set to 3"}},
		"packetLength":     {func(s *v1alpha1.MirrorSessionSpec) { s.PacketLength = new(int32(96)) }, []string{"spec.packetLength was set to 96"}},
		"enabled":          {func(s *v1alpha1.MirrorSessionSpec) { s.Enabled = new(false) }, []string{"spec.enabled was set to false"}},
		"suspend":          {func(s *v1alpha1.MirrorSessionSpec) { s.Suspend = true }, []string{"spec.suspend was changed from false to true"}},
		"managementPolicy": {func(s *v1alpha1.MirrorSessionSpec) { s.ManagementPolicy = v1alpha1.ManagementObserve }, []string{"spec.managementPolicy was set to Observe"}},
		"credentialsRef":   {func(s *v1alpha1.MirrorSessionSpec) { s.CredentialsRef = nil }, []string{"spec.credentialsRef.name was left out, it was c"}},
		"region":           {func(s *v1alpha1.MirrorSessionSpec) { s.Region = "r" }, []string{"spec.region was set to r"}},
		"projectID":        {func(s *v1alpha1.MirrorSessionSpec) { s.ProjectID = "p" }, []string{"spec.projectID was set to p"}},
	}
	for _, name := range silent {
		fields[name] = struct {
			edit func(*v1alpha1.MirrorSessionSpec)
			want []string
		}{func(s *v1alpha1.MirrorSessionSpec) {
			s.CloudName, s.Description, s.DeletionPolicy = "x", "x", v1alpha1.DeletionRetain
			s.SilenceAfter = &metav1.Duration{Duration: time.Minute}
		}, nil}
	}
	for _, name := range jsonNames(reflect.TypeFor[v1alpha1.MirrorSessionSpec]()) {
		c, known := fields[name]
		if !known {
			t.Errorf("whether an edit of spec.%s is said is not settled", name)
			continue
		}
		base := v1alpha1.MirrorSessionSpec{
			CloudSpec: v1alpha1.CloudSpec{CredentialsRef: &v1alpha1.SecretReference{Name: "c"}}, FilterRef: v1alpha1.FilterReference{Name: "f"},
			Sources: []v1alpha1.SourceSelector{source(id("s1"))}, Target: v1alpha1.TargetSelector{InterfaceSelector: id("t1")}, VNI: new(int32(1)),
		}
		edited := base.DeepCopy()
		c.edit(edited)
		if diff := cmp.Diff(c.want, specChanges(&base, edited)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// jsonNames are those of the fields of a struct, of what is embedded too.
func jsonNames(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		} else {
			names = append(names, jsonNames(field.Type)...)
		}
	}
	return names
}

func TestWithSharedCredentialsWhatSomebodyPutIntoTheSessionIsNotNamed(t *testing.T) {
	for name, c := range map[string]struct {
		secret *v1alpha1.SecretReference
		want   []string
	}{
		"shared": {nil, []string{
			"the session c was given another filter", "the session c was given another target in place of 10.0.0.1",
			"another source was added to the session c",
		}},
		"its own": {&v1alpha1.SecretReference{Name: "own"}, []string{
			"the session c was given the filter foreign in place of f", "the session c was given the target foreign in place of 10.0.0.1",
			"the source foreign was added to the session c",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := session(func(s *v1alpha1.MirrorSession) {
				s.Spec.CredentialsRef = c.secret
				s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "t", Addresses: []string{"10.0.0.1"}}}
				s.Status.Sources = []v1alpha1.ResolvedInterface{{InterfaceID: "a", Addresses: []string{"10.0.0.2"}}}
			})
			services := lifecycle.New(lifecycle.Options{Clock: time.Now, Resync: time.Hour})
			s := &scope{Scope: services.NewScope(t.Context(), asked), reconciler: &Reconciler{}, session: asked}
			was := cloud.Session{ID: "c", Sources: []string{"a"}, SessionSpec: cloud.SessionSpec{FilterID: "f", TargetID: "t"}}
			is := cloud.Session{ID: "c", Sources: []string{"a", "foreign"}, SessionSpec: cloud.SessionSpec{FilterID: "foreign", TargetID: "foreign"}}
			var got []string
			for _, change := range s.difference(was, is) {
				got = append(got, change.What)
			}
			same(t, "what is said", c.want, got)
		})
	}
}
