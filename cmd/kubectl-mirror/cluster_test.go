package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/kubectl-mirror/why"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestMain(m *testing.M) { env.Main(m) }

// outcome is all that somebody who runs the program sees of it.
type outcome struct {
	Exit           int
	Stdout, Stderr string
}

// play runs the program in this process, as the user of a kubeconfig.
func play(t *testing.T, kubeconfig string, args ...string) outcome {
	t.Helper()
	t.Setenv("KUBECONFIG", kubeconfig)
	var out, complaints bytes.Buffer
	exit := run(t.Context(), args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &complaints})
	return outcome{exit, out.String(), complaints.String()}
}

// store makes a filter and a session with the status given, as the manager would have it.
func store(t *testing.T, cluster *env.Cluster, namespace, name string, edits ...func(*v1alpha1.MirrorSession)) *v1alpha1.MirrorSession {
	t.Helper()
	filter := &v1alpha1.MirrorFilter{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.MirrorFilterSpec{Rules: []v1alpha1.FilterRule{harness.Rule(1), harness.Rule(2)}},
	}
	session := &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.MirrorSessionSpec{
			FilterRef: v1alpha1.FilterReference{Name: name},
			Sources:   harness.Sources(harness.At("192.168.0.33")), Target: harness.Target(harness.At("192.168.0.108")),
		},
	}
	for _, o := range []client.Object{filter, session} {
		if err := cluster.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	last := metav1.NewTime(time.Now().Add(-2 * time.Second))
	since := metav1.NewTime(last.Add(-time.Minute))
	condition := func(kind, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: since, ObservedGeneration: session.Generation}
	}
	session.Status = v1alpha1.MirrorSessionStatus{
		CommonStatus: v1alpha1.CommonStatus{ObservedGeneration: session.Generation, Conditions: []metav1.Condition{
			condition(v1alpha1.ConditionReady, v1alpha1.ReasonSynced, "the cloud matches the spec"),
			condition(v1alpha1.ConditionPathClear, v1alpha1.ReasonClear, "nothing that was read stands in the way"),
			condition(v1alpha1.ConditionTrafficObserved, v1alpha1.ReasonPacketsObserved, "copies arrive"),
			condition(v1alpha1.ConditionConsumerReady, v1alpha1.ReasonConsumerSeen, "the device mirror0 takes them"),
		}},
		VNI: new(int32(7)), Epoch: 1,
		Sessions: []v1alpha1.CloudSession{{ID: "ac98946d-2d6f-4d0c-9f0e-2f1d1d1d1d1d", Priority: 10000}},
		Sources:  []v1alpha1.ResolvedInterface{{InterfaceID: "s", Addresses: []string{"192.168.0.33"}}},
		Target:   &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "t", Addresses: []string{"192.168.0.108"}}},
		Traffic: &v1alpha1.Traffic{
			Counts: v1alpha1.Counts{Packets: 5}, InEpoch: &v1alpha1.Counts{Packets: 5}, Since: &since, FirstPacketAt: &since, LastPacketAt: &last,
		},
	}
	for _, edit := range edits {
		edit(session)
	}
	if err := cluster.Client.Status().Update(t.Context(), session, client.FieldOwner("vpcmirror-manager")); err != nil {
		t.Fatal(err)
	}
	return session
}

// denied is what a status says of a target whose group lets nothing in.
func denied(s *v1alpha1.MirrorSession) {
	path := &s.Status.Conditions[1]
	path.Status, path.Reason, path.Message = metav1.ConditionFalse, v1alpha1.ReasonTargetGroupDenies, "no rule"
	s.Status.Findings = []v1alpha1.Finding{{
		Reason: v1alpha1.ReasonTargetGroupDenies, Severity: v1alpha1.SeverityError, Subject: "target 192.168.0.108",
		Message: `security group "sg" of 192.168.0.108 has no rule for UDP 4789`, Remedy: "add one", DecidedBy: v1alpha1.DecidedByRead, Since: metav1.Now(),
	}}
}

// clocks are the parts of a text that are never the same twice, and breaks are where lines that
// have them end.
var (
	clocks = regexp.MustCompile(`(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\dZ|\d[\d.]* s\b`)
	breaks = regexp.MustCompile(`\n {4,}`)
)

// timeless is a text without them.
func timeless(text string) string {
	return clocks.ReplaceAllString(breaks.ReplaceAllString(text, " "), "T")
}

const wellText = `MirrorSession NS/well: COPIES ARRIVE (5 copies, the last T ago, usually one each T; looked at T, T ago)
  ok    cloud      session ac98946d, filter "well" with 2 rules, priority 10000, VNI 7
  ok    source     192.168.0.33: can be mirrored, and a rule can match
  ok    order      no session that comes before this one takes its packets
  ok    path       nothing that was read stands in the way
  ?     target     no verifier counts at 192.168.0.108
  ok    consumer   the device mirror0 takes them
`

const deniedText = `MirrorSession NS/denied: SILENT for T (5 copies before, the last at T, usually one each T; looked at T, T ago)
  ok    cloud      session ac98946d, filter "denied" with 2 rules, priority 10000, VNI 7
  ok    source     192.168.0.33
  ok    order      no session that comes before this one takes its packets
  FAIL  path       security group "sg" of 192.168.0.108 has no rule for UDP 4789
  ?     target     no verifier counts at 192.168.0.108
  ok    consumer   the device mirror0 takes them
Cause: TargetGroupDenies (target 192.168.0.108), since about T
Do:    add one
`

// The program as it is installed: a file in the PATH, which kubectl finds.
func TestKubectlRunsTheProgramAndEndsWithItsExitCode(t *testing.T) {
	cluster := env.Start(t)
	namespace := cluster.Namespace(t)
	store(t, cluster, namespace, "well")
	store(t, cluster, namespace, "denied", denied)
	folder := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(folder, "kubectl-mirror"), ".").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	if _, err := os.Stat(kubectl); err != nil {
		t.Fatalf("kubectl is to be where kube-apiserver is: %v", err)
	}
	for args, want := range map[string]outcome{
		"why well":                          {0, wellText, ""},
		"why denied":                        {1, deniedText, ""},
		"why":                               {1, deniedText + "\n" + wellText, ""},
		"why nothing":                       {2, "", `kubectl mirror why: there is no MirrorSession "nothing" in namespace NS: correct the name, or name its namespace with -n; kubectl mirror why -A lists all` + "\n"},
		"why well --loud":                   {2, "", "kubectl mirror why: unknown flag: --loud; see kubectl mirror why --help\n"},
		"why -n elsewhere":                  {2, "", "kubectl mirror why: there is no MirrorSession in namespace elsewhere\n"},
		"why well -n NS --now --timeout 1s": {2, strings.Replace(wellText, "COPIES", "UNKNOWN, before it was COPIES", 1), ""},
	} {
		t.Run(args, func(t *testing.T) {
			// Behind a name, as kubectl takes what comes before it for its own.
			words := strings.Fields(strings.ReplaceAll("mirror "+args, "NS", namespace))
			if !strings.Contains(args, "-n ") {
				words = append(words, "--namespace="+namespace)
			}
			command := exec.CommandContext(t.Context(), kubectl, words...)
			command.Env = []string{"PATH=" + folder, "KUBECONFIG=" + cluster.Kubeconfig, "HOME=" + folder}
			var out, complaints bytes.Buffer
			command.Stdout, command.Stderr = &out, &complaints
			err := command.Run()
			if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
				t.Fatal(err)
			}
			without := func(text string) string { return strings.ReplaceAll(timeless(text), namespace, "NS") }
			got := outcome{command.ProcessState.ExitCode(), without(out.String()), without(complaints.String())}
			if strings.Contains(args, "--now") {
				got.Stdout = strings.Replace(got.Stdout, "Note:  the manager was asked to look now, and has not answered within T\n", "", 1)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestForProgramsTheAnswersAreJSONOrYAML(t *testing.T) {
	cluster := env.Start(t)
	namespace := cluster.Namespace(t)
	store(t, cluster, namespace, "well")
	store(t, cluster, namespace, "denied", denied)
	type short struct {
		Name    string
		Verdict why.Verdict
		Causes  int
	}
	shorten := func(a why.Answer) short { return short{a.Name, a.Verdict, len(a.Causes)} }
	for _, format := range []string{"json", "yaml"} {
		parse := func(o outcome, into any) {
			t.Helper()
			parser := json.Unmarshal
			if format == "yaml" {
				parser = func(data []byte, into any) error { return yaml.UnmarshalStrict(data, into) }
			}
			if err := parser([]byte(o.Stdout), into); err != nil || o.Stderr != "" {
				t.Fatalf("%v: %+v", err, o)
			}
		}
		var one why.Answer
		o := play(t, cluster.Kubeconfig, "why", "denied", "-n", namespace, "-o", format)
		parse(o, &one)
		if diff := cmp.Diff(short{"denied", why.CauseFound, 1}, shorten(one)); diff != "" || o.Exit != 1 {
			t.Errorf("one as %s, exit code %d (-want +got):\n%s", format, o.Exit, diff)
		}
		var list why.AnswerList
		o = play(t, cluster.Kubeconfig, "why", "-n", namespace, "-o", format)
		parse(o, &list)
		var all []short
		for _, a := range list.Items {
			all = append(all, shorten(a))
		}
		if diff := cmp.Diff([]short{{"denied", why.CauseFound, 1}, {"well", why.Flowing, 0}}, all); diff != "" || o.Exit != 1 {
			t.Errorf("all as %s, exit code %d (-want +got):\n%s", format, o.Exit, diff)
		}
	}
}

func TestOfAllNamespacesThereIsATableWithTheWorstFirst(t *testing.T) {
	cluster := env.Start(t)
	first, second := cluster.Namespace(t), cluster.Namespace(t)
	store(t, cluster, first, "well")
	store(t, cluster, second, "denied", denied)
	got := play(t, cluster.Kubeconfig, "why", "-A")
	var lines []string // of this test's own
	for line := range strings.Lines(got.Stdout) {
		if strings.HasPrefix(line, "NAMESPACE") || strings.Contains(line, first) || strings.Contains(line, second) {
			lines = append(lines, strings.Join(strings.Fields(timeless(line)), " "))
		}
	}
	want := []string{
		"NAMESPACE NAME STATE SINCE WHY SUBJECT MESSAGE",
		second + ` denied SILENT T TargetGroupDenies target 192.168.0.108 security group "sg" of 192.168.0.108 has no rule for UDP 4789`,
		first + " well COPIES ARRIVE",
	}
	if diff := cmp.Diff(want, lines); diff != "" || got.Exit != 1 || got.Stderr != "" {
		t.Errorf("exit code %d, %q (-want +got):\n%s", got.Exit, got.Stderr, diff)
	}
}

// lease makes a manager's lease, with what the API server notes of writes taken out where it is
// to be old.
func lease(t *testing.T, cluster *env.Cluster, namespace string, renewed time.Time, old bool) {
	t.Helper()
	l := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: leaseName},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: new("manager-1"), LeaseDurationSeconds: new(int32(15)), RenewTime: &metav1.MicroTime{Time: renewed},
		},
	}
	if err := cluster.Client.Create(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Client.Delete(context.WithoutCancel(t.Context()), l); err != nil {
			t.Error(err)
		}
	})
	if old {
		l.ManagedFields = []metav1.ManagedFieldsEntry{{}}
		if err := cluster.Client.Update(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhoeverMayReadTheLeaseLearnsThatTheManagerIsAway(t *testing.T) {
	cluster := env.Start(t)
	namespace, operators := cluster.Namespace(t), cluster.Namespace(t)
	store(t, cluster, namespace, "well")
	read := rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"mirrorsessions", "mirrorfilters"}, Verbs: []string{"get", "list", "watch"}}
	cluster.User(t, env.User{Name: "viewer", Rules: []rbacv1.PolicyRule{read}})
	cluster.User(t, env.User{Name: "viewer-of-leases", Rules: []rbacv1.PolicyRule{read}, Within: map[string][]rbacv1.PolicyRule{
		operators: {{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, ResourceNames: []string{leaseName}, Verbs: []string{"get"}}},
	}})
	as := func(user string) string {
		return filepath.Join(filepath.Dir(cluster.Kubeconfig), user+".kubeconfig")
	}
	away := strings.Replace(wellText, "COPIES", "UNKNOWN, before it was COPIES", 1)
	head, rows, _ := strings.Cut(away, "\n")
	away = head + "\nNote:  the manager has not renewed its lease for 3 m: the status may be of before; look at the Deployment of the manager " +
		"in namespace OPS\n" + rows
	check := func(name, user string, want outcome, args ...string) {
		t.Helper()
		got := play(t, as(user), append([]string{"why", "well", "-n", namespace}, args...)...)
		without := strings.NewReplacer(namespace, "NS", operators, "OPS").Replace
		got.Stdout = without(timeless(got.Stdout))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	well := outcome{0, wellText, ""}
	check("without a lease", "admin", well)
	lease(t, cluster, operators, time.Now().Add(-200*time.Second), true)
	check("an old one that is found", "admin", outcome{2, away, ""})
	check("an old one that is named", "viewer-of-leases", outcome{2, away, ""}, "--manager-namespace", operators)
	check("one that can't be found", "viewer-of-leases", well)
	check("one that may not be read", "viewer", well, "--manager-namespace", operators)
	// By its own clock the manager renewed it long ago, by the API server's now.
	lease(t, cluster, cluster.Namespace(t), time.Now().Add(-time.Hour), false)
	check("beside one that was renewed", "admin", well)
}

func TestToAskTheManagerNeedsTheRightToPatch(t *testing.T) {
	cluster := env.Start(t)
	namespace := cluster.Namespace(t)
	store(t, cluster, namespace, "well")
	cluster.User(t, env.User{Name: "reader", Rules: env.Granted(t, "ClusterRole", "users.yaml")})
	kubeconfig := filepath.Join(filepath.Dir(cluster.Kubeconfig), "reader.kubeconfig")
	got := play(t, kubeconfig, "why", "well", "-n", namespace, "--now")
	want := outcome{2, "", `kubectl mirror why: --now asks the manager by an annotation, which you may not set: leave --now out, or have the right to patch mirrorsessions ` +
		`(mirrorsessions.vpcmirror.io "well" is forbidden: User "reader" cannot patch resource "mirrorsessions" in API group "vpcmirror.io" in the namespace "` + namespace + `")` + "\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWithNowTheManagerComparesWithTheCloudBeforeTheAnswer(t *testing.T) {
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("copies")
	suspended := w.Session("other", "copies", func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true })
	w.Create(suspended)
	harness.Until(w, suspended, "suspended", func(s *v1alpha1.MirrorSession) bool { return s.WaitsFor(v1alpha1.ReasonSuspended) })
	before := w.Cloud.Journal.Last()
	got := play(t, w.Cluster.Kubeconfig, "why", "-n", w.Namespace, "--now", "-o", "json")
	var list why.AnswerList
	if err := json.Unmarshal([]byte(got.Stdout), &list); err != nil || got.Stderr != "" {
		t.Fatalf("%v: %+v", err, got)
	}
	for _, a := range list.Items {
		if len(a.Notes) > 0 {
			t.Errorf("the answer for %s may be of before: %v", a.Name, a.Notes)
		}
	}
	if err := w.Get(session); err != nil {
		t.Fatal(err)
	}
	request := session.Annotations[v1alpha1.ReconcileRequestedAnnotation]
	if request == "" || request != session.Status.LastHandledReconcileAt {
		t.Errorf("the request %q is answered by %q", request, session.Status.LastHandledReconcileAt)
	}
	if w.Cloud.Journal.Last() == before {
		t.Error("nothing was asked of the cloud")
	}
}
