package integration_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

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
