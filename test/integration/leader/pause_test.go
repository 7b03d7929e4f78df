// Package leader_test plays two real managers that elect a leader, and pauses the leader at
// every effect that it has. Each test has a namespace, and its managers see no other.
//
// It may import api, test/cloudsim, test/env and test/integration/harness.
package leader_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/integration/harness"
)

// together is how many worlds are played at the same time: they wait most of their time, for a lease that ends.
const together = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", together); err != nil {
		panic(err) // every test program has the flag
	}
	env.Main(m)
}

// wave is how many effects of one play are tried at the same time; how many it has is known when there is no more.
const wave = 3

func TestALeaderThatWasPausedAtAnyEffectWritesNothingBesideItsSuccessor(t *testing.T) {
	t.Parallel()
	path := harness.BuildManager(t)
	for name, s := range map[string]struct {
		// prepare makes what is there before, with nobody paused; play is what the leader is
		// paused in, and the object it returns is Ready at the end.
		prepare func(*harness.World)
		play    func(*harness.World) status.Object
	}{
		"making a filter": {nil, func(w *harness.World) status.Object {
			filter := w.Filter("f", twoRules)
			w.Create(filter)
			return filter
		}},
		"editing a filter": {
			func(w *harness.World) { made(w, w.Filter("f", twoRules)) },
			func(w *harness.World) status.Object {
				filter := w.Filter("f")
				harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) {
					f.Spec.CloudName = "renamed"
					f.Spec.Rules = []v1alpha1.FilterRule{harness.Rule(2), harness.Rule(3)}
				})
				return filter
			},
		},
		"making a session": {
			func(w *harness.World) { made(w, w.Filter("f")) },
			func(w *harness.World) status.Object {
				session := w.Session("s", "f")
				w.Create(session)
				return session
			},
		},
		"editing a session": {
			func(w *harness.World) { w.Pair("f") },
			func(w *harness.World) status.Object {
				session := w.Session("f", "f")
				harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
					s.Spec.Description = "edited"
					s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughSource), harness.ID(scenario.WalkthroughTest))
				})
				return session
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for first := 1; pausedFrom(t, path, first, s.prepare, s.play); first += wave {
			}
		})
	}
}

// pausedFrom plays a wave of worlds, paused at the effect of that number and at those after it. It is false when the
// leader was done before one of them, or a test failed.
func pausedFrom(t *testing.T, path string, first int, prepare func(*harness.World), play func(*harness.World) status.Object) bool {
	t.Helper()
	var done atomic.Bool
	passed := t.Run(fmt.Sprintf("from effect %d", first), func(t *testing.T) {
		for effect := first; effect < first+wave; effect++ {
			t.Run(fmt.Sprintf("paused at effect %d", effect), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, path)
				if prepare != nil {
					prepare(w.World)
				}
				if !w.pausedAt(effect, play) {
					done.Store(true)
				}
			})
		}
	})
	return passed && !done.Load()
}

func made(w *harness.World, filter *v1alpha1.MirrorFilter) {
	w.Create(filter)
	harness.Ready(w, filter)
}

func twoRules(f *v1alpha1.MirrorFilter) {
	f.Spec.Rules = []v1alpha1.FilterRule{harness.Rule(1), harness.Rule(2)}
}

// world has a leader and a successor that stands by.
type world struct {
	*harness.World
	t                 *testing.T
	leader, successor *program

	mu sync.Mutex
	// wrote is asked for each write that the cloud has answered.
	wrote func()
}

func newWorld(t *testing.T, path string) *world {
	t.Helper()
	w := &world{World: harness.New(t), t: t}
	args := []string{
		"--allowed-endpoints=" + w.behindProxy(),
		"--leader-elect", "--leader-election-namespace=" + w.Namespace, "--verifier-namespace=", "--cloud-call-deadline=1s",
		"--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=250ms",
	}
	w.leader = start(t, w.World, path, args...)
	w.holder("")
	w.successor = start(t, w.World, path, args...)
	return w
}

// behindProxy puts a proxy before the cloud, which tells of each write that was answered, and
// returns its URL.
func (w *world) behindProxy() string {
	w.t.Helper()
	upstream, err := url.Parse(w.Cloud.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		// The signature covers the name of the host, so that stays.
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error {
			w.mu.Lock()
			wrote := w.wrote
			w.mu.Unlock()
			if r.Request.Method != http.MethodGet && wrote != nil {
				wrote()
			}
			return nil
		},
	})
	w.t.Cleanup(proxy.CloseClientConnections)
	secret := w.Secret(harness.SecretName)
	harness.Change(w.World, secret, func(s *corev1.Secret) { s.Data["endpoint"] = []byte(proxy.URL) })
	return proxy.URL
}

// holder waits until the lease has a holder that is another one, and returns it.
func (w *world) holder(other string) string {
	w.t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "vpcmirror-manager"}}
	return harness.Poll(w.t, "a leader", func() string {
		if err := w.Get(lease); err != nil || lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}, func(now string) bool { return now != "" && now != other })
}

// pausedAt pauses the leader at the given of its effects, lets the successor do the work,
// and wakes the leader. It is false when the leader is done before.
func (w *world) pausedAt(effect int, play func(*harness.World) status.Object) bool {
	w.t.Helper()
	was := w.holder("")
	paused := w.pauseAt(effect)
	object := play(w.World)
	if !w.pauses(object, paused) {
		return false
	}
	w.holder(was)
	harness.ReconcileNow(w.World, harness.Ready(w.World, object))
	made, calls := w.Content(), w.Cloud.Journal.Last()
	w.leader.resume(w.t)
	<-w.leader.ended
	harness.Same(w.t, "what the one wrote to the cloud that was paused", nil, harness.Operations(w.Cloud.Journal.Writes(calls)), cmpopts.EquateEmpty())
	harness.ReconcileNow(w.World, object)
	w.Holds(made)
	w.holdsOnlyWhatIsNamed()
	return true
}

// pauseAt lets the leader be paused at the given of its effects, on the API server and on
// the cloud together. The requests of one object come one by one.
func (w *world) pauseAt(effect int) <-chan error {
	paused := make(chan error, 1)
	seen := 0
	count := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if seen++; seen == effect {
			paused <- w.leader.pause()
		}
	}
	w.leader.onAnswer(count)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote = count
	return paused
}

// pauses waits until the leader is paused, or is done.
func (w *world) pauses(o status.Object, paused <-chan error) bool {
	w.t.Helper()
	stopped := false
	harness.Poll(w.t, "the leader is paused or done", func() bool {
		select {
		case err := <-paused:
			if err != nil {
				w.t.Fatalf("pausing the leader: %v", err)
			}
			stopped = true
			return true
		default:
		}
		if err := w.Get(o); err != nil {
			w.t.Fatal(err)
		}
		return status.IsSynced(o) && w.leader.idle() && len(paused) == 0
	}, func(over bool) bool { return over })
	w.leader.onAnswer(nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote = nil
	return stopped
}

// holdsOnlyWhatIsNamed fails the test if the cloud has anything that no status names.
func (w *world) holdsOnlyWhatIsNamed() {
	w.t.Helper()
	var filters v1alpha1.MirrorFilterList
	var sessions v1alpha1.MirrorSessionList
	for _, list := range []client.ObjectList{&filters, &sessions} {
		if err := w.Cluster.Client.List(w.t.Context(), list, client.InNamespace(w.Namespace)); err != nil {
			w.t.Fatal(err)
		}
	}
	var named, there []string
	for _, f := range filters.Items {
		named = append(named, f.Status.ID)
		for _, r := range f.Status.Rules {
			named = append(named, r.ID)
		}
	}
	for _, s := range sessions.Items {
		for _, part := range s.Status.Sessions {
			named = append(named, part.ID)
		}
	}
	c := w.Content()
	for _, f := range c.Filters {
		there = append(there, f.ID)
	}
	for _, r := range c.Rules {
		there = append(there, r.ID)
	}
	for _, s := range c.Sessions {
		there = append(there, s.ID)
	}
	slices.Sort(named)
	slices.Sort(there)
	harness.Same(w.t, "what the cloud has, by what the statuses name", named, there)
}
