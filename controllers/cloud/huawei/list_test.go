package huawei_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
)

// endless answers every page with the session as often as says, and a new marker.
func endless(count *atomic.Int64, times int, wait time.Duration) http.HandlerFunc {
	one := `{"id":"` + someID + `","name":"` + strings.Repeat("n", 1000) + `"}`
	body := strings.TrimSuffix(strings.Repeat(one+",", times), ",")
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
		}
		_, _ = fmt.Fprintf(w, `{"traffic_mirror_sessions":[%s],"page_info":{"current_count":%d,"next_marker":"%d"}}`, body, times, count.Add(1))
	}
}

func TestAListEndsThatHasNoEnd(t *testing.T) {
	var pages atomic.Int64
	for name, c := range map[string]struct {
		options huawei.Options
		handler http.HandlerFunc
		says    string
	}{
		"at what it may hold": {
			fast, endless(&pages, 1000, 0), "the list is longer than this operator reads (20 MiB)",
		},
		"at its deadline": {
			func() huawei.Options { o := fast; o.ListDeadline = 300 * time.Millisecond; return o }(),
			endless(&pages, 1, 20*time.Millisecond), "the list was not read to its end within 300ms",
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, c.options, c.handler)
			all, err := client.ListSessions(t.Context())
			if len(all) != 0 || cloud.ClassOf(err) != cloud.ClassServer || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %d sessions and %v, want %q", len(all), err, c.says)
			}
		})
	}
}

func TestTheKindOfAnAnswerIsBoundedInAnError(t *testing.T) {
	client := serve(t, fast, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "a/"+strings.Repeat("b", 10_000))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("SSH-2.0-OpenSSH_9.9 internal"))
	})
	_, err := client.GetSession(t.Context(), someID)
	if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "SSH") {
		t.Errorf("got %d characters: %.600v", len(fmt.Sprint(err)), err)
	}
}
