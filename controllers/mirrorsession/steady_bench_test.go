package mirrorsession

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// What a look costs when nothing happens, with everything that a process of its own spends on it but
// the API server's watch and the cloud's answers on the wire. In an account of ten times as many
// sessions it is the same. The memory is what is kept of a session: cached object, lists, and what is
// remembered of the last look.
func BenchmarkLookInTheSteadyState(b *testing.B) {
	for _, n := range []int{200, 2000, 20000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			before := heap()
			w := newSteadyWorld(b, n)
			for i := range n {
				w.settle(b, i)
			}
			w.steady = true
			kept := heap() - before
			for i := 0; b.Loop(); i++ {
				w.look(b, i%n)
			}
			b.ReportMetric(float64(kept)/float64(n)/1024, "KiB/session")
			runtime.KeepAlive(w)
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// steadyWorld is an account and a cluster with n healthy sessions: 10 to a filter, and to a target.
type steadyWorld struct {
	client.Client // no other method may be called
	status        client.SubResourceWriter

	reconciler *Reconciler
	cloud      steadyCloud
	sessions   map[types.NamespacedName]*v1alpha1.MirrorSession
	filters    map[types.NamespacedName]*v1alpha1.MirrorFilter
	nodes      map[string]*corev1.Node
	// steady is true once every write is one too many.
	steady bool
	writes atomic.Int64
}

const targetsShare, filtersShare = 10, 10

func name(kind string, i int) string { return fmt.Sprintf("%s-%05d", kind, i) }

// uuid is like the cloud's IDs.
func uuid(kind, i int) string { return fmt.Sprintf("%08d-0000-4000-8000-%012d", kind, i) }

func steadyAddress(network byte, i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, network, byte(i >> 8), byte(i)})
}

func newSteadyWorld(tb testing.TB, n int) *steadyWorld {
	tb.Helper()
	w := &steadyWorld{
		sessions: map[types.NamespacedName]*v1alpha1.MirrorSession{}, filters: map[types.NamespacedName]*v1alpha1.MirrorFilter{}, nodes: map[string]*corev1.Node{},
	}
	const vpc, subnet = "vpc-1", "subnet-1"
	w.cloud.groups = []cloud.SecurityGroup{{ID: uuid(5, 1), Name: "of-all", Rules: []cloud.GroupRule{
		{ID: "r1", Direction: cloud.Ingress, Allow: true, Priority: 1, RemoteGroupID: uuid(5, 1)},
		{ID: "r2", Direction: cloud.Ingress, Protocol: "udp", Ports: []cloud.PortRange{{Low: 4789, High: 4789}}, Allow: true, Priority: 1, Remote: netip.MustParsePrefix("10.0.0.0/8")},
		{ID: "r3", Direction: cloud.Egress, Allow: true, Priority: 1},
	}}}
	nic := func(kind byte, i int) cloud.Interface {
		return cloud.Interface{
			ID: uuid(int(kind), i), VPCID: vpc, SubnetID: subnet, Addresses: []netip.Addr{steadyAddress(kind, i)}, MAC: fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", kind, i>>8, i&255),
			SecurityGroups: []string{uuid(5, 1)}, DeviceID: uuid(6, int(kind)*100000+i), Status: "ACTIVE", Flavor: "c7t.large.2",
		}
	}
	server := func(i cloud.Interface) cloud.Server {
		return cloud.Server{ID: i.DeviceID, Name: "ecs", Status: "ACTIVE", Running: true, Flavor: i.Flavor}
	}
	for i := range n/targetsShare + 1 {
		target := nic(2, i)
		w.cloud.interfaces, w.cloud.servers = append(w.cloud.interfaces, target), append(w.cloud.servers, server(target))
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name("node", i)}}
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: target.Addresses[0].String()}}
		w.nodes[target.Addresses[0].String()] = node
	}
	for i := range n/filtersShare + 1 {
		w.addFilter(tb, i)
	}
	for i := range n {
		source := nic(1, i)
		w.cloud.interfaces, w.cloud.servers = append(w.cloud.interfaces, source), append(w.cloud.servers, server(source))
		w.addSession(i)
	}
	w.status = steadyStatus{w: w}
	w.reconciler = &Reconciler{Services: lifecycle.New(lifecycle.Options{
		Client: w, Reader: w, Clients: &w.cloud, Inventory: inventory.New(time.Now), Recorder: &events.FakeRecorder{},
		Cluster: "0a1b2c3d", Clock: time.Now, Resync: time.Hour,
	})}
	return w
}

func (w *steadyWorld) addFilter(tb testing.TB, i int) {
	tb.Helper()
	f := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{
		Namespace: "n", Name: name("filter", i), UID: types.UID(uuid(10, i)), Generation: 1, Finalizers: []string{v1alpha1.Finalizer},
	}}
	f.Spec.Rules = []v1alpha1.FilterRule{{Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionAccept, EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolTCP, Destination: &v1alpha1.RulePeer{CIDR: "10.1.0.0/16"}}}
	f.Status.ID, f.Status.Account = uuid(3, i), &v1alpha1.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}
	status.Synced(f, "the cloud has it")
	f.Status.ObservedGeneration = 1
	want, err := plan.FilterFrom(f, plan.Mark{Cluster: "0a1b2c3d", UID: string(f.UID), Part: 1})
	if err != nil {
		tb.Fatal(err)
	}
	have := cloud.Filter{ID: f.Status.ID, Name: want.Name, Description: want.Description}
	for k, rule := range want.Rules {
		have.Rules = append(have.Rules, cloud.Rule{ID: fmt.Sprint("rule-", i, "-", k), RuleSpec: rule})
	}
	w.cloud.filters = append(w.cloud.filters, have)
	w.filters[client.ObjectKeyFromObject(f)] = f
}

func (w *steadyWorld) addSession(i int) {
	s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{
		Namespace: "n", Name: name("session", i), UID: types.UID(uuid(11, i)), Generation: 1, ResourceVersion: "1", Finalizers: []string{v1alpha1.Finalizer},
	}}
	s.Spec.FilterRef.Name = name("filter", i/filtersShare)
	s.Spec.Sources = []v1alpha1.SourceSelector{{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: uuid(1, i)}}}
	s.Spec.Target.InterfaceID = uuid(2, i/targetsShare)
	s.Status.Sessions = []v1alpha1.CloudSession{{ID: uuid(4, i), Priority: int32(10000 + i), Sources: []string{uuid(1, i)}}}
	s.Status.VNI = new(int32(i%targetsShare + 1))
	s.Status.Account = &v1alpha1.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}
	status.Synced(s, "")
	s.Status.ObservedGeneration = 1
	want := plan.SessionFrom(s, plan.Mark{Cluster: "0a1b2c3d", UID: string(s.UID), Part: 1}, uuid(3, i/filtersShare), s.Spec.Target.InterfaceID, []string{uuid(1, i)}, i%targetsShare+1, 10000+i)
	w.cloud.sessions = append(w.cloud.sessions, cloud.Session{ID: uuid(4, i), SessionSpec: want.SessionSpec, Sources: want.Sources})
	w.sessions[client.ObjectKeyFromObject(s)] = s
}

// settle brings one session in line, has a verifier count its copies, and judges what that tells.
func (w *steadyWorld) settle(tb testing.TB, i int) {
	tb.Helper()
	w.look(tb, i)
	key := types.NamespacedName{Namespace: "n", Name: name("session", i)}
	s := w.sessions[key].DeepCopy()
	counted, at := v1alpha1.Counts{Packets: 1000, Bytes: 100_000}, metav1.NewMicroTime(time.Now())
	s.Status.Verification = []v1alpha1.Verification{{
		Node: name("node", i/targetsShare), Interface: "eth0", Epoch: s.Status.Epoch, Counts: counted, InEpoch: &counted,
		ObservedAt: at, FirstPacketAt: &at, LastPacketAt: &at, Consumer: &v1alpha1.Consumer{},
	}}
	w.sessions[key] = s
	w.look(tb, i)
	w.look(tb, i)
	if found := w.sessions[key].Status.Findings; len(found) > 0 {
		tb.Fatalf("session %d has findings: %+v", i, found)
	}
}

// look reconciles one session.
func (w *steadyWorld) look(tb testing.TB, i int) {
	tb.Helper()
	writes := w.writes.Load()
	_, err := w.reconciler.Reconcile(tb.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "n", Name: name("session", i)}})
	if err != nil || w.steady && w.writes.Load() != writes {
		tb.Fatalf("session %d: %v, %d writes", i, err, w.writes.Load()-writes)
	}
	if !w.steady {
		s := w.sessions[types.NamespacedName{Namespace: "n", Name: name("session", i)}]
		if c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionPathClear); c == nil || c.Status != metav1.ConditionTrue {
			tb.Fatalf("session %d is not healthy: %+v", i, s.Status)
		}
	}
}

func (w *steadyWorld) Scheme() *kruntime.Scheme {
	scheme := kruntime.NewScheme()
	_ = v1alpha1.AddToScheme(scheme)
	return scheme
}

// Get copies an object, as the cache does.
func (w *steadyWorld) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	switch o := o.(type) {
	case *v1alpha1.MirrorSession:
		w.sessions[key].DeepCopyInto(o)
		return nil
	case *v1alpha1.MirrorFilter:
		w.filters[key].DeepCopyInto(o)
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

// List knows the indexes that a look asks for.
func (w *steadyWorld) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	value := ""
	if o.FieldSelector != nil {
		value = o.FieldSelector.Requirements()[0].Value
	}
	switch out := list.(type) {
	case *corev1.NodeList:
		if node := w.nodes[value]; node != nil {
			out.Items = append(out.Items, *node)
		}
	case *v1alpha1.MirrorSessionList:
		if value == "" {
			for _, s := range w.sessions {
				out.Items = append(out.Items, *s)
			}
			return nil
		}
		var i int
		if _, err := fmt.Sscanf(value, "00000011-0000-4000-8000-%d", &i); err != nil {
			return fmt.Errorf("nobody asks for %s: %w", value, err)
		}
		out.Items = append(out.Items, *w.sessions[types.NamespacedName{Namespace: "n", Name: name("session", i)}])
	}
	return nil
}

func (w *steadyWorld) Status() client.SubResourceWriter { return w.status }

// steadyStatus takes the status as the API server would.
type steadyStatus struct {
	client.SubResourceWriter
	w *steadyWorld
}

func (s steadyStatus) Apply(_ context.Context, o kruntime.ApplyConfiguration, _ ...client.SubResourceApplyOption) error {
	s.w.writes.Add(1)
	content, err := json.Marshal(o)
	if err != nil {
		return err
	}
	var sent v1alpha1.MirrorSession
	if err := json.Unmarshal(content, &sent); err != nil {
		return err
	}
	have := s.w.sessions[client.ObjectKeyFromObject(&sent)]
	sent.Status.Verification = have.Status.Verification
	now := have.DeepCopy()
	now.Status = sent.Status
	s.w.sessions[client.ObjectKeyFromObject(&sent)] = now
	return json.Unmarshal(content, o)
}

// steadyCloud answers lists alone.
type steadyCloud struct {
	cloud.Client

	sessions   []cloud.Session
	filters    []cloud.Filter
	interfaces []cloud.Interface
	groups     []cloud.SecurityGroup
	servers    []cloud.Server
}

func (c *steadyCloud) ClientFor(context.Context, string, *v1alpha1.CloudSpec, time.Time, func(string) error) (cloud.Client, error) {
	return c, nil
}

func (*steadyCloud) Renewed(context.Context, string, *v1alpha1.CloudSpec, time.Time, cloud.Client) bool {
	return false
}

func (*steadyCloud) Account() cloud.Account {
	return cloud.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}
}

func (c *steadyCloud) ListSessions(context.Context) ([]cloud.Session, error) {
	return slices.Clone(c.sessions), nil
}
func (c *steadyCloud) ListFilters(context.Context) ([]cloud.Filter, error) {
	return slices.Clone(c.filters), nil
}
func (c *steadyCloud) ListInterfaces(context.Context) ([]cloud.Interface, error) {
	return slices.Clone(c.interfaces), nil
}
func (c *steadyCloud) ListSecurityGroups(context.Context) ([]cloud.SecurityGroup, error) {
	return c.groups, nil
}
func (*steadyCloud) ListNetworkACLs(context.Context) ([]cloud.NetworkACL, error) { return nil, nil }
func (c *steadyCloud) ListServers(context.Context) ([]cloud.Server, error)       { return c.servers, nil }
func (*steadyCloud) ListFlavors(context.Context) ([]cloud.Flavor, error) {
	return []cloud.Flavor{{Name: "c7t.large.2", Mirrors: new(true)}}, nil
}
func (c *steadyCloud) GetInterface(_ context.Context, id string) (cloud.Interface, error) {
	return c.interfaces[slices.IndexFunc(c.interfaces, func(i cloud.Interface) bool { return i.ID == id })], nil
}
func (c *steadyCloud) GetSession(_ context.Context, id string) (cloud.Session, error) {
	return c.sessions[slices.IndexFunc(c.sessions, func(s cloud.Session) bool { return s.ID == id })], nil
}
func (*steadyCloud) GetQuota(context.Context) (cloud.Quota, error) {
	return cloud.Quota{Sessions: 20000}, nil
}
