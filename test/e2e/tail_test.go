package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"vpcmirror.io/operator/controllers/verifier/tail"
	"vpcmirror.io/operator/test/demo/wire"
)

// playTail looks at packets as a person who holds the Role for it and no other right in the verifier's namespace, with
// the plugin, a real kubelet and containerd.
func playTail(t *testing.T, w *world) {
	p := pair{namespace: "looked-at", vni: 150}
	w.makePair(t, p)
	plugin := w.plugin(t)
	w.apply(t, lookers(p.namespace))
	looker := &person{plugin: plugin, kubeconfig: w.login(t, p.namespace, "looker")}
	editor := &person{plugin: plugin, kubeconfig: w.login(t, p.namespace, "editor")}
	pod, err := w.verifierPod(t.Context(), ecsTarget)
	if err != nil {
		t.Fatal(err)
	}
	before, err := usageOf(string(pod.UID))
	if err != nil {
		t.Fatal(err)
	}
	w.othersSeeNothing(t, p, looker, editor, pod.Name)

	j, talk := w.watch(t, p), w.chat(t)
	w.looks(t, p, looker)
	talk.stop(t)

	slow, fast := w.begins(t, p, looker, unread(t), "--outer", "--payload"), w.begins(t, p, looker, &heard{})
	until(t, patience, "two tails run in the pod", func(context.Context) error { return before.tails(2) })
	w.countsUnderTails(t, p, j, before)
	w.refusesTooMany(t, p, looker, before)
	slow.end(t, syscall.SIGKILL)
	fast.end(t, syscall.SIGINT)
	summary := regexp.MustCompile(`\d+ copies were seen, \d+ shown, \d+ missing.*; ended because it was interrupted`)
	if !summary.MatchString(fast.notes.String()) {
		t.Errorf("when it was interrupted it said: %s", fast.notes.String())
	}
	until(t, patience, "no tail is left in the pod", func(context.Context) error { return before.tails(0) })
	again, err := w.verifierPod(t.Context(), ecsTarget)
	if err != nil {
		t.Fatal(err)
	}
	if again.UID != pod.UID || again.Status.ContainerStatuses[0].RestartCount != pod.Status.ContainerStatuses[0].RestartCount {
		t.Errorf("the verifier was ended: %+v", again.Status.ContainerStatuses)
	}
	w.checked(t, "of the plugin that was interrupted and the one that was killed nothing is left in the pod")
}

// plugin builds kubectl-mirror.
func (w *world) plugin(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "kubectl-mirror")
	if err := w.GoBuild(t.Context(), "./cmd/kubectl-mirror", program); err != nil {
		t.Fatal(err)
	}
	return program
}

// lookers are two accounts of a namespace: one holds the Role that shows packets, the other what Kubernetes gives whoever
// works in the namespace.
func lookers(namespace string) string {
	return strings.ReplaceAll(fmt.Sprintf(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: looker, namespace: NS}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: editor, namespace: NS}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: looker, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: vpcmirror-view}
subjects: [{kind: ServiceAccount, name: looker, namespace: NS}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: editor, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{kind: ServiceAccount, name: editor, namespace: NS}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: looker, namespace: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: vpcmirror-tail}
subjects: [{kind: ServiceAccount, name: looker, namespace: NS}]
`, system), "NS", namespace)
}

// login writes a kubeconfig with an account's token.
func (w *world) login(t *testing.T, namespace, account string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(w.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(w.kubectl(t, "create", "token", "-n", namespace, account))
	for _, c := range config.Contexts {
		c.AuthInfo, c.Namespace = account, namespace
	}
	config.AuthInfos = map[string]*clientcmdapi.AuthInfo{account: {Token: token}}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// person has the plugin, and rights.
type person struct{ plugin, kubeconfig string }

func (p *person) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, p.plugin, append(args, "--kubeconfig="+p.kubeconfig)...)
	c.Env = append(os.Environ(), "KUBECONFIG=")
	return c
}

// runs runs the plugin to its end.
func (p *person) runs(t *testing.T, args ...string) (out, notes string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := p.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err = c.Run()
	return stdout.String(), stderr.String(), err
}

// othersSeeNothing has whoever has no Role for it look at packets, and whoever has it run something else.
func (w *world) othersSeeNothing(t *testing.T, p pair, looker, editor *person, pod string) {
	t.Helper()
	out, notes, err := editor.runs(t, "tail", p.key().Name, "--verifier-namespace", system)
	if err == nil || out != "" || !strings.Contains(notes, "you may not look for the verifier") {
		t.Errorf("who may edit in the namespace alone: %q, %q, %v", out, notes, err)
	}
	for _, c := range []struct {
		who     *person
		command []string
		refused string
	}{
		{editor, []string{"/verifier", "tail", p.key().String()}, `cannot create resource "pods/exec"`},
		{looker, []string{"/verifier", "version"}, "ValidatingAdmissionPolicy 'vpcmirror-tail'"},
		{looker, []string{"/verifier", "tail", "default/another"}, "ValidatingAdmissionPolicy 'vpcmirror-tail'"},
	} {
		args := append([]string{"exec", "--kubeconfig=" + c.who.kubeconfig, "-n", system, pod, "--"}, c.command...)
		said, err := w.tryKubectl(t, patience, args...)
		if err == nil || !strings.Contains(said+err.Error(), c.refused) && !strings.Contains(err.Error(), `cannot get resource "pods"`) {
			t.Errorf("kubectl exec %v: %s%v", c.command, said, err)
		}
	}
	w.checked(t, "who may edit in the namespace sees no packet, and the Role runs nothing but verifier tail")
}

// looks has somebody look at lines and write capture files, which tcpdump reads.
func (w *world) looks(t *testing.T, p pair, looker *person) {
	t.Helper()
	out, notes, err := looker.runs(t, "tail", p.key().Name, "--packets=6")
	if err != nil {
		t.Fatalf("kubectl mirror tail: %v: %s", err, notes)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	want := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{6} accepted by ingress rule 1, from 192\.168\.0\.230: .* 192\.168\.0\.161\.\d+ > 192\.168\.0\.230\.1234: Flags `)
	if len(lines) != 6 {
		t.Errorf("%d lines were shown: %s", len(lines), out)
	}
	for _, line := range lines {
		if !want.MatchString(line) {
			t.Errorf("a line that does not match %s: %s", want, line)
		}
	}
	for name, c := range map[string]struct {
		args    []string
		payload bool
	}{
		"headers":      {nil, false},
		"whole copies": {[]string{"--outer", "--payload"}, true},
	} {
		file := filepath.Join(t.TempDir(), "copies.pcapng")
		if _, notes, err := looker.runs(t, append([]string{"capture", p.key().Name, "--packets=20", "-w", file}, c.args...)...); err != nil {
			t.Fatalf("kubectl mirror capture: %v: %s", err, notes)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(content, []byte("accepted by ingress rule 1")); n != 20 || bytes.Contains(content, []byte("12345\n")) != c.payload {
			t.Errorf("%s: %d packets have a comment; payload is to be there: %v", name, n, c.payload)
		}
		if shown := strings.Count(w.tcpdump(t, file), "192.168.0.230"); shown < 20 {
			t.Errorf("%s: tcpdump shows %d packets of 20", name, shown)
		}
	}
	w.checked(t, "the Role shows lines and writes capture files with comments, without payload and with it, and tcpdump reads them")
}

// tcpdump shows a capture file.
func (w *world) tcpdump(t *testing.T, file string) string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "tcpdump", "-nn", "-r", file).CombinedOutput()
	if err != nil {
		t.Fatalf("tcpdump (Debian: apt-get install tcpdump): %v: %s", err, said)
	}
	return string(said)
}

// begun is a tail that goes on.
type begun struct {
	command *exec.Cmd
	notes   heard
}

// heard is what a program has written, which may be read meanwhile.
type heard struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps it.
func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = append(h.text, p...)
	return len(p), nil
}

// String is all of it.
func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.text)
}

// unread is a pipe that nobody reads.
func unread(t *testing.T) *os.File {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(out.Close(), in.Close()) })
	return in
}

// begins starts a tail.
func (w *world) begins(t *testing.T, p pair, who *person, out io.Writer, args ...string) *begun {
	t.Helper()
	b := &begun{command: who.command(t.Context(), append([]string{"tail", p.key().Name, "--packets=10000000", "--bytes=4294967296"}, args...)...)}
	b.command.Stdout, b.command.Stderr = out, &b.notes
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
	return b
}

// end ends it by a signal.
func (b *begun) end(t *testing.T, by syscall.Signal) {
	t.Helper()
	if err := b.command.Process.Signal(by); err != nil {
		t.Errorf("it had ended before: %v: %s", err, b.notes.String())
	}
	_ = b.command.Wait() // its error is the signal
}

// countsUnderTails sends many copies while tails run, one of which nobody reads, and holds the counts to the kernel's.
func (w *world) countsUnderTails(t *testing.T, p pair, j *judge, before usage) {
	t.Helper()
	datagram, err := wire.Forgery{VNI: p.vni, Inner: w.innerFrame(t, w.mustSession(t, p))}.Datagram()
	if err != nil {
		t.Fatal(err)
	}
	// The hosts' streams of what is shown are on this machine too: more would be a test of that.
	const rate, sent = 10_000, 40_000
	most, largestTail := before.most(t, func() { flood(t, w.sender(t), datagram, sent, rate) })
	until(t, patience, "the verifier has counted what its kernel received", func(ctx context.Context) error {
		received, err := j.target.Read()
		if err != nil {
			return err
		}
		entry, err := w.entry(ctx, p)
		if err != nil {
			return err
		}
		if received[copies] < sent || uint64(entry.Packets) != received[copies] || entry.Dropped != 0 {
			return fmt.Errorf("%d were sent, the kernel received %+v, the verifier says %+v", sent, received, entry.Counts)
		}
		return nil
	})
	if largestTail == 0 || largestTail > tail.Memory {
		t.Errorf("a tail took %.1f MiB, and %d are reckoned for it", mib(largestTail), tail.Memory>>20)
	}
	if err := before.tails(2); err != nil {
		t.Errorf("after the load: %v", err)
	}
	w.checked(t, "%d copies beside two tails, of which one is not read: kernel = verifier, 0 dropped; its pod: cgroup %.1f MiB (%.1f before), resident %.1f MiB (%.1f before); a tail at most %.1f MiB of %d",
		sent, mib(most.memory), mib(before.memory), mib(most.resident), mib(before.resident), mib(largestTail), tail.Memory>>20)
}

// refusesTooMany has a third tail and a fourth begin beside the two that run: the pod has no memory to spare for the latter.
func (w *world) refusesTooMany(t *testing.T, p pair, looker *person, pod usage) {
	t.Helper()
	const sentence = "copies are not shown, so that they go on being counted"
	third := w.begins(t, p, looker, unread(t))
	until(t, patience, "the third tail runs or is refused", func(context.Context) error {
		if strings.Contains(third.notes.String(), sentence) {
			return nil
		}
		return pod.tails(3)
	})
	if out, notes, err := looker.runs(t, "tail", p.key().Name, "--for=1s"); err == nil || out != "" || !strings.Contains(notes, sentence) {
		t.Errorf("a fourth tail: %q, %q, %v", out, notes, err)
	}
	_ = third.command.Process.Kill() // it may have ended
	_ = third.command.Wait()
	w.checked(t, "a fourth tail is refused for want of memory")
}

// most is the largest usage while something is done, and that of a tail in anonymous memory.
func (u usage) most(t *testing.T, do func()) (_ usage, largestTail uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	largest := make(chan usage, 1)
	go func() {
		most := u
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if now, err := u.again(); err == nil {
				most.memory, most.resident = max(most.memory, now.memory), max(most.resident, now.resident)
			}
			processes, _ := u.tailProcesses() // those that could be read
			for _, id := range processes {
				largestTail = max(largestTail, anonymous(id))
			}
			<-tick.C
		}
		largest <- most
	}()
	do()
	cancel()
	most := <-largest
	return most, largestTail
}

// anonymous is how much memory of a process can't be given back, in bytes, by RssAnon of proc_pid_status(5); 0 where it has ended.
func anonymous(process int) uint64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	_, rest, _ := strings.Cut(string(status), "\nRssAnon:")
	var kilobytes uint64
	_, _ = fmt.Sscan(rest, &kilobytes)
	return kilobytes << 10
}

// tails says how many tails run in a pod where that is not the number wanted.
func (u usage) tails(want int) error {
	found, err := u.tailProcesses()
	if err == nil && len(found) != want {
		err = fmt.Errorf("%d tails run", len(found))
	}
	return err
}

// tailProcesses are the tails in a pod.
func (u usage) tailProcesses() (found []int, err error) {
	pids, err := processesBelow(filepath.Dir(u.memoryFile))
	for _, pid := range pids {
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // of one that has just ended
		if bytes.Contains(command, []byte("verifier\x00tail\x00")) {
			found = append(found, pid)
		}
	}
	return found, err
}
