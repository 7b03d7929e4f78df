package install

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
)

// verifierOf acts with the token of a verifier's pod on a node; without a node, with one
// that was made for no pod.
func verifierOf(t *testing.T, cluster *env.Cluster, node string) client.Client {
	t.Helper()
	config := rest.CopyConfig(cluster.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":vpcmirror-verifier",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
	if node != "" {
		config.Impersonate.Extra = map[string][]string{"authentication.kubernetes.io/node-name": {node}}
	}
	c, err := client.New(config, client.Options{Scheme: cluster.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reported is a session in the cloud that the verifiers of node-a and node-b report on.
func reported(t *testing.T, cluster *env.Cluster) *v1alpha1.MirrorSession {
	t.Helper()
	s := &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Namespace(t), Name: "web"},
		Spec: v1alpha1.MirrorSessionSpec{
			FilterRef: v1alpha1.FilterReference{Name: "web"},
			Sources:   []v1alpha1.SourceSelector{{InterfaceSelector: v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: "192.168.0.230"}}}},
			Target:    v1alpha1.TargetSelector{InterfaceSelector: v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: "192.168.0.164"}}},
		},
	}
	if err := cluster.Client.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	now := metav1.NewMicroTime(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC))
	s.Status.VNI = new(int32(7))
	s.Status.Sessions = []v1alpha1.CloudSession{{ID: "b9d0ff4a-5cd3-44f1-a264-39b5a2a0b0b6", Priority: 1}}
	s.Status.Verification = []v1alpha1.Verification{
		{Node: "node-a", Interface: "eth0", ObservedAt: now}, {Node: "node-b", Interface: "eth0", ObservedAt: now},
	}
	if err := cluster.Client.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// eventually waits until what was applied is in force, which takes the API server a
// moment.
func eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s: %v", what, err)
		case <-again.C:
		}
	}
}

// refused returns nil for a refusal with the words. One by RBAC has others.
func refused(err error, words string) error {
	if err == nil {
		return errors.New("it is not refused")
	}
	if strings.Contains(err.Error(), words) {
		return nil
	}
	return err
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

func TestAVerifierWritesTheEntryOfItsOwnNodeAlone(t *testing.T) {
	cluster := installed(t)
	s := reported(t, cluster)
	write := func(ctx context.Context, node string, o operation) error {
		patch, err := json.Marshal([]operation{o})
		if err != nil {
			return err
		}
		return verifierOf(t, cluster, node).Status().Patch(ctx, s.DeepCopy(), client.RawPatch(types.JSONPatchType, patch), client.DryRunAll)
	}
	const another, more = "a verifier writes the entry of its own node", "a verifier writes verification and nothing else"
	eventually(t, "the policy holds a verifier to its entry", func(ctx context.Context) error {
		return refused(write(ctx, "node-a", operation{"replace", "/status/verification/1/packets", 9}), another)
	})
	fresh := v1alpha1.Verification{Node: "node-c", Interface: "eth0", ObservedAt: s.Status.Verification[0].ObservedAt}
	for name, c := range map[string]struct {
		node string
		do   operation
		want string // empty when it is taken
	}{
		"its own counts":               {"node-a", operation{"replace", "/status/verification/0/packets", 5}, ""},
		"its first entry":              {"node-c", operation{"add", "/status/verification/-", fresh}, ""},
		"the end of its own entry":     {"node-a", operation{"remove", "/status/verification/0", nil}, ""},
		"another's counts":             {"node-a", operation{"replace", "/status/verification/1/packets", 9}, another},
		"an entry for another":         {"node-a", operation{"add", "/status/verification/-", fresh}, another},
		"the end of another's entry":   {"node-a", operation{"remove", "/status/verification/1", nil}, another},
		"which session is the cloud's": {"node-a", operation{"replace", "/status/sessions/0/id", "c9d0ff4a-5cd3-44f1-a264-39b5a2a0b0b6"}, more},
		"that there is no VNI":         {"node-a", operation{"remove", "/status/vni", nil}, more},
		"an account":                   {"node-a", operation{"add", "/status/account", v1alpha1.Account{Region: "r", ProjectID: "p", Endpoint: "https://e"}}, more},
		"with a token of no node":      {"", operation{"replace", "/status/verification/0/packets", 5}, another},
	} {
		t.Run(name, func(t *testing.T) {
			err := write(t.Context(), c.node, c.do)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("the answer is %v, want %q", err, c.want)
			}
		})
	}

	t.Run("and nobody else is held to that", func(t *testing.T) {
		all := s.DeepCopy()
		all.Status.Verification, all.Status.VNI = nil, new(int32(8))
		if err := cluster.Client.Status().Update(t.Context(), all, client.DryRunAll); err != nil {
			t.Error(err)
		}
		if err := cluster.Client.Get(t.Context(), client.ObjectKey{Name: namespace}, &corev1.Namespace{}); err != nil {
			t.Error(err)
		}
	})
}

func TestAVerifierRenewsTheLeaseOfItsOwnNodeAlone(t *testing.T) {
	cluster := installed(t)
	lease := func(name, holder string) *coordinationv1.Lease {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
		}
	}
	mine, theirs := v1alpha1.VerifierName("node-a"), v1alpha1.VerifierName("node-b")
	if err := cluster.Client.Create(t.Context(), lease(theirs, "node-b")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // other tests, or this one again, have the same cluster
		if err := cluster.Client.Delete(context.WithoutCancel(t.Context()), lease(theirs, "")); err != nil {
			t.Error(err)
		}
	})
	patch := func(c client.Client, l *coordinationv1.Lease) error {
		return c.Patch(t.Context(), l, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"holderIdentity":"node-a"}}`)), client.DryRunAll)
	}
	a := verifierOf(t, cluster, "node-a")
	const only = "a verifier renews the lease of its own node"
	eventually(t, "the policy holds a verifier to its lease", func(ctx context.Context) error {
		return refused(a.Create(ctx, lease("vpcmirror-manager", "node-a"), client.DryRunAll), only)
	})
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"its own lease":               {a.Create(t.Context(), lease(mine, "node-a"), client.DryRunAll), ""},
		"a lease in another's name":   {a.Create(t.Context(), lease(mine, "node-b"), client.DryRunAll), only},
		"the leader's lease":          {a.Create(t.Context(), lease("vpcmirror-manager", "node-a"), client.DryRunAll), only},
		"another's lease, as its own": {patch(a, lease(theirs, "")), only},
		"one with a token of no node": {verifierOf(t, cluster, "").Create(t.Context(), lease(mine, ""), client.DryRunAll), only},
	} {
		if c.want == "" && c.err != nil || c.want != "" && (c.err == nil || !strings.Contains(c.err.Error(), c.want)) {
			t.Errorf("%s: the answer is %v, want %q", name, c.err, c.want)
		}
	}
}
