package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/env"
)

const (
	// defaultCloudPort is the one in config/samples/credentials.yaml.
	defaultCloudPort = 8600
	// insideServer is where the verifier reaches the API server: loopback of its own
	// network namespace, which nobody else uses.
	insideServer = "127.0.0.1:6443"
	// systemNamespace is the installation's: the verifier keeps its lease there.
	systemNamespace = "vpcmirror-system"
)

func (d *demo) survives() bool { return d.command == "up" }

// start runs one of our programs with an environment of its own: no credentials and no
// proxy of the person who runs the demo reach it.
func (d *demo) start(name, program, namespace string, args ...string) (*process.Process, error) {
	p, err := process.Start(process.Spec{
		Name: name, Program: program, Args: args, Log: d.path(name + ".log"), Namespace: namespace, Survive: d.survives(),
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.path("home")},
	}, d.book)
	if err != nil {
		return nil, err
	}
	d.processes = append(d.processes, p)
	d.later("the "+name, p.Stop)
	return p, nil
}

func (d *demo) startKubernetes(ctx context.Context) error {
	kubeconfig, stop, err := env.StartControlPlane(ctx, d.path("kube"), env.Options{
		CRDs: filepath.Join(d.root, "config", "crd", "bases"), Survive: d.survives(),
	})
	for _, name := range []string{"etcd.log", "kube-apiserver.log"} {
		if linked := os.Symlink(filepath.Join("kube", name), d.path(name)); linked != nil {
			err = errors.Join(err, linked)
		}
	}
	if stop != nil {
		d.later("Kubernetes", stop)
	}
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the administrator's kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	scheme, err := env.Scheme()
	if err != nil {
		return err
	}
	if d.api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making a client of the API server: %w", err)
	}
	d.admin = kubeconfig
	d.say("the API server answers at %s and knows MirrorFilter and MirrorSession", config.Host)
	for _, file := range []string{"manager_role.yaml", "verifier_role.yaml"} {
		if _, err := d.runKubectl(ctx, "apply", "-f", filepath.Join(d.root, "config", "rbac", file)); err != nil {
			return err
		}
	}
	if err := d.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}}); err != nil {
		return fmt.Errorf("making the namespace %s: %w", systemNamespace, err)
	}
	d.say("the roles of manager and verifier are those of config/rbac")
	return nil
}

// addUser makes a user who may do what an installation lets a program do: it has the program's
// ClusterRole, and the Role for the namespace in which the verifiers' leases are.
func (d *demo) addUser(ctx context.Context, program string) (kubeconfig string, err error) {
	rules, err := env.GrantedBy("Role", program+".yaml")
	if err != nil {
		return "", err
	}
	name := "vpcmirror-" + program
	return env.AddUser(ctx, d.path("kube"), env.User{
		Name: name, ClusterRoles: []string{name}, Within: map[string][]rbacv1.PolicyRule{systemNamespace: rules},
	})
}

func (d *demo) startCloud(ctx context.Context) error {
	listen := fmt.Sprintf("127.0.0.1:%d", d.cloudPort)
	simulator, err := d.start("cloudsim", filepath.Join(d.programs, "cloudsim"), "",
		"serve", "--listen", listen, "--data-plane", "--namespace-prefix", d.prefix)
	if err != nil {
		return err
	}
	d.cloud = newCloud("http://" + listen)
	answers := func(ctx context.Context) error { return d.cloud.healthy(ctx, simulator.PID) }
	if err := d.until(ctx, "the simulated cloud answers", answers); err != nil {
		return err
	}
	if err := d.watchHosts(ctx); err != nil {
		return err
	}
	for _, s := range []server{ecsSource, ecsTest, ecsTarget} {
		d.say("%-10s  %s  %s  in network namespace %s", s.name, s.address, s.mac, d.namespace(s))
	}
	d.say("region %s at %s; the kernels of ecs-source and ecs-target count from now on", scenario.WalkthroughRegion, d.cloud.endpoint)
	return nil
}

func (d *demo) startManager(ctx context.Context) error {
	kubeconfig, err := d.addUser(ctx, "manager")
	if err != nil {
		return err
	}
	health, err := freePort()
	if err != nil {
		return err
	}
	d.manager, err = d.start("manager", filepath.Join(d.programs, "manager"), "",
		"--kubeconfig", kubeconfig, "--health-probe-bind-address", health, "--metrics-bind-address", "0", "--log-encoding", "text",
		"--allowed-endpoints", d.cloud.endpoint, "--verifier-namespace", systemNamespace)
	if err != nil {
		return err
	}
	if err := d.until(ctx, "the manager is ready", func(ctx context.Context) error { return askHealth(ctx, health) }); err != nil {
		return err
	}
	d.say("process %d, as the user vpcmirror-manager with no more rights than its role; its caches are synced", d.manager.PID)
	return nil
}

func askHealth(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz says %s", answer.Status)
	}
	return nil
}

// startVerifier starts it as on a node of its own: it sees the interfaces of ecs-target
// and nothing of this machine's network, so a forwarder gives it the way to the API
// server.
func (d *demo) startVerifier(ctx context.Context) error {
	outside, err := d.addUser(ctx, "verifier")
	if err != nil {
		return err
	}
	inside, server, err := rewriteServer(outside, d.path("kube/vpcmirror-verifier-inside.kubeconfig"), "https://"+insideServer)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding our own program: %w", err)
	}
	if _, err := d.start("forwarder", self, "",
		"forward", "--namespace", d.namespace(ecsTarget), "--listen", insideServer, "--to", server); err != nil {
		return err
	}
	err = d.until(ctx, "the forwarder listens", func(context.Context) error {
		return netns.In(d.namespace(ecsTarget), func() error {
			probe, err := net.Dial("tcp", insideServer)
			if err != nil {
				return err
			}
			return probe.Close()
		})
	})
	if err != nil {
		return err
	}
	d.verifier, err = d.start("verifier", filepath.Join(d.programs, "verifier"), d.namespace(ecsTarget),
		"run", "--kubeconfig", inside, "--node-name", ecsTarget.name, "--lease-namespace", systemNamespace, "--log-encoding", "text")
	if err != nil {
		return err
	}
	d.say("process %d in %s, as the user vpcmirror-verifier: it may read filters and sessions, patch the sessions' status, and renew its lease", d.verifier.PID, d.namespace(ecsTarget))
	d.say("it reaches the API server at https://%s there, which a forwarder carries to %s", insideServer, server)
	return nil
}

// rewriteServer copies a kubeconfig for another way to the same server, and returns the
// copy's path and the host and port of the old way. The server's certificate is good
// for 127.0.0.1 with any port.
func rewriteServer(from, to, server string) (path, address string, err error) {
	config, err := clientcmd.LoadFromFile(from)
	if err != nil {
		return "", "", fmt.Errorf("reading a kubeconfig: %w", err)
	}
	for _, cluster := range config.Clusters {
		address = strings.TrimPrefix(cluster.Server, "https://")
		cluster.Server = server
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return "", "", fmt.Errorf("%s names no server with a port: %w", from, err)
	}
	if err := clientcmd.WriteToFile(*config, to); err != nil {
		return "", "", fmt.Errorf("writing the verifier's kubeconfig: %w", err)
	}
	return to, address, nil
}
