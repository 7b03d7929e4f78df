package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
)

// play runs the program and returns its exit code and what it printed.
func play(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return exitCode(err, &errs), out.String(), errs.String()
}

func setCloud(t *testing.T, cloud *sim.Sim) {
	t.Helper()
	t.Setenv("CLOUD_ENDPOINT", cloud.URL)
	t.Setenv("CLOUD_AK", scenario.WalkthroughAccessKey)
	t.Setenv("CLOUD_SK", scenario.WalkthroughSecretKey)
	t.Setenv("CLOUD_PROJECT", scenario.WalkthroughProject)
}

func TestCallSignsSendsAndPrints(t *testing.T) {
	cloud := sim.ForTest(t)
	setCloud(t, cloud)
	const path = "/v3/{project_id}/vpc/traffic-mirror-filters"
	file := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(file, []byte(`{"traffic_mirror_filter":{"name":"from-file"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		args  []string
		stdin string
		made  string
	}{
		{"a body on the command line", []string{"call", "post", path, `{"traffic_mirror_filter":{"name":"from-argument"}}`}, "", "from-argument"},
		{"a body from standard input", []string{"call", "POST", path, "-"}, `{"traffic_mirror_filter":{"name":"from-stdin"}}`, "from-stdin"},
		{"a body from a file", []string{"call", "POST", path, "@" + file}, "", "from-file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, stdout, stderr := play(t, tc.stdin, tc.args...)
			status, body, _ := strings.Cut(stdout, "\n")
			var got struct {
				Filter struct{ Name string } `json:"traffic_mirror_filter"`
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%v in %q (%s)", err, stdout, stderr)
			}
			if code != 0 || status != "HTTP/1.1 201 Created" || got.Filter.Name != tc.made {
				t.Fatalf("exit %d, %q, filter %q; want 0, 201 and %q", code, status, got.Filter.Name, tc.made)
			}
		})
	}
	t.Run("a deletion prints the status alone", func(t *testing.T) {
		for id := range cloud.State.Snapshot().Filters {
			code, stdout, _ := play(t, "", "call", "DELETE", path+"/"+id)
			if code != 0 || stdout != "HTTP/1.1 204 No Content\n" {
				t.Fatalf("exit %d, %q", code, stdout)
			}
		}
	})
	t.Run("an error of the cloud is printed, and is exit code 1", func(t *testing.T) {
		code, stdout, stderr := play(t, "", "call", "GET", path+"/x?y=1")
		if code != 1 || stderr != "" || !strings.HasPrefix(stdout, "HTTP/1.1 404 Not Found\n{\n") || !strings.Contains(stdout, `"error_code": "VPC.9904"`) {
			t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
		}
	})
}

func TestAMistakeOnTheCommandLineIsOneSentence(t *testing.T) {
	cloud := sim.ForTest(t)
	setCloud(t, cloud)
	taken := strings.TrimPrefix(cloud.URL, "http://")
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("region: r\nhost: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no command", nil, 2, "cloudsim is a simulated cloud"},
		{"an unknown command", []string{"fly"}, 2, `there is no command "fly"; there are serve, call, scenario and check`},
		{"a port already taken", []string{"serve", "--listen", taken}, 1, taken + " is already taken by another program; choose another port with --listen, or port 0 for any free one"},
		{"an unknown flag", []string{"serve", "--fast"}, 2, "flag provided but not defined: -fast"},
		{"an argument to serve", []string{"serve", "x.yaml"}, 2, `serve takes no argument "x.yaml"; the scenario is given with --scenario`},
		{"a scenario that is missing", []string{"serve", "--scenario", bad + "x"}, 1, "no such file"},
		{"a scenario with a mistake", []string{"serve", "--scenario", bad}, 1, bad + ":2: host: there is no such field; the fields here are region"},
		{"a page size out of range", []string{"serve", "--page-size", "2001"}, 1, "--page-size 2001 is out of range; give 1-2000"},
		{"an unknown quirk", []string{"serve", "--quirks", "strict-sources,odd"}, 1, `there is no quirk "odd"; there are accept-any-flavor`},
		{"a certificate without its key", []string{"serve", "--tls-cert", bad}, 1, "--tls-cert and --tls-key need each other; give both"},
		{"two certificates", []string{"serve", "--tls-cert", bad, "--tls-key", bad, "--tls-made", bad}, 1, "--tls-made and --tls-cert exclude each other"},
		{"a file that is no certificate", []string{"serve", "--tls-cert", bad, "--tls-key", bad}, 1, "--tls-cert and --tls-key: tls: failed to find any PEM data"},
		{"a call without a path", []string{"call", "GET"}, 2, "Usage: cloudsim call METHOD PATH [BODY]"},
		{"a path without a slash", []string{"call", "GET", "v3"}, 1, `the path "v3" does not begin with a slash`},
		{"check without a file", []string{"check"}, 2, "check takes one scenario file"},
		{"check of a file with a mistake", []string{"check", bad}, 1, bad + ":2: host: there is no such field"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, _, stderr := play(t, "", tc.args...)
			if code != tc.code || !strings.Contains(stderr, tc.want) {
				t.Fatalf("exit %d, %q; want %d and %q", code, stderr, tc.code, tc.want)
			}
		})
	}
	t.Run("a variable that is not set", func(t *testing.T) {
		t.Setenv("CLOUD_SK", "")
		code, _, stderr := play(t, "", "call", "GET", "/v3/projects")
		if want := "cloudsim: the variable CLOUD_SK is not set; cloudsim call --help says what it means\n"; code != 1 || stderr != want {
			t.Fatalf("exit %d, %q; want 1 and %q", code, stderr, want)
		}
	})
}

func TestThePrintedScenarioIsFine(t *testing.T) {
	code, text, _ := play(t, "", "scenario")
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	path := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := play(t, "", "check", path)
	want := path + " is fine: region cn-north-4, 2 accounts, 1 VPCs, 3 security groups, 3 hosts\n"
	if diff := cmp.Diff(want, stdout); diff != "" || code != 0 {
		t.Fatalf("exit %d, %s (-want +got):\n%s", code, stderr, diff)
	}
}

// watched is a writer that tells when a line is complete.
type watched struct {
	lines chan string
	part  string
}

func (w *watched) Write(p []byte) (int, error) {
	w.part += string(p)
	for {
		line, rest, complete := strings.Cut(w.part, "\n")
		if !complete {
			return len(p), nil
		}
		w.part = rest
		w.lines <- line
	}
}

// serving runs serve until stop, and returns where it serves.
func serving(t *testing.T, args ...string) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	out := &watched{lines: make(chan string, 100)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), nil, out, &bytes.Buffer{})
	}()
	stop = func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	announced := regexp.MustCompile(`^cloudsim: serving region cn-north-4 on (https?://127\.0\.0\.1:[0-9]+)$`)
	deadline := time.After(30 * time.Second)
	for {
		select {
		case line := <-out.lines:
			if strings.Contains(line, scenario.WalkthroughSecretKey) {
				t.Fatalf("the secret key is printed: %s", line)
			}
			if m := announced.FindStringSubmatch(line); m != nil {
				return m[1], stop
			}
		case err := <-ended:
			t.Fatalf("serve ended: %v", err)
		case <-deadline:
			t.Fatal("serve did not say that it serves within 30 seconds")
		}
	}
}

func TestServeAnswersUntilItIsAskedToStop(t *testing.T) {
	url, stop := serving(t, "--quirks", "strict-sources")
	t.Setenv("CLOUD_ENDPOINT", url)
	t.Setenv("CLOUD_AK", scenario.WalkthroughAccessKey)
	t.Setenv("CLOUD_SK", scenario.WalkthroughSecretKey)
	for _, path := range []string{"/v3/projects?name=cn-north-4", "/v3/auth/projects"} {
		if code, stdout, stderr := play(t, "", "call", "GET", path); code != 0 || !strings.Contains(stdout, scenario.WalkthroughProject) {
			t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
		}
	}
	stop()
}

func TestServeSpeaksHTTPSWithACertificateThatItMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	url, stop := serving(t, "--tls-made", file)
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("it serves on %s", url)
	}
	made, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(made) {
		t.Fatalf("no certificate in %q", made)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/_sim/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("it answers %s", answer.Status)
	}
	stop()
}
