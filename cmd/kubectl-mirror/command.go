package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/kubectl-mirror/why"
)

// options are what the command line of "why" says.
type options struct {
	genericiooptions.IOStreams
	config *genericclioptions.ConfigFlags

	name             string
	all              bool
	output           string
	now              bool
	probe            bool
	timeout          time.Duration
	managerNamespace string

	// told is what the probe has told that was asked for.
	told *v1alpha1.Probe
}

const about = `Say whether the copies of a MirrorSession arrive at its target, and if not, why.

The answer is what the session's status holds: what the cloud says of the way of the copies,
what the verifiers counted, what takes the copies on the target's node, and what changed when
they stopped. Nothing is asked of the cloud, unless --now has the manager do it.

With --probe packets are sent to find out: at most three for each source, once a minute, by the
verifier of a node that a rule of the filter is about. No service sees them, and their copies are
in no count. For what can't be sent from a node it prints the one command to run, and where.

Without NAME it answers for every session of the namespace, the worst first; with -A in a table,
for those of all namespaces.

It ends with 0 when copies arrive and nothing was found that needs a person, with 1 when a cause
was found or the spec switches the copies off, and with 2 when that is undecided (no traffic to
be seen, a change under way, a status that may be of before), or when the question could not be
answered. Of several sessions the worst counts: 1 before 2 before 0.`

const examples = `  # Why do no packets come?
  kubectl mirror why source-to-target

  # Have the manager look at the cloud now, and wait for what it finds
  kubectl mirror why source-to-target --now

  # Is it quiet, or broken? Have a few packets sent to find out
  kubectl mirror why source-to-target --probe

  # Which sessions of the cluster need somebody?
  kubectl mirror why -A

  # The reasons alone, for a script
  kubectl mirror why source-to-target -o json | jq -r '.causes[].reason'`

// newWhy is the command "why". It sets the verdict when it has one.
func newWhy(ctx context.Context, streams genericiooptions.IOStreams, config *genericclioptions.ConfigFlags, verdict *why.Verdict) *cobra.Command {
	o := &options{IOStreams: streams, config: config}
	c := &cobra.Command{
		Use:     "why [NAME] [-n NAMESPACE | -A] [-o json|yaml] [--now] [--probe]",
		Short:   "Say whether the copies of a session arrive, and if not, why",
		Long:    about,
		Example: examples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misuse{fmt.Errorf("%d names were given: name one session, or none for all of the namespace", len(args))}
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.name = args[0]
			}
			if o.probe && !c.Flags().Changed("timeout") {
				o.timeout = probeTimeout
			}
			if err := o.check(len(args) > 0); err != nil {
				return misuse{err}
			}
			var err error
			*verdict, err = o.run(ctx)
			return err
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "list the sessions of all namespaces with the worst that was found of each")
	c.Flags().StringVarP(&o.output, "output", "o", "", "write the answers as `json` or yaml, for a program")
	c.Flags().BoolVar(&o.now, "now", false, "have the manager compare the session with the cloud now, and wait for that; needs the right to patch mirrorsessions")
	c.Flags().BoolVar(&o.probe, "probe", false, "have packets sent that the filter copies, and wait for their copies; needs a NAME, and the right to patch mirrorsessions")
	c.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait with --now, or with --probe, for which it is 2m unless set")
	c.Flags().StringVar(&o.managerNamespace, "manager-namespace", "", "`namespace` of the manager's lease, by which a manager that is away is seen; by default it is searched for")
	return c
}

// check refuses what contradicts itself.
func (o *options) check(named bool) error {
	switch {
	case named && o.name == "":
		return errors.New("the name is empty: name a session, or leave it out for all of the namespace")
	case named && o.all:
		return errors.New("-A is for the sessions of all namespaces: leave it out, or the name")
	case o.all && o.now:
		return errors.New("--now has the cloud asked for each session: name one, or leave out -A")
	case o.output != "" && o.output != "json" && o.output != "yaml":
		return fmt.Errorf("--output=%q: choose json or yaml, or leave it out for text", o.output)
	case o.probe && !named:
		return errors.New("--probe sends packets for one session: name it")
	case o.timeout <= 0:
		return fmt.Errorf("--timeout=%s: choose a time above 0, such as 30s", o.timeout)
	}
	return nil
}

// run answers and writes the answers.
func (o *options) run(ctx context.Context) (why.Verdict, error) {
	r, err := connect(o.config)
	if err != nil {
		return why.Undecided, err
	}
	if o.all {
		r.namespace = ""
	}
	sessions, err := r.read(ctx, o.name)
	if err != nil {
		return why.Undecided, err
	}
	if len(sessions) == 0 {
		where := "in namespace " + r.namespace
		if o.all {
			where = "in any namespace"
		}
		return why.Undecided, fmt.Errorf("there is no MirrorSession %s", where)
	}
	late := map[string]bool{}
	if o.probe {
		if sessions[0], o.told, err = r.probed(ctx, o, sessions[0]); err != nil {
			return why.Undecided, err
		}
	}
	if o.now {
		if sessions, late, err = r.reconciled(ctx, o, sessions); err != nil {
			return why.Undecided, err
		}
	}
	return o.answer(ctx, r, sessions, late)
}

// answer writes an answer for each session. The manager has not looked at those that are late.
func (o *options) answer(ctx context.Context, r *reader, sessions []*v1alpha1.MirrorSession, late map[string]bool) (why.Verdict, error) {
	filters, lease := r.filters(ctx, sessions), r.lease(ctx, o.managerNamespace)
	now := r.clock.now()
	var answers []why.Answer
	for _, s := range sessions {
		facts := why.Facts{Session: s, Filter: filters[filterOf(s)], Lease: lease, Now: now, Probe: o.told}
		if late[s.Name] {
			facts.Waited = o.timeout
		}
		answers = append(answers, why.Of(facts))
	}
	why.Sort(answers)
	return why.Worst(answers), o.write(answers)
}

// write writes the answers in the form that was asked for.
func (o *options) write(answers []why.Answer) error {
	if o.output == "" {
		style := styleOf(o.Out)
		if o.all {
			_, err := io.WriteString(o.Out, why.Table(answers, style))
			return err
		}
		style.Width = cmp.Or(style.Width, defaultWidth)
		for i, a := range answers {
			if i > 0 {
				fmt.Fprintln(o.Out)
			}
			if _, err := io.WriteString(o.Out, a.Text(style)); err != nil {
				return err
			}
		}
		return nil
	}
	var content any = why.AnswerList{Items: answers}
	if o.name != "" {
		content = answers[0]
	}
	var data []byte
	var err error
	if o.output == "yaml" {
		data, err = yaml.Marshal(content)
	} else if data, err = json.MarshalIndent(content, "", "  "); err == nil {
		data = append(data, '\n')
	}
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	_, err = o.Out.Write(data)
	return err
}

// defaultWidth is that of text which is not written to a terminal.
const defaultWidth = 120

// styleOf is how text looks on what it is written to. Colours only where a person looks at a
// terminal and has not asked for none (NO_COLOR).
func styleOf(out io.Writer) why.Style {
	file, ok := out.(*os.File)
	if !ok || !isTerminal(out) {
		return why.Style{}
	}
	s := why.Style{Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width >= 40 {
		s.Width = width
	}
	return s
}
