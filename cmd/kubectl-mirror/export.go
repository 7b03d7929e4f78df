package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/kubectl-mirror/export"
)

const aboutExport = `Write what an account of the cloud has already as manifests that import it.

Filters come first, then sessions, all with what they are in the cloud and with spec.import.id. Applied,
they change nothing there but the mark at the end of each description, by which the operator knows
what is its; with --observe not even that. What no spec can say is left out, and why is
written to standard error; what only can be observed without a change is observed.

With NAMEs or IDs of the cloud only these are written; a session brings its filter. What an object
of this namespace or of another cluster manages already is left out.

The keys come from the Secret of --credentials, in the namespace of -n, which you need the right to
read; the objects name it too. The cloud is asked from this machine, and only reads: a user that may
list traffic mirrors, and interfaces, is enough. Keys are sent to the region's usual servers, or to
those that --allow-endpoint names.`

const exportExamples = `  # What is there?
  kubectl mirror export --credentials huawei-cloud

  # Take it over
  kubectl mirror export --credentials huawei-cloud > mirrors.yaml
  kubectl apply -f mirrors.yaml

  # Watch what Terraform manages, and write nothing to the cloud
  kubectl mirror export --credentials huawei-cloud --observe tf-mirror | kubectl apply -f -`

// exporting are what the command line of "export" says.
type exporting struct {
	genericiooptions.IOStreams
	config *genericclioptions.ConfigFlags
	export.Request
}

// newExport is the command "export".
func newExport(ctx context.Context, streams genericiooptions.IOStreams, config *genericclioptions.ConfigFlags) *cobra.Command {
	o := &exporting{IOStreams: streams, config: config}
	c := &cobra.Command{
		Use:   "export [NAME|ID ...] --credentials SECRET [-n NAMESPACE] [--observe]",
		Short: "Write what the cloud has already as manifests that import it",
		Long:  aboutExport, Example: exportExamples,
		DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error {
			o.Named = args
			if err := o.check(); err != nil {
				return misuse{err}
			}
			return o.run(ctx)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.Secret, "credentials", "", "`name` of the Secret with the keys, as spec.credentialsRef names it")
	flags.StringVar(&o.Region, "region", "", "`region` of the cloud, where the Secret says none")
	flags.StringVar(&o.ProjectID, "project-id", "", "`ID` of the project, where neither the Secret says one nor the one named like the region is meant")
	flags.BoolVar(&o.Observe, "observe", false, "write objects that only observe, by spec.managementPolicy")
	flags.StringSliceVar(&o.Endpoints, "allow-endpoint", nil, "`origin` of a server, such as https://vpc.example.com, to which the Secret may lead; may be given again")
	return c
}

func (o *exporting) check() error {
	switch {
	case o.Secret == "":
		return errors.New("no Secret is named: name the one with the keys of the account by --credentials")
	case slices.Contains(o.Named, ""):
		return errors.New("a name is empty: name filters and sessions of the cloud, or leave names out for all")
	}
	return nil
}

// run reads the account and writes the manifests.
func (o *exporting) run(ctx context.Context) error {
	r, err := connect(o.config)
	if err != nil {
		return err
	}
	o.Namespace, o.UserAgent = r.namespace, "kubectl-mirror/"+version
	c, err := export.Connect(ctx, r, o.Source)
	if err != nil {
		return err
	}
	present, err := r.present(ctx, o.ErrOut)
	if err != nil {
		return err
	}
	account, err := export.Read(ctx, c)
	if err != nil {
		return err
	}
	result, err := export.Of(o.Request, account, present)
	if err != nil {
		return err
	}
	result.Tell(o.ErrOut)
	return result.Write(o.Out, o.Namespace)
}

// present reads what the namespace has already. A cluster that does not know the kinds yet has nothing.
func (r *reader) present(ctx context.Context, notes io.Writer) (is export.Present, err error) {
	unseen := func(kind string, err error) error {
		switch {
		case err == nil, meta.IsNoMatchError(err):
			return nil
		case apierrors.IsForbidden(err):
			fmt.Fprintf(notes, "you may not list the %s of namespace %s, so nobody looked whether there are any already: %v\n", kind, r.namespace, err)
			return nil
		default:
			return fmt.Errorf("list the %s: %w", kind, err)
		}
	}
	is.Filters, err = listed[*v1alpha1.MirrorFilter](ctx, r, func() client.ObjectList { return &v1alpha1.MirrorFilterList{} })
	if err := unseen("MirrorFilters", err); err != nil {
		return is, err
	}
	is.Sessions, err = listed[*v1alpha1.MirrorSession](ctx, r, func() client.ObjectList { return &v1alpha1.MirrorSessionList{} })
	// What asks for a plan stands for nothing, and is gone in a moment.
	is.Filters = slices.DeleteFunc(is.Filters, func(f *v1alpha1.MirrorFilter) bool { return v1alpha1.PlannedOf(f) != "" })
	is.Sessions = slices.DeleteFunc(is.Sessions, func(s *v1alpha1.MirrorSession) bool { return v1alpha1.PlannedOf(s) != "" })
	return is, unseen("MirrorSessions", err)
}
