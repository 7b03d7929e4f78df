package agent

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netns"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/consumer"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/probe"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
	"vpcmirror.io/operator/test/env"
)

func TestMain(m *testing.M) { env.Main(m) }

const (
	deadline = 30 * time.Second
	node     = "ecs-target"
)

// world is a namespace of the real API server, and a wire to a host of its own.
type world struct {
	t         *testing.T
	admin     client.Client
	verifier  *rest.Config // what config/rbac/verifier_role.yaml grants, and no more
	cluster   *env.Cluster
	namespace string // where objects are made
	// namespaces are all that the agents see.
	namespaces []string
	pair       *frametest.Pair
	kernel     func() uint64
	// refuse is why the interfaces can't be watched.
	refuse error
	// log is the agents'.
	log logr.Logger
	// sent are the packets of probes that the agents were to send: each order, by node.
	sent chan v1alpha1.ProbeSend
	// late is how far the agents' clock is ahead.
	late atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, pair: frametest.NewPair(t), log: testr.New(t), sent: make(chan v1alpha1.ProbeSend, 100)}
	w.kernel = w.pair.Receiver.Judge(t, vxlan.Port)
	cluster := env.Start(t)
	w.admin, w.cluster = cluster.Client, cluster
	w.enter()
	// There is no cache here to read filters from.
	reads := rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"mirrorfilters"}, Verbs: []string{"get"}}
	w.verifier = cluster.User(t, env.User{Name: "verifier", Rules: append(env.Granted(t, "ClusterRole", "verifier_role.yaml"), reads)})
	return w
}

// enter makes a namespace, in which objects are made from now on.
func (w *world) enter() {
	w.t.Helper()
	w.namespace = w.cluster.Namespace(w.t)
	w.namespaces = append(w.namespaces, w.namespace)
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.late.Load())) }

// later moves the agents' clock.
func (w *world) later(d time.Duration) { w.late.Add(int64(d)) }

// host is an agent on the receiving end of a wire. It does nothing by itself: the test
// lets it reconcile and flush.
type host struct {
	*Agent
	w *world
	// seen is what the index has, of a host without an informer.
	seen map[types.UID]client.Object
}

// host starts a run of the agent, as a restarted pod would: nothing is kept of earlier
// ones. A wrapper may come between it and the API server.
func (w *world) host(node string, pair *frametest.Pair, wrap ...func(client.Client) client.Client) *host {
	w.t.Helper()
	direct, err := client.New(w.verifier, client.Options{Scheme: w.admin.Scheme(), Mapper: w.admin.RESTMapper()})
	if err != nil {
		w.t.Fatal(err)
	}
	var api client.Client = within{direct, w}
	for _, f := range wrap {
		api = f(api)
	}
	h := &host{w: w, Agent: New(Options{
		Node: node, Port: vxlan.Port, Client: api, Reader: api, Clock: w.now, Log: w.log,
		Interfaces: func() (all []Interface, err error) {
			err = inside(pair, func() error { all, err = LocalInterfaces(); return err })
			return all, err
		},
		WatchInterfaces: func() (events *InterfaceEvents, err error) {
			if w.refuse != nil {
				return nil, w.refuse
			}
			err = inside(pair, func() error { events, err = WatchInterfaces(); return err })
			return events, err
		},
		Open: func(local Interface, port uint16) (ring *capture.Ring, err error) {
			err = inside(pair, func() error {
				// Frames wait long for their block to be handed over: whoever does not
				// wait for them loses them.
				ring, err = capture.OpenRing(local.Index, port, capture.RingOptions{})
				return err
			})
			return ring, err
		},
		SendProbe: func(_ context.Context, order v1alpha1.ProbeSend, _ v1alpha1.ResolvedInterface) (probe.Sent, error) {
			w.sent <- order
			return probe.Sent{Packets: 2, At: w.now()}, nil
		},
		Observe: func(port uint16) (o *consumer.Observation) {
			if err := inside(pair, func() error { o = consumer.Observe(port); return nil }); err != nil {
				w.t.Error(err)
			}
			return o
		},
	})}
	w.t.Cleanup(func() {
		if h.finalSnapshots == nil {
			h.kill()
		}
	})
	return h
}

// counting is a host that counts a session of a filter, both called web.
func counting(t *testing.T) (*world, *v1alpha1.MirrorSession, *host) {
	t.Helper()
	w := newWorld(t)
	w.filter("web")
	s := w.session("web", "web")
	h := w.host(node, w.pair)
	h.step()
	return w, s, h
}

// kill ends a run without its last writes.
func (h *host) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.finalSnapshots = h.snapshots()
	for _, c := range h.capturers {
		c.stop()
	}
}

// within shows a client only the namespaces of its world, so that tests don't see each other.
type within struct {
	client.Client
	w *world
}

func (c within) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := c.Client.List(ctx, list, opts...); err != nil {
		return err
	}
	all, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	return meta.SetList(list, slices.DeleteFunc(all, func(o kruntime.Object) bool {
		accessor, err := meta.Accessor(o)
		return err != nil || !slices.Contains(c.w.namespaces, accessor.GetNamespace())
	}))
}

// inside runs f on a thread in the receiver's network namespace.
func inside(pair *frametest.Pair, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		if err := netns.Set(netns.NsHandle(pair.Receiver.Handle())); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// reconcile lets the agent see all sessions and filters as they are now, and reconcile.
func (h *host) reconcile(ctx context.Context) {
	h.w.t.Helper()
	if h.Cache == nil {
		h.refill()
	}
	h.Agent.reconcile(ctx)
}

// refill stands for an informer that is up to date.
func (h *host) refill() {
	h.w.t.Helper()
	seen := within{h.w.admin, h.w}
	var sessions v1alpha1.MirrorSessionList
	var filters v1alpha1.MirrorFilterList
	for _, list := range []client.ObjectList{&sessions, &filters} {
		if err := seen.List(context.WithoutCancel(h.w.t.Context()), list); err != nil {
			h.w.t.Fatal(err)
		}
	}
	now := make(map[types.UID]client.Object)
	for i := range sessions.Items {
		now[sessions.Items[i].UID] = &sessions.Items[i]
	}
	for i := range filters.Items {
		now[filters.Items[i].UID] = &filters.Items[i]
	}
	for uid, o := range h.seen {
		if now[uid] == nil {
			_, err := h.index.Delete(o)
			h.must(err)
		}
	}
	for _, o := range now {
		_, err := h.index.Put(o)
		h.must(err)
	}
	h.seen = now
}

func (h *host) must(err error) {
	h.w.t.Helper()
	if err != nil {
		h.w.t.Fatal(err)
	}
}

// step lets the agent reconcile, count what has come, and write what is worth it.
func (h *host) step() {
	h.w.t.Helper()
	h.count()
	h.flushDue(h.w.t.Context())
}

// count lets the agent reconcile and count what has come.
func (h *host) count() {
	h.w.t.Helper()
	h.reconcile(h.w.t.Context())
	h.w.until("the rings are open and empty", func() bool {
		for _, c := range h.capturers {
			if s := c.snapshot(); !s.ready || s.waiting {
				return false
			}
		}
		return true
	})
}

// trail lets so much time pass that all counts are written.
func (h *host) trail() {
	h.w.later(report.Level + 2*time.Second)
	h.step()
}

// until polls.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(deadline); !done(); <-poll.C {
		if time.Now().After(end) {
			w.t.Fatalf("after %s still not so: %s", deadline, what)
		}
	}
}

// filter creates the walkthrough's filter, which the cloud has.
func (w *world) filter(name string, edits ...func(*v1alpha1.MirrorFilter)) *v1alpha1.MirrorFilter {
	w.t.Helper()
	f := &v1alpha1.MirrorFilter{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: v1alpha1.MirrorFilterSpec{Rules: []v1alpha1.FilterRule{{
			Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionAccept,
			EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolTCP,
			Source:      &v1alpha1.RulePeer{CIDR: "192.168.0.161/32"},
			Destination: &v1alpha1.RulePeer{CIDR: "192.168.0.230/32", Port: new(int32(1234))},
		}}},
	}
	for _, edit := range edits {
		edit(f)
	}
	w.create(f)
	w.ready(f)
	return f
}

// session creates a session of the filter as the manager would have it when the cloud
// has it: the walkthrough's source, and the receiver as the target.
func (w *world) session(name, filter string, edits ...func(*v1alpha1.MirrorSessionStatus)) *v1alpha1.MirrorSession {
	w.t.Helper()
	s := &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: v1alpha1.MirrorSessionSpec{
			FilterRef: v1alpha1.FilterReference{Name: filter},
			Sources:   []v1alpha1.SourceSelector{{InterfaceSelector: v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: frametest.SourceAddr.String()}}}},
			Target:    v1alpha1.TargetSelector{InterfaceSelector: v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: frametest.TargetAddr.String()}}},
		},
	}
	w.create(s)
	w.manage(s, edits...)
	return s
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.admin.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

// resolvedStatus is what the manager knows of a session.
func (w *world) resolvedStatus() v1alpha1.MirrorSessionStatus {
	return v1alpha1.MirrorSessionStatus{
		VNI:      new(int32(1)),
		Sessions: []v1alpha1.CloudSession{{ID: "b9d0ff4a-5cd3-44f1-a264-39b5a2a0b0b6", Priority: 1}},
		Sources: []v1alpha1.ResolvedInterface{{
			InterfaceID: "source", Addresses: []string{frametest.SourceAddr.String()}, MAC: mac(frametest.SourceMAC),
		}},
		Target: &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "target", Addresses: []string{frametest.TargetAddr.String()}, MAC: mac(w.pair.Receiver.MAC)}},
	}
}

func mac(b [6]byte) string { return net.HardwareAddr(b[:]).String() }

// manage writes a status as the manager does: all of it but verification, by
// server-side apply with its own field manager.
func (w *world) manage(s *v1alpha1.MirrorSession, edits ...func(*v1alpha1.MirrorSessionStatus)) {
	w.t.Helper()
	status := w.resolvedStatus()
	status.ObservedGeneration = s.Generation
	for _, edit := range edits {
		edit(&status)
	}
	content, err := kruntime.DefaultUnstructuredConverter.ToUnstructured(&status)
	if err != nil {
		w.t.Fatal(err)
	}
	delete(content, "verification")
	delete(content, "probeReports")
	u := &unstructured.Unstructured{Object: map[string]any{"status": content}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSession"))
	u.SetNamespace(s.Namespace)
	u.SetName(s.Name)
	u.SetUID(s.UID)
	if err := w.admin.Status().Apply(w.t.Context(), client.ApplyConfigurationFromUnstructured(u),
		client.FieldOwner("vpcmirror-manager"), client.ForceOwnership); err != nil {
		w.t.Fatal(err)
	}
}

// stored is the session as the API server has it now.
func (w *world) stored(s *v1alpha1.MirrorSession) *v1alpha1.MirrorSession {
	w.t.Helper()
	var got v1alpha1.MirrorSession
	if err := w.admin.Get(w.t.Context(), client.ObjectKeyFromObject(s), &got); err != nil {
		w.t.Fatal(err)
	}
	return &got
}

// expectEntries fails the test unless the session has exactly these entries, times, lines of
// packets and what is said of the consumer apart.
func (w *world) expectEntries(s *v1alpha1.MirrorSession, want ...v1alpha1.Verification) {
	w.t.Helper()
	got := w.stored(s).Status.Verification
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(v1alpha1.Verification{},
		"ObservedAt", "StartedAt", "FirstPacketAt", "LastPacketAt", "LastPacket", "Consumer"), cmpopts.IgnoreFields(v1alpha1.SourceCounts{}, "LastPacketAt")); diff != "" {
		w.t.Errorf("entries of %s (-want +got):\n%s", s.Name, diff)
	}
}

// entry is the receiver's, with so many packets that the filter accepts. Unless the edits say
// otherwise all came in the epoch, from the one source and by the one rule of the walkthrough.
func entry(packets int64, edits ...func(*v1alpha1.Verification)) v1alpha1.Verification {
	e := v1alpha1.Verification{Node: node, Interface: "right", Counts: v1alpha1.Counts{Packets: packets, Bytes: packets * goodBytes}}
	for _, edit := range edits {
		edit(&e)
	}
	if e.InEpoch == nil {
		e.InEpoch = new(e.Counts)
	}
	if e.Sources == nil {
		e.Sources = []v1alpha1.SourceCounts{theSource(e.Counts)}
	}
	if e.Rules == nil {
		e.Rules = []v1alpha1.RuleCounts{theRule(e.InEpoch.Packets)}
	}
	return e
}

// theSource is the walkthrough's, with what is counted of it.
func theSource(c v1alpha1.Counts) v1alpha1.SourceCounts {
	return v1alpha1.SourceCounts{
		InterfaceID: "source", Address: frametest.SourceAddr.String(),
		Packets: c.Packets, Bytes: c.Bytes, Unexpected: c.Unexpected, Truncated: c.Truncated,
	}
}

// theRule is the walkthrough's.
func theRule(packets int64) v1alpha1.RuleCounts {
	return v1alpha1.RuleCounts{Direction: v1alpha1.DirectionIngress, Priority: 1, Packets: packets}
}

// numbersAlone is what an entry shows whose copies may be those of another namespace.
func numbersAlone(e *v1alpha1.Verification) {
	e.Sources, e.Rules = []v1alpha1.SourceCounts{}, []v1alpha1.RuleCounts{}
}

// goodBytes is the length of the inner frame of good: 14 of Ethernet, 20 of IPv4, 20 of
// TCP and 6 of payload.
const goodBytes = 60

// send puts frames on the wire to the receiver.
func (w *world) send(packets ...frametest.Packet) {
	w.t.Helper()
	w.sendTo(w.pair, packets...)
}

func (w *world) sendTo(pair *frametest.Pair, packets ...frametest.Packet) {
	w.t.Helper()
	frames := make([][]byte, len(packets))
	for i, p := range packets {
		p.DestinationMAC = pair.Receiver.MAC
		frames[i] = p.Bytes()
	}
	pair.Sender.Send(w.t, frames...)
}

// good are copies that the walkthrough's filter accepts.
func good(n int, edits ...func(*frametest.Packet)) []frametest.Packet {
	return copies(1, n, frametest.Inner("12345\n").Bytes(), edits...)
}

func copies(vni uint32, n int, inner []byte, edits ...func(*frametest.Packet)) []frametest.Packet {
	out := make([]frametest.Packet, n)
	for i := range out {
		out[i] = frametest.Copy(vni, inner)
		for _, edit := range edits {
			edit(&out[i])
		}
	}
	return out
}

// from lets a copy come from another address.
func from(a netip.Addr) func(*frametest.Packet) {
	return func(p *frametest.Packet) { p.Source = a }
}
