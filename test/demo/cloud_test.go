package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestOnlyTheSimulatedCloudThatWasStartedCountsAsAnswering(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_sim/health" {
			fmt.Fprint(w, `{"status":"ok","process":17}`)
			return
		}
		fmt.Fprint(w, `{"traffic_mirror_sessions":[]}`)
	}))
	defer server.Close()
	c := newCloud(server.URL)
	if err := c.healthy(t.Context(), 17); err != nil {
		t.Errorf("the one that was started answers: %v", err)
	}
	want := "at " + server.URL + " answers process 17 and not the simulated cloud 18 that was started: another program has the port"
	if err := c.healthy(t.Context(), 18); err == nil || err.Error() != want {
		t.Errorf("another one answers: %v, want %s", err, want)
	}
}
