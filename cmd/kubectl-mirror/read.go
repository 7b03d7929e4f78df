package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// reader reads the objects that an answer is made of.
type reader struct {
	client.Client
	// namespace of the sessions, empty for all.
	namespace string
	clock     *clock
	config    *rest.Config
}

// callDeadline bounds each call to the API server, unless --request-timeout does.
const callDeadline = 20 * time.Second

// connect finds the API server as kubectl does.
func connect(flags *genericclioptions.ConfigFlags) (*reader, error) {
	loader := flags.ToRawKubeConfigLoader()
	if raw, err := loader.RawConfig(); err == nil && len(raw.Clusters) == 0 && *flags.APIServer == "" {
		return nil, errors.New("no API server is known: name a kubeconfig with --kubeconfig or KUBECONFIG")
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read the namespace of the kubeconfig: %w", err)
	}
	if config.Timeout == 0 {
		config.Timeout = callDeadline
	}
	config.QPS, config.Burst = 50, 100
	config.UserAgent = "kubectl-mirror/" + version
	clock := &clock{}
	config.Wrap(clock.watch)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, coordinationv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register the kinds: %w", err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("prepare the calls to the API server: %w", err)
	}
	return &reader{c, namespace, clock, config}, nil
}

// clock is the API server's, by the head of its answers: the clock of the machine of whoever
// asks may be off, and ages would be wrong.
type clock struct{ ahead atomic.Int64 }

// watch notes how far the server's clock is ahead of ours. It tells whole seconds.
func (c *clock) watch(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if err == nil {
			if date, wrong := http.ParseTime(response.Header.Get("Date")); wrong == nil {
				c.ahead.Store(int64(date.Sub(time.Now().Truncate(time.Second))))
			}
		}
		return response, err
	})
}

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// read reads the session of the name, or all.
func (r *reader) read(ctx context.Context, name string) ([]*v1alpha1.MirrorSession, error) {
	if name == "" {
		sessions, err := listed[*v1alpha1.MirrorSession](ctx, r, func() client.ObjectList { return &v1alpha1.MirrorSessionList{} })
		sessions = slices.DeleteFunc(sessions, func(s *v1alpha1.MirrorSession) bool { return v1alpha1.PlannedOf(s) != "" }) // they ask, and mirror nothing
		return sessions, r.explained(err, "")
	}
	s := &v1alpha1.MirrorSession{}
	if err := r.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: name}, s); err != nil {
		return nil, r.explained(err, name)
	}
	return []*v1alpha1.MirrorSession{s}, nil
}

// explained says what to do about an error, where that is not what it says itself.
func (r *reader) explained(err error, name string) error {
	switch {
	case err == nil:
		return nil
	case meta.IsNoMatchError(err):
		return errors.New("this cluster knows no MirrorSessions: vpcmirror is not installed in it, or kubectl's context is that of another cluster")
	case apierrors.IsNotFound(err) && name != "":
		return fmt.Errorf("there is no MirrorSession %q in namespace %s: correct the name, or name its namespace with -n; %s why -A lists all", name, r.namespace, program)
	default:
		return fmt.Errorf("read the MirrorSessions: %w", err)
	}
}

// listed reads all objects of a kind in parts, so that many are no burden to the API server.
func listed[T client.Object](ctx context.Context, r *reader, empty func() client.ObjectList) ([]T, error) {
	list, _, err := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		part := empty()
		err := r.List(ctx, part, &client.ListOptions{Namespace: r.namespace, Limit: o.Limit, Continue: o.Continue})
		return part, err
	}).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var all []T
	err = meta.EachListItem(list, func(o runtime.Object) error {
		if item, is := o.(T); is {
			all = append(all, item)
		}
		return nil
	})
	return all, err
}

// filters reads the filters of the sessions. An answer does without one that can't be read: a
// session that lacks its filter says so itself.
func (r *reader) filters(ctx context.Context, sessions []*v1alpha1.MirrorSession) map[client.ObjectKey]*v1alpha1.MirrorFilter {
	var found []*v1alpha1.MirrorFilter
	if len(sessions) == 1 {
		f := &v1alpha1.MirrorFilter{}
		if r.Get(ctx, filterOf(sessions[0]), f) == nil {
			found = append(found, f)
		}
	} else if all, err := listed[*v1alpha1.MirrorFilter](ctx, r, func() client.ObjectList { return &v1alpha1.MirrorFilterList{} }); err == nil {
		found = all
	}
	filters := map[client.ObjectKey]*v1alpha1.MirrorFilter{}
	for _, f := range found {
		filters[client.ObjectKeyFromObject(f)] = f
	}
	return filters
}

func filterOf(s *v1alpha1.MirrorSession) client.ObjectKey {
	return client.ObjectKey{Namespace: s.Namespace, Name: s.Spec.FilterRef.Name}
}
