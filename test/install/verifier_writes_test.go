package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
	return acting(t, cluster, account("vpcmirror-verifier"), node)
}

// account is the name of a user that is a service account in the namespace of the
// installation.
func account(name string) string { return "system:serviceaccount:" + namespace + ":" + name }

// acting acts as a user, with the token of a pod on a node unless that is empty.
func acting(t *testing.T, cluster *env.Cluster, user, node string) client.Client {
	t.Helper()
	config := rest.CopyConfig(cluster.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	if node != "" {
		config.Impersonate.Extra = map[string][]string{"authentication.kubernetes.io/node-name": {node}}
	}
	c, err := client.New(config, client.Options{Scheme: cluster.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// granted lets a user do in the whole cluster what the rules say, until the test ends.
func granted(t *testing.T, cluster *env.Cluster, user string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, Rules: rules}
	if err := cluster.Client.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	if err := cluster.Client.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, o := range []client.Object{binding, role} {
			if err := cluster.Client.Delete(context.WithoutCancel(t.Context()), o); err != nil {
				t.Error(err)
			}
		}
	})
}

func may(group, resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
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
	s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "a9d0ff4a-5cd3-44f1-a264-39b5a2a0b0b6"}}
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

// answered fails the test unless the answer is the one that is wanted: words of a refusal,
// none for a request that is taken.
func answered(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("the answer is %v, want %q", err, want)
	}
}

// What the policies say.
const (
	noNode   = "says by its token on which node it is"
	another  = "a verifier writes the entry of its own node"
	more     = "a verifier writes verification and probeReports and nothing else"
	notThere = "only where it can be on its own node"
	owns     = "becomes the owner of its node's entries"
)

// inForce waits until the policies hold who may report on sessions.
func inForce(t *testing.T, cluster *env.Cluster, s *v1alpha1.MirrorSession) {
	t.Helper()
	eventually(t, "the policy holds a verifier to its entry", func(ctx context.Context) error {
		return refused(patched(ctx, t, verifierOf(t, cluster, "node-a"), s, operation{"replace", "/status/verification/1/packets", 9}), another)
	})
}

// patched tries an operation on a session's status.
func patched(ctx context.Context, t *testing.T, c client.Client, s *v1alpha1.MirrorSession, o operation) error {
	t.Helper()
	patch, err := json.Marshal([]operation{o})
	if err != nil {
		t.Fatal(err)
	}
	return c.Status().Patch(ctx, s.DeepCopy(), client.RawPatch(types.JSONPatchType, patch), client.DryRunAll)
}

func TestAVerifierWritesTheEntryOfItsOwnNodeAlone(t *testing.T) {
	cluster := installed(t)
	s := reported(t, cluster)
	inForce(t, cluster, s)
	consumer := v1alpha1.Consumer{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Message: "a socket"}
	condition := metav1.Condition{
		Type: v1alpha1.ConditionConsumerReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, LastTransitionTime: metav1.Now(),
	}
	fresh := v1alpha1.Verification{Node: "node-c", Interface: "eth0", ObservedAt: s.Status.Verification[0].ObservedAt}
	for name, c := range map[string]struct {
		node string
		do   operation
		want string // empty when it is taken
	}{
		"its own counts":               {"node-a", operation{"replace", "/status/verification/0/packets", 5}, ""},
		"what takes the copies there":  {"node-a", operation{"add", "/status/verification/0/consumer", consumer}, ""},
		"what does on another":         {"node-a", operation{"add", "/status/verification/1/consumer", consumer}, another},
		"that the consumer is ready":   {"node-a", operation{"add", "/status/conditions", []metav1.Condition{condition}}, more},
		"its first entry":              {"node-c", operation{"add", "/status/verification/-", fresh}, ""},
		"the end of its own entry":     {"node-a", operation{"remove", "/status/verification/0", nil}, ""},
		"another's counts":             {"node-a", operation{"replace", "/status/verification/1/packets", 9}, another},
		"an entry for another":         {"node-a", operation{"add", "/status/verification/-", fresh}, another},
		"the end of another's entry":   {"node-a", operation{"remove", "/status/verification/1", nil}, another},
		"which session is the cloud's": {"node-a", operation{"replace", "/status/sessions/0/id", "c9d0ff4a-5cd3-44f1-a264-39b5a2a0b0b6"}, more},
		"that there is no VNI":         {"node-a", operation{"remove", "/status/vni", nil}, more},
		"an account":                   {"node-a", operation{"add", "/status/account", v1alpha1.Account{Region: "r", ProjectID: "p", Endpoint: "https://e"}}, more},
		"with a token of no node":      {"", operation{"replace", "/status/verification/0/packets", 5}, noNode},
	} {
		t.Run(name, func(t *testing.T) {
			answered(t, patched(t.Context(), t, verifierOf(t, cluster, c.node), s, c.do), c.want)
		})
	}

	t.Run("and nobody else is held to that", func(t *testing.T) {
		all := s.DeepCopy()
		all.Status.Verification, all.Status.VNI = nil, new(int32(8))
		if err := cluster.Client.Status().Update(t.Context(), all, client.DryRunAll); err != nil {
			t.Error(err)
		}
		answered(t, patched(t.Context(), t, acting(t, cluster, account("vpcmirror-manager"), ""), s, operation{"remove", "/status/vni", nil}), "")
	})
}

// Whoever may write the status and not the session is a verifier, whatever an overlay or an
// administrator calls it.
func TestWhatSomebodyMayDoAndNotItsNameMakesItAVerifier(t *testing.T) {
	cluster := installed(t)
	s := reported(t, cluster)
	inForce(t, cluster, s)
	steal := operation{"replace", "/status/verification/1/packets", 9}
	patchStatus := may("vpcmirror.io", "mirrorsessions/status", "patch")
	for name, c := range map[string]struct {
		user  string
		rules []rbacv1.PolicyRule
		want  string
	}{
		"a service account with a prefix":           {"system:serviceaccount:elsewhere:pre-vpcmirror-verifier", []rbacv1.PolicyRule{patchStatus}, another},
		"a user with a certificate":                 {"checker", []rbacv1.PolicyRule{patchStatus}, another},
		"one who may also read":                     {"reader", []rbacv1.PolicyRule{patchStatus, may("vpcmirror.io", "mirrorsessions", "get", "list", "watch", "create", "delete")}, another},
		"not one who may patch the session":         {"patcher", []rbacv1.PolicyRule{patchStatus, may("vpcmirror.io", "mirrorsessions", "patch")}, ""},
		"not one who may update the session":        {"updater", []rbacv1.PolicyRule{patchStatus, may("vpcmirror.io", "mirrorsessions", "update")}, ""},
		"not one who may do it by a word for all":   {"all", []rbacv1.PolicyRule{may("*", "*", "*")}, ""},
		"not one who may patch every kind's status": {"every", []rbacv1.PolicyRule{may("*", "*/status", "patch"), may("*", "*", "patch")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			granted(t, cluster, c.user, c.rules...)
			who := acting(t, cluster, c.user, "node-a")
			eventually(t, "the answer is as it has to be", func(ctx context.Context) error {
				err := patched(ctx, t, who, s, steal)
				if c.want == "" {
					return err
				}
				return refused(err, c.want)
			})
		})
	}
}

// A verifier beside the cluster has no pod; the API server makes tokens that name a node, and
// says of those of a pod the same.
func TestATokenThatIsBoundToANodeIsHeldToThatNode(t *testing.T) {
	cluster := installed(t)
	s := reported(t, cluster)
	inForce(t, cluster, s)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}}
	if err := cluster.Client.Create(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Client.Delete(context.WithoutCancel(t.Context()), node); err != nil {
			t.Error(err)
		}
	})
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID},
	}}
	verifier := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vpcmirror-verifier"}}
	if err := cluster.Client.SubResource("token").Create(t.Context(), verifier, request); err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(cluster.Config)
	config.BearerToken = request.Status.Token
	who, err := client.New(config, client.Options{Scheme: cluster.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	answered(t, patched(t.Context(), t, who, s, operation{"replace", "/status/verification/0/packets", 5}), "")
	answered(t, patched(t.Context(), t, who, s, operation{"replace", "/status/verification/1/packets", 5}), another)
}

func TestANewEntryComesOnlyFromANodeThatTheTargetCanBeOn(t *testing.T) {
	cluster := installed(t)
	inForce(t, cluster, reported(t, cluster))
	s := reported(t, cluster)
	s.Status.Verification = s.Status.Verification[:1] // of node-a
	target := func(node string) *v1alpha1.ResolvedTarget {
		return &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "a9d0ff4a-5cd3-44f1-a264-39b5a2a0b0b6", NodeName: node}}
	}
	balancer := func(nodes ...string) *v1alpha1.ResolvedTarget {
		t := target("")
		t.LoadBalancerID = "a9d0ff4a-5cd3-44f1-a264-39b5a2a0b0b7"
		for _, node := range nodes {
			t.Members = append(t.Members, v1alpha1.TargetMember{Address: "10.0.0.1", NodeName: node})
		}
		return t
	}
	entry := func(node string) operation {
		return operation{"add", "/status/verification/-", v1alpha1.Verification{Node: node, ObservedAt: s.Status.Verification[0].ObservedAt}}
	}
	for name, c := range map[string]struct {
		named string // by spec.target.nodeName
		found *v1alpha1.ResolvedTarget
		node  string
		do    operation
		want  string
	}{
		"where nobody knows the node":             {"", target(""), "node-c", entry("node-c"), ""},
		"where it was found":                      {"", target("node-c"), "node-c", entry("node-c"), ""},
		"where it was found to be elsewhere":      {"", target("node-b"), "node-c", entry("node-c"), notThere},
		"where the spec names the node":           {"node-c", target(""), "node-c", entry("node-c"), ""},
		"where the spec names another":            {"node-b", target(""), "node-c", entry("node-c"), notThere},
		"where it is about to move to":            {"node-c", target("node-b"), "node-c", entry("node-c"), ""},
		"where it is about to leave":              {"node-b", target("node-c"), "node-c", entry("node-c"), ""},
		"where a member is":                       {"", balancer("node-b", "node-c"), "node-c", entry("node-c"), ""},
		"where no member is":                      {"", balancer("node-b", "node-a"), "node-c", entry("node-c"), notThere},
		"where a member may be":                   {"", balancer("node-b", ""), "node-c", entry("node-c"), ""},
		"before the target was found":             {"", nil, "node-c", entry("node-c"), notThere},
		"counts of an entry after it moved":       {"node-b", target("node-b"), "node-a", operation{"replace", "/status/verification/0/packets", 5}, ""},
		"the end of an entry after it moved":      {"node-b", target("node-b"), "node-a", operation{"add", "/status/verification/0/ended", true}, ""},
		"the removal of an entry after it moved":  {"node-b", target("node-b"), "node-a", operation{"remove", "/status/verification/0", nil}, ""},
		"an entry of before that nobody resolves": {"", nil, "node-a", operation{"replace", "/status/verification/0/packets", 5}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			now := s.DeepCopy()
			if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(s), now); err != nil {
				t.Fatal(err)
			}
			now.Spec.Target = v1alpha1.TargetSelector{InterfaceSelector: v1alpha1.InterfaceSelector{NodeName: c.named}}
			if c.named == "" {
				now.Spec.Target.InterfaceID = "a9d0ff4a-5cd3-44f1-a264-39b5a2a0b0b6"
			}
			if err := cluster.Client.Update(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			now.Status.Target, now.Status.Verification = c.found, s.Status.Verification
			if err := cluster.Client.Status().Update(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			answered(t, patched(t.Context(), t, verifierOf(t, cluster, c.node), now, c.do), c.want)
		})
	}
}

// A field that two apply stays until both let it go: the manager could not take back what it
// wrote, and a thousand names would fill the object.
func TestAVerifierBecomesTheOwnerOfNothingButItsEntry(t *testing.T) {
	cluster := installed(t)
	s := reported(t, cluster)
	inForce(t, cluster, s)
	apply := func(manager, status string, dry ...client.SubResourceApplyOption) error {
		u := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(status), &u.Object); err != nil {
			t.Fatal(err)
		}
		u.Object = map[string]any{"status": u.Object}
		u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSession"))
		u.SetNamespace(s.Namespace)
		u.SetName(s.Name)
		return verifierOf(t, cluster, "node-a").Status().Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u),
			append(dry, client.FieldOwner(manager), client.ForceOwnership)...)
	}
	const entry = `"verification":[{"node":"node-a","interface":"eth0","observedAt":"2026-01-02T12:00:00.000000Z","packets":1,"bytes":1,"unexpected":0,` +
		`"undecided":0,"foreignSource":0,"dropped":0}]`
	for name, c := range map[string]struct{ manager, status, want string }{
		"its entry":                            {v1alpha1.VerifierName("node-a"), `{` + entry + `}`, ""},
		"its entry, and a VNI as it is":        {v1alpha1.VerifierName("node-a"), `{"vni":7,` + entry + `}`, owns},
		"a VNI as it is, by another name":      {"somebody", `{"vni":7}`, owns},
		"a session as it is, by another name":  {"somebody", `{"sessions":[{"id":"b9d0ff4a-5cd3-44f1-a264-39b5a2a0b0b6","priority":1}]}`, owns},
		"another node's entry, as it is there": {"somebody", `{"verification":[{"node":"node-b","interface":"eth0","observedAt":"2026-01-02T12:00:00.000000Z","packets":0,"bytes":0,"unexpected":0,"undecided":0,"foreignSource":0,"dropped":0}]}`, owns},
	} {
		t.Run(name, func(t *testing.T) { answered(t, apply(c.manager, c.status, client.DryRunAll), c.want) })
	}
	t.Run("under few names", func(t *testing.T) {
		var err error
		for i := 0; err == nil; i++ {
			if i == 8 {
				t.Fatal("it owns its entry under 8 names")
			}
			err = apply(fmt.Sprint("name-", i), `{`+entry+`}`)
		}
		answered(t, err, owns)
	})
}

// One terminal sequence, or a number beyond all bounds, of one node would spoil what
// everybody sees of a session.
func TestWhatANodeWritesIsPrintableAndWithinBounds(t *testing.T) {
	cluster := installed(t)
	s := reported(t, cluster)
	for name, c := range map[string]struct {
		field string
		value any
		want  string
	}{
		"an escape sequence":             {"lastPacket", "a\x1b[31m", "should match"},
		"a bell":                         {"message", "a\a", "should match"},
		"text that runs backwards":       {"lastPacket", "a\u202eb", "should match"},
		"a control sequence in 8 bits":   {"interface", "a\u009bb", "should match"},
		"a second line":                  {"message", "a\nb", "should match"},
		"an escape sequence as a source": {"sources", []map[string]any{{"interfaceID": "a\x1b[31m", "packets": 1, "bytes": 1}}, "should match"},
		"an escape sequence as a sender": {"foreignSender", "a\x1b[31m", "should match"},
		"an escape sequence of a device": {"consumer", map[string]any{"status": "True", "reason": "R", "message": "a\x1b[31m"}, "should match"},
		"a remedy of 513 characters":     {"consumer", map[string]any{"status": "True", "reason": "R", "message": "m", "remedy": strings.Repeat("a", 513)}, "may not be more than 512"},
		"a consumer that is perhaps":     {"consumer", map[string]any{"status": "Perhaps", "reason": "R", "message": "m"}, "supported values"},
		"a line of 513 characters":       {"lastPacket", strings.Repeat("a", 513), "may not be more than 512"},
		"a time of 100 kB":               {"lastPacketAt", "2026-01-02T12:00:00." + strings.Repeat("0", 100_000) + "Z", "may not be more than 27"},
		// The manager could read no session any more, nor could any verifier.
		"a time in whole seconds":     {"observedAt", "2026-01-02T12:00:00Z", "should match"},
		"a time in nanoseconds":       {"startedAt", "2026-01-02T12:00:00.00000000Z", "may not be more than 27"},
		"a time in another zone":      {"firstPacketAt", "2026-01-02T12:00:00.000000+01:00", "may not be more than 27"},
		"a time on no day":            {"lastPacketAt", "2026-02-30T12:00:00.000000Z", "date-time"},
		"a count below nothing":       {"packets", -51, "greater than or equal to 0"},
		"a count that would overflow": {"packets", math.MaxInt64 - 51, "less than or equal to"},
		"the largest count":           {"packets", int64(v1alpha1.MaxCount), ""},
		"all that is printable":       {"lastPacket", " !~az", ""},
		"an exact time":               {"lastPacketAt", "2026-01-02T12:00:00.123456Z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			answered(t, patched(t.Context(), t, cluster.Client, s, operation{"add", "/status/verification/0/" + c.field, c.value}), c.want)
		})
	}
}
