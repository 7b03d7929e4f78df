package env

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/rest"

	"vpcmirror.io/operator/test/env/pki"
)

const (
	// startDeadline bounds the whole start; 4 s is usual, and the machine of a
	// test run is busy.
	startDeadline = 2 * time.Minute
	// attempts is how often a start is tried: a free port can be taken by someone
	// else between our asking for it and etcd's using it.
	attempts = 3
)

// Options changes how StartControlPlane does its work. The zero value is good.
type Options struct {
	// CRDs is the folder with the CustomResourceDefinitions to install; empty
	// means config/crd/bases of the project.
	CRDs string
	// Survive leaves the processes running when ours ends; StopControlPlane of the
	// same folder ends them, also from another process. Otherwise the kernel kills
	// them with us.
	Survive bool
	// APIServerArgs are further flags of kube-apiserver, after ours.
	APIServerArgs []string
}

// StartControlPlane starts etcd and kube-apiserver on free ports of 127.0.0.1 with
// everything they write below dir (made if it isn't there), installs our
// CustomResourceDefinitions, and returns the path of the administrator's
// kubeconfig and a function that stops both. It returns once the server is ready
// and the namespaces default and kube-system exist.
//
// The start takes at most two minutes, less if ctx ends earlier, and on an error
// nothing is left running. stop takes at most 40 seconds and may be called twice.
// It returns ErrNoAssets when the programs are missing.
func StartControlPlane(ctx context.Context, dir string, opts Options) (kubeconfigPath string, stop func() error, err error) {
	p, err := startPlane(ctx, dir, opts)
	if err != nil {
		return "", nil, err
	}
	return p.kubeconfig, p.stop, nil
}

// StopControlPlane ends the control plane that was started in dir, from whichever
// process. Where none runs it does nothing. What was written stays.
func StopControlPlane(dir string) error {
	return errors.Join(
		stopRecorded(filepath.Join(dir, "kube-apiserver.pid")),
		stopRecorded(filepath.Join(dir, "etcd.pid")),
	)
}

// storeFile names the file that says where etcd is.
const storeFile = "etcd.url"

// StoreURL is where the etcd answers that was started in dir: for what writes more objects than an
// API server takes in a reasonable time.
func StoreURL(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, storeFile))
	if err != nil {
		return "", fmt.Errorf("finding etcd: %w", err)
	}
	return string(content), nil
}

// plane is a running control plane.
type plane struct {
	dir        string
	kubeconfig string // path
	config     *rest.Config
	authority  *pki.Authority
	etcd       *process
	apiserver  *process
}

func startPlane(ctx context.Context, dir string, opts Options) (*plane, error) {
	ctx, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	assets, err := Assets()
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the control plane's folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the control plane's folder: %w", err)
	}
	for attempt := 1; ; attempt++ {
		p := &plane{dir: dir}
		err := p.start(ctx, assets, opts)
		if err == nil {
			return p, nil
		}
		err = errors.Join(err, p.stop())
		if attempt == attempts || ctx.Err() != nil || !errors.Is(err, errEnded) {
			return nil, fmt.Errorf("starting a control plane in %s: %w", dir, err)
		}
	}
}

// errEnded says that a component ended by itself while we waited for it.
var errEnded = errors.New("it ended by itself")

func (p *plane) start(ctx context.Context, assets string, opts Options) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	etcdURL := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	if err := os.WriteFile(p.file(storeFile), []byte(etcdURL), 0o600); err != nil {
		return fmt.Errorf("recording where etcd is: %w", err)
	}
	p.etcd, err = start(p.dir, "etcd", filepath.Join(assets, "etcd"), opts.Survive,
		"--data-dir="+filepath.Join(p.dir, "etcd"),
		"--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
		"--listen-peer-urls=http://127.0.0.1:0",
		// Its data need not outlive the machine, and a sync per write is slow.
		"--unsafe-no-fsync", "--log-level=warn",
	)
	if err != nil {
		return err
	}
	if err := p.secrets(); err != nil {
		return err
	}
	if err := p.startAPIServer(assets, etcdURL, ports[1], opts); err != nil {
		return err
	}
	if err := p.waitUntilReady(ctx); err != nil {
		return err
	}
	return p.installCRDs(opts.CRDs)
}

// secrets makes the authority and its files: all of them are new for each start.
func (p *plane) secrets() error {
	var err error
	if p.authority, err = pki.New(); err != nil {
		return err
	}
	server, err := p.authority.Server("kube-apiserver",
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	if err != nil {
		return err
	}
	tokens, err := pki.TokenKey()
	if err != nil {
		return err
	}
	authorityKey, err := p.authority.KeyPEM()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ca.crt":             p.authority.CertPEM,
		"ca.key":             authorityKey,
		"server.crt":         server.Cert,
		"server.key":         server.Key,
		"serviceaccount.key": tokens,
	} {
		if err := os.WriteFile(p.file(name), content, 0o600); err != nil { // some are keys
			return fmt.Errorf("writing %s: %w", p.file(name), err)
		}
	}
	return nil
}

func (p *plane) startAPIServer(assets, etcdURL string, port int, opts Options) error {
	args := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port),
		// Without it the server looks for an address of the machine, and fails
		// where there is no default route.
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--cert-dir=" + p.dir,
		"--tls-cert-file=" + p.file("server.crt"), "--tls-private-key-file=" + p.file("server.key"),
		"--client-ca-file=" + p.file("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + p.file("serviceaccount.key"),
		"--service-account-signing-key-file=" + p.file("serviceaccount.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		// Nothing makes the default ServiceAccount of a namespace here.
		"--disable-admission-plugins=ServiceAccount",
		"--allow-privileged=true", "--profiling=false",
	}
	var err error
	p.apiserver, err = start(p.dir, "kube-apiserver", filepath.Join(assets, "kube-apiserver"),
		opts.Survive, append(args, opts.APIServerArgs...)...)
	if err != nil {
		return err
	}
	admin := User{Name: "admin", Groups: []string{"system:masters"}}
	p.config, p.kubeconfig, err = writeKubeconfig(p.dir, p.authority, admin,
		"https://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	return err
}

// stop ends both, the API server first so that it doesn't complain of a lost etcd.
func (p *plane) stop() error {
	var failures []error
	for _, component := range []*process{p.apiserver, p.etcd} {
		if component != nil {
			failures = append(failures, component.stop())
		}
	}
	return errors.Join(failures...)
}

func (p *plane) file(name string) string { return filepath.Join(p.dir, name) }

// freePorts asks the kernel for TCP ports of 127.0.0.1 that nobody uses now.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer listener.Close() // all at the end, so that they differ
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
