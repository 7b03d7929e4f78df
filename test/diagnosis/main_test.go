package diagnosis

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/test/env/interrupt"
)

// teardown is what has to be undone however the tests end, the last first: programs end with us
// by themselves, namespaces don't. last is done after all tests.
var teardown struct {
	sync.Mutex
	steps, last []func() error
}

// later notes what has to be undone at the end.
func later(undo func() error) {
	teardown.Lock()
	defer teardown.Unlock()
	teardown.steps = append(teardown.steps, undo)
}

// finally notes what has to be undone after all tests.
func finally(undo func() error) {
	teardown.Lock()
	defer teardown.Unlock()
	teardown.last = append(teardown.last, undo)
}

// tearDownAll takes the world down, and what serves all of them.
func tearDownAll() (code int) {
	code = tearDown()
	teardown.Lock()
	teardown.steps, teardown.last = teardown.last, nil
	teardown.Unlock()
	return max(code, tearDown())
}

func tearDown() (code int) {
	teardown.Lock()
	defer teardown.Unlock()
	for _, undo := range slices.Backward(teardown.steps) {
		if err := undo(); err != nil {
			fmt.Fprintln(os.Stderr, "taking the world down:", err)
			code = 1
		}
	}
	teardown.steps = nil
	return code
}

// TestMain takes the world down after the tests, and also when somebody interrupts them. It is
// a verifier in place of that where the environment says so.
func TestMain(m *testing.M) {
	klog.SetLogger(logr.Discard())
	ctrllog.SetLogger(logr.Discard())
	if node := os.Getenv(skewedNode); node != "" {
		os.Exit(skewedVerifier(node))
	}
	if program := os.Getenv(unprivileged); program != "" {
		fmt.Fprintln(os.Stderr, becomeUnprivileged(program))
		os.Exit(1)
	}
	ctx, stop := interrupt.Context(context.Background())
	context.AfterFunc(ctx, func() {
		tearDownAll()
		os.Exit(130)
	})
	code := m.Run()
	code = max(code, tearDownAll())
	_ = stop // not called: its end would be taken for an interrupt
	os.Exit(code)
}
