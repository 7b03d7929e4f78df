package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"vpcmirror.io/operator/test/env"
)

// kubectlProxy runs kubectl proxy until the test ends and returns its address.
func kubectlProxy(t *testing.T, kubeconfig string, args ...string) string {
	t.Helper()
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	c := exec.CommandContext(t.Context(), kubectl, append([]string{"proxy", "--port=0", "--kubeconfig=" + kubeconfig}, args...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Wait() }) // its error is the end of the test
	said, err := bufio.NewReader(out).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(said), "Starting to serve on ")
	if err != nil || !ok {
		t.Fatalf("kubectl proxy said %q: %v", said, err)
	}
	return "http://" + address
}

// helper is a program that gives a client's certificate, as those do by which people log in.
func helper(t *testing.T, of *clientcmdapi.AuthInfo) *clientcmdapi.ExecConfig {
	t.Helper()
	pem := func(data []byte, path string) string {
		if len(data) > 0 {
			return string(data)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	credential, err := json.Marshal(map[string]any{
		"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
		"status": map[string]string{
			"clientCertificateData": pem(of.ClientCertificateData, of.ClientCertificate), "clientKeyData": pem(of.ClientKeyData, of.ClientKey),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		Command: "sh", Args: []string{"-c", "echo " + base64.StdEncoding.EncodeToString(credential) + " | base64 -d"},
	}
}

func TestPacketsAreShownByEveryWayToTheAPIServer(t *testing.T) {
	cluster := env.Start(t)
	namespace, system := cluster.Namespace(t), cluster.Namespace(t)
	store(t, cluster, namespace, "seen", on("reached-1"))
	newNode(t, cluster, "reached-1", system, func(_ context.Context, _ io.Reader, out, _ io.Writer) int {
		fmt.Fprintln(out, "a copy")
		return 0
	})
	shown := outcome{0, "a copy\n", ""}
	for name, c := range map[string]struct {
		edit func(*clientcmdapi.Cluster, *clientcmdapi.AuthInfo)
		args []string
		want outcome
	}{
		"a program that logs in": {edit: func(_ *clientcmdapi.Cluster, a *clientcmdapi.AuthInfo) {
			*a = clientcmdapi.AuthInfo{Exec: helper(t, a)}
		}, want: shown},
		"impersonation": {args: []string{"--as=somebody", "--as-group=system:masters"}, want: shown},
		"kubectl proxy that lets exec pass": {edit: func(s *clientcmdapi.Cluster, a *clientcmdapi.AuthInfo) {
			*s, *a = clientcmdapi.Cluster{Server: kubectlProxy(t, cluster.Kubeconfig, "--reject-paths=^$")}, clientcmdapi.AuthInfo{}
		}, want: shown},
		"a proxy with a path": {edit: func(s *clientcmdapi.Cluster, a *clientcmdapi.AuthInfo) {
			*s, *a = clientcmdapi.Cluster{Server: kubectlProxy(t, cluster.Kubeconfig, "--reject-paths=^$", "--api-prefix=/clusters/one/") + "/clusters/one"}, clientcmdapi.AuthInfo{}
		}, want: shown},
		"kubectl proxy": {edit: func(s *clientcmdapi.Cluster, a *clientcmdapi.AuthInfo) {
			*s, *a = clientcmdapi.Cluster{Server: kubectlProxy(t, cluster.Kubeconfig)}, clientcmdapi.AuthInfo{}
		}, want: outcome{2, "", "kubectl mirror tail: something on the way to the API server lets no exec pass: kubectl proxy does with --reject-paths='^$', " +
			"and else a kubeconfig of the API server itself is needed\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := clientcmd.LoadFromFile(cluster.Kubeconfig)
			if err != nil {
				t.Fatal(err)
			}
			if c.edit != nil {
				current := config.Contexts[config.CurrentContext]
				c.edit(config.Clusters[current.Cluster], config.AuthInfos[current.AuthInfo])
			}
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := clientcmd.WriteToFile(*config, path); err != nil {
				t.Fatal(err)
			}
			got := play(t, path, append([]string{"tail", "seen", "-n", namespace, "--verifier-namespace", system}, c.args...)...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
