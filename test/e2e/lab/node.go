package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/process"
)

// Node is a node of the cluster and a server of the simulated cloud.
type Node struct {
	// Name is both the server's and the Kubernetes node's.
	Name string
	// Address is that of eth0 and the node's InternalIP.
	Address netip.Addr
	// Management is the address of mgmt0, which the control plane sees.
	Management netip.Addr
	// PodCIDR is the range of its pods without hostNetwork.
	PodCIDR netip.Prefix
	// Namespace is its network namespace, for `ip netns exec` and package netns.
	Namespace string
	// InterfaceID is its elastic network interface in the cloud.
	InterfaceID string

	gateway netip.Addr
	folder  string
	process *process.Process // nil while it is dead
	began   time.Time        // when it was brought back last; zero while it never died
}

// newNode makes the node of a host with one interface.
func (l *Lab) newNode(host scenario.Host, sc *scenario.Scenario) (*Node, error) {
	if len(host.Interfaces) == 0 || len(host.Interfaces[0].Addresses) == 0 {
		return nil, fmt.Errorf("host %s of the scenario has no interface with an address: a node needs one", host.Name)
	}
	nic := host.Interfaces[0]
	address := nic.Addresses[0]
	if !address.Is4() {
		return nil, fmt.Errorf("the first address of host %s is %s: a node needs an IPv4 address there", host.Name, address)
	}
	last := address.As4()[3]
	subnet, _ := sc.Subnet(nic.SubnetID)
	management, pods := managementNetwork.Addr().As4(), podNetwork.Addr().As4()
	management[3], pods[2] = last, last
	return &Node{
		Name: host.Name, Address: address, Management: netip.AddrFrom4(management), InterfaceID: nic.ID,
		PodCIDR: netip.PrefixFrom(netip.AddrFrom4(pods), 24), Namespace: l.network.Plane.Namespace(host.Name),
		gateway: subnet.Gateway, folder: l.path(filepath.Join("nodes", host.Name)),
	}, nil
}

func (n *Node) path(name string) string { return filepath.Join(n.folder, name) }

// cgroup is the name, in every tree, of the cgroup that holds the node's pods.
func (n *Node) cgroup() string { return prefix + n.Name }

// mounts are the standard paths that are the node's own, and where they are kept.
var mounts = []struct{ from, to string }{
	{"kubelet", "/var/lib/kubelet"}, {"containerd", "/var/lib/containerd"}, {"run-containerd", "/run/containerd"},
	{"cni", "/var/lib/cni"}, {"log-pods", "/var/log/pods"}, {"log-containers", "/var/log/containers"},
}

// mountPoints are the folders of the machine that a node mounts something on.
func mountPoints() []string {
	folders := []string{netns.Directory}
	for _, m := range mounts {
		folders = append(folders, m.to)
	}
	return folders
}

// plan is what the first process of a node does.
func (l *Lab) plan(n *Node) nodePlan {
	p := nodePlan{
		Hostname: n.Name, APIServer: l.insideURL() + "/readyz", Authority: l.path("pki/ca.crt"),
		Containerd: service{Name: "containerd", Program: "containerd", Args: []string{"--config", n.path("containerd.toml"), "--log-level", "warn"}},
		Kubernetes: []service{
			{Name: "kubelet", Program: filepath.Join(l.kube, "kubelet"), Args: []string{
				"--config=" + n.path("kubelet.yaml"), "--kubeconfig=" + n.path("kubelet.kubeconfig"), "--hostname-override=" + n.Name,
				"--node-ip=" + n.Address.String(), "--root-dir=/var/lib/kubelet",
			}},
			{Name: "kube-proxy", Program: filepath.Join(l.kube, "kube-proxy"), Args: []string{
				"--kubeconfig=" + l.path("kube-proxy.kubeconfig"), "--hostname-override=" + n.Name, "--proxy-mode=nftables",
				"--cluster-cidr=" + podNetwork.String(),
				// These are settings of the whole machine, leave them alone.
				"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
			}},
		},
	}
	for _, m := range mounts {
		p.Mounts = append(p.Mounts, mount{From: n.path(m.from), To: m.to})
	}
	for _, s := range append([]*service{&p.Containerd}, &p.Kubernetes[0], &p.Kubernetes[1]) {
		s.Log = n.path(s.Name + ".log")
	}
	return p
}

// startProcess starts the first process of the node.
func (l *Lab) startProcess(n *Node) error {
	for _, m := range mounts {
		if err := os.MkdirAll(n.path(m.from), 0o755); err != nil {
			return fmt.Errorf("make a folder of %s: %w", n.Name, err)
		}
	}
	content, err := json.MarshalIndent(l.plan(n), "", "  ")
	if err != nil {
		return fmt.Errorf("encode what %s is to do: %w", n.Name, err)
	}
	if err := os.WriteFile(n.path("plan.json"), content, 0o600); err != nil {
		return fmt.Errorf("write what %s is to do: %w", n.Name, err)
	}
	n.process, err = process.Start(process.Spec{
		Name: n.Name, Program: "/proc/self/exe", Args: []string{nodeArgument, n.path("plan.json")}, Env: cleanEnvironment(),
		Log: n.path("node.log"), Namespace: n.Namespace, Clone: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS,
	}, l.book)
	return err
}

// Nodes returns the nodes in the order of the scenario.
func (l *Lab) Nodes() []*Node { return l.nodes }

// Node finds a node by name. An unknown name is an error that lists the known ones.
func (l *Lab) Node(name string) (*Node, error) {
	var known []string
	for _, n := range l.nodes {
		if n.Name == name {
			return n, nil
		}
		known = append(known, n.Name)
	}
	return nil, fmt.Errorf("the lab has no node %q, it has %v", name, known)
}

// KillNode ends every process of a node at once and unplugs it, as when its power fails.
// Kubernetes notices after about 50 seconds. Killing a dead node is no error.
func (l *Lab) KillNode(name string) error {
	n, err := l.Node(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.process == nil {
		return nil
	}
	if err := netns.In(n.Namespace, unplug); err != nil {
		return fmt.Errorf("unplug %s: %w", name, err)
	}
	if err := n.process.Stop(); err != nil {
		return err
	}
	n.process = nil
	return nil
}

// StartNode brings a killed node back, with what its disk holds, and returns once
// Kubernetes calls it Ready. Starting a living node only waits for that.
func (l *Lab) StartNode(ctx context.Context, name string) error {
	n, err := l.Node(name)
	if err != nil {
		return err
	}
	began := time.Now()
	revived, err := l.revive(n)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	if !revived {
		began = n.began // a heartbeat since then is good; the next may take 5 minutes
	}
	return l.waitForNode(ctx, n, began)
}

// revive reports whether the node was dead.
func (l *Lab) revive(n *Node) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.process != nil {
		return false, nil
	}
	n.began = time.Now()
	if err := netns.In(n.Namespace, func() error { return l.setUpNode(n) }); err != nil {
		return false, err
	}
	return true, l.startProcess(n)
}

// readyPatience bounds the wait for a node; 7 s is usual from nothing, 2 s for one that
// comes back.
const readyPatience = 2 * time.Minute

// waitForNode waits until the node is Ready by a heartbeat later than since: one that was
// killed and came back soon is still called Ready by its old heartbeat.
func (l *Lab) waitForNode(ctx context.Context, n *Node, since time.Time) error {
	since = since.Truncate(time.Second) // as Kubernetes writes times
	err := poll(ctx, readyPatience, 100*time.Millisecond, "node "+n.Name+" is Ready", func() error {
		l.mu.Lock()
		first := n.process
		l.mu.Unlock()
		if first == nil {
			return &stopWaiting{errors.New("it was killed meanwhile")}
		}
		if ended, how := first.Ended(); ended {
			return &stopWaiting{fmt.Errorf("its first process ended (%w): %s", orNil(how), process.Tail(n.path("node.log"), 5))}
		}
		limited, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		node, err := l.clients.CoreV1().Nodes().Get(limited, n.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady {
				if c.Status == corev1.ConditionTrue && !c.LastHeartbeatTime.Time.Before(since) {
					return nil
				}
				return fmt.Errorf("it says %s: %s", c.Reason, c.Message)
			}
		}
		return errors.New("it has said nothing yet")
	})
	if err != nil {
		return fmt.Errorf("%w; the end of %s:\n%s", err, n.path("kubelet.log"), process.Tail(n.path("kubelet.log"), 10))
	}
	return nil
}

// InNode runs f inside the node's network namespace, also when the node is dead. Only f
// itself is inside, not goroutines that it starts: open sockets there, use them anywhere.
func (l *Lab) InNode(name string, f func() error) error {
	n, err := l.Node(name)
	if err != nil {
		return err
	}
	return netns.In(n.Namespace, f)
}

// Command prepares a program to be run inside of a living node: its network, mounts,
// processes and hostname. It ends with ctx.
func (l *Lab) Command(ctx context.Context, node, program string, args ...string) (*exec.Cmd, error) {
	n, err := l.Node(node)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.process == nil {
		return nil, fmt.Errorf("node %s is dead: start it first (StartNode)", node)
	}
	inside := append([]string{"--target", strconv.Itoa(n.process.PID), "--net", "--mount", "--pid", "--uts", "--", program}, args...)
	return exec.CommandContext(ctx, "nsenter", inside...), nil
}
