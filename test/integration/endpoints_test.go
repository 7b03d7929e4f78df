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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"vpcmirror.io/operator/api/v1alpha1"
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
