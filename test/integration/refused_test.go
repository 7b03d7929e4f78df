package integration_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/integration/harness"
)

// rights are what a manager needs, but one verb of one resource.
func rights(resource, verb string) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, r := range []struct {
		group, resource string
		verbs           []string
	}{
		{"vpcmirror.io", "mirrorfilters", []string{"get", "list", "watch", "patch"}},
		{"vpcmirror.io", "mirrorsessions", []string{"get", "list", "watch", "patch"}},
		{"vpcmirror.io", "mirrorfilters/status", []string{"patch"}},
		{"vpcmirror.io", "mirrorsessions/status", []string{"patch"}},
		{"", "secrets", []string{"get", "patch"}},
		{"", "nodes", []string{"get", "list", "watch"}},
		{"", "namespaces", []string{"get"}},
		{"coordination.k8s.io", "leases", []string{"get", "list", "watch", "delete"}},
		{"events.k8s.io", "events", []string{"create", "patch"}},
	} {
		if r.resource == resource {
			r.verbs = slices.DeleteFunc(r.verbs, func(v string) bool { return v == verb })
		}
		if len(r.verbs) == 0 {
			continue
		}
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: []string{r.resource}, Verbs: r.verbs})
	}
	return rules
}

func TestARightThatTheOperatorLacksIsNamedInTheStatus(t *testing.T) {
	for name, lacks := range map[string]struct{ resource, verb string }{
		"get-secrets":      {"secrets", "get"},
		"patch-secrets":    {"secrets", "patch"},
		"patch-the-object": {"mirrorfilters", "patch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			user := env.User{Name: "lacks-" + name, Rules: rights(lacks.resource, lacks.verb)}
			m := w.Start(harness.As(w.Cluster.User(t, user)))
			filter := w.Filter("refused")
			w.Create(filter)
			words := []string{`cannot ` + lacks.verb + ` resource "` + lacks.resource + `"`, "ClusterRole"}
			harness.Because(w, filter, v1alpha1.ReasonForbidden, words...)
			w.EventSays(filter, v1alpha1.ReasonForbidden, words[0])
			w.Holds(harness.Content{})
			statuses := func() int { return wrote(m, "/refused/status") }
			before := statuses()
			harness.Poll(t, "several attempts", func() int { return m.Looks() }, func(n int) bool { return n > 3 })
			harness.Same(t, "the statuses that were written", before, statuses())

			user.Rules = rights("", "")
			w.Cluster.User(t, user)
			harness.Ready(w, filter)
		})
	}
}

func TestADeletionThatKubernetesDoesNotLetTheOperatorFinishSaysSo(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	user := env.User{Name: "loses-patch-secrets", Rules: rights("", "")}
	w.Start(harness.As(w.Cluster.User(t, user)))
	filter := w.Filter("refused")
	w.Create(filter)
	harness.Ready(w, filter)
	user.Rules = rights("secrets", "patch")
	w.Cluster.User(t, user)
	w.Delete(filter)
	words := `cannot patch resource "secrets"`
	harness.Because(w, filter, v1alpha1.ReasonForbidden, words)
	w.EventSays(filter, v1alpha1.ReasonForbidden, words)
	w.Holds(harness.Content{})
	user.Rules = rights("", "")
	w.Cluster.User(t, user)
	w.Gone(filter)
}

func TestAnEntryThatCanNotBeFoldedHoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	_, session := w.Pair("unfolded")
	first.Stop(w)
	e := entry("ecs-target", v1alpha1.Counts{Packets: 1}, time.Second, time.Second)
	e.Ended = true
	write(t, w, session, e)
	user := env.User{Name: "lacks-patch-status-of-sessions", Rules: rights("mirrorsessions/status", "patch")}
	w.Start(harness.As(w.Cluster.User(t, user)))
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(bool) })
	_ = harness.Poll(t, "the cloud copies no more", func() bool { return w.Content().Sessions[0].Enabled }, func(on bool) bool { return !on })
	w.EventSays(session, v1alpha1.ReasonForbidden, `cannot patch resource "mirrorsessions/status"`)
	user.Rules = rights("", "")
	w.Cluster.User(t, user)
	harness.Until(w, session, "its entry is folded", func(s *v1alpha1.MirrorSession) bool { return len(s.Status.Verification) == 0 })
	harness.Ready(w, session)
}

// wrote is how often the manager asked to change what a path ends with.
func wrote(m *harness.Manager, path string) int {
	return len(slices.DeleteFunc(m.Writes(), func(r string) bool { return !strings.Contains(r, path) }))
}

func TestAStatusThatTheOperatorMayNotWriteIsToldInOneEvent(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	user := env.User{Name: "lacks-patch-status", Rules: rights("mirrorfilters/status", "patch")}
	m := w.Start(harness.As(w.Cluster.User(t, user)))
	filter := w.Filter("refused")
	w.Create(filter)
	w.EventSays(filter, v1alpha1.ReasonForbidden, `cannot patch resource "mirrorfilters/status"`)
	harness.Poll(t, "several attempts", func() int { return wrote(m, "/refused/status") }, func(n int) bool { return n > 2 })
	m.EventsSent(w)
	harness.Same(t, "the events", 1, len(w.Events(filter, v1alpha1.ReasonForbidden)))
	user.Rules = rights("", "")
	w.Cluster.User(t, user)
	harness.Ready(w, filter)
}

func TestAStatusThatIsRefusedIsToldByWhatOfItIsTaken(t *testing.T) {
	w := harness.New(t)
	policy := refuse(t, w, "!has(object.status) || !has(object.status.id)", "an ID is not taken here")
	w.Start()
	filter := w.Filter("refused")
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonStatusRefused, "an ID is not taken here", "definitions")
	w.EventSays(filter, v1alpha1.ReasonStatusRefused, "an ID is not taken here")
	made := w.Content()
	harness.Same(t, "the filters in the cloud", 1, len(made.Filters))

	w.Delete(policy)
	harness.Ready(w, filter)
	made.Rules = w.Content().Rules
	w.Holds(made)
	harness.Same(t, "the ID", made.Filters[0].ID, filter.Status.ID)
}

// refuse lets the API server refuse statuses of filters in the World's namespace.
func refuse(t *testing.T, w *harness.World, unless, says string) client.Object {
	t.Helper()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "refuse-" + w.Namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.Namespace}},
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"mirrorfilters/status"},
					},
				}}},
			},
			Validations: []admissionregistrationv1.Validation{{Expression: unless, Message: says}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	w.Create(policy)
	w.Create(binding)
	t.Cleanup(func() { w.Delete(binding) })
	probe := w.Filter("probe")
	w.Create(probe)
	_ = harness.Poll(t, "the policy is obeyed", func() error {
		now := probe.DeepCopy()
		now.Status.ID = "probe"
		return w.Cluster.Client.Status().Patch(t.Context(), now, client.MergeFrom(probe), client.DryRunAll)
	}, func(err error) bool { return err != nil })
	w.Delete(probe)
	return policy
}
