package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"vpcmirror.io/operator/cmd/kubectl-mirror/why"
)

func TestAMistakeOnTheCommandLineIsOneSentence(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for args, want := range map[string]string{
		"wy":                       `kubectl mirror: unknown command "wy": use why, plan, tail, capture or export; see kubectl mirror --help`,
		"--loud":                   "kubectl mirror: unknown flag: --loud; see kubectl mirror --help",
		"why --loud":               "kubectl mirror why: unknown flag: --loud; see kubectl mirror why --help",
		"why one two":              "kubectl mirror why: 2 names were given: name one session, or none for all of the namespace; see kubectl mirror why --help",
		"why one -A":               "kubectl mirror why: -A is for the sessions of all namespaces: leave it out, or the name; see kubectl mirror why --help",
		"why -A --now":             "kubectl mirror why: --now has the cloud asked for each session: name one, or leave out -A; see kubectl mirror why --help",
		"why --probe":              "kubectl mirror why: --probe sends packets for one session: name it; see kubectl mirror why --help",
		"why one -o wide":          `kubectl mirror why: --output="wide": choose json or yaml, or leave it out for text; see kubectl mirror why --help`,
		"why one --timeout=0s":     "kubectl mirror why: --timeout=0s: choose a time above 0, such as 30s; see kubectl mirror why --help",
		"why one --timeout=now":    `kubectl mirror why: invalid argument "now" for "--timeout" flag: time: invalid duration "now"; see kubectl mirror why --help`,
		"export tf":                "kubectl mirror export: no Secret is named: name the one with the keys of the account by --credentials; see kubectl mirror export --help",
		"export --credentials x":   "kubectl mirror export: no API server is known: name a kubeconfig with --kubeconfig or KUBECONFIG",
		"why one":                  "kubectl mirror why: no API server is known: name a kubeconfig with --kubeconfig or KUBECONFIG",
		"why --kubeconfig=" + none: "kubectl mirror why: read the kubeconfig: stat " + none + ": no such file or directory",
	} {
		got := play(t, none, strings.Fields(args)...)
		if diff := cmp.Diff(outcome{2, "", want + "\n"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
	if got := play(t, none, "export", "--credentials=x", ""); !strings.Contains(got.Stderr, "export: a name is empty: ") {
		t.Errorf("an empty name: %+v", got)
	}
	if got, want := play(t, none, "why", ""), "kubectl mirror why: the name is empty: name a session, or leave it out for all of the namespace; see kubectl mirror why --help\n"; got.Stderr != want {
		t.Errorf("an empty name: %+v, want %q", got, want)
	}
}

func TestHelpAndVersionGoToStandardOutput(t *testing.T) {
	for args, want := range map[string]string{
		"":           "kubectl mirror [command] --help",
		"--help":     "kubectl mirror [command] --help",
		"--version":  "kubectl-mirror unknown\n",
		"why --help": "kubectl mirror why [NAME] [-n NAMESPACE | -A] [-o json|yaml] [--now] [--probe]",
	} {
		got := play(t, "", strings.Fields(args)...)
		if got.Exit != 0 || got.Stderr != "" || !strings.Contains(got.Stdout, want) {
			t.Errorf("%q gives %+v, want %q in it", args, got, want)
		}
	}
	own, _, _ := strings.Cut(play(t, "", "why", "--help").Stdout, "Global Flags:") // those of kubectl
	for line := range strings.Lines(own) {
		if len(line) > 161 {
			t.Errorf("a line of --help has %d characters: %s", len(line), line)
		}
	}
}

func TestAClusterWithoutTheKindsIsNamed(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "vpcmirror.io", Kind: "MirrorSession"}})
	got := (&reader{}).explained(err, "one").Error()
	if want := "this cluster knows no MirrorSessions: vpcmirror is not installed in it, or kubectl's context is that of another cluster"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	broken := errors.New("broken")
	if !errors.Is((&reader{}).explained(broken, "one"), broken) {
		t.Error("another error is lost")
	}
}

func TestAgesAreByTheClockOfTheAPIServer(t *testing.T) {
	for _, off := range []time.Duration{0, time.Hour, -36 * time.Hour} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		}))
		c := &clock{}
		response, err := (&http.Client{Transport: c.watch(http.DefaultTransport)}).Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		server.Close()
		if wrong := time.Until(c.now()) - off; wrong.Abs() > 5*time.Second {
			t.Errorf("where the server's clock is off by %s, the time is wrong by %s", off, wrong)
		}
	}
}

func TestTheLeaseThatWasWrittenLastCounts(t *testing.T) {
	at := func(minutes int) time.Time { return time.Date(2026, 1, 2, 3, minutes, 0, 0, time.UTC) }
	lease := func(namespace, holder string, renewed int, written ...int) coordinationv1.Lease {
		l := coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: new(int32(15)), RenewTime: &metav1.MicroTime{Time: at(renewed)}},
		}
		for _, w := range written {
			l.ManagedFields = append(l.ManagedFields, metav1.ManagedFieldsEntry{Time: &metav1.Time{Time: at(w)}})
		}
		return l
	}
	for name, c := range map[string]struct {
		leases []coordinationv1.Lease
		want   *why.Lease
	}{
		"none":                    {nil, nil},
		"one that is not taken":   {[]coordinationv1.Lease{{}}, nil},
		"one":                     {[]coordinationv1.Lease{lease("a", "m", 5)}, &why.Lease{Namespace: "a", Held: true, RenewedAt: at(5), Duration: 15 * time.Second}},
		"one that was given up":   {[]coordinationv1.Lease{lease("a", "", 5)}, &why.Lease{Namespace: "a", RenewedAt: at(5), Duration: 15 * time.Second}},
		"a holder's clock behind": {[]coordinationv1.Lease{lease("a", "m", 5, 1, 9, 2)}, &why.Lease{Namespace: "a", Held: true, RenewedAt: at(9), Duration: 15 * time.Second}},
		"a holder's clock ahead":  {[]coordinationv1.Lease{lease("a", "m", 50, 9)}, &why.Lease{Namespace: "a", Held: true, RenewedAt: at(9), Duration: 15 * time.Second}},
		"one left behind":         {[]coordinationv1.Lease{lease("a", "m", 5, 5), lease("b", "m", 9, 9), lease("c", "m", 7, 7)}, &why.Lease{Namespace: "b", Held: true, RenewedAt: at(9), Duration: 15 * time.Second}},
	} {
		if diff := cmp.Diff(c.want, latest(c.leases)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
