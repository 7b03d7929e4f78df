package install

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// teams are the objects of the recipe for two teams that have a kind.
func teams(t *testing.T, kind string) (found []*unstructured.Unstructured) {
	t.Helper()
	for _, r := range recipes(t) {
		for _, u := range r.objects {
			if r.folder == "two-teams" && u.GetKind() == kind {
				found = append(found, u)
			}
		}
	}
	return found
}

// ranked is a copy of a session with a priority, nil for none.
func ranked(t *testing.T, session *unstructured.Unstructured, priority any) *unstructured.Unstructured {
	t.Helper()
	u := session.DeepCopy()
	if priority == nil {
		unstructured.RemoveNestedField(u.Object, "spec", "priority")
	} else if err := unstructured.SetNestedField(u.Object, priority, "spec", "priority"); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestThePolicyOfTheRecipeHoldsEachTeamToItsPriorities(t *testing.T) {
	c := newChecker(t, installed(t))
	store := func(u *unstructured.Unstructured) error {
		return c.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u.DeepCopy()), client.FieldOwner("recipe"), client.ForceOwnership)
	}
	sessions := teams(t, "MirrorSession")
	if len(sessions) != 2 {
		t.Fatalf("the recipe has %d sessions, want 2", len(sessions))
	}
	first, second := sessions[0], sessions[1]

	// A session of before the policy, in a namespace that gets a range later.
	early := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.client.Create(t.Context(), early); err != nil {
		t.Fatal(err)
	}
	old := ranked(t, second, int64(5))
	old.SetNamespace(early.Name)
	if err := store(old); err != nil {
		t.Fatal(err)
	}
	early.Labels = map[string]string{"mirror-priority-from": "200", "mirror-priority-to": "299"}
	if err := c.client.Update(t.Context(), early); err != nil {
		t.Fatal(err)
	}

	for _, kind := range []string{"Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
		for _, u := range teams(t, kind) {
			if err := store(u); err != nil {
				t.Fatal(err)
			}
		}
	}
	const held = "spec.priority must be from 200 to 299 in this namespace"
	for _, s := range []*unstructured.Unstructured{second, old} {
		eventually(t, "the policy is in force", func(context.Context) error { return refused(c.dryRun(ranked(t, s, int64(6))), held) })
	}
	for _, test := range []struct {
		session  *unstructured.Unstructured
		priority any
		want     string // in the refusal, empty for none
	}{
		{first, int64(100), ""}, {first, int64(199), ""}, {first, int64(200), "from 100 to 199"}, {first, int64(99), "from 100 to 199"},
		{second, int64(200), ""}, {second, int64(299), ""}, {second, int64(300), held}, {second, nil, held},
	} {
		err := c.dryRun(ranked(t, test.session, test.priority))
		if test.want != "" {
			err = refused(err, test.want)
		}
		if err != nil {
			t.Errorf("%s with priority %v: %v", identity(test.session), test.priority, err)
		}
	}
	old.SetFinalizers([]string{"example.com/somebody-has-to-clean-up"})
	if err := c.dryRun(old); err != nil {
		t.Errorf("of a session of before, a finalizer can't change: %v", err)
	}
}
