package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/env/need"
)

// Config says what a Prometheus scrapes and judges.
type Config struct {
	// Folder gets its configuration, its data and its log; it must exist.
	Folder string
	// Namespace is the network namespace it runs in; empty is ours.
	Namespace string
	// Interval is how often it judges the rules, and scrapes jobs that do not say how often.
	Interval time.Duration
	// Jobs are what it scrapes, see [Monitor.Job].
	Jobs []Job
	// Rules is the content of a rules file, see [Rules]; nil for none.
	Rules []byte
}

// Job is one entry of scrape_configs.
type Job map[string]any

// Server is a Prometheus that runs.
type Server struct {
	// URL is that of its API, on 127.0.0.1 of its network namespace.
	URL string
	// Log is the file with all that it said.
	Log string

	client  *http.Client
	process *process.Process
}

// startPatience is how long it may take to be ready, on a machine that is busy.
const startPatience = time.Minute

// Need skips the test where the program, prometheus or promtool, is not installed, and returns its path.
func Need(t testing.TB, program string) string {
	t.Helper()
	return need.Tool(t, program)
}

// Run starts a Prometheus and waits until it is ready. It ends with the calling process, however that ends, or
// by Stop.
func Run(ctx context.Context, c Config) (*Server, error) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return nil, fmt.Errorf("find the program prometheus (Debian's package of that name has it): %w", err)
	}
	address, err := freeAddress(c.Namespace)
	if err != nil {
		return nil, err
	}
	config, err := c.write()
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + address, Log: filepath.Join(c.Folder, "prometheus.log"), client: clientIn(c.Namespace)}
	s.process, err = process.Start(process.Spec{
		Name: "prometheus", Program: program, Log: s.Log, Namespace: c.Namespace,
		Args: []string{
			"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(c.Folder, "data"), "--web.listen-address=" + address,
			"--storage.tsdb.retention.time=1d", "--log.level=warn",
			// An alert that fired before a restart is of no interest here.
			"--rules.alert.for-outage-tolerance=0s", "--rules.alert.for-grace-period=0s",
		},
	}, process.OpenBook(filepath.Join(c.Folder, "processes")))
	if err != nil {
		return nil, err
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Start is Run for a test, which is skipped where the program is not installed, and at whose end it stops.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	Need(t, "prometheus")
	if c.Folder == "" {
		c.Folder = t.TempDir()
	}
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("what Prometheus said:\n%s", process.Tail(s.Log, 20))
		}
	})
	return s
}

// Stop ends it. Stopping twice is no error.
func (s *Server) Stop() error { return s.process.Stop() }

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return poll(ctx, "Prometheus to be ready", func() error {
		if ended, how := s.process.Ended(); ended {
			cancel()
			return fmt.Errorf("it ended (%w): %s", how, process.Tail(s.Log, 5))
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/-/ready", nil)
		if err != nil {
			return err
		}
		answer, err := s.client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	})
}

// write makes the files and returns the path of the configuration.
func (c Config) write() (string, error) {
	interval := c.Interval
	if interval == 0 {
		interval = time.Second
	}
	config := map[string]any{
		"global": map[string]any{
			"scrape_interval": duration(interval), "scrape_timeout": duration(interval), "evaluation_interval": duration(interval),
		},
		"scrape_configs": c.Jobs,
	}
	if c.Rules != nil {
		rules := filepath.Join(c.Folder, "rules.yaml")
		if err := os.WriteFile(rules, c.Rules, 0o600); err != nil {
			return "", fmt.Errorf("write the rules of Prometheus: %w", err)
		}
		config["rule_files"] = []string{rules}
	}
	content, err := yaml.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("write the configuration of Prometheus: %w", err)
	}
	path := filepath.Join(c.Folder, "prometheus.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write the configuration of Prometheus: %w", err)
	}
	return path, nil
}

// duration writes one as Prometheus reads it.
func duration(d time.Duration) string {
	return fmt.Sprintf("%dms", max(d, time.Millisecond).Milliseconds())
}

// freeAddress is one of the namespace's 127.0.0.1 that nobody uses now.
func freeAddress(namespace string) (address string, err error) {
	err = inside(namespace, func() error {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		address = listener.Addr().String()
		return listener.Close()
	})
	if err != nil {
		return "", fmt.Errorf("find a port for Prometheus: %w", err)
	}
	return address, nil
}

// clientIn dials inside the network namespace.
func clientIn(namespace string) *http.Client {
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = inside(namespace, func() error {
			c, err = dialer.DialContext(ctx, network, address)
			return err
		})
		return c, err
	}}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func inside(namespace string, do func() error) error {
	if namespace == "" {
		return do()
	}
	return netns.In(namespace, do)
}

// poll asks until it is answered without an error, and gives the last one when ctx ends first.
func poll(ctx context.Context, what string, ask func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s: %w", what, err)
		case <-tick.C:
		}
	}
}
