package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/env/checkout"
)

const (
	// prefix begins the names of network namespaces and cgroups. It is short, as it is
	// part of names that the kernel limits.
	prefix = "vmlab-"
	// machineFolder says which lab this machine has, and what to undo when it was killed.
	// It is apart from the lab's own folder, so that any later lab on the machine finds
	// it, and it is gone while there is no lab.
	machineFolder = "/run/vpcmirror-lab"
)

// The files in machineFolder.
var (
	lockPath   = filepath.Join(machineFolder, "lock")
	ledgerPath = filepath.Join(machineFolder, "ledger")
	pidsPath   = filepath.Join(machineFolder, "pids")   // the lab's processes
	ownerPath  = filepath.Join(machineFolder, "owner")  // the process that holds the lab
	folderPath = filepath.Join(machineFolder, "folder") // the lab's folder
)

// InUseError says that a living process has a lab on this machine. There can be one at a
// time: kubelet changes settings of the whole machine.
type InUseError struct{ Folder string }

// Error says what to do.
func (e *InUseError) Error() string {
	if e.Folder == "" {
		return "another process is starting or stopping a lab on this machine: wait for it"
	}
	return fmt.Sprintf("a lab is up on this machine already: use it (source %s) or take it down first (make lab-down)",
		filepath.Join(e.Folder, "env"))
}

// prepare fills the options, checks the machine, takes it, and removes what a killed
// process left there.
func prepare(ctx context.Context, options Options) (*Lab, error) {
	l, err := fill(options)
	if err != nil {
		return nil, err
	}
	if err := Check(l.kube); err != nil {
		return nil, err
	}
	if err := l.acquire(ctx); err != nil {
		return nil, err
	}
	l.began = time.Now()
	if err := l.startFresh(); err != nil { //nolint:contextcheck // what is undone is undone whole
		return nil, errors.Join(err, l.Down()) //nolint:contextcheck // as in Up
	}
	return l, nil
}

// fill sets what the options leave out.
func fill(options Options) (*Lab, error) {
	root, err := checkout.Root()
	if err != nil {
		return nil, err
	}
	if options.Folder == "" {
		options.Folder = filepath.Join(root, "bin", "lab")
	}
	if options.Kube == "" {
		options.Kube = filepath.Join(root, "bin", "kube")
	}
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	l := &Lab{root: root, ledger: &ledger{ledgerPath}, book: process.OpenBook(pidsPath)}
	for _, folder := range []*string{&options.Folder, &options.Kube} {
		if *folder, err = filepath.Abs(*folder); err != nil {
			return nil, fmt.Errorf("find a folder of the lab: %w", err)
		}
	}
	l.options, l.kube = options, options.Kube
	return l, nil
}

// acquire locks the machine for this lab, waiting for another one to go if the options say
// so.
func (l *Lab) acquire(ctx context.Context) error {
	err := poll(ctx, max(l.options.Wait, time.Nanosecond), 100*time.Millisecond, "the lab on this machine is gone", func() (err error) {
		l.lock, err = lockMachine()
		var busy *InUseError
		if err != nil && !errors.As(err, &busy) {
			return &stopWaiting{err}
		}
		return err
	})
	var busy *InUseError
	if errors.As(err, &busy) && l.options.Wait == 0 {
		return busy
	}
	return err
}

// startFresh clears machine and folder, and writes down whose the machine is now.
func (l *Lab) startFresh() error {
	removed, err := removeLeftovers()
	if err != nil {
		return err
	}
	if len(removed) > 0 {
		fmt.Fprintf(l.options.Progress, "An earlier lab was killed; what it left is gone now: %s.\n", strings.Join(removed, ", "))
	}
	if err := l.freshFolder(); err != nil {
		return err
	}
	if err := os.WriteFile(folderPath, []byte(l.options.Folder), 0o600); err != nil {
		return fmt.Errorf("write down where the lab is: %w", err)
	}
	if err := process.OpenBook(ownerPath).AddSelf("lab"); err != nil {
		return err
	}
	return l.ledger.saveSettings() // before anything runs that could change them
}

// lockMachine takes the lock, which the kernel gives back when the process ends, however
// it ends. It fails with an *InUseError while another process has it.
func lockMachine() (*os.File, error) {
	for {
		if err := os.MkdirAll(machineFolder, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder that says which lab is up: %w", err)
		}
		file, err := os.OpenFile(lockPath, os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the folder has just been removed
		}
		if err != nil {
			return nil, fmt.Errorf("open the lab's lock: %w", err)
		}
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			folder, _ := os.ReadFile(folderPath) // not there yet: the error says so
			return nil, errors.Join(&InUseError{string(folder)}, file.Close())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("take the lab's lock: %w", err), file.Close())
		}
		// Its last owner may have removed the file meanwhile, and then the lock protects
		// nothing.
		held, heldErr := file.Stat()
		named, namedErr := os.Stat(lockPath)
		if heldErr == nil && namedErr == nil && os.SameFile(held, named) {
			return file, nil
		}
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("close the lab's lock: %w", err)
		}
	}
}

// unlockMachine removes everything of ours in machineFolder and gives the lock back. A
// ledger or book that could not be undone stays, for a later lab.
func unlockMachine(lock *os.File) error {
	err := errors.Join(removeIfThere(ownerPath), removeIfThere(folderPath), removeIfThere(lockPath))
	_ = os.Remove(machineFolder) // only when it is empty
	return errors.Join(err, lock.Close())
}

// removeLeftovers ends the processes of a killed lab, each of which the kernel should
// have killed already, and undoes what it changed.
func removeLeftovers() ([]string, error) {
	stopped, err := process.OpenBook(pidsPath).StopAll()
	if err != nil {
		return stopped, err
	}
	undone, err := (&ledger{ledgerPath}).undo()
	removed := append(stopped, undone...)
	if folder, readErr := os.ReadFile(folderPath); readErr == nil && err == nil {
		root, rootErr := checkout.Root()
		err = errors.Join(removeIfThere(filepath.Join(string(folder), "env")), rootErr, checkout.HandOver(root, string(folder)))
	}
	return removed, errors.Join(err, removeIfThere(ownerPath), removeIfThere(folderPath))
}

// Cleanup removes what a killed process left of its lab on this machine and says what
// that was. Nothing left is no error. It fails with an *InUseError while the process
// lives.
func Cleanup() ([]string, error) {
	if _, err := os.Stat(machineFolder); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	lock, err := lockMachine()
	if err != nil {
		return nil, err
	}
	removed, err := removeLeftovers()
	return removed, errors.Join(err, unlockMachine(lock))
}

// Stop asks the process that has a lab on this machine to take it down, waits until it
// has ended, and reports whether there was one.
func Stop(ctx context.Context, patience time.Duration) (bool, error) {
	owners, err := process.OpenBook(ownerPath).Records()
	if err != nil {
		return false, err
	}
	found := false
	for _, owner := range owners {
		if !owner.Alive() {
			continue
		}
		found = true
		if err := syscall.Kill(owner.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return true, fmt.Errorf("ask process %d to take the lab down: %w", owner.PID, err)
		}
		err := poll(ctx, patience, 50*time.Millisecond, fmt.Sprintf("process %d has taken the lab down", owner.PID), func() error {
			if owner.Alive() {
				return errors.New("it still runs")
			}
			return nil
		})
		if err != nil {
			return true, fmt.Errorf("%w; end it (kill -9 %d) and run make lab-down again", err, owner.PID)
		}
	}
	return found, nil
}
