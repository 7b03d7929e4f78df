// Package core binds what is measured to a core of the machine. It may import nothing of ours.
package core

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs f on a thread of its own that is bound to a core, -1 for none, and so are the processes
// that f starts; it returns when f does. The thread ends then: a process that asked to die with the
// thread that started it (Pdeathsig) must have ended before.
func Do(cpu int, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		if cpu >= 0 {
			var set unix.CPUSet
			set.Set(cpu)
			if err := unix.SchedSetaffinity(0, &set); err != nil { // 0 is the calling thread
				done <- fmt.Errorf("bind a thread to core %d: %w", cpu, err)
				return
			}
		}
		done <- f()
	}()
	return <-done
}
