package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/cloudsim/lab"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/env/need"
)

const (
	// namespace is where the objects are, and system where the leases are.
	namespace = "catalogue"
	system    = "vpcmirror-system"
	// insideServer is where the verifiers reach the API server: loopback of their hosts.
	insideServer = "127.0.0.1:6443"
	peerHost     = "peer"
	// worlds is how many runs a machine may have at once.
	worlds = 8
	// startDeadline is how long something may take that is no promise of the product.
	startDeadline = 90 * time.Second
)

// world is all that runs.
type world struct {
	t        *testing.T
	folder   string
	programs string
	api      client.Client
	// admin is the administrator's kubeconfig.
	admin string
	// forVerifiers is the one of the verifiers, inside of the hosts, and server what is behind it.
	forVerifiers, server string
	cloud                *sim.Sim
	lab                  *lab.Lab
	peer                 nic
	manager              *process.Process
	verifiers            map[string]*process.Process // by host
	consumers            map[string]net.PacketConn   // by host
	book                 *process.Book
	traffic              *traffic
	sites                []*site
}

// startWorld makes the world for the rows and begins the traffic. It skips where it can't.
func startWorld(t *testing.T, causes []cause, options ...sim.Option) *world {
	t.Helper()
	need.Root(t)
	if _, err := env.Assets(); err != nil {
		need.Skip(t, err.Error())
	}
	w := &world{t: t, folder: t.TempDir(), verifiers: map[string]*process.Process{}, consumers: map[string]net.PacketConn{}}
	t.Cleanup(func() {
		if tearDown() != 0 {
			t.Error("the world was not taken down properly")
		}
	})
	w.book = process.OpenBook(filepath.Join(w.folder, "book"))
	var err error
	w.programs, err = programs()
	w.must(err)
	l := newLayout()
	w.peer = l.plug(peerHost, goodFlavor, l.next(), mainVPC, "main", "open")
	for i := range causes {
		w.sites = append(w.sites, l.row(&causes[i]))
	}
	for _, s := range w.sites {
		s.world = w
	}
	w.startCloud(l.done(), options...)
	w.startKubernetes()
	w.startHosts()
	w.startManager()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// programs makes what runs here, once for all worlds, and returns its folder.
var programs = sync.OnceValues(func() (folder string, err error) {
	if folder, err = os.MkdirTemp("", "vpcmirror-diagnosis-"); err != nil {
		return "", err
	}
	finally(func() error { return os.RemoveAll(folder) })
	names := []string{"manager", "verifier"}
	if len(away()) > 0 {
		names = append(names, "kubectl-mirror")
	}
	for _, name := range names {
		out, err := exec.Command("go", "build", "-o", filepath.Join(folder, name), "vpcmirror.io/operator/cmd/"+name).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("building the %s: %w\n%s", name, err, out)
		}
	}
	return folder, nil
})

func (w *world) startCloud(sc *scenario.Scenario, options ...sim.Option) {
	w.t.Helper()
	var err error
	w.cloud, err = sim.Start(context.Background(), sc, options...)
	w.must(err)
	later(w.cloud.Close)
	// The first prefix that is free: what a killed run left with it is taken away then.
	for n, inUse := 0, (*netns.InUseError)(nil); n == 0 || n < worlds && errors.As(err, &inUse); n++ {
		w.lab, err = lab.Start(w.t.Context(), w.cloud, fmt.Sprintf("dg%d-", n), slog.New(slog.DiscardHandler))
	}
	var unavailable *netns.UnavailableError
	if errors.As(err, &unavailable) {
		need.Skip(w.t, fmt.Sprintf("hosts can't be made here: %v", unavailable))
	}
	w.must(err)
	later(w.lab.Close)
}

func (w *world) startKubernetes() {
	w.t.Helper()
	dir := filepath.Join(w.folder, "kube")
	kubeconfig, stop, err := env.StartControlPlane(w.t.Context(), dir, env.Options{})
	if stop != nil {
		later(stop)
	}
	w.must(err)
	w.admin = kubeconfig
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	w.must(err)
	config.QPS, config.Burst = -1, 0
	scheme, err := env.Scheme()
	w.must(err)
	w.api, err = client.New(config, client.Options{Scheme: scheme})
	w.must(err)
	for _, name := range []string{namespace, system} {
		w.must(w.api.Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	w.must(w.api.Create(w.t.Context(), w.secret("huawei-cloud", scenario.WalkthroughAccessKey)))
	for _, s := range w.sites {
		if s.needs.account {
			w.must(w.api.Create(w.t.Context(), w.secret(s.id, accessKey(s.id))))
		}
	}
}

func (w *world) secret(name, key string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: map[string]string{
		"accessKey": key, "secretKey": scenario.WalkthroughSecretKey, "region": scenario.WalkthroughRegion,
		"projectID": project, "endpoint": w.cloud.URL,
	}}
}

// start runs a program in a host's namespace, or in ours.
func (w *world) start(name, host string, environ []string, program string, args ...string) *process.Process {
	w.t.Helper()
	within := ""
	if host != "" {
		within = w.lab.Plane.Namespace(host)
	}
	p, err := process.Start(process.Spec{
		Name: name, Program: program, Args: args, Log: filepath.Join(w.folder, name+".log"), Namespace: within,
		Env: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.folder}, environ...),
	}, w.book)
	w.must(err)
	later(p.Stop)
	return p
}

func (w *world) startManager() {
	w.t.Helper()
	kubeconfig, err := env.AddUser(w.t.Context(), filepath.Join(w.folder, "kube"), env.User{
		Name: "vpcmirror-manager", Rules: env.Granted(w.t, "ClusterRole", "manager_role.yaml"),
		Within: map[string][]rbacv1.PolicyRule{system: env.Granted(w.t, "Role", "manager.yaml")},
	})
	w.must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	health := listener.Addr().String()
	w.must(listener.Close())
	w.manager = w.start("manager", "", nil, filepath.Join(w.programs, "manager"),
		"--kubeconfig", kubeconfig, "--health-probe-bind-address", health, "--metrics-bind-address", "0", "--log-encoding", "text",
		"--allowed-endpoints", w.cloud.URL, "--leader-elect", "--leader-election-namespace", system, "--verifier-namespace", system,
		// What is measured is when a cause is told, and not how long it takes to make so many
		// sessions at once.
		"--cloud-calls-per-second", "50", "--cloud-burst", "50")
	w.until("the manager is ready", startDeadline, func() error {
		answer, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	})
}

// startHosts prepares every target's host, and starts its verifier.
func (w *world) startHosts() {
	w.t.Helper()
	kubeconfig, err := env.AddUser(w.t.Context(), filepath.Join(w.folder, "kube"), env.User{
		Name: "vpcmirror-verifier", Rules: append(env.Granted(w.t, "ClusterRole", "verifier_role.yaml"), verifierLease()),
	})
	w.must(err)
	config, err := clientcmd.LoadFromFile(kubeconfig)
	w.must(err)
	for _, cluster := range config.Clusters {
		w.server, cluster.Server = strings.TrimPrefix(cluster.Server, "https://"), "https://"+insideServer
	}
	w.forVerifiers = filepath.Join(w.folder, "inside.kubeconfig")
	w.must(clientcmd.WriteToFile(*config, w.forVerifiers))
	for _, s := range w.sites {
		host := s.target.host
		if _, done := w.verifiers[host]; done {
			continue
		}
		w.verifiers[host] = nil
		w.must(w.allowAnyWay(host))
		if !s.needs.ownHost || s.needs.consumer {
			w.must(w.consume(host))
		}
		w.must(w.forward(host))
		if !s.needs.noVerifier {
			w.startVerifier(host, s.needs.skew)
		}
	}
	w.traffic = &traffic{}
	for _, s := range w.sites {
		if !s.needs.byHand {
			w.must(s.listen())
		}
	}
	for _, port := range []int{servicePort, lowPort} {
		w.must(w.sink(peerHost, port))
	}
	w.traffic.start(w.t)
}

// startVerifier starts one on a host, as our own program where its clock is to be ahead.
func (w *world) startVerifier(host string, skew time.Duration) {
	w.t.Helper()
	if skew == 0 {
		w.verifiers[host] = w.start("verifier-"+host, host, nil, filepath.Join(w.programs, "verifier"),
			"run", "--kubeconfig", w.forVerifiers, "--node-name", host, "--lease-namespace", system, "--log-encoding", "text")
		return
	}
	self, err := os.Executable()
	w.must(err)
	w.verifiers[host] = w.start("verifier-"+host, host,
		[]string{skewedNode + "=" + host, skewedBy + "=" + skew.String(), skewedConfig + "=" + w.forVerifiers}, self)
}

// startUnprivileged starts a verifier on a host that may not open packet sockets.
func (w *world) startUnprivileged(host string) {
	w.t.Helper()
	self, err := os.Executable()
	w.must(err)
	w.verifiers[host] = w.start("verifier-"+host, host, []string{unprivileged + "=" + filepath.Join(w.programs, "verifier")}, self,
		"run", "--kubeconfig", w.forVerifiers, "--node-name", host, "--lease-namespace", system, "--log-encoding", "text")
}

func verifierLease() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create", "get", "patch"}}
}

// allowAnyWay lets the kernel take what comes in by another interface than the answer would
// leave by, since all interfaces of the host are in one subnet.
func (w *world) allowAnyWay(host string) error {
	return w.inside(host, func() error {
		all, err := filepath.Glob("/proc/sys/net/ipv4/conf/*/rp_filter")
		if err != nil {
			return err
		}
		for _, path := range all {
			if err := os.WriteFile(path, []byte("0"), 0o644); err != nil {
				return fmt.Errorf("switching off reverse path filtering: %w", err)
			}
		}
		return nil
	})
}

// inside runs f in a host's namespace.
func (w *world) inside(host string, f func() error) error {
	return netns.In(w.lab.Plane.Namespace(host), f)
}

// consume lets a program take the copies on a host.
func (w *world) consume(host string) error {
	return w.inside(host, func() error {
		c, err := net.ListenPacket("udp4", "0.0.0.0:4789")
		if err != nil {
			return fmt.Errorf("listening as a consumer on %s: %w", host, err)
		}
		w.consumers[host] = c
		later(func() error { _ = c.Close(); return nil }) // a row may have closed it
		go func() {
			buffer := make([]byte, 2048)
			for {
				if _, _, err := c.ReadFrom(buffer); err != nil {
					return
				}
			}
		}()
		return nil
	})
}

// sink takes what is sent to a port of a host, so that nothing is answered.
func (w *world) sink(host string, port int) error {
	return w.inside(host, func() error {
		c, err := net.ListenPacket("udp4", fmt.Sprint("0.0.0.0:", port))
		if err == nil {
			later(c.Close) // nobody reads: the kernel throws away what is too much
		}
		return err
	})
}

// forward gives the programs of a host the way to the API server.
func (w *world) forward(host string) error {
	return w.inside(host, func() error {
		listener, err := net.Listen("tcp", insideServer)
		if err != nil {
			return fmt.Errorf("listening for the verifier of %s: %w", host, err)
		}
		later(listener.Close)
		go func() {
			for {
				near, err := listener.Accept()
				if err != nil {
					return
				}
				go join(near, w.server)
			}
		}()
		return nil
	})
}

// join connects one connection with another until one of the two ends.
func join(near net.Conn, to string) {
	defer near.Close()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1]) // how a connection ends is its users' business
			ended <- struct{}{}
		}()
	}
	<-ended
}

// until asks again and again until there is no error.
func (w *world) until(what string, within time.Duration, ask func() error) {
	w.t.Helper()
	end := time.After(within)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			w.t.Fatalf("not within %s: %s: %v", within, what, err)
		}
	}
}

// now is the state of the cloud.
func (w *world) now() *state.World { return w.cloud.State.Snapshot() }
