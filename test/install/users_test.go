package install

import (
	"context"
	"errors"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A controller of Kubernetes, which is not there in tests, copies the rules of the roles that
// an aggregation rule selects. This does the same for the roles as they are in the server.
func TestKubernetesOwnRolesSeeAndEditFiltersAndSessions(t *testing.T) {
	cluster := installed(t)
	for role, verbs := range map[string][2]string{ // what it may, and what it may not
		"view":  {"get list watch", "create update patch delete deletecollection"},
		"edit":  {"get list watch create update patch delete deletecollection", ""},
		"admin": {"get list watch create update patch delete deletecollection", ""},
	} {
		t.Run(role, func(t *testing.T) {
			var own rbacv1.ClusterRole
			if err := cluster.Client.Get(t.Context(), client.ObjectKey{Name: role}, &own); err != nil {
				t.Fatal(err)
			}
			var rules []rbacv1.PolicyRule
			for i := range own.AggregationRule.ClusterRoleSelectors {
				selector, err := metav1.LabelSelectorAsSelector(&own.AggregationRule.ClusterRoleSelectors[i])
				if err != nil {
					t.Fatal(err)
				}
				var selected rbacv1.ClusterRoleList
				if err := cluster.Client.List(t.Context(), &selected, client.MatchingLabelsSelector{Selector: selector}); err != nil {
					t.Fatal(err)
				}
				for _, r := range selected.Items {
					rules = append(rules, r.Rules...)
				}
			}
			user := "somebody-with-" + role
			granted(t, cluster, user, rules...)
			may := func(verb, resource, sub string) error {
				review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: verb, Group: "vpcmirror.io", Resource: resource, Subresource: sub, Namespace: "team-a",
				}}}
				if err := cluster.Client.Create(t.Context(), review); err != nil {
					t.Fatal(err)
				}
				if !review.Status.Allowed {
					return errors.New("it may not")
				}
				return nil
			}
			for _, resource := range []string{"mirrorfilters", "mirrorsessions"} {
				for verb := range strings.FieldsSeq(verbs[0]) {
					eventually(t, role+" may "+verb+" "+resource, func(context.Context) error { return may(verb, resource, "") })
				}
				for verb := range strings.FieldsSeq(verbs[1]) {
					if may(verb, resource, "") == nil {
						t.Errorf("it may %s %s", verb, resource)
					}
				}
				for _, verb := range []string{"update", "patch"} {
					if may(verb, resource, "status") == nil {
						t.Errorf("it may %s the status of %s", verb, resource)
					}
				}
			}
		})
	}
}

// By itself: what Kubernetes' own roles may do to leases differs from one version to the next.
func TestWhoSeesSessionsMayReadTheLeaseOfTheLeadingManagerAndNoOther(t *testing.T) {
	cluster := installed(t)
	var role rbacv1.ClusterRole
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Name: "vpcmirror-view"}, &role); err != nil {
		t.Fatal(err)
	}
	const user = "somebody-who-views"
	granted(t, cluster, user, role.Rules...)
	may := func(verb, namespace, name string) error {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: "coordination.k8s.io", Resource: "leases", Namespace: namespace, Name: name,
		}}}
		if err := cluster.Client.Create(t.Context(), review); err != nil {
			t.Fatal(err)
		}
		if !review.Status.Allowed {
			return errors.New("it may not")
		}
		return nil
	}
	for verb, namespace := range map[string]string{"get": "vpcmirror-system", "list": ""} { // as kubectl mirror why asks
		eventually(t, "it may "+verb+" the manager's lease", func(context.Context) error { return may(verb, namespace, "vpcmirror-manager") })
	}
	for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete"} {
		if may(verb, "vpcmirror-system", "vpcmirror-verifier-node-1") == nil {
			t.Errorf("it may %s the lease of a verifier", verb)
		}
		if may(verb, "vpcmirror-system", "") == nil {
			t.Errorf("it may %s every lease", verb)
		}
	}
	for _, verb := range []string{"watch", "update", "patch", "delete"} {
		if may(verb, "vpcmirror-system", "vpcmirror-manager") == nil {
			t.Errorf("it may %s the manager's lease", verb)
		}
	}
}

func TestTheRolesOfPeopleJoinNoOtherWhereThatIsNotWanted(t *testing.T) {
	for _, name := range []string{"vpcmirror-view", "vpcmirror-edit"} {
		role := find(t, rendered(t, "aggregateRoles: false"), "ClusterRole", name)
		for label := range role.GetLabels() {
			if strings.HasPrefix(label, rbacv1.GroupName) {
				t.Errorf("%s has the label %s", name, label)
			}
		}
	}
}
