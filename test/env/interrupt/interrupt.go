// Package interrupt tells a program that it is to take down what it has made, because somebody interrupts it or nobody
// reads what it prints any more.
//
// It may import nothing of ours.
package interrupt

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Context ends when the process gets SIGINT, SIGTERM or SIGHUP, and when it writes to a standard output or standard error
// that nobody reads any more, such as before a `head` that has seen enough: without that it would be ended in the middle.
// A connection that its other end has closed gives SIGPIPE too, and ends nothing: its write fails. The context also ends
// when stop is called, which lets a second signal end the process at once.
func Context(parent context.Context) (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-broken:
				if unread(os.Stdout) || unread(os.Stderr) {
					stop()
				}
			}
		}
	}()
	return ctx, stop
}

// unread reports whether nobody can read any more what is written to a file.
func unread(file *os.File) bool {
	state := []unix.PollFd{{Fd: int32(file.Fd())}} //nolint:gosec // a descriptor is small
	_, err := unix.Poll(state, 0)
	return err == nil && state[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0
}
