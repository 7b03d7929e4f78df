package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

func TestTheNamespaceOfTheVerifiersLeases(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "vpcmirror-system")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"is the pod's own":                {nil, "vpcmirror-system"},
		"is taken as given":               {[]string{"--verifier-namespace=elsewhere"}, "elsewhere"},
		"can be empty, for no leases":     {[]string{"--verifier-namespace="}, ""},
		"is not that of the leader lease": {[]string{"--leader-election-namespace=leaders"}, "vpcmirror-system"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			o, err := parseAnew(t, c.args, &out)
			if err != nil || o.verifierNamespace != c.want {
				t.Errorf("%q, %v, want %q\n%s", o.verifierNamespace, err, c.want, out.String())
			}
		})
	}
}

func TestEveryFlagIsInTheHelp(t *testing.T) {
	var out bytes.Buffer
	if _, err := parseAnew(t, []string{"--help"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v", err)
	}
	for _, g := range groups {
		for _, name := range g.flags {
			if name != "kubeconfig" && !strings.Contains(out.String(), "--"+name+" ") { // that is controller-runtime's
				t.Errorf("the help does not name --%s:\n%s", name, out.String())
			}
		}
	}
}

// parseAnew parses flags as at the start of the program: they can be declared only once.
func parseAnew(t *testing.T, args []string, out io.Writer) (options, error) {
	t.Helper()
	whole := flag.CommandLine
	t.Cleanup(func() { flag.CommandLine = whole })
	flag.CommandLine = flag.NewFlagSet("manager", flag.ContinueOnError)
	return parse(args, out)
}

func TestTheCacheKeepsOfANodeWhatTheReconcilersRead(t *testing.T) {
	addresses := []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.168.0.164"}, {Type: corev1.NodeHostName, Address: "n"}}
	full := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u", ResourceVersion: "7", Labels: map[string]string{"a": "b"}, CreationTimestamp: metav1.NewTime(time.Now())},
		Spec:       corev1.NodeSpec{PodCIDR: "10.0.0.0/24"},
		Status:     corev1.NodeStatus{Addresses: addresses, Images: []corev1.ContainerImage{{SizeBytes: 1}}},
	}
	got, err := slimNode(full)
	want := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u", ResourceVersion: "7"},
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
