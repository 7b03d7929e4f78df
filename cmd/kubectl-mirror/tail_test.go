package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/kubectl-mirror/packets"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/env/checkout"
)

// on says that the target is on a node.
func on(node string) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) { s.Status.Target.NodeName = node }
}

// behind says that the target is a load balancer.
func behind(members func(*v1alpha1.MirrorSession)) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) {
		s.Status.Target = &v1alpha1.ResolvedTarget{LoadBalancerID: "5a1f0c7e-0000-4000-8000-0000000000e1", ResolvedInterface: v1alpha1.ResolvedInterface{Addresses: []string{"192.168.0.100"}}}
		members(s)
	}
}

// until waits until f has no error.
func until(t *testing.T, what string, f func() error) {
	t.Helper()
	err := f()
	for end := time.Now().Add(30 * time.Second); err != nil; err = f() {
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func TestTailStreamsWhatTheVerifierShowsAndEndsWithIt(t *testing.T) {
	cluster := env.Start(t)
	namespace, system := cluster.Namespace(t), cluster.Namespace(t)
	store(t, cluster, namespace, "seen", on("tail-1"))
	n := newNode(t, cluster, "tail-1", system, func(_ context.Context, _ io.Reader, out, notes io.Writer) int {
		fmt.Fprintln(notes, "begins")
		fmt.Fprint(out, "a copy\n\x1b[31mred\n")
		fmt.Fprintln(notes, "ends")
		return 0
	})
	got := play(t, cluster.Kubeconfig, "tail", "seen", "-n", namespace, "--payload", "--packets=3")
	if diff := cmp.Diff(outcome{0, "a copy\n?[31mred\n", "begins\nends\n"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := []string{
		"verifier", "/verifier", "tail", namespace + "/seen", "--payload", "--packets=3", "--bytes=67108864", "--for=10m0s", "--lifeline=30s", "--port=4790",
	}
	if diff := cmp.Diff(want, n.last()); diff != "" {
		t.Errorf("what is executed (-want +got):\n%s", diff)
	}
}

func TestCaptureWritesAFileForTheCallerAloneOrTheStandardOutput(t *testing.T) {
	cluster := env.Start(t)
	namespace, system := cluster.Namespace(t), cluster.Namespace(t)
	store(t, cluster, namespace, "seen", on("capture-1"))
	content := "\x0a\x0d\x0d\x0a bytes \xff as they are"
	var n *node
	n = newNode(t, cluster, "capture-1", system, func(_ context.Context, _ io.Reader, out, _ io.Writer) int {
		if slices.Contains(n.last(), namespace+"/unseen") {
			return 1
		}
		fmt.Fprint(out, content)
		return 0
	})
	path := filepath.Join(t.TempDir(), "copies.pcapng")
	if diff := cmp.Diff(outcome{0, "", ""}, play(t, cluster.Kubeconfig, "capture", "seen", "-n", namespace, "-w", path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// One that is there already is emptied, and is nobody else's from then on.
	if err := errors.Join(os.WriteFile(path, []byte(strings.Repeat("longer", 50)), 0o644), os.Chmod(path, 0o644)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(outcome{0, "", ""}, play(t, cluster.Kubeconfig, "capture", "seen", "-n", namespace, "-w", path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Where nothing can be shown it keeps what it has.
	store(t, cluster, namespace, "unseen", on("capture-1"))
	if got := play(t, cluster.Kubeconfig, "capture", "unseen", "-n", namespace, "-w", path); got.Exit != 2 {
		t.Errorf("%+v", got)
	}
	written, err := os.ReadFile(path)
	if err != nil || string(written) != content {
		t.Errorf("%v: the file has %q", err, written)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: %s", err, info.Mode())
	}
	if diff := cmp.Diff(outcome{0, content, ""}, play(t, cluster.Kubeconfig, "capture", "seen", "-n", namespace, "-w", "-")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Behind a load balancer the copies come to its members, and are one output in the order of their times.
func TestTheCopiesOfSeveralNodesAreShownTogether(t *testing.T) {
	cluster := env.Start(t)
	namespace, system := cluster.Namespace(t), cluster.Namespace(t)
	members := func(nodes ...string) func(*v1alpha1.MirrorSession) {
		return behind(func(s *v1alpha1.MirrorSession) {
			for i, node := range nodes {
				s.Status.Target.Members = append(s.Status.Target.Members, v1alpha1.TargetMember{Address: fmt.Sprintf("192.168.0.%d", i+10), NodeName: node})
			}
		})
	}
	store(t, cluster, namespace, "seen", members("member-1", "member-2"))
	store(t, cluster, namespace, "half", members("member-1", "member-3"))
	shows := func(second int, code int) func(context.Context, io.Reader, io.Writer, io.Writer) int {
		return func(_ context.Context, _ io.Reader, out, notes io.Writer) int {
			fmt.Fprintf(out, "10:00:0%d.000000 a copy\n10:00:0%d.000000 another\n", second, second+2)
			fmt.Fprintln(notes, "ends")
			return code
		}
	}
	newNode(t, cluster, "member-1", system, shows(1, 0))
	newNode(t, cluster, "member-2", system, shows(2, 1))
	got := play(t, cluster.Kubeconfig, "tail", "seen", "-n", namespace)
	notes := strings.Split(got.Stderr, "\n")
	slices.Sort(notes)
	got.Stderr = strings.Join(notes, "\n")
	want := "10:00:01.000000 on member-1: a copy\n10:00:02.000000 on member-2: a copy\n10:00:03.000000 on member-1: another\n10:00:04.000000 on member-2: another\n"
	if diff := cmp.Diff(outcome{2, want, "\nmember-1: ends\nmember-2: ends"}, got); diff != "" {
		t.Errorf("one of them ended with an error (-want +got):\n%s", diff)
	}
	one := outcome{0, "10:00:01.000000 a copy\n10:00:03.000000 another\n", "ends\n"}
	if diff := cmp.Diff(one, play(t, cluster.Kubeconfig, "tail", "seen", "-n", namespace, "--node=member-1")); diff != "" {
		t.Errorf("--node (-want +got):\n%s", diff)
	}
	one.Stderr = "kubectl mirror tail: copies of a node are not shown: no verifier runs on node member-3: look at the DaemonSet vpcmirror-verifier, or name its namespace with --verifier-namespace\nends\n"
	if diff := cmp.Diff(one, play(t, cluster.Kubeconfig, "tail", "half", "-n", namespace)); diff != "" {
		t.Errorf("a node without a verifier (-want +got):\n%s", diff)
	}
}

// An interrupt closes what the process in the pod hears by, and its last words are waited for.
func TestAnInterruptEndsTheProcessInThePodToo(t *testing.T) {
	cluster := env.Start(t)
	namespace, system := cluster.Namespace(t), cluster.Namespace(t)
	store(t, cluster, namespace, "seen", on("interrupt-1"))
	begun := make(chan struct{})
	var once sync.Once
	newNode(t, cluster, "interrupt-1", system, func(_ context.Context, stdin io.Reader, _, notes io.Writer) int {
		once.Do(func() { close(begun) })
		_, err := io.Copy(io.Discard, stdin)
		fmt.Fprintf(notes, "the standard input has ended: %v\n", err)
		return 0
	})
	t.Setenv("KUBECONFIG", cluster.Kubeconfig)
	ctx, interrupt := context.WithCancel(t.Context())
	var out, complaints bytes.Buffer
	exit := make(chan int)
	go func() {
		exit <- run(ctx, []string{"tail", "seen", "-n", namespace}, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &complaints})
	}()
	select {
	case <-begun:
	case code := <-exit:
		t.Fatalf("it ended with %d: %s", code, complaints.String())
	}
	interrupt()
	if diff := cmp.Diff(outcome{0, "", "the standard input has ended: <nil>\n"}, outcome{<-exit, out.String(), complaints.String()}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatKeepsPacketsFromBeingShownIsOneSentence(t *testing.T) {
	cluster := env.Start(t)
	namespace, system := cluster.Namespace(t), cluster.Namespace(t)
	store(t, cluster, namespace, "failing", on("fail-1"))
	store(t, cluster, namespace, "nowhere")
	store(t, cluster, namespace, "unresolved", func(s *v1alpha1.MirrorSession) { s.Status.Target = nil })
	store(t, cluster, namespace, "elsewhere", on("fail-2"))
	store(t, cluster, namespace, "twice", func(s *v1alpha1.MirrorSession) {
		for _, node := range []string{"b", "a"} {
			s.Status.Verification = append(s.Status.Verification, v1alpha1.Verification{Node: node, ObservedAt: microNow()})
		}
	})
	store(t, cluster, namespace, "many", behind(func(s *v1alpha1.MirrorSession) {
		for i := range 17 {
			s.Status.Target.Members = append(s.Status.Target.Members, v1alpha1.TargetMember{Address: fmt.Sprintf("192.168.0.%d", i+10), NodeName: fmt.Sprint("n", i+10)})
		}
	}))
	newNode(t, cluster, "fail-1", system, func(_ context.Context, _ io.Reader, _, notes io.Writer) int {
		fmt.Fprintln(notes, "verifier tail: the verifier's pod is short of memory")
		return 1
	})
	for args, want := range map[string]string{
		"tail":                        "kubectl mirror tail: 0 names were given: name one session; see kubectl mirror tail --help\n",
		"tail a b":                    "kubectl mirror tail: 2 names were given: name one session; see kubectl mirror tail --help\n",
		"capture failing":             "kubectl mirror capture: no file is named: name one with -w, or - for the standard output; see kubectl mirror capture --help\n",
		"tail failing --packets=0":    "kubectl mirror tail: --packets=0: choose a number above 0; see kubectl mirror tail --help\n",
		"tail failing --bytes=-1":     "kubectl mirror tail: --bytes=-1: choose a number above 0; see kubectl mirror tail --help\n",
		"tail failing --for=0s":       "kubectl mirror tail: --for=0s: choose a time above 0, such as 10m; see kubectl mirror tail --help\n",
		"tail none":                   `kubectl mirror tail: there is no MirrorSession "none" in namespace NS: correct the name, or name its namespace with -n; kubectl mirror why -A lists all` + "\n",
		"tail failing":                "verifier tail: the verifier's pod is short of memory\n",
		"tail nowhere":                "kubectl mirror tail: the target of MirrorSession nowhere is on no node of this cluster: its packets can be seen only on the host that has it\n",
		"tail unresolved":             "kubectl mirror tail: MirrorSession unresolved has no target yet: kubectl mirror why unresolved says what it waits for\n",
		"tail elsewhere":              "kubectl mirror tail: no verifier runs on node fail-2: look at the DaemonSet vpcmirror-verifier, or name its namespace with --verifier-namespace\n",
		"tail twice":                  "kubectl mirror tail: no verifier runs on node a: look at the DaemonSet vpcmirror-verifier, or name its namespace with --verifier-namespace\n",
		"tail many":                   "kubectl mirror tail: the copies of MirrorSession many come to 17 nodes, and those of at most 16 are shown together: choose one with --node, such as n10\n",
		"capture failing -w /no/file": "kubectl mirror capture: open /no/file: no such file or directory\n",
	} {
		t.Run(args, func(t *testing.T) {
			got := play(t, cluster.Kubeconfig, append(strings.Fields(args), "-n", namespace)...)
			got.Stderr = strings.ReplaceAll(got.Stderr, namespace, "NS")
			if diff := cmp.Diff(outcome{2, "", want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// policy installs a file of config/policy.
func policy(t *testing.T, cluster *env.Cluster, file string) {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.Open(filepath.Join(root, "config", "policy", file))
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	documents := yaml.NewYAMLReader(bufio.NewReader(content))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			t.Fatal(err)
		}
		if object.Object == nil {
			continue
		}
		if err := cluster.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := cluster.Client.Delete(context.WithoutCancel(t.Context()), object); client.IgnoreNotFound(err) != nil {
				t.Error(err)
			}
		})
	}
}

func TestPacketsAreForWhoHasTheRoleAndOfSessionsThatHeMayRead(t *testing.T) {
	cluster := env.Start(t)
	policy(t, cluster, "tail.yaml")
	mine, others, system := cluster.Namespace(t), cluster.Namespace(t), cluster.Namespace(t)
	store(t, cluster, mine, "seen", on("rights-1"))
	store(t, cluster, others, "seen", on("rights-1"))
	n := newNode(t, cluster, "rights-1", system, func(_ context.Context, _ io.Reader, out, _ io.Writer) int {
		fmt.Fprintln(out, "a copy")
		return 0
	})
	read := []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"mirrorsessions"}, Verbs: []string{"get"}}}
	role := env.Granted(t, "Role", "tail.yaml")
	exec := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods", "pods/exec"}, Verbs: []string{"list", "create", "get"}}}
	cluster.User(t, env.User{Name: "viewer", Within: map[string][]rbacv1.PolicyRule{mine: read}})
	cluster.User(t, env.User{Name: "lister", Within: map[string][]rbacv1.PolicyRule{mine: read, system: role[:1]}})
	cluster.User(t, env.User{Name: "looker", Within: map[string][]rbacv1.PolicyRule{mine: read, system: role}})
	cluster.User(t, env.User{Name: "operator", Within: map[string][]rbacv1.PolicyRule{mine: read, system: append(role, exec...)}})
	cluster.User(t, env.User{Name: "debugger", Within: map[string][]rbacv1.PolicyRule{system: exec}})
	as := func(user string, args ...string) outcome {
		got := play(t, filepath.Join(filepath.Dir(cluster.Kubeconfig), user+".kubeconfig"), append(args, "--verifier-namespace", system)...)
		got.Stderr = strings.NewReplacer(mine, "MINE", others, "OTHERS", system, "SYSTEM").Replace(got.Stderr)
		return got
	}
	executes := func(user string, command ...string) error {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(filepath.Dir(cluster.Kubeconfig), user+".kubeconfig"))
		if err != nil {
			t.Fatal(err)
		}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "vpcmirror-verifier-rights-1"}}
		return packets.Run(t.Context(), config, pod, command, packets.Streams{Out: io.Discard, Notes: io.Discard})
	}
	until(t, "the policy is in force", func() error {
		if executes("looker", "/verifier", "version") == nil {
			return errors.New("anything is executed")
		}
		return nil
	})
	shown := outcome{0, "a copy\n", ""}
	for user, want := range map[string]outcome{
		"looker": shown, "operator": shown,
		"viewer": {2, "", `kubectl mirror tail: you may not look for the verifier: that needs the verb list on pods in namespace SYSTEM, which the Role vpcmirror-tail there gives; ` +
			`name another namespace with --verifier-namespace (pods is forbidden: User "viewer" cannot list resource "pods" in API group "" in the namespace "SYSTEM")` + "\n"},
		"lister": {2, "", `kubectl mirror tail: you may not look at these packets: that needs the verb create on pods/exec in namespace SYSTEM, which the Role vpcmirror-tail there gives, ` +
			`and the right to get the MirrorSession: unable to upgrade connection: pods "vpcmirror-verifier-rights-1" is forbidden: User "lister" cannot create resource "pods/exec" ` +
			`in API group "" in the namespace "SYSTEM"` + "\n"},
	} {
		if diff := cmp.Diff(want, as(user, "tail", "seen", "-n", mine)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", user, diff)
		}
	}
	if got := as("looker", "tail", "seen", "-n", others); got.Exit != 2 || !strings.Contains(got.Stderr, `cannot get resource "mirrorsessions"`) {
		t.Errorf("a session that may not be read: %+v", got)
	}
	before := n.last()
	session := mine + "/seen"
	for _, command := range [][]string{
		{"/verifier", "version"}, {"/verifier", "read", "-"}, {"/bin/sh"}, {"/verifier", "tail"}, {"/verifier", "tail", others + "/seen"}, {"/verifier", "tail", "seen"},
		{"/verifier", "tail", session, "--kubeconfig=/dev/stdin"}, {"/verifier", "tail", session, "--kubeconfig", "/dev/stdin"}, {"/verifier", "tail", session, others + "/seen"},
		{"/verifier", "tail", "--kubeconfig=x", session}, {"/verifier", "tail", session, "--node-name=x"}, {"/verifier", "tail", session, "--for=1h --kubeconfig=x"},
	} {
		if err := executes("looker", command...); err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'vpcmirror-tail'") {
			t.Errorf("by the Role alone %q is executed: %v", command, err)
		}
	}
	if diff := cmp.Diff(before, n.last()); diff != "" {
		t.Errorf("something was executed (-before +after):\n%s", diff)
	}
	if err := executes("debugger", "/verifier", "version"); err != nil {
		t.Errorf("who has other rights is in nobody's way: %v", err)
	}
}
