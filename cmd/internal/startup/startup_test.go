package startup_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"vpcmirror.io/operator/cmd/internal/startup"
)

// outcome is all that somebody who starts a program sees of it.
type outcome struct {
	Exit           int
	Stdout, Stderr string
}

// play starts a program with flags of several types, whose work is run.
func play(run func(context.Context) error, args ...string) outcome {
	work := startup.Flags("Work")
	workers := work.Int("workers", 4, "how many work")
	work.Bool("elect", false, "let one work")
	work.Duration("interval", time.Minute, "the `time` between two rounds")
	work.Uint16("port", 4789, "UDP `port` of the copies")
	work.Float64("rate", 5, "calls a second")
	c := startup.Command{
		Name: "player", About: "player plays.", Notes: "\nThat is all.\n", Version: "v7", Flags: []*pflag.FlagSet{work}, Run: run,
		Check: func() error {
			if *workers < 1 {
				return errors.New("--workers: choose at least 1")
			}
			return nil
		},
	}
	var stdout, stderr bytes.Buffer
	exit := c.Main(args, &stdout, &stderr)
	return outcome{exit, stdout.String(), stderr.String()}
}

const help = `player plays.

Work:
      --workers int     how many work (default 4)
      --elect           let one work
      --interval time   the time between two rounds (default 1m0s)
      --port port       UDP port of the copies (default 4789)
      --rate float      calls a second (default 5)

Logging:
      --log-level string      error, warn, info or debug; or a number: 0 is info, 1 has each decision too, 2 each call to the cloud, and more what the libraries do (default "info")
      --log-encoding string   json or text (default "json")

Other:
      --version   print the version and stop

That is all.
`

func TestACommandLineThatDoesNoWork(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want outcome
	}{
		"--help goes to standard output":            {[]string{"--help"}, outcome{0, help, ""}},
		"so does -h, whatever else is said":         {[]string{"--workers=0", "-h"}, outcome{0, help, ""}},
		"--version prints the version":              {[]string{"--version"}, outcome{0, "player v7\n", ""}},
		"an unknown flag is refused":                {[]string{"--bogus"}, wrong("unknown flag: --bogus")},
		"one dash does not make a flag":             {[]string{"-workers=3"}, wrong("unknown shorthand flag: 'w' in -workers=3")},
		"a flag without its value is refused":       {[]string{"--workers"}, wrong("flag needs an argument: --workers")},
		"an argument is refused":                    {[]string{"--elect", "now"}, wrong(`unknown argument "now": player takes flags only`)},
		"words for a number are refused":            {[]string{"--workers=many"}, wrong(`--workers="many": give a whole number`)},
		"a flag in place of a value is refused":     {[]string{"--workers", "--elect"}, wrong(`--workers="--elect": give a whole number`)},
		"neither true nor false is refused":         {[]string{"--elect=maybe"}, wrong(`--elect="maybe": give true or false`)},
		"a time without a unit is refused":          {[]string{"--interval=10"}, wrong(`--interval="10": give a time such as 30s or 10m`)},
		"a port that is none is refused":            {[]string{"--port=65536"}, wrong(`--port="65536": give a whole number from 0 to 65535`)},
		"no number is refused":                      {[]string{"--rate=fast"}, wrong(`--rate="fast": give a number`)},
		"a value that the program can't use is too": {[]string{"--workers=0"}, wrong("--workers: choose at least 1")},
		"an unknown level is refused":               {[]string{"--log-level=loud"}, wrong(`--log-level="loud": choose debug, info, warn, error or a number from 0 to 10`)},
		"an unknown encoding is refused":            {[]string{"--log-encoding=xml"}, wrong(`--log-encoding="xml": choose json or text`)},
		"of two mistakes one is reported":           {[]string{"--log-level=loud", "--workers=0"}, wrong("--workers: choose at least 1")},
	} {
		t.Run(name, func(t *testing.T) {
			got := play(func(context.Context) error { t.Error("it works"); return nil }, c.args...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// wrong is the outcome of a mistake on the command line.
func wrong(sentence string) outcome {
	return outcome{2, "", "player: " + sentence + "; see player --help\n"}
}

func TestWorkThatFailsIsOneSentence(t *testing.T) {
	got := play(func(context.Context) error { return errors.New("the server is away") })
	if diff := cmp.Diff(outcome{1, "", "player: the server is away\n"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLibrariesLogInTheFormOfTheFlags(t *testing.T) {
	work := func(context.Context) error {
		klog.Background().Error(errors.New("broken"), "it failed")
		klog.Background().Info("it goes on", "n", 1)
		return nil
	}
	const failed, onward = "level=ERROR msg=\"it failed\" err=broken\n", "level=INFO msg=\"it goes on\" n=1\n"
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"by default":   {nil, `{"level":"ERROR","msg":"it failed","err":"broken"}` + "\n" + `{"level":"INFO","msg":"it goes on","n":1}` + "\n"},
		"as text":      {[]string{"--log-encoding=text"}, failed + onward},
		"errors alone": {[]string{"--log-encoding=text", "--log-level=error"}, failed},
	} {
		t.Run(name, func(t *testing.T) {
			got := play(work, c.args...)
			got.Stderr = times.ReplaceAllString(got.Stderr, "")
			if diff := cmp.Diff(outcome{Stderr: c.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// times matches the time of a line of the log.
var times = regexp.MustCompile(`"time":"[^"]*",|time=\S* `)

const kubeconfig = `{"clusters": [{"name": "c", "cluster": {"server": "https://%s:6443"}}],
  "contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}`

func TestTheAPIServerIsThatOf(t *testing.T) {
	folder := t.TempDir()
	file := func(server string) string {
		path := filepath.Join(folder, server)
		if err := os.WriteFile(path, []byte(strings.Replace(kubeconfig, "%s", server, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	home := clientcmd.RecommendedHomeFile
	t.Cleanup(func() { clientcmd.RecommendedHomeFile = home })
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	const none = "no API server is known: this is no pod, and neither --kubeconfig nor KUBECONFIG names a file with a cluster"
	for name, c := range map[string]struct {
		flag, variable, home string
		want, problem        string
	}{
		"the file of --kubeconfig":       {flag: file("flag"), variable: file("variable"), home: file("home"), want: "https://flag:6443"},
		"else the file of KUBECONFIG":    {variable: file("variable"), home: file("home"), want: "https://variable:6443"},
		"else the file of kubectl":       {home: file("home"), want: "https://home:6443"},
		"else nobody":                    {home: "/nowhere", problem: none},
		"nobody when KUBECONFIG is gone": {variable: "/nowhere", home: file("home"), problem: none},
		"nobody when the file is gone": {flag: "/nowhere", home: file("home"),
			problem: "find the API server (in a pod by itself, elsewhere by --kubeconfig or KUBECONFIG): stat /nowhere: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", c.variable)
			clientcmd.RecommendedHomeFile = c.home
			host, agent, problem := "", "", ""
			switch config, err := startup.APIServer(c.flag, "player"); {
			case err != nil:
				problem = err.Error()
			default:
				host, agent = config.Host, config.UserAgent
			}
			want := []string{c.want, "player", c.problem}
			if c.want == "" {
				want[1] = ""
			}
			if diff := cmp.Diff(want, []string{host, agent, problem}); diff != "" {
				t.Errorf("server, user agent and problem (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAProxyOfTheEnvironmentDoesNotMoveTheAPIServer(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"} {
		t.Setenv(name, "http://proxy.of.the.environment:3128")
	}
	for name, c := range map[string]struct{ cluster, want string }{
		"by default":                     {`{"server": "https://kubernetes.example:6443"}`, "kubernetes.example:6443"},
		"where the kubeconfig names one": {`{"server": "https://kubernetes.example:6443", "proxy-url": "http://proxy.of.the.file:3128"}`, "proxy.of.the.file:3128"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "kubeconfig")
			content := strings.Replace(kubeconfig, `{"server": "https://%s:6443"}`, c.cluster, 1)
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			config, err := startup.APIServer(file, "player")
			if err != nil {
				t.Fatal(err)
			}
			var dialed []string
			config.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
				dialed = append(dialed, address)
				return nil, errors.New("nobody is to be reached in this test")
			}
			client, err := rest.HTTPClientFor(config)
			if err != nil {
				t.Fatal(err)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host+"/version", nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer, err := client.Do(request); err == nil {
				_ = answer.Body.Close()
				t.Error("somebody answered")
			}
			if diff := cmp.Diff([]string{c.want}, dialed); diff != "" {
				t.Errorf("who was dialed (-want +got):\n%s", diff)
			}
		})
	}
}
