package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"

	"vpcmirror.io/operator/controllers/cloud/huawei"
)

// options are what the flags say.
type options struct {
	metrics, health       string
	leaderElect           bool
	namespace             string
	verifierNamespace     string
	resync                time.Duration
	workers               int
	callsPerSecond        float64
	burst                 int
	callDeadline          time.Duration
	logLevel, logEncoding string
	version               bool
}

// group is a headline of --help and the flags below it.
type group struct {
	title string
	flags []string
}

var groups = []group{
	{"Kubernetes", []string{"kubeconfig", "leader-elect", "leader-election-namespace", "verifier-namespace"}},
	{"Cloud", []string{"resync-interval", "workers", "cloud-calls-per-second", "cloud-burst", "cloud-call-deadline"}},
	{"Serving", []string{"metrics-bind-address", "health-probe-bind-address"}},
	{"Logging", []string{"log-level", "log-encoding"}},
	{"Other", []string{"version"}},
}

const environmentHelp = `
The operator's own credentials, for objects that name no Secret, come from the environment:
  HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK, HUAWEICLOUD_SDK_SECURITY_TOKEN, HUAWEICLOUD_SDK_PROJECT_ID,
  VPCMIRROR_REGION, VPCMIRROR_ENDPOINT, VPCMIRROR_IAM_ENDPOINT
`

// parse reads the flags. A value that can't be is refused with the flag's name.
func parse(args []string, out io.Writer) (options, error) {
	var o options
	// controller-runtime has declared --kubeconfig on this set.
	fs := flag.CommandLine
	fs.Init("manager", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&o.metrics, "metrics-bind-address", ":8080", "`address` of the Prometheus metrics; 0 switches them off")
	fs.StringVar(&o.health, "health-probe-bind-address", ":8081", "`address` of /healthz and /readyz; 0 switches them off")
	fs.BoolVar(&o.leaderElect, "leader-elect", false, "let one of several managers work and the others stand by; needed with more than one replica")
	fs.StringVar(&o.namespace, "leader-election-namespace", "", "`namespace` of the lease; by default the manager's own")
	fs.StringVar(&o.verifierNamespace, "verifier-namespace", os.Getenv("POD_NAMESPACE"), "`namespace` of the verifiers' leases, by which a lost verifier is told from a quiet network; POD_NAMESPACE sets it too, empty switches it off")
	fs.DurationVar(&o.resync, "resync-interval", 10*time.Minute, "how often the cloud is compared with the specs when nothing happens; at least 10s")
	fs.IntVar(&o.workers, "workers", 4, "how many filters, and how many sessions, are looked at in parallel")
	fs.Float64Var(&o.callsPerSecond, "cloud-calls-per-second", huawei.DefaultCallsPerSecond, "calls to one account and region, on average")
	fs.IntVar(&o.burst, "cloud-burst", huawei.DefaultBurst, "calls to one account and region in one burst")
	fs.DurationVar(&o.callDeadline, "cloud-call-deadline", huawei.MaxDeadline, "the longest that one call may take; at most 4s, below the margin of the leader lease")
	fs.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&o.logEncoding, "log-encoding", "json", "json or text")
	fs.BoolVar(&o.version, "version", false, "print the version and stop")
	fs.Usage = func() { usage(fs) }
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	return o, o.check(fs.Args())
}

func (o options) check(rest []string) error {
	var level slog.Level
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unknown argument %q: the manager takes flags only, see --help", rest[0])
	case o.resync < 10*time.Second:
		return fmt.Errorf("--resync-interval=%s is too short: choose at least 10s, for the cloud's sake", o.resync)
	case o.workers < 1:
		return fmt.Errorf("--workers=%d: choose at least 1", o.workers)
	case o.callsPerSecond <= 0 || o.burst < 1:
		return errors.New("--cloud-calls-per-second and --cloud-burst must be greater than 0")
	case o.callDeadline <= 0 || o.callDeadline > huawei.MaxDeadline:
		return fmt.Errorf("--cloud-call-deadline=%s: choose more than 0 and at most %s", o.callDeadline, huawei.MaxDeadline)
	case level.UnmarshalText([]byte(o.logLevel)) != nil:
		return fmt.Errorf("--log-level=%q: choose debug, info, warn or error", o.logLevel)
	case o.logEncoding != "json" && o.logEncoding != "text":
		return fmt.Errorf("--log-encoding=%q: choose json or text", o.logEncoding)
	}
	return nil
}

func usage(fs *flag.FlagSet) {
	out := fs.Output()
	fmt.Fprintln(out, "manager makes traffic mirroring in Huawei Cloud match the MirrorFilters and MirrorSessions of a cluster.")
	for _, g := range groups {
		fmt.Fprintf(out, "\n%s:\n", g.title)
		for _, name := range g.flags {
			f := fs.Lookup(name)
			if f == nil {
				continue
			}
			kind, text := flag.UnquoteUsage(f)
			fmt.Fprintf(out, "  --%s %s\n        %s", f.Name, kind, text)
			if f.DefValue != "" {
				fmt.Fprintf(out, " (default %s)", f.DefValue)
			}
			fmt.Fprintln(out)
		}
	}
	fmt.Fprint(out, environmentHelp)
}

// logger writes to out with the level and encoding of the flags.
func (o options) logger(out io.Writer) logr.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		level = slog.LevelInfo // check has refused it already
	}
	handler := slog.Handler(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level}))
	if o.logEncoding == "text" {
		handler = slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})
	}
	return logr.FromSlogHandler(quiet{handler})
}
