package lab

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"vpcmirror.io/operator/test/env/need"
)

// TestMain lets the tests run only where they are asked for: each takes the machine's
// only lab, and a minute.
func TestMain(m *testing.M) {
	if os.Getenv("VPCMIRROR_E2E") != "1" {
		fmt.Fprintln(os.Stdout, "skipped: these tests start a real cluster on this machine; make e2e runs them (or VPCMIRROR_E2E=1 go test, as root)")
		return
	}
	klog.SetLogger(logr.Discard()) // what client-go would log is in our own errors
	os.Exit(m.Run())
}

// skipUnlessAble skips the test where this machine or user lacks something.
func skipUnlessAble(t *testing.T, err error) {
	t.Helper()
	var lacking *NeedError
	if errors.As(err, &lacking) {
		need.Skip(t, lacking.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
}
