package nodecache_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/nodecache"
	"vpcmirror.io/operator/test/env"
)

func TestMain(m *testing.M) { env.Main(m) }

// oldServer is an API server that does not stream what a watch begins with.
type oldServer struct {
	client    client.WithWatch
	namespace string
	// largest is how many objects were in the largest answer.
	largest atomic.Int64
}

func (s *oldServer) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list := &v1alpha1.MirrorSessionList{}
	if err := s.client.List(ctx, list, client.InNamespace(s.namespace), &client.ListOptions{Raw: &options, Limit: options.Limit, Continue: options.Continue}); err != nil {
		return nil, err
	}
	s.largest.Store(max(s.largest.Load(), int64(len(list.Items))))
	return list, nil
}

func (s *oldServer) List(options metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), options)
}

func (s *oldServer) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if options.SendInitialEvents != nil {
		return nil, apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("ListOptions").GroupKind(), "", nil)
	}
	return s.client.Watch(ctx, &v1alpha1.MirrorSessionList{}, client.InNamespace(s.namespace), &client.ListOptions{Raw: &options})
}

func (s *oldServer) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), options)
}

func TestAServerThatDoesNotStreamIsAskedForPages(t *testing.T) {
	const many = 600
	cluster := env.Start(t)
	direct, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: cluster.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	server := &oldServer{client: direct, namespace: cluster.Namespace(t)}
	create := func(n int) {
		t.Helper()
		s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: server.namespace, Name: fmt.Sprint("session-", n)}}
		s.Spec.FilterRef.Name, s.Spec.Target.NodeName = "web", "worker-1"
		if err := direct.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for n := range many {
		create(n)
	}

	index := nodecache.NewIndex("worker-1")
	informer := nodecache.NewInformer("worker-1")(server, &v1alpha1.MirrorSession{}, 0, toolscache.Indexers{})
	var wrong error
	put := func(o any) {
		if _, whole := o.(*v1alpha1.MirrorSession); whole {
			wrong = errors.New("a whole object was stored")
		}
		_, err := index.Put(o)
		wrong = errors.Join(wrong, err)
	}
	if err := informer.SetTransform(nodecache.Keep("worker-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: put, UpdateFunc: func(_, o any) { put(o) }}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := run(ctx, informer)
	until(t, "all are known", func() bool { return index.Sessions() == many })
	create(many) // by the watch that goes on from the list
	until(t, "the next one is known too", func() bool { return index.Sessions() == many+1 })
	cancel()
	<-ended
	if wrong != nil {
		t.Error(wrong)
	}
	if got := server.largest.Load(); got != 250 {
		t.Errorf("the largest answer had %d objects", got)
	}
}

// run runs an informer until ctx ends, and closes what it returns then.
func run(ctx context.Context, informer toolscache.SharedIndexInformer) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		informer.RunWithContext(ctx)
	}()
	return ended
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(30 * time.Second); !done(); <-poll.C {
		if time.Now().After(end) {
			t.Fatalf("still not so: %s", what)
		}
	}
}
