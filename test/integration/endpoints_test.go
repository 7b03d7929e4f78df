//go:build !oldest

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/integration/harness"
)

// dialer notes to what a connection is made, before any name is looked up, and lets only
// the loopback through.
type dialer struct {
	mu    sync.Mutex
	asked map[string]bool
}

var errNotHere = errors.New("this test makes no connection outside of the loopback")

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	if d.asked == nil {
		d.asked = map[string]bool{}
	}
	d.asked[address] = true
	d.mu.Unlock()
	if host, _, err := net.SplitHostPort(address); err != nil || host != "127.0.0.1" {
		return nil, errNotHere
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

func (d *dialer) all() map[string]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func TestASecretCannotMakeTheManagerSendAnythingToAServerThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	w, other := harness.New(t), sim.ForTest(t)
	var seen dialer
	w.Start(harness.WithTransport(&http.Transport{DialContext: seen.dial}))
	for name, edit := range map[string]func(map[string][]byte){
		"loopback": func(d map[string][]byte) { d["endpoint"] = []byte(other.URL) },
		"name":     func(d map[string][]byte) { d["endpoint"] = []byte("https://vpc.tenant.invalid") },
		"metadata": func(d map[string][]byte) { d["endpoint"] = []byte("http://169.254.0.1") },
		"user":     func(d map[string][]byte) { d["endpoint"] = []byte("http://user@" + other.URL[len("http://"):]) },
		"path":     func(d map[string][]byte) { d["endpoint"] = []byte(w.Cloud.URL + "/v3") },
		"none":     func(d map[string][]byte) { d["endpoint"] = []byte("vpc.tenant.invalid") },
		"directory": func(d map[string][]byte) {
			delete(d, "projectID")
			d["iamEndpoint"] = []byte("https://iam.tenant.invalid")
		},
	} {
		secret := w.Secret(name)
		edit(secret.Data)
		w.Create(secret)
		filter := w.Filter(name, func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = name })
		w.Create(filter)
		session := w.Session(name, name)
		session.Spec.CredentialsRef.Name = name
		w.Create(session)
		harness.Because(w, filter, v1alpha1.ReasonEndpointNotAllowed, "ndpoint of Secret "+w.Namespace+"/"+name, "nothing was sent", "--allowed-endpoints")
		harness.Because(w, session, v1alpha1.ReasonEndpointNotAllowed)
		w.Delete(session)
		w.Gone(session)
		w.Delete(filter)
		w.Gone(filter)
	}
	harness.Same(t, "what was connected to", nil, seen.all())
	w.Pair("allowed")
	harness.Same(t, "what was connected to then", map[string]bool{w.Cloud.URL[len("http://"):]: true}, seen.all())
}

func TestAnObjectWhoseEndpointIsTakenOffTheListIsLeftAloneAndGoesWithRetain(t *testing.T) {
	t.Parallel()
	w, other := harness.New(t), sim.ForTest(t)
	secret := w.Secret("other")
	secret.Data["endpoint"] = []byte(other.URL)
	w.Create(secret)
	m := w.Start(harness.WithEndpoints(other.URL))
	filter := w.Filter("served", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = "other" })
	w.Create(filter)
	harness.Ready(w, filter)
	m.Stop(w)

	asked := other.Journal.Last()
	w.Start()
	harness.Because(w, filter, v1alpha1.ReasonEndpointNotAllowed)
	w.Delete(filter)
	harness.Because(w, filter, v1alpha1.ReasonEndpointNotAllowed, "set spec.deletionPolicy to Retain")
	harness.Same(t, "what the other cloud was asked", asked, other.Journal.Last())
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.Gone(filter)
}

func TestARedirectOfAnAllowedServerIsNotFollowed(t *testing.T) {
	t.Parallel()
	w, other := harness.New(t), sim.ForTest(t)
	redirecting := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	w.Create(edited(w.Secret("redirected"), func(s *corev1.Secret) { s.Data["endpoint"] = []byte(redirecting.URL) }))
	w.Start(harness.WithEndpoints(redirecting.URL))
	filter := w.Filter("redirected", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = "redirected" })
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonCloudUnavailable, "answers with a redirect, which is not followed")
	harness.Same(t, "how often the other server was asked", 0, other.Journal.Last())
}

// edited is o after the edit.
func edited[T any](o T, edit func(T)) T {
	edit(o)
	return o
}

// mute is a server that takes connections, and neither answers nor ends them.
func mute(t *testing.T) (endpoint string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		var all []net.Conn
		for {
			c, err := listener.Accept()
			if err != nil {
				break
			}
			all = append(all, c)
		}
		for _, c := range all {
			_ = c.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}

func TestFourServersThatNeverAnswerHoldUpNobodyElsesObjects(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	var slow []string
	for range 4 {
		slow = append(slow, mute(t))
	}
	w.Start(harness.WithEndpoints(slow...), harness.WithDeadline(4*time.Second))
	var theirs []*v1alpha1.MirrorFilter
	for i, url := range slow {
		name := fmt.Sprintf("slow-%d", i)
		w.Create(edited(w.Secret(name), func(s *corev1.Secret) { s.Data["endpoint"] = []byte(url) }))
		for j := range 20 {
			f := w.Filter(fmt.Sprintf("%s-%d", name, j), func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = name })
			w.Create(f)
			theirs = append(theirs, f)
		}
	}
	// With one pool of 4 workers these 80 would need 80 s.
	started := time.Now()
	w.Pair("honest")
	t.Logf("an honest filter and its session took %s", time.Since(started).Round(10*time.Millisecond))
	_ = harness.Poll(t, "one of theirs is told that its server does not answer", func() bool {
		return slices.ContainsFunc(theirs, func(f *v1alpha1.MirrorFilter) bool {
			if err := w.Get(f); err != nil {
				return false
			}
			ready := meta.FindStatusCondition(f.Status.Conditions, v1alpha1.ConditionReady)
			return ready != nil && ready.Reason == v1alpha1.ReasonCloudUnavailable && strings.Contains(ready.Message, "no answer from")
		})
	}, func(told bool) bool { return told })
}

// hanging is a server that does not answer while it hangs, for longer than any deadline.
type hanging struct {
	http.RoundTripper
	hangs atomic.Bool
	asked atomic.Int32
	over  chan struct{}
}

func (s *hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.hangs.Load() {
		s.asked.Add(1)
		<-s.over
	}
	return s.RoundTripper.RoundTrip(r)
}

// The verifiers go on counting while a server hangs. What they count is shown, and what that
// means, although the turn of most sessions to be compared with the cloud does not come.
func TestWhatIsCountedIsShownWhileSessionsWaitForAServerThatHangs(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	later := lifecycle.DefaultTiming
	later.Recheck = time.Hour // the look after a start costs a list
	server := &hanging{RoundTripper: &http.Transport{}, over: make(chan struct{})}
	m := w.Start(harness.WithTiming(later), harness.WithTransport(server))
	t.Cleanup(func() { close(server.over) })
	w.Create(w.Filter("web"))
	var all []*v1alpha1.MirrorSession
	for i := range 6 {
		s := w.Session(fmt.Sprint("s-", i), "web", func(s *v1alpha1.MirrorSession) {
			s.Spec.SilenceAfter = &metav1.Duration{Duration: 10 * time.Second}
			if i%2 == 0 { // an interface is a source of 3 sessions at most
				s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughTest))
			}
			if i >= 4 {
				s.Spec.VNI = new(int32(77))
			}
		})
		w.Create(s)
		all = append(all, harness.Ready(w, s))
	}
	first, waiting := all[:4], all[4:] // as many as there are workers, and others
	shared := func(s *v1alpha1.MirrorSession) bool {
		return slices.ContainsFunc(s.Status.Findings, func(f v1alpha1.Finding) bool {
			return f.Reason == v1alpha1.ReasonSharedVNI && f.DecidedBy == v1alpha1.DecidedByRead
		})
	}
	for _, s := range waiting {
		harness.ReconcileNow(w, s)
		harness.Until(w, s, "the cloud shows that its VNI is another's too", shared)
	}
	server.hangs.Store(true)
	for _, s := range first {
		w.RequestReconcile(s)
	}
	harness.Poll(t, "every worker waits for an answer", server.asked.Load, func(n int32) bool { return n == int32(len(first)) })

	s := waiting[0]
	was := harness.Ready(w, s).DeepCopy()
	write(t, w, s, entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second))
	harness.Until(w, s, "the sum", func(s *v1alpha1.MirrorSession) bool { return s.Status.Traffic.Packets == 1 })
	traffic(w, s, v1alpha1.ReasonPacketsObserved)
	traffic(w, s, v1alpha1.ReasonSilent) // by itself
	m.Alive(w, "ecs-target")
	m.Expire(w, "ecs-target")
	traffic(w, s, v1alpha1.ReasonVerifierLost)
	harness.Same(t, "Ready", meta.FindStatusCondition(was.Status.Conditions, v1alpha1.ConditionReady), meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady))
	if !shared(s) {
		t.Errorf("nothing was compared, and the VNI is said to be its own: %+v", s.Status.Findings)
	}
	var said []string
	for _, version := range w.Versions(s) {
		if len(version.Status.Verification) > 0 {
			said = append(said, meta.FindStatusCondition(version.Status.Conditions, v1alpha1.ConditionTrafficObserved).Reason)
		}
	}
	harness.Same(t, "what each version since the entry came says",
		[]string{v1alpha1.ReasonNoVerifier, v1alpha1.ReasonPacketsObserved, v1alpha1.ReasonSilent, v1alpha1.ReasonVerifierLost}, said)
	harness.Same(t, "how many wait for an answer", int32(len(first)), server.asked.Load())
}
