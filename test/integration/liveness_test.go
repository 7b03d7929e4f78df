package integration_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/liveness"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestTrafficIsUnknownWhileTheVerifierHasLostItsLease(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start()
	_, session := w.Pair("watched")
	counted := entry("ecs-target", v1alpha1.Counts{Packets: 3, Bytes: 300}, time.Second, 2*time.Second)
	counted = write(t, w, session, counted)
	m.Alive(w, "ecs-target")
	traffic(w, session, v1alpha1.ReasonPacketsObserved)

	m.Expire(w, "ecs-target")
	lost := traffic(w, session, v1alpha1.ReasonVerifierLost)
	if lost.Status != "Unknown" || !meta.IsStatusConditionTrue(session.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("the conditions are %+v", session.Status.Conditions)
	}
	harness.Same(t, "the sum", int64(3), session.Status.Traffic.Packets)
	harness.Same(t, "the entries, for a node that may come back", []v1alpha1.Verification{counted}, session.Status.Verification, times)
	w.EventSays(session, v1alpha1.ReasonVerifierLost, "on ecs-target (eth0) has stopped renewing its lease")

	t.Run("another manager says so from its beginning", func(t *testing.T) {
		first := session.ResourceVersion
		m.Stop(w)
		m = w.Start()
		m.Reconciled(w, session)
		harness.ReconcileNow(w, session)
		since := false
		for _, version := range w.Versions(session) {
			since = since || version.ResourceVersion == first
			if c := meta.FindStatusCondition(version.Status.Conditions, v1alpha1.ConditionTrafficObserved); since && c.Reason != lost.Reason {
				t.Errorf("version %s says %s, %s", version.ResourceVersion, c.Reason, c.Message)
			}
		}
		harness.Same(t, "the reason", lost.Reason, traffic(w, session, v1alpha1.ReasonVerifierLost).Reason)
	})

	m.Alive(w, "ecs-target")
	traffic(w, session, v1alpha1.ReasonPacketsObserved)

	// One whose lease somebody deleted is lost like one that is not renewed.
	w.Delete(w.Lease("ecs-target"))
	m.Expire(w, "ecs-target")
	traffic(w, session, v1alpha1.ReasonVerifierLost)
	m.Alive(w, "ecs-target")
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
}

func TestAVerifierWhoseRenewalIsOverdueIsNotCalledSilence(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start(harness.WithTiming(lifecycle.DefaultTiming))
	_, session := w.Pair("overdue", func(s *v1alpha1.MirrorSession) { s.Spec.SilenceAfter = &metav1.Duration{Duration: 10 * time.Second} })
	write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 3, Bytes: 300}, time.Second, 2*time.Second))
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	m.Alive(w, "ecs-target")
	stored, seen := w.Lease("ecs-target"), w.Lease("ecs-target")
	if err := w.Get(stored); err != nil {
		t.Fatal(err)
	}
	_ = harness.Poll(t, "the manager has the last renewal", func() string {
		if err := m.Liveness.Client.Get(t.Context(), client.ObjectKeyFromObject(seen), seen); err != nil {
			t.Fatal(err)
		}
		return seen.ResourceVersion
	}, func(version string) bool { return version == stored.ResourceVersion })
	if err := m.Liveness.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(25 * time.Second) // more than the counts' way, and less than the lease holds
	harness.ReconcileNow(w, session)
	harness.Same(t, "the reason", v1alpha1.ReasonPacketsObserved, traffic(w, session, v1alpha1.ReasonPacketsObserved).Reason)
	m.Alive(w, "ecs-target")
	traffic(w, session, v1alpha1.ReasonSilent) // by itself
}

func TestAVerifierThatIsLostDoesNotSpeakForOneThatCaptures(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start()
	_, session := w.Pair("moved")
	write(t, w, session, entry("node-a", v1alpha1.Counts{Packets: 3, Bytes: 300}, time.Second, 2*time.Second))
	m.Alive(w, "node-a")
	m.Expire(w, "node-a")
	traffic(w, session, v1alpha1.ReasonVerifierLost)
	m.Alive(w, "node-b")
	write(t, w, session, entry("node-b", v1alpha1.Counts{}, 0, 0))
	c := traffic(w, session, v1alpha1.ReasonNoPackets)
	harness.Same(t, "the message", "no packet has arrived on node-b (eth0) yet: is there traffic that the filter accepts, and does the target's security group allow UDP 4789 from the sources?", c.Message)
	harness.Same(t, "the sum", int64(3), session.Status.Traffic.Packets)
}

// neverOff fails the test unless each version of the session adds up: what is summed is
// never less than before, and never more than was counted.
func neverOff(t *testing.T, w *harness.World, s *v1alpha1.MirrorSession, counted int64) {
	t.Helper()
	var last, lastOfSource int64
	for _, version := range w.Versions(s) {
		var sum, retired int64
		if traffic := version.Status.Traffic; traffic != nil {
			sum = traffic.Packets
			if traffic.Retired != nil {
				retired = traffic.Retired.Packets
			}
			for _, source := range traffic.Sources { // there is one
				if source.Packets < lastOfSource || source.Packets > sum {
					t.Errorf("version %s: of the source are %d after %d, in all %d", version.ResourceVersion, source.Packets, lastOfSource, sum)
				}
				lastOfSource = source.Packets
			}
		}
		all := retired
		for _, e := range version.Status.Verification {
			all += e.Packets
		}
		if sum < last || sum > all || all > counted {
			t.Errorf("version %s: the sum is %d after %d, the entries and what is retired are %d, counted were %d",
				version.ResourceVersion, sum, last, all, counted)
		}
		last = sum
	}
	if last != counted {
		t.Errorf("the last sum is %d, counted were %d", last, counted)
	}
}

// untilRetired waits until so many packets are retired and all add up to the total.
func untilRetired(w *harness.World, s *v1alpha1.MirrorSession, folded, total int64) {
	harness.Until(w, s, "the entry is folded", func(s *v1alpha1.MirrorSession) bool {
		traffic := s.Status.Traffic
		return traffic != nil && traffic.Retired != nil && traffic.Retired.Packets == folded && traffic.Packets == total
	})
}

func TestAnEntryThatEndedIsFoldedIntoTheRetiredCounts(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("moved")
	a := inEpoch(session, entry("node-a", v1alpha1.Counts{Packets: 3, Bytes: 300, Unexpected: 1, Undecided: 2, ForeignSource: 4, Dropped: 5}, time.Second, 2*time.Second))
	b := inEpoch(session, entry("node-b", v1alpha1.Counts{Packets: 10, Bytes: 1000}, 3*time.Second, 4*time.Second))
	write(t, w, session, a)
	write(t, w, session, b)
	harness.Until(w, session, "the sum", func(s *v1alpha1.MirrorSession) bool { return s.Status.Traffic != nil && s.Status.Traffic.Packets == 13 })
	sum := session.Status.Traffic
	a.Ended = true
	write(t, w, session, a)
	untilRetired(w, session, 3, 13)
	sum.Retired = &v1alpha1.Retired{Counts: a.Counts, Sources: a.Sources}
	sum.Retired.Sources[0].Address = "192.168.0.230"
	sum.InEpoch, sum.Rules = b.InEpoch, b.Rules // nobody counts for node-a any more
	harness.Same(t, "the traffic", sum, session.Status.Traffic, times)
	harness.Same(t, "the entries", []v1alpha1.Verification{b}, session.Status.Verification, times)
	w.EventSays(session, "Retired", "the verifier of node-a counts the session no more; its 3 packets are kept in traffic.retired")

	// The one that goes on polls all the time.
	seen := false
	for _, version := range w.Versions(session) {
		c := meta.FindStatusCondition(version.Status.Conditions, v1alpha1.ConditionTrafficObserved)
		seen = seen || c != nil && c.Reason == v1alpha1.ReasonPacketsObserved
		if seen && c.Reason != v1alpha1.ReasonPacketsObserved {
			t.Errorf("version %s says %s: %s", version.ResourceVersion, c.Reason, c.Message)
		}
	}

	// The same node again, and again over: both are kept.
	a.Counts = v1alpha1.Counts{Packets: 7, Bytes: 700}
	a = inEpoch(session, a)
	write(t, w, session, a)
	untilRetired(w, session, 10, 20)
	b.Ended = true
	write(t, w, session, b)
	untilRetired(w, session, 20, 20)
	c := traffic(w, session, v1alpha1.ReasonNoVerifier)
	harness.Same(t, "TrafficObserved without any verifier", "Unknown", string(c.Status))
	neverOff(t, w, session, 20)
}

func TestAnEntryIsFoldedWhenItsNodeIsGoneAndNotBefore(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"the lease runs out first", "the node goes first"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			node := w.Node("target", "192.168.0.164")
			w.Node("other", "192.168.0.161")
			m := w.Start()
			_, session := w.Pair("dead", toNode(w, "target"))
			write(t, w, session, entry(node.Name, v1alpha1.Counts{Packets: 3, Bytes: 300}, time.Second, 2*time.Second))
			traffic(w, session, v1alpha1.ReasonPacketsObserved)
			m.Alive(w, node.Name)
			if order == "the node goes first" {
				w.Delete(node)
				harness.Because(w, session, v1alpha1.ReasonNodeNotFound)
				harness.ReconcileNow(w, session)
				harness.Same(t, "the entries while the verifier lives", 1, len(session.Status.Verification))
				m.Expire(w, node.Name)
			} else {
				m.Expire(w, node.Name)
				traffic(w, session, v1alpha1.ReasonVerifierLost)
				harness.ReconcileNow(w, session)
				harness.Same(t, "the entries while the node is there", 1, len(session.Status.Verification))
				w.Delete(node)
			}
			untilRetired(w, session, 3, 3)
			harness.Same(t, "the entries", 0, len(session.Status.Verification))
			neverOff(t, w, session, 3)
		})
	}
	t.Run("never where the cluster has no nodes: verifiers run beside it", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		m := w.Start()
		_, session := w.Pair("beside")
		write(t, w, session, entry("host", v1alpha1.Counts{Packets: 3, Bytes: 300}, time.Second, 2*time.Second))
		m.Alive(w, "host")
		m.Expire(w, "host")
		traffic(w, session, v1alpha1.ReasonVerifierLost)
		harness.ReconcileNow(w, session)
		harness.Same(t, "the entries", 1, len(session.Status.Verification))
	})
}

// A verifier that writes as fast as it can, whose entries end again and again, while
// another one on a living node writes too: nothing is lost, and nothing doubled.
func TestWhatVerifiersWriteWhileEntriesAreFoldedIsCountedOnce(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("busy")
	const rounds, writes = 15, 8
	var counted, steady atomic.Int64
	busy := make(chan error, 1)
	stop := make(chan struct{})
	go func() { busy <- counting(t, w, session.DeepCopy(), "steady", stop, &counted, &steady) }()
	for round := range rounds {
		e := entry("moving", v1alpha1.Counts{}, time.Second, time.Duration(round+2)*time.Second)
		for i := range writes {
			e.Packets++
			e.Bytes += 100
			counted.Add(1)
			e.Ended = i == writes-1
			e = inEpoch(session, e)
			write(t, w, session, e)
		}
		harness.Until(w, session, "the entry is folded", func(s *v1alpha1.MirrorSession) bool { return report.Own(s, "moving") == nil })
		before := steady.Load()
		harness.Poll(t, "the other verifier writes too", steady.Load, func(n int64) bool { return n > before })
	}
	close(stop)
	if err := <-busy; err != nil {
		t.Fatal(err)
	}
	total := counted.Load()
	untilRetired(w, session, rounds*writes, total)
	neverOff(t, w, session, total)
}

// counting writes a node's entry with one packet more each time until stop. It adds each
// packet to counted before, and to written after it is written.
func counting(t *testing.T, w *harness.World, s *v1alpha1.MirrorSession, node string, stop <-chan struct{}, counted, written *atomic.Int64) error {
	t.Helper()
	e := entry(node, v1alpha1.Counts{}, time.Second, time.Second)
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		e.Packets++
		e = inEpoch(s, e)
		counted.Add(1)
		for {
			read, err := report.Read(t.Context(), w.Cluster.Client, s)
			if err == nil {
				err = report.Write(t.Context(), w.Cluster.Client, read, e)
			}
			if err == nil {
				written.Add(1)
				break
			}
			if !isChanged(err) {
				return err
			}
		}
	}
}

// The target comes back to the node at the very moment at which its entry is folded.
func TestAVerifierThatGoesOnWhileItsEntryIsFoldedLosesNothing(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	e := entry("node-a", v1alpha1.Counts{Packets: 3, Bytes: 300}, time.Second, 2*time.Second)
	e.Ended = true
	var between func()
	w.Start(harness.WithClient(func(c client.Client) client.Client { return folding{c, sync.OnceFunc(func() { between() })} }))
	_, session := w.Pair("back")
	between = func() {
		e.Ended, e.Packets = false, 5
		e = write(t, w, session.DeepCopy(), e)
	}
	write(t, w, session, e)
	harness.Until(w, session, "the sum", func(s *v1alpha1.MirrorSession) bool { return s.Status.Traffic != nil && s.Status.Traffic.Packets == 5 })
	harness.Same(t, "the entries", []v1alpha1.Verification{e}, session.Status.Verification, times)
	e.Ended = true
	write(t, w, session, e)
	untilRetired(w, session, 5, 5)
	neverOff(t, w, session, 5)
}

// folding calls a function before each JSON patch of a status, which is a fold.
type folding struct {
	client.Client
	before func()
}

func (c folding) Status() client.SubResourceWriter { return foldingStatus{c.Client.Status(), c.before} }

type foldingStatus struct {
	client.SubResourceWriter
	before func()
}

func (c foldingStatus) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	if patch.Type() == types.JSONPatchType {
		c.before()
	}
	return c.SubResourceWriter.Patch(ctx, o, patch, opts...)
}

func TestASumThatWasComputedBeforeAFoldDoesNotUndoIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start()
	_, session := w.Pair("deposed")
	write(t, w, session, entry("node-a", v1alpha1.Counts{Packets: 3, Bytes: 300}, time.Second, 2*time.Second))
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	old := session.DeepCopy() // as a manager has read it that is no longer the leader
	ended := session.Status.Verification[0]
	ended.Ended = true
	write(t, w, session, ended)
	untilRetired(w, session, 3, 3)
	traffic(w, session, v1alpha1.ReasonNoVerifier)
	m.Stop(w)

	late := old.DeepCopy()
	status.Traffic(late, time.Now())
	status.Suspended(late)
	if _, err := status.Write(t.Context(), w.Cluster.Client, w.Cluster.Client, old, late); err == nil {
		t.Error("the late write was taken")
	}
	want := session.Status.Traffic
	if err := w.Get(session); err != nil {
		t.Fatal(err)
	}
	harness.Same(t, "the traffic", want, session.Status.Traffic, times)
}

func TestAManagerThatStartsDoesNotTakeAnOldLeaseForLife(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Renew("ecs-target")
	m := w.Start()
	_, session := w.Pair("fresh")
	write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 100}, time.Second, time.Second))
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	harness.Same(t, "the state", liveness.Unknown, m.Liveness.Of("ecs-target"))
}
