package integration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/integration/harness"
)

// quietResync is short, so that an interval passes in a test.
const quietResync = 2 * time.Second

func TestAResyncOfHealthyObjectsAsksTheAPIServerNothingAndWritesNothing(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start(harness.WithResync(quietResync))
	const pairs, rounds = 3, 4
	var objects []status.Object
	for n := range pairs {
		filter, session := w.Pair(fmt.Sprintf("quiet-%d", n))
		objects = append(objects, filter, session)
	}
	for _, o := range objects {
		harness.Ready(w, o)
	}
	m.EventsSent(w)
	again := func(rounds int) {
		t.Helper()
		looks := m.Looks()
		_ = harness.Poll(t, "every object is looked at", func() int { return m.Looks() - looks }, func(done int) bool { return done >= rounds*len(objects) })
	}
	again(2) // what came of making them is over
	read, written := len(m.Reads()), len(m.Writes())
	again(rounds)
	harness.Same(t, "the writes", []string{}, append([]string{}, m.Writes()[written:]...))
	for _, r := range m.Reads()[read:] {
		if !strings.HasSuffix(r, "/secrets/"+harness.SecretName) {
			t.Errorf("the API server is asked: %s", r)
		}
	}
}
