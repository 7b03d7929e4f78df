package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/e2e/lab/archive"
)

// probes are a pod on each node that may do no more than open a packet socket, and one
// that is like any pod.
const probes = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: probe, namespace: default}
spec:
  selector: {matchLabels: {app: probe}}
  template:
    metadata: {labels: {app: probe}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 1
      containers:
      - name: probe
        image: localhost/vpcmirror-probe:1
        imagePullPolicy: Never
        resources: {limits: {memory: 64Mi}}
        securityContext:
          runAsUser: 0
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          seccompProfile: {type: RuntimeDefault}
          capabilities: {drop: [ALL], add: [NET_RAW]}
---
apiVersion: v1
kind: Pod
metadata: {name: reach, namespace: default}
spec:
  restartPolicy: Never
  nodeName: ecs-test
  containers:
  - name: probe
    image: localhost/vpcmirror-probe:1
    imagePullPolicy: Never
    args: ["https://10.96.0.1/readyz", "http://10.99.0.1:8600/_sim/health"]
    securityContext:
      runAsUser: 65532
      runAsNonRoot: true
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      seccompProfile: {type: RuntimeDefault}
      capabilities: {drop: [ALL]}
`

// labWait is how long a test waits for the machine's only lab.
const labWait = 30 * time.Minute

func TestALabFromNothingToNothing(t *testing.T) {
	before := tracesNow(t)
	l, err := Up(t.Context(), Options{Folder: t.TempDir(), Wait: labWait, Progress: t.Output()})
	skipUnlessAble(t, err)
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("up after %.1f s", time.Since(l.began).Seconds())

	for _, part := range []struct {
		sentence string
		check    func(*testing.T, *Lab)
	}{
		{"the walkthrough's hosts are its nodes, with their addresses in the cloud", checkNodes},
		{"a pod with NET_RAW alone runs on each node, from an archive", checkProbes},
		{"a pod without the host's network reaches API server and cloud", checkReach},
		{"the pod on ecs-target sees mirrored copies on eth0", checkCopies},
		{"and what a sender sends past the switch", checkSender},
		{"the API server can be away for a while", checkAPIServer},
		{"a killed node is silent, and comes back with its pods", checkDeath},
	} {
		if !t.Run(part.sentence, func(t *testing.T) { part.check(t, l) }) {
			break // what follows builds on it
		}
	}
	t.Run("nothing is left of it once it is down", func(t *testing.T) {
		spaces := spaces(t)
		if err := l.Down(); err != nil {
			t.Fatal(err)
		}
		if left := inside(t, spaces); len(left) > 0 {
			t.Errorf("there are still processes of the lab: %v", left)
		}
		if diff := cmp.Diff(before, tracesNow(t)); diff != "" {
			t.Errorf("traces (-before +after):\n%s", diff)
		}
	})
}

func checkNodes(t *testing.T, l *Lab) {
	t.Helper()
	nodes, err := l.clients.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range nodes.Items {
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				got[n.Name] += a.Address
			}
		}
	}
	want := map[string]string{"ecs-source": "192.168.0.230", "ecs-test": "192.168.0.161", "ecs-target": "192.168.0.164"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes and their InternalIPs (-want +got):\n%s", diff)
	}
}

func checkProbes(t *testing.T, l *Lab) {
	t.Helper()
	program, image := l.path("probe/probe"), l.path("probe/probe.tar")
	if err := l.GoBuild(t.Context(), "./test/e2e/probe", program); err != nil {
		t.Fatal(err)
	}
	if err := archive.Write(image, archive.Image{Name: "localhost/vpcmirror-probe:1", Program: program}); err != nil {
		t.Fatal(err)
	}
	names, err := l.LoadImage(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"localhost/vpcmirror-probe:1"}, names); diff != "" {
		t.Errorf("names in the archive (-want +got):\n%s", diff)
	}
	if _, err := l.KubectlWith(t.Context(), probes, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	macs := map[string]string{"ecs-source": "fa:16:3e:7e:d6:bc", "ecs-test": "fa:16:3e:7e:d6:77", "ecs-target": "fa:16:3e:7e:d6:7a"}
	for node, mac := range macs {
		// 0x2000 is CAP_NET_RAW, number 13, and nothing else.
		waitForLog(t, l, node, "capabilities 0000000000002000, listening on eth0 "+mac)
	}
	pods, err := l.clients.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=probe"})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		usage, err := l.PodUsage(t.Context(), "default", pod.Name)
		if err != nil {
			t.Fatal(err)
		}
		if usage.Resident <= 0 || usage.Total < usage.Resident || usage.CPU <= 0 {
			t.Errorf("the usage of a running pod can't be %+v", usage)
		}
	}
}

// waitForLog waits until the probe on a node has said something.
func waitForLog(t *testing.T, l *Lab, node, line string) {
	t.Helper()
	err := poll(t.Context(), time.Minute, 200*time.Millisecond, "the probe on "+node+" says "+line, func() error {
		pods, err := l.clients.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{
			LabelSelector: "app=probe", FieldSelector: "spec.nodeName=" + node,
		})
		if err != nil {
			return err
		}
		if len(pods.Items) != 1 {
			return fmt.Errorf("there are %d pods", len(pods.Items))
		}
		said, err := l.clients.CoreV1().Pods("default").GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil {
			return fmt.Errorf("%w; its state: %s", err, statesOf(pods.Items[0]))
		}
		if !slices.Contains(strings.Split(string(said), "\n"), line) {
			return fmt.Errorf("it says %q", said)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func statesOf(pod corev1.Pod) string {
	content, err := json.Marshal(pod.Status.ContainerStatuses)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

func checkReach(t *testing.T, l *Lab) {
	t.Helper()
	err := poll(t.Context(), time.Minute, 200*time.Millisecond, "the pod has ended", func() error {
		pod, err := l.clients.CoreV1().Pods("default").Get(t.Context(), "reach", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			return fmt.Errorf("it is %s: %s", pod.Status.Phase, statesOf(*pod))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	said, err := l.Kubectl(t.Context(), "logs", "reach")
	if err != nil {
		t.Fatal(err)
	}
	want := "https://10.96.0.1/readyz answers 200\nhttp://10.99.0.1:8600/_sim/health answers 200\n"
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("what the pod says (-want +got):\n%s", diff)
	}
}

func checkCopies(t *testing.T, l *Lab) {
	t.Helper()
	const project = scenario.WalkthroughProject
	store := l.Cloud().State
	filter, err := store.CreateFilter(project, state.FilterInput{Name: new("lab")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = store.CreateRule(project, state.RuleInput{
		FilterID: &filter.ID, Direction: new("ingress"), Protocol: new("tcp"), EtherType: new("IPv4"), Action: new("accept"), Priority: new(1),
		SourceCIDR: new("192.168.0.161/32"), DestinationPortRange: new("1234-1234"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err = store.CreateSession(project, state.SessionInput{
		Name: new("lab"), FilterID: &filter.ID, Sources: &[]string{scenario.WalkthroughSource}, TargetID: new(scenario.WalkthroughTarget),
		TargetType: new("eni"), VNI: new(1), PacketLength: new(1460), Priority: new(1), Enabled: new(true),
	}); err != nil {
		t.Fatal(err)
	}
	talk(t, l)
	// The first packet: TCP SYN of 74 bytes, and 50 for the encapsulation.
	waitForLog(t, l, "ecs-target", "copy from 192.168.0.230, VNI 1, 124 bytes")
}

// talk has ecs-test connect to TCP 1234 of ecs-source.
func talk(t *testing.T, l *Lab) {
	t.Helper()
	var listener net.Listener
	err := l.InNode("ecs-source", func() (err error) {
		listener, err = net.Listen("tcp4", "192.168.0.230:1234")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = l.InNode("ecs-test", func() error {
		c, err := net.DialTimeout("tcp4", "192.168.0.230:1234", 10*time.Second)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkSender(t *testing.T, l *Lab) {
	t.Helper()
	namespace, err := l.Sender("ecs-target", netip.MustParseAddr("192.168.0.230"))
	if err != nil {
		t.Fatal(err)
	}
	var sender net.Conn
	err = netns.In(namespace, func() (err error) {
		sender, err = net.Dial("udp4", "192.168.0.164:4789")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	var receiver net.PacketConn
	err = l.InNode("ecs-target", func() (err error) {
		receiver, err = net.ListenPacket("udp4", "192.168.0.164:4789")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	const vni = 5
	sent := append([]byte{0x08, 0, 0, 0, 0, 0, vni, 0}, make([]byte, 60)...)
	if _, err := sender.Write(sent); err != nil {
		t.Fatal(err)
	}
	waitForLog(t, l, "ecs-target", "copy from 192.168.0.230, VNI 5, 110 bytes")
	if err := receiver.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1500)
	n, from, err := receiver.ReadFrom(got)
	if err != nil {
		t.Fatalf("the kernel of ecs-target got nothing: %v", err)
	}
	if diff := cmp.Diff(sent, got[:n]); diff != "" || !strings.HasPrefix(from.String(), "192.168.0.230:") {
		t.Errorf("what came from %s (-want +got):\n%s", from, diff)
	}
}

func checkAPIServer(t *testing.T, l *Lab) {
	t.Helper()
	if err := l.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if said, err := l.Kubectl(t.Context(), "get", "nodes", "--request-timeout=2s"); err == nil {
		t.Errorf("kubectl works without an API server: %s", said)
	}
	talk(t, l) // nodes and cloud go on
	if err := l.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkNodes(t, l)
}

func checkDeath(t *testing.T, l *Lab) {
	t.Helper()
	const node = "ecs-source"
	if err := l.KillNode(node); err != nil {
		t.Fatal(err)
	}
	err := l.InNode("ecs-test", func() error {
		c, err := net.DialTimeout("tcp4", "192.168.0.230:1234", time.Second)
		if err == nil {
			return errors.Join(errors.New("a dead node accepts a connection"), c.Close())
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			return fmt.Errorf("a dead node answers: %w", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := l.Command(t.Context(), node, "true"); err == nil {
		t.Error("a program can be run on a dead node")
	}
	if err := l.StartNode(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	waitForRestart(t, l, node)
	talk(t, l)
}

// waitForRestart waits until the container of the probe on a node runs for the second
// time.
func waitForRestart(t *testing.T, l *Lab, node string) {
	t.Helper()
	err := poll(t.Context(), 2*time.Minute, 200*time.Millisecond, "the probe on "+node+" runs again", func() error {
		pods, err := l.clients.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{
			LabelSelector: "app=probe", FieldSelector: "spec.nodeName=" + node,
		})
		if err != nil {
			return err
		}
		if len(pods.Items) != 1 {
			return fmt.Errorf("there are %d pods", len(pods.Items))
		}
		if !slices.ContainsFunc(pods.Items[0].Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
			return c.RestartCount > 0 && c.State.Running != nil
		}) {
			return errors.New(statesOf(pods.Items[0]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAKilledLab starts the program, kills it without a warning, and looks at what is
// left.
func TestAKilledLab(t *testing.T) {
	for _, moment := range []struct {
		name  string
		until func(l *Lab) error
	}{
		{"while its nodes are starting", func(l *Lab) error {
			records, err := l.book.Records()
			if err == nil && len(records) < 4 {
				err = fmt.Errorf("%d processes run", len(records))
			}
			return err
		}},
		{"once it is up", func(l *Lab) error {
			_, err := os.Stat(l.path("env"))
			return err
		}},
	} {
		t.Run(moment.name+" leaves nothing after lab down", func(t *testing.T) {
			before := tracesNow(t)
			l, err := fill(Options{Folder: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			skipUnlessAble(t, Check(l.kube))
			kill := startProgram(t, l)
			if err := poll(t.Context(), time.Minute, 20*time.Millisecond, "the moment has come", func() error { return moment.until(l) }); err != nil {
				t.Fatal(err)
			}
			spaces := spaces(t)
			kill()
			expectNobody(t, spaces)
			removed, err := Cleanup()
			if err != nil {
				t.Fatal(err)
			}
			if len(removed) == 0 {
				t.Error("Cleanup says that nothing was left, so the lab was not killed in the middle")
			}
			if diff := cmp.Diff(before, tracesNow(t)); diff != "" {
				t.Errorf("traces (-before +after):\n%s", diff)
			}
		})
	}
}

// startProgram starts `lab serve`, waits until the machine is its, and returns what kills
// it.
func startProgram(t *testing.T, l *Lab) (kill func()) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "lab")
	if err := l.GoBuild(t.Context(), "./test/e2e/cmd/lab", program); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "serve", "-folder", l.options.Folder, "-kube", l.kube, "-wait", labWait.String())
	command.Stdout, command.Stderr = t.Output(), t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait() // it was killed, that is no news
		close(ended)
	}()
	kill = sync.OnceFunc(func() {
		if err := command.Process.Kill(); err != nil {
			t.Error(err) // it has ended already, which it must not
		}
		<-ended
	})
	t.Cleanup(kill)
	err := poll(t.Context(), labWait, 20*time.Millisecond, "the machine is the program's", func() error {
		select {
		case <-ended:
			return &stopWaiting{errors.New("it has ended by itself")}
		default:
		}
		owners, err := process.OpenBook(ownerPath).Records()
		if err == nil && (len(owners) != 1 || owners[0].PID != command.Process.Pid) {
			err = fmt.Errorf("it belongs to %v", owners)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return kill
}
