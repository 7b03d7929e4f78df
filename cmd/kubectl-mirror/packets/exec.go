package packets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	exec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

const (
	// lifeline is how long the process in the pod goes on without hearing from here, and heartbeat how
	// often it does.
	lifeline  = 30 * time.Second
	heartbeat = 5 * time.Second
	// goodbye bounds the wait for the last words of the process, after it was told to end.
	goodbye = 4 * time.Second
)

// Streams are where it goes what the verifier shows and what it tells beside that.
type Streams struct{ Out, Notes io.Writer }

// Run runs a command in the verifier's container of a pod until it or ctx ends; then it is told to end too,
// and what it says last is waited for. An error is one sentence, or ErrTold.
func Run(ctx context.Context, config *rest.Config, pod *corev1.Pod, command []string, to Streams) error {
	var refused refusal
	executor, err := newExecutor(config, pod, command, &refused)
	if err != nil {
		return fmt.Errorf("prepare the call of pods/exec: %w", err)
	}
	cut, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	stdin, beat := io.Pipe()
	go func() {
		defer time.AfterFunc(goodbye, hangUp) // from when ctx has ended
		keepAlive(ctx, beat)
	}()
	err = executor.StreamWithContext(cut, remotecommand.StreamOptions{Stdin: stdin, Stdout: to.Out, Stderr: to.Notes})
	_ = beat.Close() // which never fails
	switch {
	case ctx.Err() != nil && cut.Err() != nil:
		return nil // it did not answer, and ends by itself without its lifeline
	case err == nil:
		return nil
	}
	if _, told := errors.AsType[exec.CodeExitError](err); told {
		return ErrTold
	}
	switch {
	case refused.onTheWay.Load():
		return errors.New("something on the way to the API server lets no exec pass: kubectl proxy does with --reject-paths='^$', and else a kubeconfig of the API server itself is needed")
	case refused.byServer.Load():
		return fmt.Errorf("you may not look at these packets: that needs the verb create on pods/exec in namespace %s, which the Role %s there gives, and the right to get the MirrorSession: %w",
			pod.Namespace, Role, err)
	}
	return fmt.Errorf("run verifier tail in the pod %s/%s: %w", pod.Namespace, pod.Name, err)
}

// keepAlive lets the process in the pod know that somebody is there, until nobody is.
func keepAlive(ctx context.Context, beat *io.PipeWriter) {
	defer beat.Close()
	ticks := time.NewTicker(heartbeat)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			if _, err := beat.Write([]byte("\n")); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// newExecutor speaks WebSocket, or SPDY where something on the way does not let that pass, as kubectl does.
// refused is set where the API server says that somebody may not do it: the executors make a text of that.
func newExecutor(config *rest.Config, pod *corev1.Pod, command []string, refused *refusal) (remotecommand.Executor, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 0 // a stream takes as long as it does
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return observer{next, refused} })
	target, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	target = target.JoinPath("api", "v1", "namespaces", pod.Namespace, "pods", pod.Name, "exec")
	target.RawQuery = url.Values{
		"container": {container}, "command": command, "stdin": {"true"}, "stdout": {"true"}, "stderr": {"true"},
	}.Encode()
	sockets, err := remotecommand.NewWebSocketExecutor(config, "GET", target.String())
	if err != nil {
		return nil, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(config, "POST", target)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(sockets, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// Role is what gives the right to look at packets.
const Role = "vpcmirror-tail"

// refusal is who refused a request for want of a right.
type refusal struct{ byServer, onTheWay atomic.Bool }

// observer notes a refusal. What the API server says is JSON.
type observer struct {
	http.RoundTripper
	refused *refusal
}

// RoundTrip does what is behind it.
func (o observer) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.RoundTripper.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusForbidden {
		if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
			o.refused.byServer.Store(true)
		} else {
			o.refused.onTheWay.Store(true)
		}
	}
	return response, err
}
