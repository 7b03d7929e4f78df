package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/resource"

	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/kubectl-mirror/plan"
)

const aboutPlan = `Say what the manager would do in the cloud, without doing it.

With -f it is what an apply of the file would do: the calls to the cloud in their order, what each
changes, and what happens beside it: packets that are not copied for a moment, sessions of others
that would lose some, a quota that is used up, a security group that would drop the copies. The
sessions of a namespace are planned as they stand in the file, each after those before it. With a
NAME it is what the manager would do for that session as it is, such as once it is suspended no
more.

The manager is asked by a copy of each object that is suspended, bears the annotation
vpcmirror.io/plan-of, and is deleted when the answer has come; no key of the cloud is needed here.
It goes through the same steps as for the object itself, with a cloud to which nothing is written.
You need the rights to create and delete mirrorsessions and mirrorfilters in the namespace.

It ends with 0 when nothing would be written, with 1 when something would be, and with 2 when a spec
would be refused, when the object would not become Ready by it, or when there was no answer.`

const planExamples = `  # What would an apply do?
  kubectl mirror plan -f session.yaml

  # A folder, as it will be in Git
  kubectl kustomize overlays/prod | kubectl mirror plan -f -

  # What would happen once the session is suspended no more?
  kubectl mirror plan source-to-target`

// planOptions are what the command line of "plan" says.
type planOptions struct {
	genericiooptions.IOStreams
	config  *genericclioptions.ConfigFlags
	files   resource.FilenameOptions
	output  string
	timeout time.Duration
}

// newPlan is the command "plan". It sets the exit code when it has one.
func newPlan(ctx context.Context, streams genericiooptions.IOStreams, config *genericclioptions.ConfigFlags, code *int) *cobra.Command {
	o := &planOptions{IOStreams: streams, config: config}
	c := &cobra.Command{
		Use:                   "plan {-f FILE | -k FOLDER | NAME} [-n NAMESPACE] [-o json|yaml]",
		Short:                 "Say what would be done in the cloud, without doing it",
		Long:                  aboutPlan,
		Example:               planExamples,
		DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return misuse{err}
			}
			verdict, err := o.run(ctx, args)
			*code = int(verdict)
			return err
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringSliceVarP(&o.files.Filenames, "filename", "f", nil, "`file`, folder or URL with MirrorFilters and MirrorSessions, - for the standard input")
	c.Flags().BoolVarP(&o.files.Recursive, "recursive", "R", false, "take the folders within a folder too")
	c.Flags().StringVarP(&o.files.Kustomize, "kustomize", "k", "", "`folder` with a kustomization")
	c.Flags().StringVarP(&o.output, "output", "o", "", "write the plans as `json` or yaml, for a program")
	c.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait for the manager")
	return c
}

// check refuses what contradicts itself.
func (o *planOptions) check(args []string) error {
	fromFiles := len(o.files.Filenames) > 0 || o.files.Kustomize != ""
	switch {
	case len(args) > 1:
		return fmt.Errorf("%d names were given: name one session, or files with -f", len(args))
	case fromFiles == (len(args) == 1):
		return errors.New("name a session, or files with -f: one of the two")
	case len(o.files.Filenames) > 0 && o.files.Kustomize != "":
		return errors.New("-f and -k are both given: leave out one")
	case o.output != "" && o.output != "json" && o.output != "yaml":
		return fmt.Errorf("--output=%q: choose json or yaml, or leave it out for text", o.output)
	case o.timeout <= 0:
		return fmt.Errorf("--timeout=%s: choose a time above 0, such as 30s", o.timeout)
	}
	return nil
}

func (o *planOptions) run(ctx context.Context, args []string) (plan.Verdict, error) {
	r, err := connect(o.config)
	if err != nil {
		return plan.Failed, err
	}
	var objects []*unstructured.Unstructured
	if len(args) == 1 {
		objects, err = r.existing(ctx, args[0])
	} else {
		objects, err = o.given(r.namespace)
	}
	if err != nil {
		return plan.Failed, err
	}
	asker := &plan.Asker{Client: r.Client, Timeout: o.timeout, Warn: func(s string) { fmt.Fprintln(o.ErrOut, "warning: "+s) }}
	answers, err := asker.Ask(ctx, objects)
	switch {
	case meta.IsNoMatchError(err):
		return plan.Failed, r.explained(err, "")
	case err != nil:
		return plan.Failed, err
	}
	return plan.Worst(answers), o.write(answers)
}

// existing is the session of a name, as it is once it is suspended no more.
func (r *reader) existing(ctx context.Context, name string) ([]*unstructured.Unstructured, error) {
	found, err := r.read(ctx, name)
	if err != nil {
		return nil, err
	}
	session := found[0]
	session.Spec.Suspend = false
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(session)
	if err != nil {
		return nil, fmt.Errorf("copy the MirrorSession %s: %w", name, err)
	}
	u := &unstructured.Unstructured{Object: content}
	gvk, err := apiutil.GVKForObject(session, r.Scheme())
	if err != nil {
		return nil, fmt.Errorf("find the kind of the MirrorSession %s: %w", name, err)
	}
	u.SetGroupVersionKind(gvk)
	return []*unstructured.Unstructured{u}, nil
}

// given are the filters and sessions of the files. What else is in them is left out: it changes nothing in the cloud.
func (o *planOptions) given(namespace string) ([]*unstructured.Unstructured, error) {
	infos, err := resource.NewLocalBuilder().Unstructured().Local().FilenameParam(false, &o.files).Flatten().Do().Infos()
	if err != nil {
		return nil, fmt.Errorf("read the files: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, info := range infos {
		u, is := info.Object.(*unstructured.Unstructured)
		if !is || u.GroupVersionKind().Group != v1alpha1.GroupVersion.Group {
			continue
		}
		if u.GetName() == "" {
			return nil, fmt.Errorf("%s: the %s has no name: write one in metadata.name", info.Source, u.GetKind())
		}
		if in := u.GetNamespace(); in != "" && o.config.Namespace != nil && *o.config.Namespace != "" && in != namespace {
			return nil, fmt.Errorf("%s: the %s %s is in namespace %s, and -n says %s: leave out one of the two", info.Source, u.GetKind(), u.GetName(), in, namespace)
		} else if in == "" {
			u.SetNamespace(namespace)
		}
		// A file that was read from a cluster is a wish like any other.
		u.SetUID("")
		u.SetResourceVersion("")
		objects = append(objects, u)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("there is no MirrorFilter and no MirrorSession in %s", strings.Join(append(o.files.Filenames, o.files.Kustomize), " "))
	}
	return objects, nil
}

// write writes the answers in the form that was asked for.
func (o *planOptions) write(answers []plan.Answer) error {
	if o.output == "" {
		_, err := io.WriteString(o.Out, plan.Text(answers))
		return err
	}
	content := map[string]any{"items": answers}
	data, err := json.MarshalIndent(content, "", "  ")
	if data = append(data, '\n'); o.output == "yaml" && err == nil {
		data, err = yaml.Marshal(content)
	}
	if err != nil {
		return fmt.Errorf("encode the plans: %w", err)
	}
	_, err = o.Out.Write(data)
	return err
}
