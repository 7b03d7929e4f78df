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

// Each object is looked at several times; what is asked meanwhile is once an interval for the Secret
// that all of them name, and nothing for any object.
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
	began, read, written := time.Now(), len(m.Reads()), len(m.Writes())
	again(rounds)
	intervals := int(time.Since(began)/quietResync) + 1
	harness.Same(t, "the writes", []string{}, append([]string{}, m.Writes()[written:]...))
	secrets := 0
	for _, r := range m.Reads()[read:] {
		if strings.HasSuffix(r, "/secrets/"+harness.SecretName) {
			secrets++
		} else {
			t.Errorf("the API server is asked: %s", r)
		}
	}
	if secrets > intervals {
		t.Errorf("the Secret is read %d times in %d intervals", secrets, intervals)
	}
}
