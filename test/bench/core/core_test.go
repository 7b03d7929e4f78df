package core_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"vpcmirror.io/operator/test/bench/core"
)

func TestAProcessThatIsStartedThereRunsOnThatCore(t *testing.T) {
	err := core.Do(0, func() error {
		out, err := exec.CommandContext(t.Context(), "grep", "Cpus_allowed_list", "/proc/self/status").Output()
		if got := strings.Fields(string(out)); err == nil && (len(got) != 2 || got[1] != "0") {
			t.Errorf("%q", out)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWithoutACoreItRunsWhereverItMay(t *testing.T) {
	want := errors.New("its own error")
	if err := core.Do(-1, func() error { return want }); !errors.Is(err, want) {
		t.Error(err)
	}
	if err := core.Do(1000, func() error { return nil }); err == nil {
		t.Error("a core that is not there was accepted")
	}
}
