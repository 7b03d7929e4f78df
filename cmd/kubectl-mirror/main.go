// Command kubectl-mirror is a plugin of kubectl: "kubectl mirror why" says of each MirrorSession
// whether its copies arrive at the target, and if not, why; "kubectl mirror plan" what an apply
// would do; "kubectl mirror tail" and "kubectl mirror capture" show the copies, and "kubectl mirror
// export" writes what the cloud has already as manifests.
//
// It holds no credentials of the cloud. What the answer of why says is what the manager and the
// verifiers wrote into the status before anybody asked, a plan is the manager's, and packets are shown
// by the verifier, in its pod: these read objects of Kubernetes alone. Export asks the cloud, with the
// keys of a Secret that the caller names and may read, and writes nothing there. It may import api,
// cmd/kubectl-mirror/export, cmd/kubectl-mirror/packets, cmd/kubectl-mirror/plan and
// cmd/kubectl-mirror/why.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/cmd/kubectl-mirror/packets"
	"vpcmirror.io/operator/cmd/kubectl-mirror/why"
)

// version is set by the linker.
var version = "unknown"

func main() {
	log.SetLogger(logr.Discard()) // of libraries: what concerns a person is an error
	klog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	stop()
	os.Exit(code)
}

// program is what people type.
const program = "kubectl mirror"

// run runs the command that the arguments name and returns the exit code: that of the
// verdict, or 2 for whatever kept it from one.
func run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	verdict := why.Flowing // of a command that gives none, such as help
	planned := 0
	root := &cobra.Command{
		Use:           "kubectl-mirror",
		Short:         "See whether mirrored packets arrive, and why not",
		Version:       version,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: program},
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetVersionTemplate("kubectl-mirror {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misuse{err} })
	config := genericclioptions.NewConfigFlags(true)
	config.CacheDir = nil // nothing is kept
	config.AddFlags(root.PersistentFlags())
	root.AddCommand(newWhy(ctx, streams, config, &verdict), newTail(ctx, streams, config), newCapture(ctx, streams, config),
		newPlan(ctx, streams, config, &planned), newExport(ctx, streams, config))
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	command, err := root.ExecuteC()
	if err == nil {
		return max(verdict.ExitCode(), planned)
	}
	if !errors.Is(err, packets.ErrTold) {
		complain(streams.ErrOut, command.CommandPath(), err)
	}
	return why.Undecided.ExitCode()
}

// misuse is a mistake on the command line, of which --help tells more.
type misuse struct{ error }

// Unwrap returns what is wrong.
func (m misuse) Unwrap() error { return m.error }

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse{fmt.Errorf("unknown command %q: use why, plan, tail, capture or export", args[0])}
	}
	return nil
}

// complain writes an error as one sentence.
func complain(out io.Writer, command string, err error) {
	if _, wrong := errors.AsType[misuse](err); wrong {
		fmt.Fprintf(out, "%s: %v; see %s --help\n", command, err, command)
		return
	}
	fmt.Fprintf(out, "%s: %v\n", command, err)
}
