package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Create makes a new, empty network namespace with a name, and runs setup
// inside it before it returns (setup may be nil). The name must consist of
// letters, digits, dots, dashes and underscores, at most 63, and be free: an
// existing namespace is never taken over.
//
// It fails with an *UnavailableError when the process may not make namespaces.
// On any failure nothing is left behind, setup's own failure excepted: then
// the namespace stays until Release.
func (c *Claim) Create(namespace string, setup func() error) error {
	if !nameForm.MatchString(namespace) {
		return fmt.Errorf("network namespace name %q: use 1 to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit", namespace)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return fmt.Errorf("make network namespace %s: its claim was released", namespace)
	}
	done := make(chan error, 1)
	go func() {
		// The thread is never unlocked: the runtime ends it with the goroutine,
		// so no other goroutine can be run in the new namespace. The send is
		// deferred, since setup may end the goroutine.
		result := fmt.Errorf("make network namespace %s: its setup did not return", namespace)
		defer func() { done <- result }()
		runtime.LockOSThread()
		result = c.create(namespace, setup)
	}()
	return <-done
}

// create moves the calling thread into a new namespace for good.
func (c *Claim) create(namespace string, setup func() error) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make network namespace %s: %w", namespace, needs(capSysAdmin, err))
	}
	var is unix.Stat_t
	if err := unix.Stat(ownNamespace, &is); err != nil {
		return fmt.Errorf("look at network namespace %s: %w", namespace, err)
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(Directory, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", Directory, needs(capSysAdmin, err))
	}
	if _, err := os.Lstat(Path(namespace)); err == nil {
		return fmt.Errorf("network namespace %s exists and was not made by this program: remove it (ip netns delete %s) or choose another prefix: %w", namespace, namespace, fs.ErrExist)
	}
	// Recorded before it is named: whoever finds the name can learn whose it is.
	if err := c.write(record{Boot: boot, Namespace: namespace, Device: is.Dev, Inode: is.Ino}); err != nil {
		return err
	}
	if err := name(namespace); err != nil {
		return err
	}
	if setup == nil {
		return nil
	}
	return setup()
}

// name mounts the calling thread's namespace under its name.
func name(namespace string) error {
	path := Path(namespace)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("name network namespace %s: %w", namespace, needs(capSysAdmin, err))
	}
	file.Close()
	if err := unix.Mount(ownNamespace, path, "none", unix.MS_BIND, ""); err != nil {
		return errors.Join(
			fmt.Errorf("mount network namespace %s: %w", namespace, needs(capSysAdmin, err)),
			os.Remove(path))
	}
	return nil
}
