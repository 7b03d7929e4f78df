package startup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// Metrics are the flags of what Prometheus scrapes.
type Metrics struct {
	// Address is where they are served; "0" is nowhere.
	Address string
	// Secure serves them by TLS, to whom the API server knows and lets read /metrics.
	Secure bool
	// CertDir has tls.crt and tls.key; empty for a certificate that the program makes for itself.
	CertDir string
}

// Add adds the flags; address is the default.
func (m *Metrics) Add(flags *pflag.FlagSet, address string) {
	flags.StringVar(&m.Address, "metrics-bind-address", address, "`address` of the Prometheus metrics; 0 switches them off")
	flags.BoolVar(&m.Secure, "metrics-secure", false, "serve the metrics by TLS, and only to whom the API server knows by his token and lets get the URL /metrics")
	flags.StringVar(&m.CertDir, "metrics-cert-dir", "", "`folder` with tls.crt and tls.key for --metrics-secure, read anew when they change; without it the program makes a certificate that nobody has signed")
}

// Check refuses what can't be, in a sentence.
func (m *Metrics) Check() error {
	switch {
	case m.CertDir == "":
		return nil
	case !m.Secure:
		return errors.New("--metrics-cert-dir is for --metrics-secure: set that too, or leave the folder out")
	}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if _, err := os.Stat(filepath.Join(m.CertDir, name)); err != nil {
			return fmt.Errorf("--metrics-cert-dir=%s: %w: put %s there, or leave the folder out", m.CertDir, err, name)
		}
	}
	return nil
}

// Options are the metrics server's.
func (m *Metrics) Options() metricsserver.Options {
	o := metricsserver.Options{BindAddress: m.Address, SecureServing: m.Secure, CertDir: m.CertDir}
	if m.Secure {
		o.FilterProvider = knownReaders
	}
	return o
}

// BuildInfo is the metric that says which version of which program is at work.
func BuildInfo(program, version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "vpcmirror_build_info",
		Help:        "1, with the program, its version, and that of Go which it was built with.",
		ConstLabels: prometheus.Labels{"program": program, "version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}
