package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"vpcmirror.io/operator/api/v1alpha1"
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

func TestTheFlagsOfRun(t *testing.T) {
	t.Setenv("NODE_NAME", "node-7")
	t.Setenv("KUBECONFIG", "/etc/verifier.kubeconfig")
	t.Setenv("POD_NAMESPACE", "vpcmirror-system")

	t.Run("have defaults for a pod", func(t *testing.T) {
		got, err := parse(nil)
		want := options{
			kubeconfig: "/etc/verifier.kubeconfig", node: "node-7", leaseNamespace: "vpcmirror-system", port: 4789, metrics: "0", health: "0", logLevel: "info", logEncoding: "json",
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{})); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
	t.Run("are taken as given", func(t *testing.T) {
		got, err := parse([]string{"--node-name=a", "--port=4790", "--metrics-bind-address=:9", "--health-probe-bind-address=:8",
			"--log-level=debug", "--log-encoding=text", "--kubeconfig=k", "--lease-namespace="})
		want := options{kubeconfig: "k", node: "a", port: 4790, metrics: ":9", health: ":8", logLevel: "debug", logEncoding: "text"}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{})); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"an argument is refused", []string{"eth0"}, `unknown argument "eth0": verifier run takes flags only, see --help`},
		{"an empty name is refused", []string{"--node-name="}, "--node-name is empty and the host has no name: name this host"},
		{"a name that the status can't take is refused", []string{"--node-name=" + strings.Repeat("n", 254)}, "--node-name has 254 characters: choose a name with at most 253"},
		{"port 0 is refused", []string{"--port=0"}, "--port=0: choose the UDP port of the copies, 1 to 65535"},
		{"an unknown level is refused", []string{"--log-level=loud"}, `--log-level="loud": choose debug, info, warn or error`},
		{"an unknown encoding is refused", []string{"--log-encoding=xml"}, `--log-encoding="xml": choose json or text`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(c.args)
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	t.Run("an unknown flag is refused by name", func(t *testing.T) {
		if _, err := parse([]string{"--interface=eth0"}); err == nil || errors.Is(err, pflag.ErrHelp) || !strings.Contains(err.Error(), "--interface") {
			t.Errorf("got %v", err)
		}
	})
}
