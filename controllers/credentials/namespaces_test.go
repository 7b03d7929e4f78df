package credentials

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/controllers/cloud"
)

// labelled holds namespaces by their labels and can do nothing but get them.
type labelled struct {
	client.Reader // nil: a list panics

	by    map[string]labels.Set
	err   error
	asked int
}

func (r *labelled) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	r.asked++
	set, ok := r.by[key.Name]
	switch {
	case r.err != nil:
		return r.err
	case !ok:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, key.Name)
	}
	object.(*corev1.Namespace).Labels = set
	return nil
}

func TestASelectorThatIsUnsetSelectsNoneAndOneThatWouldSelectAllIsRefused(t *testing.T) {
	all := []labels.Set{nil, {"team": "network"}, {"team": "web"}, {"kubernetes.io/metadata.name": "x"}}
	for text, want := range map[string]any{
		"":                            []bool{false, false, false, false},
		"  ":                          []bool{false, false, false, false},
		"team=network":                []bool{false, true, false, false},
		"team in (network,web)":       []bool{false, true, true, false},
		"kubernetes.io/metadata.name": []bool{false, false, false, true},
		"team=network,":               `"team=network," is no label selector like team=network: `,
		",":                           `"," is no label selector like team=network: `,
		"team==":                      []bool{false, false, false, false},
		"=network":                    `"=network" is no label selector like team=network: `,
		"*":                           `"*" is no label selector like team=network: `,
	} {
		t.Run(text, func(t *testing.T) {
			selector, err := ParseSelector(text)
			if begin, refused := want.(string); refused {
				if err == nil || !strings.HasPrefix(err.Error(), begin) {
					t.Errorf("got %v and %v, want it refused", selector, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []bool
			for _, set := range all {
				got = append(got, selector.Matches(set))
			}
			if diff := cmp.Diff(want, any(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheOperatorsOwnCredentialsServeOnlyNamespacesThatAreSelected(t *testing.T) {
	own := cloud.Credentials{AccessKey: "OPERATORKEY", SecretKey: "operatorsecret", Region: "cn-east-3"}
	namespaces := &labelled{by: map[string]labels.Set{"team-a": {"team": "network"}, "team-b": {"team": "web"}}}
	refused := func(namespace string) Error {
		return Error{Reason: NotAllowed, Message: "spec.credentialsRef names no Secret, and the operator's own credentials don't serve the namespace " + namespace +
			": name a Secret, or have the administrator select the namespace by a label (--own-credentials-namespaces, chart: credentials.namespaces)"}
	}
	for name, c := range map[string]struct {
		selector, namespace string
		want                Error // zero for none
	}{
		"one that is selected":          {"team=network", "team-a", Error{}},
		"one that is not":               {"team=network", "team-b", refused("team-b")},
		"one that does not exist":       {"team=network", "team-c", refused("team-c")},
		"none without a selector":       {"", "team-a", refused("team-a")},
		"none by a label that is empty": {"team=", "team-a", refused("team-a")},
	} {
		t.Run(name, func(t *testing.T) {
			selector, err := ParseSelector(c.selector)
			if err != nil {
				t.Fatal(err)
			}
			maker := &recorder{}
			p := NewProvider(NewSecrets(&secretReader{}, time.Now), maker.make, Fixed(own), Rules{Namespaces: NewNamespaces(namespaces, selector, time.Now)}, Assuming{})
			spec := named("x")
			spec.CredentialsRef = nil
			_, err = p.ClientFor(t.Context(), c.namespace, spec, time.Now(), anyone)
			var got Error
			if e, ok := errors.AsType[*Error](err); ok {
				got = Error{Reason: e.Reason, Message: e.Message}
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" || (maker.made == 1) != (c.want == Error{}) {
				t.Errorf("%d clients were made\n%s", maker.made, diff)
			}
		})
	}
	t.Run("none when nobody has said which", func(t *testing.T) {
		spec := named("x")
		spec.CredentialsRef = nil
		_, err := NewProvider(NewSecrets(&secretReader{}, time.Now), (&recorder{}).make, Fixed(own), Rules{}, Assuming{}).ClientFor(t.Context(), "team-a", spec, time.Now(), anyone)
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != NotAllowed {
			t.Errorf("got %v", err)
		}
	})
	t.Run("and an API server that is away is no answer", func(t *testing.T) {
		away := errors.New("connection refused")
		served, err := NewNamespaces(&labelled{err: away}, labels.Everything(), time.Now).Serve(t.Context(), "team-a", time.Now())
		if served || err != nil { // everything is refused before anybody is asked
			t.Errorf("got %t and %v", served, err)
		}
		selector := labels.SelectorFromSet(labels.Set{"team": "network"})
		if served, err := NewNamespaces(&labelled{err: away}, selector, time.Now).Serve(t.Context(), "team-a", time.Now()); served || !errors.Is(err, away) {
			t.Errorf("got %t and %v", served, err)
		}
	})
}

func TestANamespaceWhoseAnswerChangesIsNamedOnce(t *testing.T) {
	reader := &labelled{by: map[string]labels.Set{"a": {"team": "network"}, "b": nil}}
	n := NewNamespaces(reader, labels.SelectorFromSet(labels.Set{"team": "network"}), time.Now)
	changed := func(names ...string) map[string]bool {
		t.Helper()
		set := map[string]bool{}
		for _, name := range names {
			set[name] = true
		}
		got, err := n.Changed(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	same := func(what string, want, got map[string]bool) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	none := map[string]bool{}
	same("at first", none, changed("a", "b"))
	reader.by["a"] = nil
	same("after a label went", map[string]bool{"a": true}, changed("a", "b"))
	same("and then", none, changed("a", "b"))
	reader.by["b"] = labels.Set{"team": "network"}
	if served, err := n.Serve(t.Context(), "b", time.Now()); !served || err != nil {
		t.Fatalf("%t %v", served, err)
	}
	same("of which somebody else was told before", map[string]bool{"b": true}, changed("a", "b"))
	same("of one that nobody needs any more", none, changed("a"))
	if len(n.told) != 1 {
		t.Errorf("%v is remembered", n.told)
	}
	before := reader.asked
	unset := NewNamespaces(reader, labels.Nothing(), time.Now)
	if got, err := unset.Changed(t.Context(), map[string]bool{"a": true}); len(got) != 0 || err != nil || reader.asked != before {
		t.Errorf("without a selector somebody is asked: %v %v", got, err)
	}
}
