package prometheus_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/consumer"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/nodecache"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestMain(m *testing.M) { env.Main(m) }

// node is the walkthrough's target.
const node = "ecs-target"

// world is a manager with the simulated cloud, and a verifier at the end of a wire.
type world struct {
	*harness.World
	manager  *harness.Manager
	wire     *frametest.Pair
	verifier *prom.Registry
	session  *v1alpha1.MirrorSession
}

// newWorld has a session with two sources whose copies arrive.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{wire: frametest.NewPair(t), World: harness.New(t), verifier: prom.NewPedanticRegistry()}
	w.manager = w.Start(harness.WithMetrics())
	w.run(t)
	_, w.session = w.Pair("web")
	w.consume(t)
	w.session = harness.Until(w.World, w.session, "a verifier counts", func(s *v1alpha1.MirrorSession) bool {
		return len(s.Status.Verification) > 0
	})
	w.send(t, 3)
	w.session = harness.Until(w.World, w.session, "all is well", func(s *v1alpha1.MirrorSession) bool {
		return meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionTrafficObserved) &&
			meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionConsumerReady)
	})
	return w
}

// consume makes the device that takes the copies.
func (w *world) consume(t *testing.T) {
	t.Helper()
	right := &w.wire.Receiver
	right.Address(t, right.Link(t), netip.PrefixFrom(frametest.TargetAddr, 24), frametest.SourceAddr, w.wire.Sender.MAC)
	device := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "mirror0"}, VxlanId: int(*w.session.Status.VNI), VtepDevIndex: right.Index, Port: vxlan.Port}
	if err := right.Netlink.LinkAdd(device); err != nil {
		t.Fatal(err)
	}
	if err := right.Netlink.LinkSetUp(device); err != nil {
		t.Fatal(err)
	}
}

// send sends copies of what the filter accepts.
func (w *world) send(t *testing.T, n int) {
	t.Helper()
	vni := uint32(*w.session.Status.VNI)
	for range n {
		p := frametest.Copy(vni, frametest.Inner("12345\n").Bytes())
		p.DestinationMAC = w.wire.Receiver.MAC
		w.wire.Sender.Send(t, p.Bytes())
	}
}

// inside runs f in the network namespace of the receiver.
func (w *world) inside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		if err := netns.Set(netns.NsHandle(w.wire.Receiver.Handle())); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// run runs the verifier until the test ends, as cmd/verifier does.
func (w *world) run(t *testing.T) {
	t.Helper()
	scheme, mapper := w.Cluster.Client.Scheme(), w.Cluster.Client.RESTMapper()
	informers, err := cache.New(w.Cluster.Config, cache.Options{
		Scheme: scheme, Mapper: mapper, DefaultNamespaces: map[string]cache.Config{w.Namespace: {}}, DefaultTransform: nodecache.Keep(node),
	})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := client.New(w.Cluster.Config, client.Options{Scheme: scheme, Mapper: mapper, Cache: &client.CacheOptions{Reader: informers}})
	if err != nil {
		t.Fatal(err)
	}
	a := agent.New(agent.Options{
		Node: node, Port: vxlan.Port, Client: writer, Reader: w.Cluster.Client, Cache: informers, Clock: time.Now, Log: testr.New(t),
		// The wire's end stands for the walkthrough's interface.
		Interfaces: func() ([]agent.Interface, error) {
			return []agent.Interface{{
				Index: w.wire.Receiver.Index, Name: w.wire.Receiver.Name, MAC: "fa:16:3e:7e:d6:7a", Addresses: []netip.Addr{frametest.TargetAddr},
			}}, nil
		},
		Open: func(local agent.Interface, port uint16) (ring *capture.Ring, err error) {
			err = w.inside(func() error {
				ring, err = agent.OpenRing(local, port)
				return err
			})
			return ring, err
		},
		Observe: func(port uint16) (o *consumer.Observation) {
			if err := w.inside(func() error { o = consumer.Observe(port); return nil }); err != nil {
				t.Error(err)
			}
			return o
		},
	})
	w.verifier.MustRegister(a)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	caching, end := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 2)
	go func() { done <- informers.Start(caching) }()
	go func() { done <- a.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// endpoint serves a registry as the programs do.
func endpoint(t *testing.T, registry prom.Gatherer) (address string) {
	t.Helper()
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// scraped is the text that an endpoint gives.
func scraped(t *testing.T, registry prom.Gatherer) string {
	t.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return answer.Body.String()
}
