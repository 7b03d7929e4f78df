package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

func TestTheManagerWaitsForTheAPIServer(t *testing.T) {
	var asked atomic.Int32
	var failures int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) <= failures {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"major":"1","minor":"37"}`)
	}))
	defer server.Close()
	config := &rest.Config{Host: server.URL}
	t.Run("until it answers", func(t *testing.T) {
		asked.Store(0)
		failures = 3
		waitForServer(t.Context(), logr.Discard(), config, time.Hour, time.Millisecond)
		if asked.Load() != 4 {
			t.Errorf("it was asked %d times, the fourth answer was good", asked.Load())
		}
	})
	t.Run("and not longer than it may", func(t *testing.T) {
		asked.Store(0)
		failures = 1 << 30
		waitForServer(t.Context(), logr.Discard(), config, time.Millisecond, time.Hour)
		if asked.Load() == 0 {
			t.Error("it was not asked at all")
		}
	})
}
