package live

import (
	"os"
	"testing"
)

// TestMain lets the test's program be the sender and the readers, as the benchmark's is.
func TestMain(m *testing.M) {
	if code, is := Child(os.Args); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
