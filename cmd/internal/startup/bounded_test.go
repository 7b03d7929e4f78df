package startup

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// endless is an API server that never answers, or never ends its answer.
type endless struct{ headers bool }

func (e endless) RoundTrip(req *http.Request) (*http.Response, error) {
	if !e.headers {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(waits{req.Context()})}, nil
}

type waits struct{ ctx context.Context }

func (w waits) Read([]byte) (int, error) { <-w.ctx.Done(); return 0, w.ctx.Err() }

func TestACallToTheAPIServerThatIsNotAnsweredEnds(t *testing.T) {
	for name, c := range map[string]struct {
		method, path string
		after        time.Duration
	}{
		"a write":                 {http.MethodPatch, "/apis/vpcmirror.io/v1alpha1/namespaces/a/mirrorfilters/f/status?fieldManager=m", 10 * time.Second},
		"a read":                  {http.MethodGet, "/apis/vpcmirror.io/v1alpha1/namespaces/a/mirrorfilters/f", 10 * time.Second},
		"a read of the core":      {http.MethodGet, "/api/v1/namespaces/a/secrets/s", 10 * time.Second},
		"a read of a namespace":   {http.MethodGet, "/api/v1/namespaces/kube-system", 10 * time.Second},
		"a read in no namespace":  {http.MethodGet, "/api/v1/nodes/n", 10 * time.Second},
		"a list of one namespace": {http.MethodGet, "/apis/vpcmirror.io/v1alpha1/namespaces/a/mirrorfilters", time.Minute},
		"a list of all":           {http.MethodGet, "/apis/vpcmirror.io/v1alpha1/mirrorfilters?limit=500&resourceVersion=0", time.Minute},
		"a list of the core":      {http.MethodGet, "/api/v1/nodes", time.Minute},
		"a list behind a prefix":  {http.MethodGet, "/k8s/clusters/c/api/v1/namespaces/a/secrets", time.Minute},
		"a create":                {http.MethodPost, "/apis/events.k8s.io/v1/namespaces/a/events", 10 * time.Second},
		"not a watch":             {http.MethodGet, "/api/v1/nodes?watch=true&resourceVersion=7", time.Hour},
	} {
		for _, headers := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, c.method, "https://192.0.2.1"+c.path, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				resp, err := bounded{endless{headers}, callDeadline, listDeadline}.RoundTrip(req)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
				}
				if took := time.Since(began); took != c.after || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s, headers came: %v: ended after %s with %v, want %s", name, headers, took, err, c.after)
				}
				if says := "gave no answer within " + c.after.String(); !headers && c.after < time.Hour && !strings.Contains(err.Error(), says) {
					t.Errorf("%s: %v, want %q in it", name, err, says)
				}
			})
		}
	}
}
