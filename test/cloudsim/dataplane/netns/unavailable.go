package netns

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// UnavailableError says that this machine or this user lacks something without
// which there are no namespaces or no devices in them. A test skips on it.
type UnavailableError struct {
	// Need names what is missing.
	Need string
	// Remedy says what to do about it.
	Remedy string
	// Err is what the kernel said.
	Err error
}

// Error gives one sentence that names what is missing and the remedy.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%s is needed: %s (%v)", e.Need, e.Remedy, e.Err)
}

// Unwrap gives what the kernel said.
func (e *UnavailableError) Unwrap() error { return e.Err }

// capSysAdmin is what unshare(2), setns(2) and mount(2) ask for.
const capSysAdmin = "CAP_SYS_ADMIN"

// Needs turns a refusal for lack of the named capability into an
// *UnavailableError and leaves every other error, and nil, as it is.
func Needs(capability string, err error) error {
	if err == nil {
		return nil
	}
	return needs(capability, err)
}

// needs turns a refusal for lack of privilege into an *UnavailableError and
// leaves every other error as it is.
func needs(capability string, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return &UnavailableError{
			Need:   "the privilege " + capability + " (root)",
			Remedy: "run as root or with sudo, and not in a container without it",
			Err:    err,
		}
	}
	return err
}
