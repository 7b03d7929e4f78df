package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/cmd/kubectl-mirror/packets"
)

// watching are what the command line of "tail" and "capture" says.
type watching struct {
	genericiooptions.IOStreams
	config *genericclioptions.ConfigFlags
	packets.Request

	command           string // as people type it
	name, file        string
	node              string
	verifierNamespace string
}

const aboutTail = `Show the copies of a MirrorSession as they reach its target, one line each.

Each line has the time (UTC), what the session's filter says of the packet, the address of the
mirror source, and the packet as tcpdump would show it. Payload is shown with --payload alone.

The verifier on the target's node shows them, by a packet socket of its own: what is counted does
not depend on it. Lines that come faster than they are read are left out, and it is said how many.
It ends at a limit, or when it is interrupted. Where copies come to several nodes, as behind a
load balancer, each line names its node, and they are in the order of the nodes' clocks.

You need the right to read the session, and the Role vpcmirror-tail in the verifier's namespace,
which nobody has by default: it opens the packets of every session that you may read.`

const tailExamples = `  # What arrives, and would the filter accept it?
  kubectl mirror tail source-to-target

  # Ten whole copies, with the headers of VXLAN and with payload
  kubectl mirror tail source-to-target --outer --payload --packets=10`

const aboutCapture = `Write the copies of a MirrorSession into a capture file, as they reach its target.

The file is pcapng, for Wireshark, tshark and tcpdump; its comments have the session, and what the
session's filter says of each packet. It has the packets as the mirror source saw them, or with
--outer the copies as the target gets them. Of each only the headers are there, with the original
length, unless --payload is given. It can be read by nobody but you.

It needs and does what "kubectl mirror tail" does; packets that come faster than they are written
are left out, and the file says how many.`

const captureExamples = `  # A minute of headers
  kubectl mirror capture source-to-target -w copies.pcapng --for=1m

  # Look at them at once
  kubectl mirror capture source-to-target -w - | tcpdump -n -r -

  # Packets that the filter should not have let through
  kubectl mirror capture source-to-target -w - | tshark -r - -Y 'frame.comment contains "unexpected"'`

// newTail is the command "tail".
func newTail(ctx context.Context, streams genericiooptions.IOStreams, config *genericclioptions.ConfigFlags) *cobra.Command {
	o := &watching{IOStreams: streams, config: config}
	c := &cobra.Command{
		Use: "tail NAME [-n NAMESPACE] [--outer] [--payload]", Short: "Show the copies of a session as they arrive, one line each",
		Long: aboutTail, Example: tailExamples,
	}
	return o.complete(ctx, c)
}

// newCapture is the command "capture".
func newCapture(ctx context.Context, streams genericiooptions.IOStreams, config *genericclioptions.ConfigFlags) *cobra.Command {
	o := &watching{IOStreams: streams, config: config, Request: packets.Request{Pcapng: true}}
	c := &cobra.Command{
		Use: "capture NAME -w FILE [-n NAMESPACE] [--outer] [--payload]", Short: "Write the copies of a session into a capture file",
		Long: aboutCapture, Example: captureExamples,
	}
	c.Flags().StringVarP(&o.file, "write", "w", "", "write to this `file`, which is made anew; - is the standard output")
	return o.complete(ctx, c)
}

// complete adds what both have in common.
func (o *watching) complete(ctx context.Context, c *cobra.Command) *cobra.Command {
	c.DisableFlagsInUseLine = true
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return misuse{fmt.Errorf("%d names were given: name one session", len(args))}
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		o.command, o.name = c.CommandPath(), args[0]
		if err := o.check(); err != nil {
			return misuse{err}
		}
		return o.run(ctx)
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.BoolVar(&o.Outer, "outer", false, "the whole copies, with the headers in which the mirror packs the packets")
	flags.BoolVar(&o.Payload, "payload", false, "all that came of each, and not the headers alone")
	flags.Int64Var(&o.Packets, "packets", 10_000, "end after so many packets, at most 10000000")
	flags.Int64Var(&o.Bytes, "bytes", 64<<20, "end before more bytes of packets than that are written, at most 4 GiB")
	flags.DurationVar(&o.Time, "for", 10*time.Minute, "end after this time, at most 24h")
	flags.StringVar(&o.node, "node", "", "`name` of the only node to look at, where copies come to several")
	flags.StringVar(&o.verifierNamespace, "verifier-namespace", "", "`namespace` of the verifiers; by default it is searched for, or vpcmirror-system")
	return c
}

func (o *watching) check() error {
	if o.Pcapng && o.file == "" {
		return errors.New("no file is named: name one with -w, or - for the standard output")
	}
	return o.Request.Check()
}

// run finds the verifier and has it show the copies.
func (o *watching) run(ctx context.Context) error {
	r, err := connect(o.config)
	if err != nil {
		return err
	}
	sessions, err := r.read(ctx, o.name)
	if err != nil {
		return err
	}
	nodes, err := packets.Nodes(sessions[0], o.node)
	if err != nil {
		return err
	}
	pods, err := o.verifiers(ctx, r, nodes)
	if err != nil {
		return err
	}
	out, closed, err := o.output()
	if err != nil {
		return err
	}
	err = packets.Show(ctx, r.config, client.ObjectKeyFromObject(sessions[0]), o.Request, pods, packets.Streams{Out: out, Notes: packets.Plain{To: o.ErrOut}})
	return errors.Join(err, closed())
}

// verifiers finds those of the nodes. Where there are several, the nodes without one are told, and those with one are shown.
func (o *watching) verifiers(ctx context.Context, r *reader, nodes []string) (pods []*corev1.Pod, err error) {
	var missing []error
	for _, node := range nodes {
		pod, err := r.verifier(ctx, node, o.verifierNamespace)
		if err != nil {
			missing = append(missing, err)
			continue
		}
		pods = append(pods, pod)
	}
	if len(pods) == 0 {
		return nil, missing[0]
	}
	for _, err := range missing {
		fmt.Fprintf(o.ErrOut, "%s: copies of a node are not shown: %v\n", o.command, err)
	}
	return pods, nil
}

// output is where the packets go.
func (o *watching) output() (out io.Writer, closed func() error, err error) {
	nothing := func() error { return nil }
	switch {
	case !o.Pcapng:
		return packets.Plain{To: o.Out}, nothing, nil
	case o.file == "-" && isTerminal(o.Out):
		return nil, nil, errors.New("a capture file is nothing for a terminal: name a file with -w, or send the standard output to a program such as tcpdump -n -r -")
	case o.file == "-":
		return o.Out, nothing, nil
	}
	file, err := os.OpenFile(o.file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err // it says what was done to which file
	}
	return &emptied{file: file}, file.Close, nil
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// emptied is a file that keeps what it had until there is something to be written, and is its owner's alone then.
type emptied struct {
	file  *os.File
	begun bool
}

// Write writes behind what it has written before.
func (e *emptied) Write(p []byte) (int, error) {
	if !e.begun {
		e.begun = true
		if info, err := e.file.Stat(); err == nil && info.Mode().IsRegular() {
			if err := errors.Join(e.file.Chmod(0o600), e.file.Truncate(0)); err != nil {
				return 0, err
			}
		}
	}
	return e.file.Write(p)
}

// verifier finds the pod of the verifier on a node: in the namespace named, or else in any, or where it
// usually is, whichever of the two may be listed.
func (r *reader) verifier(ctx context.Context, node, namespace string) (*corev1.Pod, error) {
	var list corev1.PodList
	in := func(namespace string) error {
		return r.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels(packets.Labels()), client.MatchingFields{"spec.nodeName": node})
	}
	err := in(namespace)
	if namespace == "" && apierrors.IsForbidden(err) {
		namespace = usualNamespace
		err = in(namespace)
	}
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not look for the verifier: that needs the verb list on pods in namespace %s, which the Role %s there gives; "+
			"name another namespace with --verifier-namespace (%w)", namespace, packets.Role, err)
	case err != nil:
		return nil, fmt.Errorf("look for the verifier on node %s: %w", node, err)
	}
	return packets.Pod(list.Items, node)
}
