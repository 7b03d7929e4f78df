package netns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// claims is where processes write down which namespaces they made. It lives
// under /run, which like the namespaces does not outlive a boot.
const claims = "/run/vpcmirror-cloudsim"

// Claim is the right of one living process to the namespaces it made with one
// prefix. It is a file locked with flock(2): the kernel gives the lock back
// when the process ends, however it ends, so a held lock means a living owner.
// In the file, one JSON line per namespace is written before the namespace gets
// its name. Safe for concurrent use.
type Claim struct {
	prefix string

	mu   sync.Mutex
	file *os.File // nil once released
}

// record is one line of a claim's file.
type record struct {
	Boot      string // the boot in which it was made
	Namespace string // its name
	Device    uint64 // device and inode of the namespace itself, which tell
	Inode     uint64 // it from a later one with the same name
}

// InUseError says that a living process owns the namespaces of a prefix.
type InUseError struct{ Prefix string }

// Error says which prefix is taken and what to do.
func (e *InUseError) Error() string {
	return fmt.Sprintf("network namespaces with the prefix %q belong to a process that is still running: stop it or choose another prefix", e.Prefix)
}

// nameForm is what a namespace's name may look like: it becomes a file name.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Acquire takes the claim for a prefix and removes what a killed process left
// with the same one. It fails with an *InUseError while another claim of the
// prefix is held, in this process or another.
func Acquire(prefix string) (*Claim, error) {
	if err := os.MkdirAll(claims, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for ownership records: %w", needs(capSysAdmin, err))
	}
	file, err := lock(claimPath(prefix))
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, &InUseError{Prefix: prefix}
	}
	if err != nil {
		return nil, fmt.Errorf("lock the ownership record of prefix %q: %w", prefix, needs(capSysAdmin, err))
	}
	c := &Claim{prefix: prefix, file: file}
	if err := c.removeRecorded(); err != nil {
		return nil, errors.Join(fmt.Errorf("remove leftovers of prefix %q: %w", prefix, err), file.Close())
	}
	return c, nil
}

// Cleanup removes the namespaces that a process which is no longer alive made
// with the prefix and left behind. Nothing left is no error. It never removes
// a namespace that is not recorded, and fails with an *InUseError when the
// owner lives.
func Cleanup(prefix string) error {
	if _, err := os.Stat(claimPath(prefix)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	c, err := Acquire(prefix)
	if err != nil {
		return err
	}
	return c.Release()
}

// Release removes every namespace made under the claim and gives the claim
// back. What could not be removed stays recorded, for a later Cleanup.
// Calling it again does nothing.
func (c *Claim) Release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return nil
	}
	err := c.removeRecorded()
	if err == nil {
		err = os.Remove(c.file.Name())
	}
	err = errors.Join(err, c.file.Close())
	c.file = nil
	return err
}

// removeRecorded removes what the file records and then empties the file.
func (c *Claim) removeRecorded() error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewind the ownership record: %w", err)
	}
	var failed error
	for lines := json.NewDecoder(c.file); ; {
		var r record
		err := lines.Decode(&r)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break // a line cut short belongs to a namespace that got no name yet
		}
		if err != nil {
			return fmt.Errorf("read the ownership record %s: %w", c.file.Name(), err)
		}
		if r.Boot == boot && nameForm.MatchString(r.Namespace) {
			failed = errors.Join(failed, r.remove())
		}
	}
	if failed != nil {
		return failed
	}
	if err := c.file.Truncate(0); err != nil {
		return fmt.Errorf("empty the ownership record: %w", err)
	}
	_, err = c.file.Seek(0, io.SeekStart)
	return err
}

// remove takes the namespace's name away, if the name still stands for the
// namespace recorded. Once no process and no device holds it, it is gone.
func (r record) remove() error {
	path := Path(r.Namespace)
	var is unix.Stat_t
	err := unix.Stat(path, &is)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at network namespace %s: %w", r.Namespace, err)
	}
	ours := is.Dev == r.Device && is.Ino == r.Inode
	// Killed between making the file and mounting the namespace on it: an
	// empty plain file that was made exclusively under this name.
	bare := is.Mode&unix.S_IFMT == unix.S_IFREG && is.Size == 0 && is.Dev != r.Device
	if !ours && !bare {
		return nil // someone else has taken the name since
	}
	if ours {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount network namespace %s: %w", r.Namespace, needs(capSysAdmin, err))
		}
	}
	err = os.Remove(path)
	if errors.Is(err, unix.EBUSY) {
		err = removeCovered(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace %s: %w", r.Namespace, err)
	}
	return nil
}

// removeCovered removes a namespace's file that is still mounted on where no path leads:
// the first `ip netns add` on a machine mounts the folder over itself, with all that is
// in it, so that each namespace of before is mounted twice, once below. In a mount
// namespace of our own the upper ones can be taken away; and a file that is removed in
// one mount namespace takes its mounts in every other with it.
func removeCovered(path string) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("make a mount namespace: %w", needs(capSysAdmin, err))
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return fmt.Errorf("keep mounts to a namespace: %w", err)
			}
			for {
				for unix.Unmount(path, unix.MNT_DETACH) == nil { // until it is no mount any more
				}
				err := os.Remove(path)
				if err == nil || unix.Unmount(Directory, unix.MNT_DETACH) != nil {
					return err
				}
			}
		}()
	}()
	return <-done
}

// write appends a record.
func (c *Claim) write(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode an ownership record: %w", err)
	}
	if _, err := c.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the ownership record %s: %w", c.file.Name(), err)
	}
	return nil
}

func claimPath(prefix string) string {
	return filepath.Join(claims, "prefix-"+url.PathEscape(prefix))
}

// lock opens the file, making it if need be, and locks it without waiting.
func lock(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			file.Close()
			return nil, err
		}
		// The last owner may have removed the file between our open and our
		// lock; a lock on a file without a name would protect nothing.
		held, err := file.Stat()
		if err == nil {
			var named fs.FileInfo
			if named, err = os.Stat(path); err == nil && os.SameFile(held, named) {
				return file, nil
			}
		}
		file.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot ID: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
