package packets

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Request is what is to be shown of a session's copies.
type Request struct {
	// Outer is true for whole copies, Payload for more than headers, Pcapng for a capture file.
	Outer, Payload, Pcapng bool
	// Packets, Bytes and Time are the limits. The verifier has a maximum for each.
	Packets, Bytes int64
	Time           time.Duration
}

// Check refuses limits that mean nothing.
func (r *Request) Check() error {
	switch {
	case r.Packets < 1:
		return fmt.Errorf("--packets=%d: choose a number above 0", r.Packets)
	case r.Bytes < 1:
		return fmt.Errorf("--bytes=%d: choose a number above 0", r.Bytes)
	case r.Time <= 0:
		return fmt.Errorf("--for=%s: choose a time above 0, such as 10m", r.Time)
	}
	return nil
}

// Command is what is run in the verifier's pod. It begins with what the policy vpcmirror-tail holds those to
// who may do no more there, and the audit log of the API server shows all of it.
func (r *Request) Command(session client.ObjectKey, pod *corev1.Pod) []string {
	command := []string{"/verifier", "tail", session.String()}
	for _, f := range []struct {
		name string
		set  bool
	}{{"--outer", r.Outer}, {"--payload", r.Payload}, {"--pcapng", r.Pcapng}} {
		if f.set {
			command = append(command, f.name)
		}
	}
	command = append(command,
		fmt.Sprintf("--packets=%d", r.Packets), fmt.Sprintf("--bytes=%d", r.Bytes), "--for="+r.Time.String(), "--lifeline="+lifeline.String())
	if flag := port(pod); flag != "" {
		command = append(command, flag)
	}
	return command
}

// ErrTold is a failure of which the verifier itself has told on the standard error.
var ErrTold = errors.New("the verifier has ended with an error")
