package install

import (
	"bytes"
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestTheManagerChangesNothingOfASecretButItsOwnFinalizer(t *testing.T) {
	cluster := installed(t)
	space := cluster.Namespace(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: space, Name: "huawei-cloud", Finalizers: []string{"example.com/theirs"},
			Labels: map[string]string{"a": "a"}, Annotations: map[string]string{"a": "a"},
		},
		Data: map[string][]byte{"accessKey": []byte("a"), "big": bytes.Repeat([]byte("a"), 900_000)},
	}
	held := secret.DeepCopy()
	held.Name, held.Finalizers = "held", append(held.Finalizers, v1alpha1.SecretFinalizer)
	for _, s := range []*corev1.Secret{secret, held} {
		if err := cluster.Client.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	patch := func(ctx context.Context, who client.Client, of *corev1.Secret, change func(*corev1.Secret)) error {
		now := of.DeepCopy()
		change(now)
		return who.Patch(ctx, now, client.MergeFromWithOptions(of, client.MergeFromWithOptimisticLock{}), client.DryRunAll)
	}
	manager := acting(t, cluster, account("vpcmirror-manager"), "")
	const only = "of a Secret the manager changes the finalizer"
	steal := func(s *corev1.Secret) { s.Data["accessKey"] = []byte("b") }
	eventually(t, "the policy holds the manager", func(ctx context.Context) error { return refused(patch(ctx, manager, secret, steal), only) })
	for name, c := range map[string]struct {
		of     *corev1.Secret
		change func(*corev1.Secret)
		want   string
	}{
		"its finalizer comes":         {secret, func(s *corev1.Secret) { s.Finalizers = append(s.Finalizers, v1alpha1.SecretFinalizer) }, ""},
		"its finalizer comes first":   {secret, func(s *corev1.Secret) { s.Finalizers = append([]string{v1alpha1.SecretFinalizer}, s.Finalizers...) }, ""},
		"its finalizer goes":          {held, func(s *corev1.Secret) { s.Finalizers = s.Finalizers[:1] }, ""},
		"another's finalizer goes":    {secret, func(s *corev1.Secret) { s.Finalizers = nil }, only},
		"another's goes with its own": {held, func(s *corev1.Secret) { s.Finalizers = nil }, only},
		"another finalizer comes":     {secret, func(s *corev1.Secret) { s.Finalizers = append(s.Finalizers, "example.com/b") }, only},
		"a key's value":               {secret, steal, only},
		"a key more":                  {secret, func(s *corev1.Secret) { s.Data["b"] = []byte("b") }, only},
		"a key less":                  {secret, func(s *corev1.Secret) { delete(s.Data, "accessKey") }, only},
		"a key by stringData":         {secret, func(s *corev1.Secret) { s.StringData = map[string]string{"accessKey": "b"} }, only},
		"all keys":                    {secret, func(s *corev1.Secret) { s.Data = nil }, only},
		"that it never changes again": {secret, func(s *corev1.Secret) { s.Immutable = new(true) }, only},
		"a label":                     {secret, func(s *corev1.Secret) { s.Labels["b"] = "b" }, only},
		"all labels":                  {secret, func(s *corev1.Secret) { s.Labels = nil }, only},
		"an annotation":               {secret, func(s *corev1.Secret) { s.Annotations["a"] = "b" }, only},
		"an owner": {secret, func(s *corev1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u"}}
		}, only},
		"its finalizer and a key": {secret, func(s *corev1.Secret) { steal(s); s.Finalizers = append(s.Finalizers, v1alpha1.SecretFinalizer) }, only},
	} {
		t.Run(name, func(t *testing.T) { answered(t, patch(t.Context(), manager, c.of, c.change), c.want) })
	}

	patchSecrets, patchStatus := may("", "secrets", "get", "patch"), may("vpcmirror.io", "mirrorsessions/status", "patch")
	for name, c := range map[string]struct {
		user  string
		rules []rbacv1.PolicyRule
		want  string
	}{
		"whatever the manager is called":                    {"system:serviceaccount:elsewhere:pre-vpcmirror-manager", []rbacv1.PolicyRule{patchSecrets, patchStatus}, only},
		"but nobody who has nothing to do with sessions":    {"system:serviceaccount:elsewhere:certificates", []rbacv1.PolicyRule{patchSecrets}, ""},
		"nor one who may create Secrets":                    {"system:serviceaccount:elsewhere:everything", []rbacv1.PolicyRule{patchSecrets, patchStatus, may("", "secrets", "create")}, ""},
		"nor a component of Kubernetes, whatever it may do": {"system:kube-something", []rbacv1.PolicyRule{patchSecrets, patchStatus}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			granted(t, cluster, c.user, c.rules...)
			who := acting(t, cluster, c.user, "")
			eventually(t, "the answer is as it has to be", func(ctx context.Context) error {
				err := patch(ctx, who, secret, steal)
				if c.want == "" {
					return err
				}
				return refused(err, c.want)
			})
		})
	}
}
