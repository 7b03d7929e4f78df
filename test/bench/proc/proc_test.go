package proc_test

import (
	"os"
	"testing"
	"time"

	"vpcmirror.io/operator/test/bench/proc"
)

func TestAProcessThatWorksUsesTimeAndMemory(t *testing.T) {
	meter, err := proc.Begin(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	waste := 0
	for begin := time.Now(); time.Since(begin) < 50*time.Millisecond; waste++ {
	}
	used, percent, err := meter.Used()
	if err != nil || used <= 0 || percent <= 0 {
		t.Errorf("%d rounds used %s, %.1f %%: %v", waste, used, percent, err)
	}
	now, most, err := proc.Memory(os.Getpid())
	if err != nil || now <= 0 || most < now {
		t.Errorf("memory: %.1f MiB now, %.1f at most: %v", now, most, err)
	}
}
