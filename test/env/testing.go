package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env/need"
)

// Cluster is the control plane that the tests of one test binary share.
type Cluster struct {
	// Config is the administrator's; copy it before changing it.
	Config *rest.Config
	// Client is the administrator's, without a cache. Its scheme knows the kinds of
	// Kubernetes, CustomResourceDefinitions and ours.
	Client client.Client
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string

	plane *plane
}

// shared is the control plane of this test binary: started by the first Start,
// stopped by Main.
var shared struct {
	sync.Mutex
	inMain  bool
	folder  string
	cluster *Cluster
	failure error
}

// Main runs the tests and then stops what Start started:
//
//	func TestMain(m *testing.M) { env.Main(m) }
func Main(m *testing.M) {
	shared.inMain = true
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "env: stopping the control plane:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	var failures []error
	if shared.cluster != nil {
		failures = append(failures, shared.cluster.plane.stop())
	}
	if shared.folder != "" {
		failures = append(failures, os.RemoveAll(shared.folder))
	}
	return errors.Join(failures...)
}

// Start returns the control plane of this test binary, starting it at the first
// call (about 4 seconds). The test is skipped, with what to do, where etcd and
// kube-apiserver are missing.
func Start(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.inMain {
		t.Fatal("env.Start needs env.Main: add `func TestMain(m *testing.M) { env.Main(m) }` to this package's tests")
	}
	if shared.cluster == nil && shared.failure == nil {
		shared.cluster, shared.failure = startShared()
	}
	if errors.Is(shared.failure, ErrNoAssets) {
		need.Skip(t, shared.failure.Error())
	}
	if shared.failure != nil {
		t.Fatal(shared.failure)
	}
	return shared.cluster
}

func startShared() (*Cluster, error) {
	folder, err := os.MkdirTemp("", "vpcmirror-env-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the control plane: %w", err)
	}
	shared.folder = folder
	// Not a test's context: the control plane outlives the test that started it.
	started, err := startPlane(context.Background(), folder, Options{})
	if err != nil {
		return nil, err
	}
	scheme, err := Scheme()
	if err != nil {
		return nil, errors.Join(err, started.stop())
	}
	api, err := client.New(started.config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a client of the API server: %w", err), started.stop())
	}
	return &Cluster{Config: started.config, Client: api, Kubeconfig: started.kubeconfig, plane: started}, nil
}

// Scheme is a scheme with the kinds of Kubernetes, CustomResourceDefinitions and
// ours.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	return scheme, nil
}

// Namespace makes a new namespace for the test and returns its name. It stays until
// the control plane stops: nothing here could empty it.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Client.Create(ctx, namespace); err != nil {
		t.Fatalf("making a namespace: %v", err)
	}
	return namespace.Name
}

// User makes a user with the rights given and returns its configuration.
func (c *Cluster) User(t testing.TB, user User) *rest.Config {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	path, err := AddUser(ctx, c.plane.dir, user)
	if err != nil {
		t.Fatalf("making the user %s: %v", user.Name, err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatalf("reading %s: %v", filepath.Base(path), err)
	}
	config.QPS, config.Burst = 1000, 2000
	return config
}
