package export

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

func id(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n) }

func filterOf(n int, name string) cloud.Filter { return cloud.Filter{ID: id(n), Name: name} }

func sessionOf(n int, name, filter string) cloud.Session {
	return cloud.Session{ID: id(n), SessionSpec: cloud.SessionSpec{
		Name: name, FilterID: filter, TargetID: id(0xf0), TargetType: cloud.TargetInterface, VNI: 7, PacketLength: 96, Priority: n,
	}, Sources: []string{id(0xf1)}}
}

// outline is what decides what becomes of an account.
type outline struct{ Manifests, LeftOut []string }

func outlined(t *testing.T, r Request, a Account, p Present) outline {
	t.Helper()
	r.Namespace, r.Secret = "ns", "keys"
	result, err := Of(r, a, p)
	if err != nil {
		t.Fatal(err)
	}
	o := outline{LeftOut: result.LeftOut}
	for _, m := range result.Manifests {
		text := m.Kind + " " + m.Name
		if s, is := m.Spec.(v1alpha1.MirrorSessionSpec); is {
			text += " of " + s.FilterRef.Name
			if s.Observes() {
				text += ", observed"
			}
		}
		o.Manifests = append(o.Manifests, strings.Join(append([]string{text}, m.Remarks...), "; "))
	}
	return o
}

func TestWhatBecomesOfAnAccount(t *testing.T) {
	marked := plan.Mark{Cluster: "0a1b2c3d", UID: "11111111-2222-3333-4444-555555555555", Part: 1}.Describe("ours")
	presentFilter := func(name string, edit func(*v1alpha1.MirrorFilter)) Present {
		f := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Name: name}}
		edit(f)
		return Present{Filters: []*v1alpha1.MirrorFilter{f}}
	}
	const elsewhere = "it is already managed: it bears the mark of the object with the UID 11111111-2222-3333-4444-555555555555 in the cluster 0a1b2c3d"
	for name, tc := range map[string]struct {
		request Request
		account Account
		present Present
		want    outline
	}{
		"nothing": {},
		"filters come first, each by its name": {
			account: Account{Filters: []cloud.Filter{filterOf(2, "b"), filterOf(1, "a")}, Sessions: []cloud.Session{sessionOf(3, "s", id(2))}},
			want:    outline{Manifests: []string{"MirrorFilter a", "MirrorFilter b", "MirrorSession s of b"}},
		},
		"names that several have": {
			account: Account{Filters: []cloud.Filter{filterOf(2, "web"), filterOf(1, "WEB"), filterOf(3, "镜像")}, Sessions: []cloud.Session{sessionOf(4, "web", id(2))}},
			want:    outline{Manifests: []string{"MirrorFilter web-00000001", "MirrorFilter web-00000002", "MirrorFilter filter", "MirrorSession web of web-00000002"}},
		},
		"a name that the namespace has": {
			account: Account{Filters: []cloud.Filter{filterOf(1, "web")}},
			present: presentFilter("web", func(*v1alpha1.MirrorFilter) {}),
			want:    outline{Manifests: []string{"MirrorFilter web-00000001"}},
		},
		"a session that is named brings its filter": {
			request: Request{Named: []string{"s"}},
			account: Account{Filters: []cloud.Filter{filterOf(1, "a"), filterOf(2, "b")}, Sessions: []cloud.Session{sessionOf(3, "s", id(2)), sessionOf(4, "t", id(1))}},
			want:    outline{Manifests: []string{"MirrorFilter b", "MirrorSession s of b"}},
		},
		"a filter that is named brings no session": {
			request: Request{Named: []string{id(2)}},
			account: Account{Filters: []cloud.Filter{filterOf(1, "a"), filterOf(2, "b")}, Sessions: []cloud.Session{sessionOf(3, "s", id(2))}},
			want:    outline{Manifests: []string{"MirrorFilter b"}},
		},
		"what another cluster manages": {
			account: Account{Filters: []cloud.Filter{{ID: id(1), Name: "a", Description: marked}}, Sessions: []cloud.Session{sessionOf(3, "s", id(1)), sessionOf(4, "t", id(9))}},
			want: outline{LeftOut: []string{
				"filter " + id(1) + ` "a" is left out: ` + elsewhere,
				"session " + id(3) + ` "s" is left out: its filter ` + id(1) + " has no manifest, and no MirrorFilter of namespace ns stands for it: " + elsewhere,
				"session " + id(4) + ` "t" is left out: its filter "` + id(9) + `" is none of the account`,
			}},
		},
		"what an object of the namespace manages, by its mark": {
			account: Account{Filters: []cloud.Filter{{ID: id(1), Name: "a", Description: marked}}, Sessions: []cloud.Session{sessionOf(3, "s", id(1))}},
			present: presentFilter("mine", func(f *v1alpha1.MirrorFilter) { f.UID = types.UID("11111111-2222-3333-4444-555555555555") }),
			want: outline{
				Manifests: []string{"MirrorSession s of mine"},
				LeftOut:   []string{"filter " + id(1) + ` "a" is left out: it is already managed by MirrorFilter mine of namespace ns`},
			},
		},
		"what an object of the namespace observes": {
			account: Account{Filters: []cloud.Filter{filterOf(1, "a")}, Sessions: []cloud.Session{sessionOf(3, "s", id(1))}},
			present: presentFilter("mine", func(f *v1alpha1.MirrorFilter) { f.Spec.Import = &v1alpha1.Import{ID: id(1)} }),
			want: outline{
				Manifests: []string{"MirrorSession s of mine"},
				LeftOut:   []string{"filter " + id(1) + ` "a" is left out: it is already managed by MirrorFilter mine of namespace ns`},
			},
		},
		"a filter that no spec can say": {
			account: Account{
				Filters:  []cloud.Filter{{ID: id(1), Name: "a", Rules: []cloud.Rule{{RuleSpec: cloud.RuleSpec{Direction: cloud.Ingress, Priority: 3}, Unreadable: `protocol "GRE"`}}}},
				Sessions: []cloud.Session{sessionOf(3, "s", id(1))},
			},
			want: outline{LeftOut: []string{
				"filter " + id(1) + ` "a" is left out: rules[Ingress 3] has something that no spec can say: protocol "GRE"`,
				"session " + id(3) + ` "s" is left out: its filter ` + id(1) + ` has no manifest, and no MirrorFilter of namespace ns stands for it: rules[Ingress 3] has something that no spec can say: protocol "GRE"`,
			}},
		},
		"a source and a target that are gone": {
			account: Account{
				Filters: []cloud.Filter{filterOf(1, "a")}, Sessions: []cloud.Session{sessionOf(3, "s", id(1))},
				Gone: map[string]bool{id(0xf0): true, id(0xf1): true},
			},
			want: outline{Manifests: []string{
				"MirrorFilter a",
				"MirrorSession s of a, observed; only observed: the cloud does not have its source " + id(0xf1) + ", target " + id(0xf0) + ", which Ready will say",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, outlined(t, tc.request, tc.account, tc.present)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAManifestIsWrittenWithWhatAPersonShouldKnow(t *testing.T) {
	f := filterOf(1, "evil\nkind: Secret\x1b[31m")
	f.Description = "a: b # c\n- d"
	result, err := Of(Request{Source: Source{Namespace: "ns", Secret: "keys", Region: "cn-north-4", ProjectID: strings.Repeat("0", 32)}, Observe: true},
		Account{Filters: []cloud.Filter{f}, Sessions: []cloud.Session{sessionOf(2, "s", id(1))}}, Present{})
	if err != nil {
		t.Fatal(err)
	}
	var out, notes strings.Builder
	if err := result.Write(&out, "ns"); err != nil {
		t.Fatal(err)
	}
	result.Tell(&notes)
	const want = `# filter 00000001-0000-4000-8000-000000000001 "evil\nkind: Secret\\x1b[31m"
# spec.cloudName takes no such name: the cloud's stays as it is
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorFilter
metadata:
  name: evil-kind-secret-31m
  namespace: ns
spec:
  credentialsRef:
    name: keys
  deletionPolicy: Retain
  description: |-
    a: b # c
    - d
  import:
    id: 00000001-0000-4000-8000-000000000001
  managementPolicy: Observe
  projectID: "00000000000000000000000000000000"
  region: cn-north-4
---
# session 00000002-0000-4000-8000-000000000002 "s"
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorSession
metadata:
  name: s
  namespace: ns
spec:
  cloudName: s
  credentialsRef:
    name: keys
  deletionPolicy: Retain
  enabled: false
  filterRef:
    name: evil-kind-secret-31m
  import:
    id: 00000002-0000-4000-8000-000000000002
  managementPolicy: Observe
  packetLength: 96
  priority: 2
  projectID: "00000000000000000000000000000000"
  region: cn-north-4
  sources:
  - interfaceID: 000000f1-0000-4000-8000-0000000000f1
  target:
    interfaceID: 000000f0-0000-4000-8000-0000000000f0
  vni: 7
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the manifests (-want +got):\n%s", diff)
	}
	const told = `filter 00000001-0000-4000-8000-000000000001 "evil\nkind: Secret\\x1b[31m": spec.cloudName takes no such name: the cloud's stays as it is` + "\n"
	if diff := cmp.Diff(told, notes.String()); diff != "" {
		t.Errorf("what is told (-want +got):\n%s", diff)
	}
}

// Texts of the cloud can hold anything; one must not keep all others from being exported.
func TestAnyTextOfTheCloudIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := filterOf(1, rapid.String().Draw(t, "name"))
		odd := rapid.OneOf(rapid.Rune(), rapid.RuneFrom([]rune("\x00\t\n\r\x1b\x7f\u0085\u009f\u2028\ufeff\ufffe\uffff😀-#: '\"")))
		f.Description = rapid.StringOfN(odd, 0, 40, -1).Draw(t, "description")
		result, err := Of(Request{}, Account{Filters: []cloud.Filter{f}}, Present{})
		if err != nil || len(result.Manifests) != 1 {
			t.Fatalf("%v: %+v", err, result)
		}
		var out strings.Builder
		if err := result.Write(&out, "ns"); err != nil {
			t.Fatal(err)
		}
		var got v1alpha1.MirrorFilter
		if err := yaml.UnmarshalStrict([]byte(out.String()), &got); err != nil {
			t.Fatalf("%v: of\n%s", err, out.String())
		}
		if diff := cmp.Diff(result.Manifests[0].Spec, any(got.Spec)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// Every object gets a name that the API server takes, that no other has, and that does not depend on the order.
func TestNamesAreLabelsThatNoTwoHave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Account{}
		text := rapid.OneOf(rapid.SampledFrom([]string{"", "web", "WEB", "web-", "镜像", "web-00000001", strings.Repeat("x", 63), strings.Repeat("x", 64)}), rapid.String())
		for i := range rapid.IntRange(0, 12).Draw(t, "filters") {
			f := filterOf(i, text.Draw(t, "name"))
			if rapid.Bool().Draw(t, "one beginning") {
				f.ID = fmt.Sprintf("%08x-0000-4000-8000-%012x", 1, i)
			}
			a.Filters = append(a.Filters, f)
		}
		var present Present
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"web", "web-00000001", "filter"}), rapid.ID[string]).Draw(t, "present") {
			present.Filters = append(present.Filters, &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
		names := func(a Account) map[string]string {
			result, err := Of(Request{}, a, present)
			if err != nil {
				t.Fatal(err)
			}
			of := map[string]string{}
			for _, m := range result.Manifests {
				of[m.Name] = m.Of
			}
			if len(of) != len(a.Filters) {
				t.Fatalf("%d filters have %d names: %v", len(a.Filters), len(of), of)
			}
			return of
		}
		got := names(a)
		for name := range got {
			if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
				t.Fatalf("%q: %q", name, wrong)
			}
			for _, f := range present.Filters {
				if f.Name == name {
					t.Fatalf("%q is taken", name)
				}
			}
		}
		slices.Reverse(a.Filters)
		if diff := cmp.Diff(got, names(a)); diff != "" {
			t.Fatalf("in another order (-before +now):\n%s", diff)
		}
	})
}
