package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Directory is where named network namespaces are mounted, as iproute2 has it.
const Directory = "/run/netns"

// ownNamespace is the namespace of the calling thread.
const ownNamespace = "/proc/thread-self/ns/net"

// Path gives the file of a named namespace.
func Path(namespace string) string { return filepath.Join(Directory, namespace) }

// In runs f with the calling goroutine's thread inside the named namespace, so
// that every socket f opens lives there (also after In has returned). It comes
// back to the thread's own namespace before it returns, also when f panics or
// ends the goroutine.
//
// Only f itself is inside: a goroutine that f starts runs on another thread,
// outside. So inside f open sockets, listeners and connections, to literal
// addresses, and use them anywhere afterwards.
//
// It fails with an *UnavailableError when the process may not change
// namespaces, with an error that wraps fs.ErrNotExist when there is no such
// namespace, and with f's own error otherwise.
func In(namespace string, f func() error) (err error) {
	target, err := os.Open(Path(namespace))
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", namespace, err)
	}
	defer target.Close()

	runtime.LockOSThread()
	own, err := os.Open(ownNamespace)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open the thread's own network namespace: %w", err)
	}
	defer own.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", namespace, needs(capSysAdmin, err))
	}
	defer func() {
		if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
			// The thread stays locked, so the runtime ends it together with
			// this goroutine and no other one is ever run in the wrong place.
			err = errors.Join(err, fmt.Errorf("leave network namespace %s: %w", namespace, back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return f()
}
