package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"vpcmirror.io/operator/cmd/internal/startup"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/telemetry"
)

// options are what the flags say.
type options struct {
	kubeconfig     string
	metrics        startup.Metrics
	health         string
	debug          startup.Debug
	sessionMetrics string
	leaderElect    bool
	namespace      string
	// leaseDuration, renewDeadline and retryPeriod are those of the leader election.
	leaseDuration, renewDeadline, retryPeriod time.Duration
	verifierNamespace                         string
	deleteOrphans                             bool
	allowProbes                               bool
	resync                                    time.Duration
	workers                                   int
	callsPerSecond                            float64
	burst                                     int
	callDeadline                              time.Duration
	tenants                                   tenants
	way                                       way
	own                                       own
	traces                                    traces
}

const about = "manager makes traffic mirroring in Huawei Cloud match the MirrorFilters and MirrorSessions of a cluster."

const environmentHelp = `
The operator's own credentials, for objects that name no Secret, come from where --own-credentials says. They serve
the namespaces that --own-credentials-namespaces selects. With environment:
  HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK, HUAWEICLOUD_SDK_SECURITY_TOKEN
With all but file:
  HUAWEICLOUD_SDK_PROJECT_ID, VPCMIRROR_REGION, VPCMIRROR_ENDPOINT, VPCMIRROR_IAM_ENDPOINT,
  VPCMIRROR_AGENCY_NAME, VPCMIRROR_AGENCY_DOMAIN (an agency that is assumed with the keys, and its account)
With podIdentity, as the cluster sets them:
  HC_CONTAINER_CREDENTIALS_FULL_URI, HC_CONTAINER_AUTHORIZATION_TOKEN_FILE
With workloadIdentity:
  HUAWEICLOUD_SDK_IDP_ID, HUAWEICLOUD_SDK_ID_TOKEN_FILE
With metadata, where the service is not at its usual address:
  VPCMIRROR_METADATA_ENDPOINT
`

// command is the manager as a command line; run gets what the flags say.
func command(run func(context.Context, options) error) startup.Command {
	var o options
	kubernetes, cloud, serving := startup.Flags("Kubernetes"), startup.Flags("Cloud"), startup.Flags("Serving")

	kubernetes.StringVar(&o.kubeconfig, "kubeconfig", "", startup.KubeconfigUsage)
	kubernetes.BoolVar(&o.leaderElect, "leader-elect", false, "let one of several managers work and the others stand by; needed with more than one replica")
	kubernetes.StringVar(&o.namespace, "leader-election-namespace", startup.Namespace(), "`namespace` of the lease; by default the manager's own")
	kubernetes.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", 15*time.Second, "how long another manager waits for a holder of the lease that does not renew it; whole seconds")
	kubernetes.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", 10*time.Second, "how long the holder tries to renew the lease before it gives up; less than the lease's duration, more than a call to the cloud may take")
	kubernetes.DurationVar(&o.retryPeriod, "leader-elect-retry-period", 2*time.Second, "how long lies between two attempts to get or renew the lease")
	kubernetes.BoolVar(&o.allowProbes, "allow-probes", true, "let whoever may annotate a MirrorSession have verifiers send a few packets to its sources (kubectl mirror why NAME --probe)")
	kubernetes.StringVar(&o.verifierNamespace, "verifier-namespace", os.Getenv("POD_NAMESPACE"), "`namespace` of the verifiers' leases, by which a lost verifier is told from a quiet network; POD_NAMESPACE sets it too, empty switches it off")

	cloud.DurationVar(&o.resync, "resync-interval", 10*time.Minute, "how often the cloud is compared with the specs when nothing happens; at least 10s")
	cloud.IntVar(&o.workers, "workers", 4, "how many filters, and how many sessions, of one endpoint of the cloud are reconciled in parallel")
	cloud.BoolVar(&o.deleteOrphans, "delete-orphans", false, "delete what bears this cluster's mark in the cloud, though its object is gone, once that is known for an hour; else it is only told")
	cloud.Float64Var(&o.callsPerSecond, "cloud-calls-per-second", huawei.DefaultCallsPerSecond, "calls to one account and region, on average")
	cloud.IntVar(&o.burst, "cloud-burst", huawei.DefaultBurst, "calls to one account and region in one burst")
	cloud.DurationVar(&o.callDeadline, "cloud-call-deadline", huawei.MaxDeadline, "the longest that one call may take; at most 4s, below the margin of the leader lease")

	o.way.add(cloud)
	o.own.add(cloud)
	o.tenants.add(cloud)

	o.metrics.Add(serving, ":8080")
	serving.StringVar(&o.sessionMetrics, "session-metrics", string(telemetry.Auto), fmt.Sprintf("`which` MirrorSessions have metrics of their own: all, troubled (a condition is False or Stalled, nobody can know because something is broken, or a finding is Warning or Error; %[1]d at most), off, or auto: all up to %[1]d sessions and as many filters, troubled beyond", telemetry.Many))
	serving.StringVar(&o.health, "health-probe-bind-address", ":8081", "`address` of /healthz and /readyz; 0 switches them off")
	o.debug.Add(serving)
	o.traces.add(serving)

	return startup.Command{
		Name: "manager", About: about, Notes: environmentHelp + tracesHelp, Version: version,
		Flags: []*pflag.FlagSet{kubernetes, cloud, serving},
		Check: o.check,
		Run:   func(ctx context.Context) error { return run(ctx, o) },
	}
}

func (o *options) check() error {
	switch {
	case o.resync < 10*time.Second:
		return fmt.Errorf("--resync-interval=%s is too short: choose at least 10s, for the cloud's sake", o.resync)
	case o.workers < 1:
		return fmt.Errorf("--workers=%d: choose at least 1", o.workers)
	case !(o.callsPerSecond > 0) || o.burst < 1: // NaN too
		return errors.New("--cloud-calls-per-second and --cloud-burst must be greater than 0")
	case o.leaderElect && (o.leaseDuration < time.Second || o.leaseDuration%time.Second != 0 || o.leaseDuration <= o.renewDeadline):
		return fmt.Errorf("--leader-elect-lease-duration=%s: choose whole seconds, more than --leader-elect-renew-deadline=%s", o.leaseDuration, o.renewDeadline)
	case o.leaderElect && (o.retryPeriod <= 0 || o.renewDeadline-o.callDeadline < 2*o.retryPeriod):
		return fmt.Errorf("--leader-elect-renew-deadline=%s: choose at least --cloud-call-deadline=%s and twice --leader-elect-retry-period=%s more",
			o.renewDeadline, o.callDeadline, o.retryPeriod)
	case o.callDeadline <= 0 || o.callDeadline > huawei.MaxDeadline:
		return fmt.Errorf("--cloud-call-deadline=%s: choose more than 0 and at most %s", o.callDeadline, huawei.MaxDeadline)
	}
	return cmp.Or(o.way.check(), o.own.check(), o.tenants.check(), o.metrics.Check(), o.checkSessionMetrics(), o.traces.check())
}

func (o *options) checkSessionMetrics() error {
	if _, err := telemetry.ParseDetail(o.sessionMetrics); err != nil {
		return fmt.Errorf("--session-metrics: %w: choose one of these", err)
	}
	return nil
}
