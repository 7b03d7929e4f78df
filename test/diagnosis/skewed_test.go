package diagnosis

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/consumer"
	"vpcmirror.io/operator/controllers/verifier/lease"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
	"vpcmirror.io/operator/test/env"
)

// A verifier whose clock is ahead is our own program, started again with these variables: the
// kernel has one clock for all namespaces.
const (
	skewedNode   = "VPCMIRROR_DIAGNOSIS_NODE"
	skewedBy     = "VPCMIRROR_DIAGNOSIS_SKEW"
	skewedConfig = "VPCMIRROR_DIAGNOSIS_KUBECONFIG"
)

// unprivileged is the variable with the program that we become without the right to open
// packet sockets.
const unprivileged = "VPCMIRROR_DIAGNOSIS_UNPRIVILEGED"

// becomeUnprivileged gives the right up and becomes the program. It returns only an error.
func becomeUnprivileged(program string) error {
	runtime.LockOSThread() // what the thread may is what the program may
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_RAW, 0, 0, 0); err != nil {
		return fmt.Errorf("giving CAP_NET_RAW up: %w", err)
	}
	return unix.Exec(program, append([]string{program}, os.Args[1:]...), os.Environ())
}

// skewedVerifier is `verifier run` with another clock. It returns the exit code.
func skewedVerifier(node string) int {
	if err := runSkewed(node); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runSkewed(node string) error {
	skew, err := time.ParseDuration(os.Getenv(skewedBy))
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv(skewedConfig))
	if err != nil {
		return err
	}
	scheme, err := env.Scheme()
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0", Logger: logr.Discard(),
		Cache: cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		return err
	}
	clock := func() time.Time { return time.Now().Add(skew) }
	if err := mgr.Add(agent.New(agent.Options{
		Node: node, Port: vxlan.Port, Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Cache: mgr.GetCache(),
		Interfaces: agent.LocalInterfaces, Open: agent.OpenRing, Observe: consumer.Observe, Clock: clock, Log: logr.Discard(),
	})); err != nil {
		return err
	}
	if err := mgr.Add(&lease.Renewer{Client: mgr.GetClient(), Namespace: system, Node: node, Clock: clock, Log: logr.Discard()}); err != nil {
		return err
	}
	return mgr.Start(context.Background())
}
