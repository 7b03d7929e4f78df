package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/kernel"
)

// playSilence has two sources, of which one falls silent. What it takes until that is told is
// used for another session, which copies frames that can't be copied whole.
func playSilence(t *testing.T, w *world) {
	p := pair{namespace: "two-sources", vni: 130}
	w.letIn(t, scenario.WalkthroughTargetGroup, "udp", vxlanPort, w.address(t, ecsTest).String())
	w.makeNamespace(t, p.namespace)
	w.apply(t, w.twoSources(t, p))
	w.waitReady(t, p)
	w.waitCapturing(t, p)
	j := w.watchSources(t, p)
	going, stopping := w.drip(t, ecsSource), w.drip(t, ecsTest)
	until(t, patience, "copies of both sources are counted", func(ctx context.Context) error {
		counts, err := w.sourceCounts(ctx, p)
		if err == nil && (len(counts) != 2 || counts[ecsSource] == 0 || counts[ecsTest] == 0) {
			err = fmt.Errorf("%v", counts)
		}
		return err
	})
	w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "True", v1alpha1.ReasonPacketsObserved)
	stopping.stop(t)
	silent, last := time.Now(), j.at(t)

	w.tellTruncated(t)
	w.nothingTruncated(t, p)

	w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "False", v1alpha1.ReasonSourceSilent)
	took := time.Since(silent)
	w.checkSourceSilent(t, p)
	counts, err := w.sourceCounts(t.Context(), p)
	if err != nil || counts[ecsSource] <= last[ecsSource] || counts[ecsTest] != last[ecsTest] {
		t.Errorf("when ecs-test fell silent the kernel had counted %v; now the status has %v (%v), only ecs-source's should have gone on", last, counts, err)
	}

	again := w.drip(t, ecsTest)
	until(t, patience, "ecs-test is copied again", func(context.Context) error {
		counts, err := j.target.Read()
		if err == nil && counts[ecsTest] == last[ecsTest] {
			err = errors.New("no copy has come")
		}
		return err
	})
	again.stop(t)
	going.stop(t) // the last counts come at once when all is silent
	total := w.agreeBySource(t, p, j)
	w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "True", v1alpha1.ReasonPacketsObserved)
	w.checked(t, "SourceSilent names %s %.0f s after its last packet while the other's counts go on, and True follows its next; kernel = status for each source: %d and %d",
		w.address(t, ecsTest), took.Seconds(), total[ecsSource], total[ecsTest])
}

// dripPort is what the two sources send to. Nobody listens there, and the target's group
// keeps it out: only the copies come.
const dripPort = 9000

// twoSources copies what ecs-source and ecs-test send to that port of ecs-target.
func (w *world) twoSources(t *testing.T, p pair) string {
	t.Helper()
	return w.secret(p.namespace) + fmt.Sprintf(`---
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorFilter
metadata: {name: sent, namespace: %[1]s}
spec:
  credentialsRef: {name: huawei-cloud}
  rules:
    - {direction: Egress, priority: 1, action: Accept, protocol: UDP, destination: {port: %[2]d}}
---
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorSession
metadata: {name: %[7]s, namespace: %[1]s}
spec:
  credentialsRef: {name: huawei-cloud}
  filterRef: {name: sent}
  sources: [{address: {ip: %[3]s}}, {address: {ip: %[4]s}}]
  target: {address: {ip: %[5]s}}
  vni: %[6]d
  silenceAfter: 10s
`, p.namespace, dripPort, w.address(t, ecsSource), w.address(t, ecsTest), w.address(t, ecsTarget), p.vni, p.key().Name)
}

// watchSources lets the kernel of ecs-target count the copies of each source; the counters
// have the names of the hosts.
func (w *world) watchSources(t *testing.T, p pair) *judge {
	t.Helper()
	var counters []kernel.Counter
	for _, host := range []string{ecsSource, ecsTest} {
		counters = append(counters, kernel.Counter{Name: host, Fields: []kernel.Field{
			kernel.Protocol(udp), kernel.DestinationPort(vxlanPort), kernel.Source(w.address(t, host)), kernel.VNI(p.vni),
		}})
	}
	return &judge{target: w.kernel(t, ecsTarget, fmt.Sprintf("e2e-%d", p.vni), counters)}
}

// sourceCounts are the packets of each source, by the name of its host, as the sum of the
// session has them.
func (w *world) sourceCounts(ctx context.Context, p pair) (map[string]uint64, error) {
	s, err := w.session(ctx, p)
	if err != nil {
		return nil, err
	}
	if s.Status.Traffic == nil {
		return nil, errors.New("it has no traffic")
	}
	hosts := map[string]string{}
	for _, host := range []string{ecsSource, ecsTest} {
		n, err := w.Node(host)
		if err != nil {
			return nil, err
		}
		hosts[n.InterfaceID] = host
	}
	out := map[string]uint64{}
	for _, c := range s.Status.Traffic.Sources {
		out[hosts[c.InterfaceID]] = uint64(c.Packets)
	}
	return out, nil
}

// agreeBySource waits until the status has of each source what the kernel counted of it.
func (w *world) agreeBySource(t *testing.T, p pair, j *judge) map[string]uint64 {
	t.Helper()
	var counts map[string]uint64
	until(t, patience, "kernel and status agree about each source", func(ctx context.Context) error {
		want, err := j.target.Read()
		if err != nil {
			return err
		}
		if counts, err = w.sourceCounts(ctx, p); err != nil {
			return err
		}
		for host, n := range want {
			if counts[host] != n {
				return fmt.Errorf("the kernel counted %v, the status has %v", want, counts)
			}
		}
		return nil
	})
	return counts
}

// checkSourceSilent looks at what a person sees of it.
func (w *world) checkSourceSilent(t *testing.T, p pair) {
	t.Helper()
	silent, other := w.address(t, ecsTest).String(), w.address(t, ecsSource).String()
	worst := w.worstFinding(t, p, v1alpha1.ReasonSourceSilent)
	if said := worst.Subject + " " + worst.Message; !strings.Contains(said, silent) || strings.Contains(said, other) {
		t.Errorf("it is to name %s, and not %s: %q", silent, other, said)
	}
	if printed := w.kubectl(t, "get", "mirs", "-n", p.namespace); !strings.Contains(printed, " "+v1alpha1.ReasonSourceSilent+" ") {
		t.Errorf("kubectl get mirs doesn't say %s:\n%s", v1alpha1.ReasonSourceSilent, printed)
	}
	until(t, patience, "there is an event of type Warning", func(ctx context.Context) error {
		said, err := w.Kubectl(ctx, "get", "events", "-n", p.namespace, "--field-selector", "type=Warning,reason="+v1alpha1.ReasonSourceSilent, "-o", "name")
		if err == nil && said == "" {
			err = errors.New("there is none")
		}
		return err
	})
}

// worstFinding is the first one, which has to have the reason.
func (w *world) worstFinding(t *testing.T, p pair, reason string) v1alpha1.Finding {
	t.Helper()
	s := w.mustSession(t, p)
	if len(s.Status.Findings) == 0 || s.Status.Findings[0].Reason != reason {
		t.Fatalf("the first finding is to have the reason %s: %+v", reason, s.Status.Findings)
	}
	return s.Status.Findings[0]
}

// dripping sends a small datagram ten times a second.
type dripping struct {
	cancel context.CancelFunc
	done   chan error
}

func (w *world) drip(t *testing.T, node string) *dripping {
	t.Helper()
	var conn net.PacketConn
	err := w.InNode(node, func() (err error) {
		conn, err = net.ListenPacket("udp4", net.JoinHostPort(w.address(t, node).String(), "0"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	to := net.UDPAddrFromAddrPort(addrPort(w.address(t, ecsTarget), dripPort))
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	d := &dripping{cancel: cancel, done: make(chan error, 1)}
	go func() {
		pace := time.NewTicker(100 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-ctx.Done():
				d.done <- conn.Close()
				return
			case <-pace.C:
				if _, err := conn.WriteTo([]byte("12345\n"), to); err != nil {
					d.done <- errors.Join(err, conn.Close())
					return
				}
			}
		}
	}()
	return d
}

func (d *dripping) stop(t *testing.T) {
	t.Helper()
	d.cancel()
	if err := <-d.done; err != nil {
		t.Fatal(err)
	}
}

// wholePacket is the largest IPv4 total length that is copied whole: 1460 bytes without the
// Ethernet header. longer counts the copies of what is not: TCP makes some of its segments a little
// shorter than the MTU would have it.
const (
	wholePacket = 1460 - 14
	longer      = "longer"
)

// tellTruncated sends a stream of frames of 1514 bytes, of which no copy can have more than
// 1460. They arrive and are counted, and still no program that needs them whole can use them.
func (w *world) tellTruncated(t *testing.T) {
	t.Helper()
	p := pair{namespace: "full-frames", vni: 131}
	w.makePair(t, p)
	full := w.kernel(t, ecsTarget, fmt.Sprintf("e2e-%d", p.vni), []kernel.Counter{{Name: longer, Fields: []kernel.Field{
		kernel.Protocol(udp), kernel.DestinationPort(vxlanPort), kernel.VNI(p.vni), kernel.Inner(kernel.LongerThan(wholePacket)),
	}}})
	w.sendStream(t, 1<<20)
	var cut int64
	until(t, patience, "what was cut is counted and told", func(ctx context.Context) error {
		counts, err := full.Read()
		if err != nil {
			return err
		}
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		if s.Status.Traffic == nil || s.Status.Traffic.Truncated != int64(counts[longer]) || counts[longer] < 100 {
			return fmt.Errorf("the kernel counted %d copies of full frames, the status has %+v", counts[longer], s.Status.Traffic)
		}
		cut = s.Status.Traffic.Truncated
		if len(s.Status.Findings) == 0 || s.Status.Findings[0].Reason != v1alpha1.ReasonPayloadTruncated {
			return fmt.Errorf("findings are %+v", s.Status.Findings)
		}
		return conditionIs(s, v1alpha1.ConditionTrafficObserved, "True", v1alpha1.ReasonPacketsObserved)
	})
	worst := w.worstFinding(t, p, v1alpha1.ReasonPayloadTruncated)
	if said := worst.Message + " " + worst.Remedy; !strings.Contains(said, "1446") {
		t.Errorf("the finding is to name the MTU that helps, 1446: %q", said)
	}
	w.checked(t, "of a stream of full frames %d copies were cut, as the kernel counted: PayloadTruncated. %s", cut, worst.Remedy)
}

// nothingTruncated: the same is said of no other session.
func (w *world) nothingTruncated(t *testing.T, p pair) {
	t.Helper()
	s := w.mustSession(t, p)
	if s.Status.Traffic.Truncated != 0 {
		t.Errorf("%d copies of small frames were counted as cut", s.Status.Traffic.Truncated)
	}
	for _, f := range s.Status.Findings {
		if f.Reason == v1alpha1.ReasonPayloadTruncated {
			t.Errorf("small frames are told truncated: %+v", f)
		}
	}
}

// sendStream sends so many bytes from ecs-test to the service on ecs-source, and returns when
// they have arrived.
func (w *world) sendStream(t *testing.T, bytesToSend int64) {
	t.Helper()
	l := w.connect(t)
	deadline := time.Now().Add(patience)
	if err := errors.Join(l.near.SetDeadline(deadline), l.far.SetDeadline(deadline)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(l.near, bytes.NewReader(make([]byte, bytesToSend)))
		sent <- err
	}()
	_, err := io.CopyN(io.Discard, l.heard, bytesToSend)
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	l.hangUp(t)
}

// playNewTarget moves the target of a session to an interface whose security group lets no
// copy in. Whoever waits for the condition right after that has to wait.
func playNewTarget(t *testing.T, w *world) {
	p := pair{namespace: "new-target", vni: 132}
	w.makePair(t, p)
	talk := w.chat(t)
	w.wait(t, p, "--timeout=60s")
	source, test := w.address(t, ecsSource), w.address(t, ecsTest)
	at := w.kernel(t, ecsTest, fmt.Sprintf("e2e-%d", p.vni), []kernel.Counter{{Name: copies, Fields: []kernel.Field{
		kernel.Protocol(udp), kernel.DestinationPort(vxlanPort), kernel.Source(source), kernel.VNI(p.vni),
	}}})
	w.kubectl(t, "patch", "-n", p.namespace, "mirs/source-to-target", "--type=merge", "-p", fmt.Sprintf(`{"spec":{"target":{"address":{"ip":%q}}}}`, test))
	said, err := w.tryKubectl(t, patience, waiting(p, "--timeout=5s")...)
	if err == nil || !strings.Contains(err.Error(), "timed out waiting for the condition") {
		t.Fatalf("kubectl wait right after the edit is to time out, it said %q, %v", said, err)
	}
	w.waitReady(t, p)
	w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "Unknown", v1alpha1.ReasonNoPackets)
	if printed := w.kubectl(t, "get", "mirs", "-n", p.namespace, "--no-headers"); !strings.Contains(printed, " Unknown ") {
		t.Errorf("TRAFFIC is to be Unknown:\n%s", printed)
	}
	if counts, err := at.Read(); err != nil || counts[copies] != 0 {
		t.Errorf("%d copies came to the new target though its group is closed, so nothing is proved (%v)", counts[copies], err)
	}
	w.takes(t, ecsTest)
	before := w.mustSession(t, p).Status.Traffic.Packets
	w.letIn(t, scenario.WalkthroughTestGroup, "udp", vxlanPort, source.String())
	opened := time.Now()
	w.wait(t, p, "--timeout=60s")
	took := time.Since(opened)
	talk.stop(t)
	s := w.mustSession(t, p)
	if now := s.Status.Traffic.Packets; before == 0 || now <= before {
		t.Errorf("the total went from %d to %d", before, now)
	}
	counts, err := at.Read()
	if err != nil || counts[copies] == 0 {
		t.Errorf("the kernel of the new target counted %d copies (%v)", counts[copies], err)
	}
	w.checked(t, "after an edit of the target kubectl wait times out and TRAFFIC is Unknown while the new target's group is closed; %.1f s after it was opened kubectl wait succeeds", took.Seconds())
}

// waiting is the command that the README shows.
func waiting(p pair, timeout string) []string {
	return []string{"wait", "-n", p.namespace, "mirs/source-to-target", "--for=condition=" + v1alpha1.ConditionTrafficObserved, timeout}
}

func (w *world) wait(t *testing.T, p pair, timeout string) {
	t.Helper()
	w.kubectl(t, waiting(p, timeout)...)
}
