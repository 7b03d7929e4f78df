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
