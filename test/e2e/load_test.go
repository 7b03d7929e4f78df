package e2e

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/demo/wire"
)

const (
	perSecond    = 50_000
	loadDuration = 10 * time.Second

	managerBound  = 120 << 20 // bytes
	verifierBound = 80 << 20
)

// playLoad sends copies from a namespace of its own, past the simulated switch, to eth0
// of ecs-target. They are like those of the walkthrough.
func playLoad(t *testing.T, w *world) {
	p := pair{namespace: "load", vni: 90, untaken: true} // it would want its share of the CPU
	w.makePair(t, p)
	idle := w.measure(t)
	w.watchPods(t, "idle", idle, func() { w.quiet(t, loadDuration) })

	s := w.mustSession(t, p)
	datagram, err := wire.Forgery{VNI: p.vni, Inner: w.innerFrame(t, s)}.Datagram()
	if err != nil {
		t.Fatal(err)
	}
	namespace := w.sender(t)
	j := w.watch(t, p)
	var took time.Duration
	sent := int64(perSecond * int(loadDuration/time.Second))
	w.watchPods(t, fmt.Sprintf("at %d copies/s", perSecond), w.measure(t), func() { took = flood(t, namespace, datagram, sent, perSecond) })
	if rate := float64(sent) / took.Seconds(); rate < 0.95*perSecond {
		t.Errorf("only %.0f copies per second were sent: the machine is too busy for this test", rate)
	}
	until(t, patience, "the verifier has reported all", func(ctx context.Context) error {
		counts, err := j.target.Read()
		if err != nil {
			return err
		}
		entry, err := w.entry(ctx, p)
		if err != nil {
			return err
		}
		if int64(counts[copies]) != sent || entry.Packets != sent || entry.Dropped != 0 || entry.Unexpected != 0 || entry.Undecided != 0 {
			return fmt.Errorf("%d were sent, the kernel received %d, the verifier says %+v", sent, counts[copies], entry.Counts)
		}
		return nil
	})
	w.checked(t, "%d copies in %.1f s (%.0f/s): sent = kernel = verifier, 0 dropped", sent, took.Seconds(), float64(sent)/took.Seconds())
}

// sender is a namespace whose packets reach eth0 of ecs-target as if ecs-source had sent them, past the
// simulated switch.
func (w *world) sender(t *testing.T) string {
	t.Helper()
	if w.senderNamespace == "" {
		namespace, err := w.Sender(ecsTarget, w.address(t, ecsSource))
		if err != nil {
			t.Fatal(err)
		}
		w.senderNamespace = namespace
	}
	return w.senderNamespace
}

// quiet lets time go by while nothing is sent.
func (w *world) quiet(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// flood sends the datagram so many times, at so many a second, and says how long it took.
func flood(t *testing.T, namespace string, datagram []byte, count, rate int64) time.Duration {
	t.Helper()
	var conn net.PacketConn
	err := netns.In(namespace, func() (err error) {
		conn, err = net.ListenPacket("udp4", ":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	target := &net.UDPAddr{IP: net.IPv4(192, 168, 0, 164), Port: vxlanPort}
	batch := make([]ipv4.Message, 64)
	for i := range batch {
		batch[i] = ipv4.Message{Buffers: [][]byte{datagram}, Addr: target}
	}
	sender := ipv4.NewPacketConn(conn)
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	began := time.Now()
	var sent int64
	for sent < count {
		due := min(count, int64(time.Since(began))*rate/int64(time.Second))
		for sent < due {
			n, err := sender.WriteBatch(batch[:min(int64(len(batch)), due-sent)], 0)
			if err != nil {
				t.Fatalf("sending copy %d: %v", sent, err)
			}
			sent += int64(n)
		}
		<-pace.C
	}
	return time.Since(began)
}

// measure reads what every pod of the product has used so far.
func (w *world) measure(t *testing.T) map[string]usage {
	t.Helper()
	out := map[string]usage{}
	for _, component := range []string{"manager", "verifier"} {
		pods, err := w.pods(t.Context(), component)
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods {
			if pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning {
				u, err := usageOf(string(pod.UID))
				if err != nil {
					t.Fatal(err)
				}
				u.component, u.node = component, pod.Spec.NodeName
				out[pod.Name] = u
			}
		}
	}
	return out
}

// watchPods does something, and notes the memory and the CPU of the pods meanwhile. The
// memory is that of the pod's cgroup, and of its processes, at its largest in readings of
// every 200 ms.
func (w *world) watchPods(t *testing.T, when string, before map[string]usage, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	largest := make(chan map[string]usage, 1)
	go func() {
		most := map[string]usage{}
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			for name, u := range before {
				if now, err := u.again(); err == nil {
					peak := most[name]
					now.memory, now.resident = max(now.memory, peak.memory), max(now.resident, peak.resident)
					most[name] = now
				}
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
		largest <- most
	}()
	began := time.Now()
	do()
	cancel()
	most, took := <-largest, time.Since(began)
	for _, line := range compareUsage(t, before, most, took) {
		w.checked(t, "%s: %s", when, line)
	}
}
