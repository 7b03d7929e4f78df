package integration_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/integration/harness"
)

// used notes which verbs a client used, as RBAC calls them: group/resource: verb.
type used struct {
	mu  sync.Mutex
	all map[string]bool
}

func (u *used) watch(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return noting{next, u} })
}

type noting struct {
	next http.RoundTripper
	used *used
}

func (n noting) RoundTrip(r *http.Request) (*http.Response, error) {
	n.used.mu.Lock()
	n.used.all[verbOf(r)] = true
	n.used.mu.Unlock()
	return n.next.RoundTrip(r)
}

// verbOf reads a request to the API server: /apis/GROUP/VERSION or /api/VERSION, then
// perhaps namespaces/NAME, then RESOURCE, perhaps NAME, perhaps SUBRESOURCE.
func verbOf(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	if parts[0] == "apis" && len(parts) > 3 {
		group, parts = parts[1], parts[3:]
	} else if len(parts) > 2 {
		parts = parts[2:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	resource := parts[0]
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	verb := map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}[r.Method]
	switch {
	case verb != "":
	case len(parts) > 1:
		verb = "get"
	case r.URL.Query().Get("watch") != "":
		verb = "watch"
	default:
		verb = "list"
	}
	return group + "/" + resource + ": " + verb
}

// What it may do and never does would be there for whoever gets hold of its token alone.
func TestTheManagerWorksWithTheRightsItHasAndUsesEachOfThem(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	cluster, within := env.Granted(t, "ClusterRole", "manager_role.yaml"), env.Granted(t, "Role", "manager.yaml")
	config := w.Cluster.User(t, env.User{
		Name: "manager-" + w.Namespace, Rules: cluster, Within: map[string][]rbacv1.PolicyRule{w.Namespace: within},
	})
	did := &used{all: map[string]bool{}}
	did.watch(config)
	m := w.Start(harness.As(config))
	node := w.Node("target", "192.168.0.164")
	filter, session := w.Pair("rights", func(s *v1alpha1.MirrorSession) {
		s.Spec.Target = harness.Target(v1alpha1.InterfaceSelector{NodeName: node.Name})
	})
	over := entry("ecs-before", v1alpha1.Counts{Packets: 3, Bytes: 300}, time.Second, 2*time.Second)
	over.Ended = true
	write(t, w, session, over)
	harness.Until(w, session, "the entry is folded", func(s *v1alpha1.MirrorSession) bool {
		return len(s.Status.Verification) == 0 && s.Status.Traffic != nil && s.Status.Traffic.Packets == 3
	})
	w.Delete(session)
	w.Gone(session)
	w.Delete(filter)
	w.Gone(filter)
	m.EventsSent(w)

	// Those of the election of a leader and of its events, of the start of the process, of
	// events that repeat, and of leases that are a day old.
	elsewhere := []string{
		"coordination.k8s.io/leases: create", "coordination.k8s.io/leases: get", "coordination.k8s.io/leases: update", "coordination.k8s.io/leases: delete",
		"/events: create", "/events: patch", "events.k8s.io/events: patch", "/namespaces: get",
		// A server that can't stream what is there is asked for a list.
		"/nodes: list", "coordination.k8s.io/leases: list",
	}
	var unused []string
	for _, rule := range slices.Concat(cluster, within) {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					right := group + "/" + resource + ": " + verb
					if !did.all[right] && !slices.Contains(elsewhere, right) {
						unused = append(unused, right)
					}
				}
			}
		}
	}
	if diff := cmp.Diff([]string(nil), unused); diff != "" {
		t.Errorf("rights that were not used (-want +got):\n%s", diff)
	}
}
