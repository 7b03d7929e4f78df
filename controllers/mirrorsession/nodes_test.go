package mirrorsession

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/test/env"
)

func TestMain(m *testing.M) { env.Main(m) }

func ips(texts ...string) (out []netip.Addr) {
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// nodeWith is a node with addresses of the type InternalIP, as they are written.
func nodeWith(name string, internal ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, a := range internal {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
	}
	return n
}

func TestTheInternalIPsOfANodeAreItsValidOnesOfBothFamiliesEachOnce(t *testing.T) {
	n := nodeWith("n", "10.0.0.2", "?", "::ffff:10.0.0.2", "2001:DB8:0::2", "fe80::2%eth0")
	n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "203.0.113.1"})
	same(t, "the addresses", ips("10.0.0.2", "2001:db8::2"), internalIPs(n), cmpopts.EquateComparable(netip.Addr{}))
}

func TestWhichInterfaceIsTheNodes(t *testing.T) {
	on := func(id, server string, addresses ...string) cloud.Interface {
		return cloud.Interface{ID: id, DeviceID: server, Addresses: ips(addresses...)}
	}
	for name, c := range map[string]struct {
		node []string
		all  []cloud.Interface
		want string
	}{
		"none where none has an address":                       {[]string{"10.0.0.1"}, nil, ""},
		"the one with the only address":                        {[]string{"10.0.0.1"}, []cloud.Interface{on("a", "s", "10.0.0.1")}, "a"},
		"the one with the second address":                      {[]string{"10.99.0.1", "10.0.0.1"}, []cloud.Interface{on("a", "s", "10.0.0.1")}, "a"},
		"none of two with the only address":                    {[]string{"10.0.0.1"}, []cloud.Interface{on("a", "s", "10.0.0.1"), on("b", "r", "10.0.0.1")}, ""},
		"none of two of one server with the only address":      {[]string{"10.0.0.1"}, []cloud.Interface{on("a", "s", "10.0.0.1"), on("b", "s", "10.0.0.1")}, ""},
		"the one with all addresses":                           {[]string{"10.0.0.1", "fd00::1"}, []cloud.Interface{on("a", "s", "10.0.0.1"), on("b", "r", "10.0.0.1", "fd00::1")}, "b"},
		"the one with all that any has":                        {[]string{"10.0.0.1", "10.99.0.1", "fd00::1"}, []cloud.Interface{on("a", "s", "10.0.0.1"), on("b", "r", "10.0.0.1", "fd00::1")}, "b"},
		"none where the addresses are two servers'":            {[]string{"10.0.0.1", "10.0.0.2"}, []cloud.Interface{on("a", "s", "10.0.0.1"), on("b", "r", "10.0.0.2")}, ""},
		"none where most are one server's":                     {[]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, []cloud.Interface{on("a", "s", "10.0.0.1", "10.0.0.3"), on("b", "r", "10.0.0.2")}, ""},
		"that of the first address, of a server that has both": {[]string{"10.0.0.2", "10.0.0.1"}, []cloud.Interface{on("a", "s", "10.0.0.1"), on("b", "s", "10.0.0.2")}, "b"},
		"none where the server is not known":                   {[]string{"10.0.0.1", "10.0.0.2"}, []cloud.Interface{on("a", "", "10.0.0.1"), on("b", "", "10.0.0.2")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if one := interfaceWith(ips(c.node...), c.all); one != nil {
				got = one.ID
			}
			same(t, "the interface", c.want, got)
		})
	}
}

func TestASessionIsFoundByTheNodesAndAddressesThatConcernIt(t *testing.T) {
	at := func(node string, addresses ...string) v1alpha1.ResolvedInterface {
		return v1alpha1.ResolvedInterface{NodeName: node, Addresses: addresses}
	}
	s := session(func(s *v1alpha1.MirrorSession) {
		s.Spec.Target.NodeName = "target in the spec"
		s.Spec.Sources = []v1alpha1.SourceSelector{
			{InterfaceSelector: v1alpha1.InterfaceSelector{NodeName: "source in the spec"}},
			{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: "i"}},
		}
		s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: at("target", "10.0.0.1", "::ffff:10.0.0.2")}
		s.Status.Sources = []v1alpha1.ResolvedInterface{at("source", "?", "2001:DB8:0::1"), at("")}
		s.Status.Verification = []v1alpha1.Verification{{Node: "entry"}, {Node: "target"}}
	})
	same(t, "the nodes", []string{"entry", "source", "source in the spec", "target", "target in the spec"}, nodesOf(s))
	same(t, "the addresses", "[2001:db8::1 10.0.0.1 10.0.0.2]", fmt.Sprint(addressesOf(s)))
	same(t, "what they are found by", []string{"2001:db8::", "10.0.0.0", "10.0.0.0"}, addressTexts(s))
	same(t, "the nodes of one that has none", nil, nodesOf(session()), cmpopts.EquateEmpty())
}

// cachedNodes are nodes of the real API server that a manager's cache shows to a reconciler.
type cachedNodes struct {
	t      testing.TB
	admin  client.Client
	labels labels.Set
	scope  *scope
}

func newCachedNodes(t testing.TB) *cachedNodes {
	t.Helper()
	cluster := env.Start(t)
	namespace := cluster.Namespace(t)
	c := &cachedNodes{t: t, admin: cluster.Client, labels: labels.Set{"test": namespace}}
	mgr, err := ctrl.NewManager(cluster.Config, ctrl.Options{
		Scheme:  cluster.Client.Scheme(),
		Metrics: metricsserver.Options{BindAddress: "0"},
		Cache:   cache.Options{ByObject: map[client.Object]cache.ByObject{&corev1.Node{}: {Label: labels.SelectorFromSet(c.labels)}}},
	})
	c.must(err)
	c.must(addIndexes(t.Context(), mgr.GetFieldIndexer()))
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		c.must(<-done)
		c.must(c.admin.DeleteAllOf(context.Background(), &corev1.Node{}, client.MatchingLabels(c.labels)))
	})
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the cache was not synced")
	}
	services := lifecycle.New(lifecycle.Options{Client: mgr.GetClient(), Clock: time.Now})
	s := session()
	c.scope = &scope{Scope: services.NewScope(t.Context(), s), session: s}
	return c
}

func (c *cachedNodes) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// make makes nodes, and waits until the cache shows as many as there are.
func (c *cachedNodes) make(nodes ...*corev1.Node) {
	c.t.Helper()
	const writers = 8
	var all sync.WaitGroup
	for part := range writers {
		all.Go(func() {
			for i := part; i < len(nodes); i += writers {
				n, addresses := nodes[i], nodes[i].Status.Addresses
				n.Labels = c.labels
				err := c.admin.Create(context.Background(), n)
				if err == nil {
					n.Status.Addresses = addresses
					err = c.admin.Status().Update(context.Background(), n)
				}
				if err != nil {
					c.t.Error(err)
				}
			}
		})
	}
	all.Wait()
	c.until("the cache shows the nodes", func() bool {
		var have, cached corev1.NodeList
		c.must(c.admin.List(c.t.Context(), &have, client.MatchingLabels(c.labels)))
		c.must(c.scope.Client.List(c.t.Context(), &cached))
		return len(have.Items) == len(cached.Items) && !slices.ContainsFunc(cached.Items, func(n corev1.Node) bool { return len(n.Status.Addresses) == 0 })
	})
}

func (c *cachedNodes) until(what string, done func() bool) {
	c.t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(time.Minute); !done(); <-poll.C {
		if time.Now().After(end) {
			c.t.Fatalf("still not so: %s", what)
		}
	}
}

// look is what each look at a session costs of nodes.
func (c *cachedNodes) look() {
	c.scope.target = cloud.Interface{ID: "t", MAC: "fa:16:3e:00:00:01", Addresses: ips("10.1.0.1", "2001:db8::1")}
	c.scope.sources = []cloud.Interface{{ID: "s", Addresses: ips("10.1.0.2")}, {ID: "r", Addresses: ips("10.1.99.99")}}
	c.must(c.scope.describe(c.t.Context(), nil))
}

// many are nodes, the first with the address 10.1.0.1.
func many(prefix string, first, end int) (out []*corev1.Node) {
	for i := first; i < end; i++ {
		out = append(out, nodeWith(fmt.Sprintf("%s-%d", prefix, i), fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)))
	}
	return out
}

func TestAResolvedInterfaceNamesItsNodeWhereOneAloneHasAnAddressOfIt(t *testing.T) {
	c := newCachedNodes(t)
	name := strings.ToLower(c.labels["test"])
	c.make(nodeWith(name+"-a", "10.0.0.2", "2001:DB8:0::2"), nodeWith(name+"-b", "10.0.0.3"), nodeWith(name+"-c", "::ffff:10.0.0.3"))
	at := func(addresses ...string) v1alpha1.ResolvedInterface {
		got, err := c.scope.asResolved(t.Context(), cloud.Interface{ID: "i", MAC: "fa:16:3e:00:00:01", Addresses: ips(addresses...)})
		c.must(err)
		return got
	}
	for what, want := range map[string]struct {
		addresses []string
		node      string
	}{
		"by its second address":             {[]string{"10.0.0.1", "10.0.0.2"}, name + "-a"},
		"by its IPv6 address":               {[]string{"2001:db8::2"}, name + "-a"},
		"by an address that two nodes have": {[]string{"10.0.0.3"}, ""},
		"by none":                           {nil, ""},
	} {
		same(t, what, v1alpha1.ResolvedInterface{
			InterfaceID: "i", MAC: "fa:16:3e:00:00:01", Addresses: want.addresses, NodeName: want.node,
		}, at(want.addresses...))
	}
}

func TestALookCostsTheSameHoweverManyNodesThereAre(t *testing.T) {
	c := newCachedNodes(t)
	cost := func(nodes int) float64 {
		c.look()
		same(t, "the node of the target", c.labels["test"]+"-0", c.scope.session.Status.Target.NodeName)
		allocations := testing.AllocsPerRun(50, c.look)
		t.Logf("with %d nodes a look makes %.0f allocations", nodes, allocations)
		return allocations
	}
	c.make(many(c.labels["test"], 0, 10)...)
	few := cost(10)
	c.make(many(c.labels["test"], 10, 400)...)
	runtime.GC()
	// The cache's own goroutines may allocate at the same time.
	if lots := cost(400); lots > few+20 {
		t.Errorf("a look makes %.0f allocations with 400 nodes, and %.0f with 10", lots, few)
	}
}

func BenchmarkLook(b *testing.B) {
	c, have := newCachedNodes(b), 0
	for _, nodes := range []int{10, 3000} {
		c.make(many(c.labels["test"], have, nodes)...)
		have = nodes
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.look()
			}
		})
	}
}
