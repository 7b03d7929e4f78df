package main

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/internal/startup"
	"vpcmirror.io/operator/controllers/credentials"
)

// outcome is all that somebody who starts the program sees of it.
type outcome struct {
	Exit           int
	Stdout, Stderr string
}

// play starts the program with work in place of its own.
func play(work func(context.Context, options) error, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	exit := command(work).Main(args, &stdout, &stderr)
	return outcome{exit, stdout.String(), stderr.String()}
}

func TestTheFlags(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "vpcmirror-system")
	inPod := options{
		metrics: startup.Metrics{Address: ":8080"}, sessionMetrics: "auto", health: ":8081", debug: startup.Debug{Address: "0"}, namespace: "vpcmirror-system", verifierNamespace: "vpcmirror-system", resync: 10 * time.Minute,
		leaseDuration: 15 * time.Second, renewDeadline: 10 * time.Second, retryPeriod: 2 * time.Second,
		allowProbes: true, workers: 4, callsPerSecond: 5, burst: 10, callDeadline: 4 * time.Second, own: own{from: "environment"},
	}
	for name, c := range map[string]struct {
		args   []string
		change func(*options)
	}{
		"have defaults for a pod": {nil, func(*options) {}},
		"are taken as given": {[]string{
			"--kubeconfig=k", "--leader-elect", "--leader-election-namespace=leaders", "--verifier-namespace=elsewhere", "--resync-interval=10s", "--workers=1", "--delete-orphans",
			"--leader-elect-lease-duration=9s", "--leader-elect-renew-deadline=8s", "--leader-elect-retry-period=1s",
			"--cloud-calls-per-second=0.5", "--cloud-burst=1", "--cloud-call-deadline=1s", "--metrics-bind-address=:1", "--metrics-secure", "--session-metrics=troubled", "--health-probe-bind-address=:2", "--debug-bind-address=localhost:6060",
			"--allowed-endpoints=https://a.example,http://b.example:8600", "--allowed-endpoints=https://c.example",
			"--otlp-endpoint=http://collector:4318",
			"--cloud-proxy=http://proxy.example:3128", "--cloud-ca-bundle=f",
			"--own-credentials-namespaces=team in (a,b),!guest", "--allow-probes=false", "--own-credentials=file", "--own-credentials-dir=d",
		}, func(o *options) {
			*o = options{
				kubeconfig: "k", metrics: startup.Metrics{Address: ":1", Secure: true}, sessionMetrics: "troubled", health: ":2", debug: startup.Debug{Address: "127.0.0.1:6060"}, leaderElect: true, namespace: "leaders", verifierNamespace: "elsewhere", resync: 10 * time.Second,
				leaseDuration: 9 * time.Second, renewDeadline: 8 * time.Second, retryPeriod: time.Second,
				workers: 1, deleteOrphans: true, callsPerSecond: 0.5, burst: 1, callDeadline: time.Second,
				tenants: tenants{allowedEndpoints: []string{"https://a.example", "http://b.example:8600", "https://c.example"}, ownNamespaces: "team in (a,b),!guest"},
				traces:  traces{endpoint: "http://collector:4318"},
				way:     way{proxy: "http://proxy.example:3128", caBundle: "f"},
				own:     own{from: "file", directory: "d"},
			}
		}},
		"can say that no verifier holds a lease": {[]string{"--verifier-namespace="}, func(o *options) { o.verifierNamespace = "" }},
		"tell the leader lease from the verifiers'": {[]string{"--leader-election-namespace=leaders"},
			func(o *options) { o.namespace = "leaders" }},
	} {
		t.Run(name, func(t *testing.T) {
			want, got := inPod, options{}
			c.change(&want)
			seen := play(func(_ context.Context, o options) error { got = o; return nil }, c.args...)
			if diff := cmp.Diff(outcome{}, seen); diff != "" {
				t.Errorf("what is seen (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{}, tenants{}, way{}, own{}, traces{})); diff != "" {
				t.Errorf("the options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMistakeInAFlagIsOneSentence(t *testing.T) {
	for args, want := range map[string]string{
		"--bogus":                    "unknown flag: --bogus",
		"start":                      `unknown argument "start": manager takes flags only`,
		"--workers":                  "flag needs an argument: --workers",
		"--workers=0":                "--workers=0: choose at least 1",
		"--debug-bind-address=:6060": `--debug-bind-address=":6060": give an address of the loopback interface with a port, such as 127.0.0.1:6060 or [::1]:6060; 0 switches it off`,
		"--workers=x":                `--workers="x": give a whole number`,
		"--resync-interval=9s":       "--resync-interval=9s is too short: choose at least 10s, for the cloud's sake",
		"--leader-elect --leader-elect-renew-deadline=15s":     "--leader-elect-lease-duration=15s: choose whole seconds, more than --leader-elect-renew-deadline=15s",
		"--leader-elect --leader-elect-lease-duration=20500ms": "--leader-elect-lease-duration=20.5s: choose whole seconds, more than --leader-elect-renew-deadline=10s",
		"--leader-elect --leader-elect-renew-deadline=7s":      "--leader-elect-renew-deadline=7s: choose at least --cloud-call-deadline=4s and twice --leader-elect-retry-period=2s more",
		"--cloud-burst=0":              "--cloud-calls-per-second and --cloud-burst must be greater than 0",
		"--cloud-calls-per-second=0":   "--cloud-calls-per-second and --cloud-burst must be greater than 0",
		"--cloud-calls-per-second=NaN": "--cloud-calls-per-second and --cloud-burst must be greater than 0",
		"--cloud-call-deadline=5s":     "--cloud-call-deadline=5s: choose more than 0 and at most 4s",
		"--cloud-call-deadline=0":      "--cloud-call-deadline=0s: choose more than 0 and at most 4s",
		"--allowed-endpoints=https://a.example,a.example": `--allowed-endpoints: "a.example": it is no origin like https://vpc.cn-north-4.myhuaweicloud.com: ` +
			"give http or https, a host in ASCII, and a port where it is not the usual one, without user, path or query",
		"--own-credentials-namespaces=a,": `--own-credentials-namespaces: "a," is no label selector like team=network: ` +
			`found '', expected: identifier after ','`,
		"--own-credentials=vault": `--own-credentials="vault": choose one of environment, file, metadata, podIdentity, workloadIdentity`,
		"--own-credentials=file":  "--own-credentials=file needs --own-credentials-dir: name the directory of the files",
		"--own-credentials-dir=d": "--own-credentials-dir is for --own-credentials=file, and it is environment: give one of both",
		"--log-level=loud":        `--log-level="loud": choose debug, info, warn, error or a number from 0 to 10`,
	} {
		t.Run(args, func(t *testing.T) {
			got := play(func(context.Context, options) error { t.Error("it works"); return nil }, strings.Fields(args)...)
			if diff := cmp.Diff(outcome{2, "", "manager: " + want + "; see manager --help\n"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheHelpNamesTheVariablesToo(t *testing.T) {
	got := play(nil, "--help")
	if got.Exit != 0 || got.Stderr != "" || !strings.HasPrefix(got.Stdout, about) || !strings.HasSuffix(got.Stdout, environmentHelp+tracesHelp) {
		t.Errorf("got %+v", got)
	}
}

func TestWithoutAClusterTheManagerNamesFlagAndVariable(t *testing.T) {
	for _, name := range []string{"KUBECONFIG", "KUBERNETES_SERVICE_HOST", credentials.EnvAccessKey, credentials.EnvSecretKey} {
		t.Setenv(name, "")
	}
	home := clientcmd.RecommendedHomeFile
	t.Cleanup(func() { clientcmd.RecommendedHomeFile = home })
	clientcmd.RecommendedHomeFile = "/nowhere"
	want := outcome{Exit: 1, Stderr: "manager: no API server is known: this is no pod, and neither --kubeconfig nor KUBECONFIG names a file with a cluster\n"}
	if diff := cmp.Diff(want, play(run)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheCacheKeepsOfANodeWhatTheReconcilersRead(t *testing.T) {
	addresses := []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.168.0.164"}, {Type: corev1.NodeHostName, Address: "n"}}
	made := metav1.NewTime(time.Now())
	full := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: "n", UID: "u", ResourceVersion: "7", Labels: map[string]string{"a": "b"}, CreationTimestamp: made,
			Annotations: map[string]string{"c": "d"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
		},
		Spec:   corev1.NodeSpec{PodCIDR: "10.0.0.0/24", ProviderID: "huaweicloud://s"},
		Status: corev1.NodeStatus{Addresses: addresses, Images: []corev1.ContainerImage{{SizeBytes: 1}}},
	}
	got, err := slimNode(full)
	want := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u", ResourceVersion: "7", Labels: map[string]string{"a": "b"}, CreationTimestamp: made},
		Spec:       corev1.NodeSpec{ProviderID: "huaweicloud://s"},
		Status:     corev1.NodeStatus{Addresses: addresses},
	}
	if diff := cmp.Diff(any(want), got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	tombstone := struct{}{}
	if got, err := slimNode(tombstone); got != tombstone || err != nil {
		t.Errorf("something else became %v, %v", got, err)
	}
}

func TestTheCacheKeepsOfALeaseWhenItWasRenewed(t *testing.T) {
	renewed := metav1.NewMicroTime(time.Now())
	full := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "v", Name: "n", UID: "u", ResourceVersion: "7", Labels: map[string]string{"app.kubernetes.io/component": "verifier"},
			Annotations: map[string]string{"a": strings.Repeat("a", 250_000)}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
		},
		Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: new(int32(40)), RenewTime: &renewed, HolderIdentity: new(strings.Repeat("a", 250_000))},
	}
	var got any
	for o, by := range cached("v").ByObject {
		if _, ok := o.(*coordinationv1.Lease); ok && by.Transform != nil {
			var err error
			if got, err = by.Transform(full); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "v", Name: "n", UID: "u", ResourceVersion: "7"},
		Spec:       coordinationv1.LeaseSpec{LeaseDurationSeconds: new(int32(40)), RenewTime: &renewed},
	}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheCacheHoldsTheVerifiersLeasesAlone(t *testing.T) {
	for o, by := range cached("vpcmirror-system").ByObject {
		if _, ok := o.(*coordinationv1.Lease); !ok {
			continue
		}
		if diff := cmp.Diff(map[string]cache.Config{"vpcmirror-system": {}}, by.Namespaces); diff != "" {
			t.Errorf("namespaces (-want +got):\n%s", diff)
		}
		if !by.Label.Matches(labels.Set{"app.kubernetes.io/name": "vpcmirror", "app.kubernetes.io/component": "verifier"}) || by.Label.Matches(labels.Set{}) {
			t.Errorf("the selector %s is for others than the verifiers' leases", by.Label)
		}
	}
}

func TestTheCacheHoldsOfASessionWhatSomebodyReads(t *testing.T) {
	full := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{
		Name: "s", Labels: map[string]string{"a": "b"}, Finalizers: []string{v1alpha1.Finalizer},
		Annotations:   map[string]string{corev1.LastAppliedConfigAnnotation: "{}", v1alpha1.ReconcileRequestedAnnotation: "now"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	want := full.DeepCopy()
	want.ManagedFields, want.Annotations = nil, map[string]string{v1alpha1.ReconcileRequestedAnnotation: "now"}
	got, err := slimOurs(full)
	if diff := cmp.Diff(any(want), got); diff != "" || err != nil {
		t.Errorf("what is kept (-want +got), error %v:\n%s", err, diff)
	}
}

func TestOfAManifestTheCacheKeepsTheFieldsThatThereAreNot(t *testing.T) {
	const misspelt = `{"spec":{"rules":[{"sorce":{}}]}}`
	for name, c := range map[string]struct{ has, keeps map[string]string }{
		"one with a misspelt field":     {map[string]string{corev1.LastAppliedConfigAnnotation: misspelt}, map[string]string{v1alpha1.UnknownFieldsAnnotation: "spec.rules[0].sorce"}},
		"one without":                   {map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "a": "b"}, map[string]string{"a": "b"}},
		"one that says it of itself":    {map[string]string{v1alpha1.UnknownFieldsAnnotation: "spec.x"}, map[string]string{}},
		"one that kubectl did not make": {nil, nil},
	} {
		got, err := slimOurs(&v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Annotations: c.has}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.keeps, got.(*v1alpha1.MirrorFilter).Annotations); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatManyObjectsSayIsKeptOnceHoweverLongAfterTheFirst(t *testing.T) {
	said := func(uid types.UID) *string {
		s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{UID: uid}}
		s.Status.Conditions = []metav1.Condition{{Type: "Ready", Reason: strings.Clone("PacketsObserved")}}
		got, err := slimOurs(s)
		slim, ok := got.(*v1alpha1.MirrorSession)
		if err != nil || !ok {
			t.Fatalf("%T, %v", got, err)
		}
		return &slim.Status.Conditions[0].Reason
	}
	said("1")
	first := said("2") // with whom it is known that several say it
	for range 3 {
		runtime.GC()
	}
	if later := said("3"); unsafe.StringData(*first) != unsafe.StringData(*later) {
		t.Error("an object that comes after a collection of garbage keeps a text of its own")
	}
}
