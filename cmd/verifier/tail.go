package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/internal/startup"
	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/memory"
	"vpcmirror.io/operator/controllers/verifier/tail"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

const aboutTail = `verifier tail shows the copies of one MirrorSession as they reach this host.

Usage:
  verifier tail NAMESPACE/NAME [flags]

"kubectl mirror tail NAME" and "kubectl mirror capture NAME" start it in the verifier's
pod on the target's node. It ends when its standard input does, so in a pod it wants
kubectl exec -i. Copies go to the standard output, what is told beside them to the
standard error. The exit code is 0, or 1 when it failed, or 2 when the command line is
wrong.
`

const (
	// lookInterval is how often a tail reads its session again.
	lookInterval = 10 * time.Second
	// tailNice is how far a tail stands back behind the counting in the same pod.
	tailNice = 10
	// findDeadline bounds the reading of a session and its filter.
	findDeadline = 10 * time.Second
)

// tailFlags are what the command line of "verifier tail" says.
type tailFlags struct {
	tail.Options
	kubeconfig string
}

// tailMain runs "verifier tail" and returns the exit code.
func tailMain(args []string, in io.Reader, stdout, stderr io.Writer) int {
	const name = "verifier tail"
	o := tailFlags{Options: tail.Options{In: in, Out: stdout, Notes: stderr, Version: version}}
	flags := o.flags()
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(stdout, "%s\nFlags:\n%s", aboutTail, flags.FlagUsages())
		return 0
	case err != nil:
		return startup.Usage(name, err, stderr)
	}
	if err := o.check(flags.Args()); err != nil {
		return startup.Usage(name, err, stderr)
	}
	standBack()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

func (o *tailFlags) flags() *pflag.FlagSet {
	flags := startup.Flags("Flags")
	flags.BoolVar(&o.Outer, "outer", false, "show the whole copy, with the headers in which the mirror packs the packet")
	flags.BoolVar(&o.Payload, "payload", false, "show all that came, and not the headers alone")
	flags.BoolVar(&o.Pcapng, "pcapng", false, "write a capture file and not lines")
	flags.Int64Var(&o.Packets, "packets", tail.DefaultLimits.Packets, "end after so many copies")
	flags.Int64Var(&o.Bytes, "bytes", tail.DefaultLimits.Bytes, "end before more bytes of copies than that are written")
	flags.DurationVar(&o.Time, "for", tail.DefaultLimits.Time, "end after this time")
	flags.DurationVar(&o.Lifeline, "lifeline", 0, "end when nothing has come by the standard input for so long; 0 waits for its end")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", startup.KubeconfigUsage)
	flags.StringVar(&o.Node, "node-name", hostName(), "this host's `name` in what is told; NODE_NAME sets it too")
	flags.Uint16Var(&o.Port, "port", vxlan.Port, "UDP `port` of the copies")
	return flags
}

// check refuses what can't be, and takes the name of the session.
func (o *tailFlags) check(names []string) error {
	if len(names) != 1 {
		return fmt.Errorf("%d sessions are named: name one, as NAMESPACE/NAME", len(names))
	}
	namespace, name, ok := strings.Cut(names[0], "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("%q is no session: name it as NAMESPACE/NAME", names[0])
	}
	o.Session = types.NamespacedName{Namespace: namespace, Name: name}
	switch {
	case o.Port == 0:
		return errors.New("--port=0: choose the UDP port of the copies, 1 to 65535")
	case o.Lifeline < 0:
		return fmt.Errorf("--lifeline=%s: choose a time above 0, or 0 to wait for the end of the standard input", o.Lifeline)
	}
	return o.Limits.Check()
}

// run shows the copies.
func (o *tailFlags) run(ctx context.Context) error {
	config, err := startup.APIServer(o.kubeconfig, "vpcmirror-verifier-tail")
	if err != nil {
		return err
	}
	reader, err := newSessionReader(config)
	if err != nil {
		return err
	}
	o.Find = func(ctx context.Context) (*v1alpha1.MirrorSession, *v1alpha1.MirrorFilter, error) {
		return reader.find(ctx, o.Session)
	}
	o.Interfaces, o.Clock, o.Memory = agent.LocalInterfaces, time.Now, memory.NewReader(time.Now).Read
	o.Older, o.Every = func() int { return tail.Older(os.DirFS("/proc"), os.Getpid()) }, lookInterval
	o.Open = func(local agent.Interface, port uint16, n capture.Narrow) (*capture.Ring, error) {
		return capture.OpenRing(local.Index, port, tail.RingOptions(n))
	}
	return tail.Run(ctx, o.Options)
}

// sessionReader reads one session and its filter with the rights of a verifier.
type sessionReader struct{ client.Client }

// newSessionReader asks the API server nothing yet: which kinds it has is known.
func newSessionReader(config *rest.Config) (*sessionReader, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"MirrorSession", "MirrorFilter"} {
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("prepare the calls to the API server: %w", err)
	}
	return &sessionReader{c}, nil
}

// find reads them. A verifier may list filters and not get one.
func (r *sessionReader) find(ctx context.Context, name types.NamespacedName) (*v1alpha1.MirrorSession, *v1alpha1.MirrorFilter, error) {
	ctx, cancel := context.WithTimeout(ctx, findDeadline)
	defer cancel()
	s := &v1alpha1.MirrorSession{}
	if err := r.Get(ctx, name, s); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil, nil
		}
		return nil, nil, fmt.Errorf("read MirrorSession %s: %w", name, err)
	}
	var filters v1alpha1.MirrorFilterList
	if err := r.List(ctx, &filters, client.InNamespace(name.Namespace), client.MatchingFields{"metadata.name": s.Spec.FilterRef.Name}); err != nil {
		return nil, nil, fmt.Errorf("read the MirrorFilter %q of MirrorSession %s: %w", s.Spec.FilterRef.Name, name, err)
	}
	if len(filters.Items) == 0 {
		return s, nil, nil
	}
	return s, &filters.Items[0], nil
}

// standBack makes this process give way to the one that counts in the same pod: it has a memory limit
// of its own, less of the processor when both want it, and is the first that the kernel ends. What can't
// be set is left: none of it is needed for what is shown.
func standBack() {
	debug.SetMemoryLimit(tail.GoMemory)
	debug.SetGCPercent(50)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	threads, _ := filepath.Glob("/proc/self/task/*") // a niceness is a thread's; those that come inherit it
	for _, t := range threads {
		if id, err := strconv.Atoi(filepath.Base(t)); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, tailNice)
		}
	}
}
