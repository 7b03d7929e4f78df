package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"vpcmirror.io/operator/test/env"
)

// node is one whose kubelet is this test: it has a verifier's pod, and what is executed there is run.
type node struct {
	run func(ctx context.Context, stdin io.Reader, out, notes io.Writer) int

	mu       sync.Mutex
	commands [][]string
}

// ExecInContainer is what a container runtime does.
func (n *node) ExecInContainer(ctx context.Context, _, _, container string, command []string, in io.Reader, out, notes io.WriteCloser,
	_ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	n.mu.Lock()
	n.commands = append(n.commands, append([]string{container}, command...))
	n.mu.Unlock()
	if code := n.run(ctx, in, out, notes); code != 0 {
		return utilexec.CodeExitError{Err: io.ErrUnexpectedEOF, Code: code}
	}
	return nil
}

func (n *node) last() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.commands) == 0 {
		return nil
	}
	return slices.Clone(n.commands[len(n.commands)-1])
}

// newNode makes a node with a kubelet, and a verifier's pod on it.
func newNode(t *testing.T, cluster *env.Cluster, name, namespace string, run func(ctx context.Context, stdin io.Reader, out, notes io.Writer) int) *node {
	t.Helper()
	n := &node{run: run}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		options, err := remotecommand.NewOptions(r)
		path := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // exec, namespace, pod, container
		if err != nil || len(path) != 4 || path[0] != "exec" {
			http.Error(w, "this kubelet can only execute", http.StatusBadRequest)
			return
		}
		remotecommand.ServeExec(w, r, n, path[2], "", path[3], r.URL.Query()["command"], options, time.Minute, time.Minute, remotecommand.SupportedStreamingProtocols)
	}))
	t.Cleanup(server.Close)
	host, text, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := cluster.Client.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	object.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: host}}
	object.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port)
	if err := cluster.Client.Status().Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vpcmirror-verifier-" + name, Labels: map[string]string{
			"app.kubernetes.io/name": "vpcmirror", "app.kubernetes.io/component": "verifier",
		}},
		Spec: corev1.PodSpec{
			NodeName: name, AutomountServiceAccountToken: new(false),
			Containers: []corev1.Container{{Name: "verifier", Image: "localhost/verifier", Args: []string{"run", "--port=4790"}}},
		},
	}
	if err := cluster.Client.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	pod.Status.Phase = corev1.PodRunning
	if err := cluster.Client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return n
}

func microNow() metav1.MicroTime { return metav1.NewMicroTime(time.Now()) }
