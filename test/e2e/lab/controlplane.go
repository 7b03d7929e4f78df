package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/env/pki"
)

const (
	apiPort   = 6443
	cloudPort = 8600
	etcdURL   = "http://127.0.0.1:2379" // loopback of the control plane's namespace
)

// insideURL is where nodes and pods find the API server.
func (l *Lab) insideURL() string {
	return "https://" + netip.AddrPortFrom(controlAddress, apiPort).String()
}

// makeSecrets makes the authority and every file signed by it but those of the nodes.
func (l *Lab) makeSecrets() error {
	var err error
	if l.authority, err = pki.New(); err != nil {
		return err
	}
	server, err := l.authority.Server("kube-apiserver",
		[]string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"},
		net.IPv4(127, 0, 0, 1), controlAddress.AsSlice(), serviceNetwork.Addr().Next().AsSlice())
	if err != nil {
		return err
	}
	// The group that may do everything, kubelets' own API included.
	toKubelet, err := l.authority.Client("kube-apiserver", "system:masters")
	if err != nil {
		return err
	}
	tokens, err := pki.TokenKey()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.path("pki"), 0o700); err != nil {
		return fmt.Errorf("make the folder of keys: %w", err)
	}
	for name, content := range map[string][]byte{
		"ca.crt": l.authority.CertPEM, "server.crt": server.Cert, "server.key": server.Key,
		"kubelet-client.crt": toKubelet.Cert, "kubelet-client.key": toKubelet.Key, "tokens.key": tokens,
	} {
		if err := os.WriteFile(l.path("pki/"+name), content, 0o600); err != nil {
			return fmt.Errorf("write a key or certificate: %w", err)
		}
	}
	for name, server := range map[string]string{
		"admin": "https://" + l.apiForwarder.address.String(), "system:kube-controller-manager": l.insideURL(),
		"system:kube-scheduler": l.insideURL(), "system:kube-proxy": l.insideURL(),
	} {
		var groups []string
		if name == "admin" {
			groups = []string{"system:masters"}
		}
		user, err := l.authority.Client(name, groups...)
		if err != nil {
			return err
		}
		file := strings.TrimPrefix(name, "system:") + ".kubeconfig"
		if err := writeKubeconfig(l.path(file), server, l.authority, user); err != nil {
			return err
		}
	}
	return nil
}

// run starts a program of the control plane in its namespace.
func (l *Lab) run(name string, args ...string) (*process.Process, error) {
	return process.Start(process.Spec{
		Name: name, Program: filepath.Join(l.kube, name), Args: args, Log: l.path(name + ".log"),
		Namespace: l.ControlNamespace(), Env: cleanEnvironment(),
	}, l.book)
}

// cleanEnvironment keeps credentials and proxies of whoever runs the lab out of it.
func cleanEnvironment() []string { return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"} }

func (l *Lab) startEtcd() error {
	var err error
	l.etcd, err = l.run("etcd", "--data-dir="+l.path("etcd"),
		"--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL, "--listen-peer-urls=http://127.0.0.1:0",
		// Its data need not outlive the machine, and a sync per write is slow.
		"--unsafe-no-fsync", "--log-level=warn")
	return err
}

// apiServerArgs are the flags that a production cluster has, as far as they matter here.
func (l *Lab) apiServerArgs() []string {
	args := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=0.0.0.0", fmt.Sprintf("--secure-port=%d", apiPort), "--advertise-address=" + controlAddress.String(),
		"--cert-dir=" + l.path("pki"), "--client-ca-file=" + l.path("pki/ca.crt"),
		"--tls-cert-file=" + l.path("pki/server.crt"), "--tls-private-key-file=" + l.path("pki/server.key"),
		"--kubelet-client-certificate=" + l.path("pki/kubelet-client.crt"), "--kubelet-client-key=" + l.path("pki/kubelet-client.key"),
		// Without it logs and exec look node names up in DNS.
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + l.path("pki/tokens.key"), "--service-account-signing-key-file=" + l.path("pki/tokens.key"),
		"--service-cluster-ip-range=" + serviceNetwork.String(),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--profiling=false",
	}
	return append(args, l.options.APIServerArgs...)
}

// apiPatience bounds the start of the API server; 4 s is usual.
const apiPatience = 90 * time.Second

// StartAPIServer starts the API server, after StopAPIServer, and returns once it is ready
// (about 3 seconds). Where it runs, it only waits.
func (l *Lab) StartAPIServer(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.apiserver == nil {
		var err error
		if l.apiserver, err = l.run("kube-apiserver", l.apiServerArgs()...); err != nil {
			return err
		}
	}
	err := poll(ctx, apiPatience, 50*time.Millisecond, "the API server is ready", func() error {
		if ended, how := l.apiserver.Ended(); ended {
			return &stopWaiting{fmt.Errorf("it ended by itself (%w); the end of its log:\n%s", orNil(how), process.Tail(l.apiserver.Log, 10))}
		}
		limited, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		return l.clients.RESTClient().Get().AbsPath("/readyz").Do(limited).Error()
	})
	return err
}

// StopAPIServer ends the API server at once, as when its machine fails. Nodes, pods, etcd and the other components go
// on. Stopping it twice is no error.
//
// One that is told to end takes its address out of its Service first, and each kube-proxy refuses connections to the
// Service until it has read the address again. It waits longer from try to try for that, a minute and more; pods could
// do nothing but wait for it.
func (l *Lab) StopAPIServer() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.apiserver == nil {
		return nil
	}
	if err := syscall.Kill(l.apiserver.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing the API server: %w", err)
	}
	if err := l.apiserver.Stop(); err != nil {
		return err
	}
	l.apiserver = nil
	return nil
}

// startControllers starts what needs a ready API server.
func (l *Lab) startControllers() error {
	var err error
	l.controllers, err = l.run("kube-controller-manager", append([]string{
		"--kubeconfig=" + l.path("kube-controller-manager.kubeconfig"), "--use-service-account-credentials", "--leader-elect=false",
		"--controllers=*", "--kube-api-qps=200", "--kube-api-burst=400", "--flex-volume-plugin-dir=" + l.path("volume-plugins"), "--root-ca-file=" + l.path("pki/ca.crt"), "--service-account-private-key-file=" + l.path("pki/tokens.key"),
		"--cert-dir=" + l.path("pki"), "--bind-address=127.0.0.1", "--profiling=false",
	}, l.options.ControllerManagerArgs...)...)
	if err != nil {
		return err
	}
	l.scheduler, err = l.run("kube-scheduler",
		"--kubeconfig="+l.path("kube-scheduler.kubeconfig"), "--leader-elect=false",
		"--cert-dir="+l.path("pki"), "--bind-address=127.0.0.1", "--profiling=false")
	return err
}

// makeClients makes the administrator's client.
func (l *Lab) makeClients() error {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read the administrator's kubeconfig: %w", err)
	}
	// The server is ours alone; a limit in the client would only slow tests down.
	config.QPS, config.Burst = 1000, 2000
	l.config = config
	if l.clients, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	return nil
}

// orNil is for programs that end with success when they should not end at all.
func orNil(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
