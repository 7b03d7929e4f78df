package startup

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"vpcmirror.io/operator/test/env"
)

func TestMain(m *testing.M) { env.Main(m) }

// gate is the filter before a handler that answers 200, with the API server's real answers.
type gate struct {
	*readers
	t     *testing.T
	clock *clocktesting.FakeClock
	// asked is how often the API server was asked.
	asked atomic.Int64
}

// newGate asks the API server as the user of the configuration.
func newGate(t *testing.T, asker *rest.Config) *gate {
	t.Helper()
	g := &gate{t: t, clock: clocktesting.NewFakeClock(time.Now())}
	asker = rest.CopyConfig(asker)
	asker.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			g.asked.Add(1)
			return next.RoundTrip(r)
		})
	})
	clients, err := kubernetes.NewForConfig(asker)
	if err != nil {
		t.Fatal(err)
	}
	g.readers = &readers{
		tokens: clients.AuthenticationV1(), rights: clients.AuthorizationV1(), log: testr.New(t), known: cache.NewLRUExpireCacheWithClock(maxReaders, g.clock),
	}
	return g
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// status is what somebody gets who asks for a path with this header.
func (g *gate) status(authorization, path string) int {
	g.t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer := httptest.NewRecorder()
	g.filter(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })).ServeHTTP(answer, request)
	return answer.Code
}

// reader makes a service account, and lets it read the metrics if it may; it gives its token, and how to take
// the right away.
func newReader(t *testing.T, c *env.Cluster, name string, may bool) (token string, forbid func()) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	namespace := c.Namespace(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := c.Client.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	request, err := clients.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !may {
		return request.Status.Token, nil
	}
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: namespace + "-" + name},
		Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: name}},
	}
	if err := c.Client.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	if err := c.Client.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token, func() {
		t.Helper()
		if err := c.Client.Delete(t.Context(), binding); err != nil {
			t.Fatal(err)
		}
	}
}

// until asks with no memory of earlier answers: rights come to the API server's authorizer a moment later.
func (g *gate) until(want int, authorization string) {
	g.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	got := 0
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		g.clock.Step(readerAge + time.Second)
		if got = g.status(authorization, "/metrics"); got == want {
			return
		}
	}
	g.t.Fatalf("the answer is %d, want %d", got, want)
}

func TestTheAPIServerSaysWhoMayReadTheMetrics(t *testing.T) {
	t.Parallel()
	c := env.Start(t)
	may, _ := newReader(t, c, "prometheus", true)
	mayNot, _ := newReader(t, c, "stranger", false)
	g := newGate(t, c.Config)
	g.until(http.StatusOK, "Bearer "+may)
	for name, row := range map[string]struct {
		authorization, path string
		want                int
	}{
		"one who may":                            {"Bearer " + may, "/metrics", http.StatusOK},
		"one who may, with blanks":               {"Bearer  " + may + " ", "/metrics", http.StatusOK},
		"one who may, of another URL":            {"Bearer " + may, "/debug/pprof", http.StatusForbidden},
		"one who may not":                        {"Bearer " + mayNot, "/metrics", http.StatusForbidden},
		"nobody":                                 {"", "/metrics", http.StatusUnauthorized},
		"one without a token":                    {"Bearer ", "/metrics", http.StatusUnauthorized},
		"one with a name and a password":         {"Basic YTpi", "/metrics", http.StatusUnauthorized},
		"one whose token the API server refuses": {"Bearer " + may + "x", "/metrics", http.StatusUnauthorized},
	} {
		if got := g.status(row.authorization, row.path); got != row.want {
			t.Errorf("%s gets %d, want %d", name, got, row.want)
		}
	}
}

func TestNobodyIsLetInWhereTheAPIServerCannotBeAsked(t *testing.T) {
	t.Parallel()
	c := env.Start(t)
	may, _ := newReader(t, c, "prometheus", true)
	g := newGate(t, c.User(t, env.User{Name: "without-rights"}))
	for range 2 {
		before := g.asked.Load()
		if got := g.status("Bearer "+may, "/metrics"); got != http.StatusInternalServerError {
			t.Errorf("a program that may not have tokens reviewed answers %d, want 500", got)
		}
		if g.asked.Load() == before {
			t.Error("a failure was remembered as an answer")
		}
	}
}

func TestAnAnswerAboutAReaderHoldsForHalfAMinute(t *testing.T) {
	t.Parallel()
	c := env.Start(t)
	may, forbid := newReader(t, c, "prometheus", true)
	g := newGate(t, c.Config)
	g.until(http.StatusOK, "Bearer "+may)
	forbid()
	asked := g.asked.Load()
	g.clock.Step(readerAge - time.Second)
	if got := g.status("Bearer "+may, "/metrics"); got != http.StatusOK || g.asked.Load() != asked {
		t.Errorf("within half a minute the answer is %d after %d questions, want 200 without any", got, g.asked.Load()-asked)
	}
	g.clock.Step(2 * time.Second)
	g.until(http.StatusForbidden, "Bearer "+may)
	if g.asked.Load() < asked+2 {
		t.Error("after half a minute the API server was not asked")
	}
}

func TestTokensThatSomebodyMakesUpTakeNoMemoryAndKeepNobodyFromBeingRemembered(t *testing.T) {
	t.Parallel()
	c := env.Start(t)
	may, _ := newReader(t, c, "prometheus", true)
	g := newGate(t, c.Config)
	for n := range maxReaders + 20 {
		if got := g.status(fmt.Sprint("Bearer made-up-", n), "/metrics"); got != http.StatusUnauthorized {
			t.Fatalf("a token that was made up gets %d", got)
		}
	}
	if n := len(g.known.Keys()); n != maxReaders {
		t.Errorf("%d answers are kept, want %d", n, maxReaders)
	}
	g.until(http.StatusOK, "Bearer "+may)
	asked := g.asked.Load()
	if got := g.status("Bearer "+may, "/metrics"); got != http.StatusOK || g.asked.Load() != asked {
		t.Errorf("after them one who may gets %d by %d questions, want 200 without any", got, g.asked.Load()-asked)
	}
}
