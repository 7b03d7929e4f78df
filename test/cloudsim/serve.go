package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"syscall"

	"vpcmirror.io/operator/test/cloudsim/lab"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

type serveFlags struct {
	scenario   string
	listen     string
	dataPlane  bool
	prefix     string
	pageSize   int
	rate       float64
	burst      int
	retryAfter string
	quirks     string
	tls        certificateFlags
}

func (f *serveFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.scenario, "scenario", "", "scenario `file`; the built-in walkthrough when empty")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8600", "`address` to listen on; port 0 takes any free one")
	flags.BoolVar(&f.dataPlane, "data-plane", false, "make each host a network namespace and move packets between them (Linux, root)")
	flags.StringVar(&f.prefix, "namespace-prefix", "cloudsim-", "`prefix` of the namespaces' names")
	flags.IntVar(&f.pageSize, "page-size", 0, "page of a list that asks for no limit, 1-2000 (2000 when 0)")
	flags.Float64Var(&f.rate, "rate", 0, "requests per second of each access key before 429; 0 means no bound")
	flags.IntVar(&f.burst, "burst", 1, "requests that may come at once within --rate")
	flags.StringVar(&f.retryAfter, "retry-after", "", "`seconds` to send as Retry-After with a 429 of --rate; the real gateway sends none")
	flags.StringVar(&f.quirks, "quirks", "", "comma-separated behaviour that the documents leave open, such as enabled-by-default,strict-sources")
	f.tls.register(flags)
}

// check names the flag, the value and the remedy.
func (f *serveFlags) check() error {
	switch {
	case f.pageSize < 0 || f.pageSize > 2000:
		return fmt.Errorf("--page-size %d is out of range; give 1-2000, or 0 for the default", f.pageSize)
	case f.rate < 0:
		return fmt.Errorf("--rate %g is negative; give requests per second, or 0 for no bound", f.rate)
	case f.burst < 1:
		return fmt.Errorf("--burst %d is too small; give at least 1", f.burst)
	}
	return nil
}

func (f *serveFlags) options() ([]sim.Option, error) {
	var quirks state.Quirks
	for name := range strings.SplitSeq(f.quirks, ",") {
		if name == "" {
			continue
		}
		if err := quirks.Set(strings.TrimSpace(name)); err != nil {
			return nil, fmt.Errorf("--quirks: %w", err)
		}
	}
	options := []sim.Option{
		sim.WithListen(f.listen), sim.WithPageSize(f.pageSize), sim.WithRateLimit(f.rate, f.burst, f.retryAfter), sim.WithQuirks(quirks),
	}
	if f.dataPlane { // whoever asks for its health wants to look at the hosts
		options = append(options, sim.WithPreparation())
	}
	certificate, err := f.tls.load(f.listen)
	if err != nil {
		return nil, err
	}
	if certificate != nil {
		options = append(options, sim.WithCertificate(*certificate))
	}
	return options, nil
}

func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var f serveFlags
	flags := flag.NewFlagSet("cloudsim serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	f.register(flags)
	if err := parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "cloudsim: serve takes no argument %q; the scenario is given with --scenario\n", flags.Arg(0))
		return errUsage
	}
	if err := f.check(); err != nil {
		return err
	}
	sc := scenario.Walkthrough()
	if f.scenario != "" {
		var err error
		if sc, err = scenario.Load(f.scenario); err != nil {
			return err
		}
	}
	options, err := f.options()
	if err != nil {
		return err
	}
	return serveScenario(ctx, f, sc, options, stdout, stderr)
}

func serveScenario(ctx context.Context, f serveFlags, sc *scenario.Scenario, options []sim.Option, stdout, stderr io.Writer) (err error) {
	// The cloud gets a context of its own: it ends after the data plane, not with the signal.
	cloud, err := sim.Start(context.WithoutCancel(ctx), sc, options...)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is already taken by another program; choose another port with --listen, or port 0 for any free one", f.listen)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cloud.Close()) }() //nolint:contextcheck // the end comes after the context's
	if f.dataPlane {
		network, err := lab.Start(context.WithoutCancel(ctx), cloud, f.prefix, slog.New(slog.NewTextHandler(stderr, nil)))
		if err != nil {
			return err
		}
		defer func() {
			if closeErr := network.Close(); closeErr != nil {
				fmt.Fprintf(stderr, "cloudsim: take the data plane down: %v\n", closeErr)
			}
		}()
	}
	cloud.Ready()
	announce(stdout, f, cloud)
	ended := make(chan error, 1)
	go func() { ended <- cloud.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		fmt.Fprintln(stdout, "cloudsim: asked to stop")
		return nil
	}
}

func announce(out io.Writer, f serveFlags, cloud *sim.Sim) {
	sc := cloud.Scenario
	for _, a := range sc.Accounts {
		for _, p := range a.Projects {
			fmt.Fprintf(out, "account %s: project %s, access key %s\n", a.Name, p.ID, a.AccessKey)
		}
	}
	for _, h := range sc.Hosts {
		for _, nic := range h.Interfaces {
			where := ""
			if f.dataPlane {
				where = ", namespace " + f.prefix + h.Name
			}
			fmt.Fprintf(out, "host %s: interface %s, %s, %v%s\n", h.Name, nic.ID, nic.MAC, nic.Addresses, where)
		}
	}
	fmt.Fprintf(out, "cloudsim: serving region %s on %s\n", sc.Region, cloud.URL)
}
