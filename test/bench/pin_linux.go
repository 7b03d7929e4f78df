package main

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// pin binds this process, and so those that it starts, to one core, and says
// what came of it.
func pin(cpu int) string {
	if cpu < 0 {
		return "not pinned to a core"
	}
	var set unix.CPUSet
	set.Set(cpu)
	// 0 is the calling thread, and a child inherits from the thread that starts
	// it: the caller stays on this one.
	runtime.LockOSThread()
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Sprintf("not pinned to core %d: %v", cpu, err)
	}
	return fmt.Sprintf("pinned to core %d", cpu)
}
