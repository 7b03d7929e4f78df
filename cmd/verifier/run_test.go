package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/internal/startup"
)

func TestTheSchemeKnowsTheOptionsOfEveryWrite(t *testing.T) {
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	// A client can't patch what is not registered together with the options of a patch.
	parameters := runtime.NewParameterCodec(scheme)
	for _, group := range []schema.GroupVersion{v1alpha1.GroupVersion, coordinationv1.SchemeGroupVersion} {
		if _, err := parameters.EncodeParameters(&metav1.PatchOptions{}, group); err != nil {
			t.Errorf("%s: %v", group, err)
		}
	}
}

// outcome is all that somebody who starts the program sees of it.
type outcome struct {
	Exit           int
	Stdout, Stderr string
}

func play(args ...string) outcome {
	var stdout, stderr bytes.Buffer
	exit := program(args, &stdout, &stderr)
	return outcome{exit, stdout.String(), stderr.String()}
}

func TestTheFlagsOfRun(t *testing.T) {
	t.Setenv("NODE_NAME", "node-7")
	t.Setenv("POD_NAMESPACE", "vpcmirror-system")
	for name, c := range map[string]struct {
		args []string
		want options
	}{
		"have defaults for a pod": {nil, options{node: "node-7", leaseNamespace: "vpcmirror-system", port: 4789, metrics: startup.Metrics{Address: "0"}, health: "0", debug: startup.Debug{Address: "0"}}},
		"are taken as given": {[]string{"--kubeconfig=k", "--node-name=a", "--port=4790", "--metrics-bind-address=:9", "--metrics-secure", "--runtime-metrics", "--health-probe-bind-address=:8", "--debug-bind-address=[::1]:6060", "--lease-namespace="},
			options{kubeconfig: "k", node: "a", port: 4790, metrics: startup.Metrics{Address: ":9", Secure: true}, runtimeMetrics: true, health: ":8", debug: startup.Debug{Address: "[::1]:6060"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got options
			exit := command(func(_ context.Context, o options) error { got = o; return nil }).Main(c.args, io.Discard, io.Discard)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(options{})); diff != "" || exit != 0 {
				t.Errorf("exit code %d (-want +got):\n%s", exit, diff)
			}
		})
	}
}

func TestTheVerifierServesProfilesWhereItWasTold(t *testing.T) {
	const address = "127.83.19.8:6060" // of the loopback interface, and nobody else's
	// No API server answers: profiles are for that case too.
	mgr, err := options{metrics: startup.Metrics{Address: "0"}, health: "0", debug: startup.Debug{Address: address}}.manager(&rest.Config{Host: "http://127.83.19.8:1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	// The address is taken since the manager was made: who asks is answered once it serves.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/debug/pprof/heap", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("it answers %s: %v", answer.Status, err)
	}
}

func TestAMistakeOnTheCommandLineIsOneSentence(t *testing.T) {
	const run, tail = "verifier run", "verifier tail"
	for name, c := range map[string]struct {
		args     []string
		program  string
		sentence string
	}{
		"no command":                        {nil, "verifier", "name a command: run, read, tail or version"},
		"an unknown command":                {[]string{"sniff"}, "verifier", `unknown command "sniff": use run, read, tail or version`},
		"a flag in place of a command":      {[]string{"--port=1"}, "verifier", `unknown command "--port=1": use run, read, tail or version`},
		"an argument behind --help":         {[]string{"--help", "run"}, "verifier", `unknown argument "run" behind --help`},
		"an argument behind version":        {[]string{"version", "1"}, "verifier", `unknown argument "1" behind version`},
		"an argument of run":                {[]string{"run", "eth0"}, run, `unknown argument "eth0": verifier run takes flags only`},
		"an unknown flag":                   {[]string{"run", "--interface=eth0"}, run, "unknown flag: --interface"},
		"a flag without its value":          {[]string{"run", "--port"}, run, "flag needs an argument: --port"},
		"no name":                           {[]string{"run", "--node-name="}, run, "--node-name is empty and the host has no name: name this host"},
		"a name that the status can't take": {[]string{"run", "--node-name=" + strings.Repeat("n", 254)}, run, "--node-name has 254 characters: choose a name with at most 253"},
		"a name that can't be shown":        {[]string{"run", "--node-name=a\x1b"}, run, `--node-name="a\x1b": choose a name of printable ASCII characters, others are not shown in a status`},
		"port 0":                            {[]string{"run", "--port=0"}, run, "--port=0: choose the UDP port of the copies, 1 to 65535"},
		"a port that is none":               {[]string{"run", "--port=70000"}, run, `--port="70000": give a whole number from 0 to 65535`},
		"an unknown level":                  {[]string{"run", "--log-level=loud"}, run, `--log-level="loud": choose debug, info, warn, error or a number from 0 to 10`},
		"profiles for the network":          {[]string{"run", "--debug-bind-address=:6060"}, run, `--debug-bind-address=":6060": give an address of the loopback interface with a port, such as 127.0.0.1:6060 or [::1]:6060; 0 switches it off`},
		"no file to read":                   {[]string{"read"}, "verifier read", "name at least one capture file"},
		"no session":                        {[]string{"tail"}, tail, "0 sessions are named: name one, as NAMESPACE/NAME"},
		"two sessions":                      {[]string{"tail", "ns/a", "ns/b"}, tail, "2 sessions are named: name one, as NAMESPACE/NAME"},
		"a session without its namespace":   {[]string{"tail", "a"}, tail, `"a" is no session: name it as NAMESPACE/NAME`},
		"a session with too many parts":     {[]string{"tail", "ns/a/b"}, tail, `"ns/a/b" is no session: name it as NAMESPACE/NAME`},
		"tail from port 0":                  {[]string{"tail", "ns/a", "--port=0"}, tail, "--port=0: choose the UDP port of the copies, 1 to 65535"},
		"a lifeline that is over":           {[]string{"tail", "ns/a", "--lifeline=-1s"}, tail, "--lifeline=-1s: choose a time above 0, or 0 to wait for the end of the standard input"},
		"too many copies":                   {[]string{"tail", "ns/a", "--packets=10000001"}, tail, "--packets=10000001: choose 1 to 10000000"},
		"no bytes":                          {[]string{"tail", "ns/a", "--bytes=0"}, tail, "--bytes=0: choose 1 to 4294967296"},
		"too long a time":                   {[]string{"tail", "ns/a", "--for=25h"}, tail, "--for=25h0m0s: choose a time above 0 and up to 24h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			want := outcome{2, "", c.program + ": " + c.sentence + "; see " + c.program + " --help\n"}
			if diff := cmp.Diff(want, play(c.args...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHelpAndVersionGoToStandardOutput(t *testing.T) {
	for args, want := range map[string]string{
		"help": help, "--help": help, "-h": help, "version": "verifier unknown\n", "--version": "verifier unknown\n", "run --version": "verifier run unknown\n",
	} {
		if diff := cmp.Diff(outcome{Stdout: want}, play(strings.Fields(args)...)); diff != "" {
			t.Errorf("verifier %s (-want +got):\n%s", args, diff)
		}
	}
	for _, name := range []string{"run", "read", "tail"} {
		got := play(name, "--help")
		if got.Exit != 0 || got.Stderr != "" || !strings.Contains(got.Stdout, "--port") {
			t.Errorf("verifier %s --help gives %+v", name, got)
		}
	}
}

func TestWithoutAClusterTheVerifierNamesFlagAndVariable(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	home := clientcmd.RecommendedHomeFile
	t.Cleanup(func() { clientcmd.RecommendedHomeFile = home })
	clientcmd.RecommendedHomeFile = "/nowhere"
	want := outcome{Exit: 1, Stderr: "verifier run: no API server is known: this is no pod, and neither --kubeconfig nor KUBECONFIG names a file with a cluster\n"}
	if diff := cmp.Diff(want, play("run", "--node-name=n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
