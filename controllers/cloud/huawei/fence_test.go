package huawei_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
)

func TestAWriteIsNotSentOnceTheFenceIsClosed(t *testing.T) {
	for transport, serve := range map[string]func(http.Handler) *httptest.Server{
		"HTTP":  httptest.NewServer,
		"HTTPS": httptest.NewTLSServer,
		"HTTP/2": func(h http.Handler) *httptest.Server {
			s := httptest.NewUnstartedServer(h)
			s.EnableHTTP2 = true
			s.StartTLS()
			return s
		},
	} {
		for when, checks := range map[string]int{"before it is signed": 0, "while it is connected": 1} {
			for connection, reused := range map[string]bool{"a new connection": false, "a kept connection": true} {
				t.Run(fmt.Sprintf("%s, over %s, on %s", when, transport, connection), func(t *testing.T) {
					fencedOff(t, serve, checks, reused)
				})
			}
		}
	}
}

// fencedOff tries writes whose fence is found open so often before it is closed.
func fencedOff(t *testing.T, serve func(http.Handler) *httptest.Server, open int, reused bool) {
	t.Helper()
	var writes atomic.Int32
	server := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			writes.Add(1)
		}
		answer(http.StatusOK, `{"traffic_mirror_sessions":[],"page_info":{"current_count":0}}`)(w, r)
	}))
	t.Cleanup(server.Close)
	closed, left := errors.New("closed"), 0
	client := connect(t, huawei.Options{
		CallsPerSecond: 1e6, Burst: 1e6, Transport: server.Client().Transport,
		Fence: func() error {
			if left--; left < 0 {
				return closed
			}
			return nil
		},
	}, cloud.Credentials{
		AccessKey: "ACCESSKEY1", SecretKey: "secretkey1", Region: "cn-north-4",
		ProjectID: "0123456789abcdef0123456789abcdef", Endpoint: server.URL,
	})
	for what, try := range map[string]func() error{
		"a create": func() error {
			_, err := client.CreateFilter(t.Context(), "n", "d")
			return err
		},
		"a delete": func() error { return client.DeleteSession(t.Context(), someID) },
	} {
		if reused {
			_ = must[[]cloud.Session](t)(client.ListSessions(t.Context()))
		}
		left = open
		if err := try(); !errors.Is(err, closed) || cloud.IsAmbiguous(err) || cloud.ClassOf(err) != "" {
			t.Errorf("%s gives %v, want that the fence is closed and nothing about the cloud", what, err)
		}
	}
	if n := writes.Load(); n != 0 {
		t.Errorf("%d writes were sent", n)
	}
	// Reads need no fence. One over HTTP/2 can be given the connection that was just closed.
	_, err := client.ListSessions(t.Context())
	for attempt := 1; err != nil && attempt < 10; attempt++ {
		_, err = client.ListSessions(t.Context())
	}
	ok(t, err)
}
