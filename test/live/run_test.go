package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/live/report"
)

// child is the variable that makes this test's program the program that it tests, so that it can be sent signals.
const child = "VPCMIRROR_LIVE_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		main()
		return
	}
	// A run takes a third of a second, and -rapid.checks on the command line is read after this.
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// realAccount is a simulator that stands for the real account, in which somebody has objects already.
type realAccount struct {
	*sim.Sim
	out string
}

func newAccount(t *testing.T, options ...sim.Option) realAccount {
	t.Helper()
	a := realAccount{sim.ForTest(t, options...), t.TempDir()}
	name, priority, target := "somebody-else", 32766, scenario.WalkthroughTarget
	f, err := a.State.CreateFilter(scenario.WalkthroughProject, state.FilterInput{Name: &name, Description: &name})
	if err != nil {
		t.Fatal(err)
	}
	eni := state.TargetENI
	if _, err := a.State.CreateSession(scenario.WalkthroughProject, state.SessionInput{
		Name: &name, FilterID: &f.ID, Sources: &[]string{scenario.WalkthroughSource}, TargetID: &target, TargetType: &eni, Priority: &priority,
	}); err != nil {
		t.Fatal(err)
	}
	return a
}

// names are those of all objects in the account.
func (a realAccount) names() []string {
	var out []string
	a.State.Read(func(w *state.World) {
		for _, f := range w.Filters {
			out = append(out, f.Name)
		}
		for _, s := range w.Sessions {
			out = append(out, s.Name)
		}
		for _, r := range w.Rules {
			out = append(out, "rule "+r.ID)
		}
	})
	return out
}

// clean fails the test where anything is left, or where somebody else's is gone.
func (a realAccount) clean(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff([]string{"somebody-else", "somebody-else"}, a.names()); diff != "" {
		t.Errorf("what is in the account (-want +got):\n%s", diff)
	}
}

func (a realAccount) env(name string) string {
	return map[string]string{
		envAccessKey: scenario.WalkthroughAccessKey, envSecretKey: scenario.WalkthroughSecretKey, envRegion: scenario.WalkthroughRegion,
		envProject: scenario.WalkthroughProject, envEndpoint: a.URL, envIAMEndpoint: a.URL,
		envSources: scenario.WalkthroughSource + "," + scenario.WalkthroughTest, envTarget: scenario.WalkthroughTarget,
	}[name]
}

// args are those of a command that may write to the account.
func (a realAccount) args(command string, more ...string) []string {
	args := []string{command, "--confirm=" + scenario.WalkthroughProject, "--per-second=500", "--lag=10ms", "--patience=1s"}
	if command == "run" {
		args = append(args, "--out="+a.out)
	} else {
		args = append(args, "--ledgers="+a.out+"/*/ledger.jsonl")
	}
	return append(args, more...)
}

// run runs a command in this process, and returns its exit code and all that it said.
func (a realAccount) run(ctx context.Context, args ...string) (int, string) {
	var out bytes.Buffer
	code := program{getenv: a.env, out: &out, progress: &out}.run(ctx, args)
	return code, out.String()
}

// report reads the one report.
func (a realAccount) report(t *testing.T) report.Report {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(a.out, "*", "report.json"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("the reports are %v, %v", paths, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheSuiteFindsInARealAccountWhatTheSimulatorDoesNotKnow(t *testing.T) {
	a := newAccount(t, sim.WithQuirks(state.Quirks{EnabledByDefault: true}))
	code, said := a.run(t.Context(), a.args("run", "--only=session-defaults,filter-plain,sources-*")...)
	if code != exitDiffers {
		t.Errorf("the exit code is %d:\n%s", code, said)
	}
	a.clean(t)
	r := a.report(t)
	if len(r.Differences) != 1 || r.Differences[0].Name() != "session-defaults/create-session:value:traffic_mirror_session.enabled" {
		t.Errorf("the differences are %v", r.Differences)
	}
	for _, want := range []string{"known: enabled-by-default", "13 cases asked of simulator and cloud, 0 not asked; 1 answered differently"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
}

func TestWithoutAnAccountItSaysWhatIsMissingAndWhatItWouldTouch(t *testing.T) {
	a := newAccount(t)
	var out bytes.Buffer
	code := program{getenv: func(string) string { return "" }, out: &out, progress: &out}.run(t.Context(), []string{"run"})
	for _, want := range []string{"HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK, --region", "are missing", "sessions", "marked vpcmirror-live-", "writes nothing else"} {
		if code != exitFailed || !strings.Contains(out.String(), want) {
			t.Errorf("exit code %d, and it does not say %q:\n%s", code, want, out.String())
		}
	}
	a.clean(t)
}

func TestNothingIsSentBeforeTheProjectIsConfirmed(t *testing.T) {
	for _, command := range []string{"run", "clean"} {
		a := newAccount(t)
		code, said := a.run(t.Context(), command)
		if code != exitFailed || !strings.Contains(said, "nothing was sent: say --confirm="+scenario.WalkthroughProject) {
			t.Errorf("%s: exit code %d:\n%s", command, code, said)
		}
		if calls := len(a.Journal.Since(0)); calls != 0 {
			t.Errorf("%s made %d calls", command, calls)
		}
	}
}

func TestAMistakeInASettingIsNamed(t *testing.T) {
	a := newAccount(t)
	for flag, want := range map[string]string{
		"--region=cn north":                       "--region=",
		"--project=1":                             "give its 32 hex digits",
		"--endpoint=http://example.org":           "it has to begin with https://",
		"--endpoint=https://example.org/v":        "give an origin",
		"--sources=one":                           "is no port",
		"--sources=" + scenario.WalkthroughTarget: "is named twice",
		"--per-second=0":                          "above 0",
		"--only=none":                             `no case has the name "none"`,
		"--quirks=odd":                            `there is no quirk "odd"`,
		"--quirks=lag:soon":                       "name a duration",
	} {
		code, said := a.run(t.Context(), a.args("run", flag)...)
		if code != exitFailed || !strings.Contains(said, want) {
			t.Errorf("%s gives exit code %d, and not %q:\n%s", flag, code, want, said)
		}
	}
}

func TestCasesThatNeedPortsAreNotAskedWithoutAny(t *testing.T) {
	a := newAccount(t)
	code, said := a.run(t.Context(), a.args("run", "--sources=", "--target=", "--only=sources-change,ports-v3,filter-plain")...)
	if code != exitSame || !strings.Contains(said, "2 cases, not asked: no source was given: sources-change, ports-v3") {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	a.clean(t)
}

func TestNothingIsLeftWhereABoundEndsARun(t *testing.T) {
	for _, c := range []struct {
		name, says, arg string
	}{
		{"at its budget of calls", "the number of calls that this run may make is used up", "--max-calls=40"},
		{"at the end of its time", "--max-time=300ms is over", "--max-time=300ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAccount(t)
			code, said := a.run(t.Context(), a.args("run", c.arg)...)
			if code != exitFailed || !strings.Contains(said, c.says) {
				t.Errorf("exit code %d:\n%s", code, said)
			}
			a.clean(t)
		})
	}
}

func TestACreateWhoseAnswerWasLostIsCleanedUp(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	for _, operation := range []string{"CreateTrafficMirrorFilter", "CreateTrafficMirrorSession"} {
		if _, err := a.Faults.Add(fault.ResetAfterEffect(operation, 1)); err != nil {
			t.Fatal(err)
		}
	}
	code, said := a.run(t.Context(), a.args("run", "--only=session-plain,session-visible")...)
	if code != exitDiffers || !strings.Contains(said, "no answer: send the request: connection reset by peer") {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	a.clean(t)
}

// An effect that comes after its answer was lost is waited for.
func TestACreateThatTakesEffectLateIsCleanedUp(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	if _, err := a.Faults.Add(fault.Late(fault.Reset, "CreateTrafficMirrorFilter", 1, 400*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	code, said := a.run(t.Context(), a.args("run", "--only=filter-same-name", "--lag=1s")...)
	if code != exitDiffers || a.Effects().Came != 1 {
		t.Errorf("exit code %d, effects %+v:\n%s", code, a.Effects(), said)
	}
	a.clean(t)
}

func TestWhatCannotBeDeletedIsNamedAndCleanedLater(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	refused, err := a.Faults.Add(fault.Forbidden("DeleteTrafficMirrorFilter"))
	if err != nil {
		t.Fatal(err)
	}
	code, said := a.run(t.Context(), a.args("run", "--only=filter-same-name")...)
	if code != exitFailed || !strings.Contains(said, "left in the account: traffic-mirror-filters ") {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	a.Faults.Remove(refused)
	if code, said = a.run(t.Context(), a.args("clean")...); code != exitSame {
		t.Errorf("clean: exit code %d:\n%s", code, said)
	}
	a.clean(t)
}

func TestAPanicIsCleanedUpAfter(t *testing.T) {
	selected, err := (&settings{only: "session-plain,filter-plain"}).selected()
	if err != nil {
		t.Fatal(err)
	}
	c, closed, err := rehearsal(t.Context(), nil, selected)
	if err != nil {
		t.Fatal(err)
	}
	defer closed()
	c.before = func(name string) {
		if name == "filter-plain" {
			// What a case leaves that panics in its middle.
			if _, err := c.right.Play(t.Context(), selected[0]); err != nil {
				t.Error(err)
			}
			number, err := c.right.Ledger.Creating("traffic-mirror-filters")
			text := c.right.Vars["mark"]
			if err == nil {
				_, err = c.left.cloud.State.CreateFilter(scenario.WalkthroughProject, state.FilterInput{Name: &text})
			}
			panic(errors.Join(errors.New("in the middle"), err, c.left.Ledger.Unknown(number, "traffic-mirror-filters", "")))
		}
	}
	if err := c.run(t.Context()); err == nil || !strings.Contains(err.Error(), "panic: in the middle") {
		t.Errorf("the run gives %v", err)
	}
	if c.report.Remains != "" || len(c.left.cloud.State.Snapshot().Filters) != 0 {
		t.Errorf("left: %s", c.report.Remains)
	}
}

// stuck starts the program itself, and returns it while it waits for the answer to a create that has taken effect.
func (a realAccount) stuck(t *testing.T, answerAfter time.Duration) *exec.Cmd {
	t.Helper()
	if _, err := a.Faults.Add(fault.Fault{
		Kind: fault.Slow, Operation: "CreateTrafficMirrorFilterRule", Skip: 4, Times: 1, Delay: fault.Duration(answerAfter),
	}); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(os.Args[0], a.args("run", "--only=rule-eleventh,session-plain")...)
	command.Stdout, command.Stderr = io.Discard, io.Discard
	command.Env = append(os.Environ(), child+"=1")
	for _, name := range []string{envAccessKey, envSecretKey, envRegion, envProject, envEndpoint, envIAMEndpoint, envSources, envTarget} {
		command.Env = append(command.Env, name+"="+a.env(name))
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() }) // it has ended by then, unless the test failed
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(a.names()) < 2+1+5 {
		select {
		case <-deadline:
			t.Fatal("the run did not come to its fifth rule within a minute")
		case <-tick.C:
		}
	}
	return command
}

func TestNothingIsLeftWhenASignalComesInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			a := newAccount(t)
			command := a.stuck(t, time.Second)
			if err := command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
				t.Errorf("it ended with %v", err)
			}
			a.clean(t)
			if r := a.report(t); !strings.Contains(r.Stopped, "interrupted") || r.Remains != "" {
				t.Errorf("it stopped by %q, and left %q", r.Stopped, r.Remains)
			}
		})
	}
}

func TestWhatAKilledRunLeftIsCleaned(t *testing.T) {
	a := newAccount(t)
	command := a.stuck(t, time.Minute)
	if code, said := a.run(t.Context(), a.args("clean")...); code != exitFailed || !strings.Contains(said, "another process has the ledger") {
		t.Errorf("a run that goes on is cleaned away, exit code %d:\n%s", code, said)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // by the signal
	if left := len(a.names()) - 2; left != 6 {
		t.Fatalf("the killed run left %d objects, want a filter and five rules", left)
	}
	code, said := a.run(t.Context(), a.args("clean")...)
	if code != exitSame || !strings.Contains(said, "Nothing with the mark") {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	a.clean(t)
}

// A run that was killed before its first line was on the disk has sent nothing, and must not be in the way for ever.
func TestALedgerThatWasNeverBegunKeepsNoOtherFromBeingCleaned(t *testing.T) {
	a := newAccount(t)
	if code, said := a.run(t.Context(), a.args("run", "--only=filter-plain")...); code != exitSame {
		t.Fatalf("exit code %d:\n%s", code, said)
	}
	for folder, text := range map[string]string{"empty": "", "cut-off": `{"time":"2026-01-01T0`} {
		if err := os.Mkdir(filepath.Join(a.out, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(a.out, folder, "ledger.jsonl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, said := a.run(t.Context(), a.args("clean")...); code != exitSame || strings.Count(said, "Nothing with the mark") != 1 {
		t.Errorf("exit code %d:\n%s", code, said)
	}
}

func TestWhatARunLeftIsCleanedByItsMarkWhenTheLedgerIsLost(t *testing.T) {
	a := newAccount(t)
	mark, other := "vpcmirror-live-ABCDEFGHIJKL", "vpcmirror-live-ABCDEFGHIJKM"
	for _, name := range []string{mark + "-filter", other + "-filter"} {
		if _, err := a.State.CreateFilter(scenario.WalkthroughProject, state.FilterInput{Name: &name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"vpcmirror-live-", "vpcmirror-live-ABC", "somebody-else"} {
		if code, said := a.run(t.Context(), a.args("clean", "--mark="+bad)...); code != exitFailed || !strings.Contains(said, "is no mark of a run") {
			t.Errorf("--mark=%s: exit code %d:\n%s", bad, code, said)
		}
	}
	if code, said := a.run(t.Context(), a.args("clean", "--mark="+mark)...); code != exitSame {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	if diff := cmp.Diff(3, len(a.names())); diff != "" || strings.Contains(strings.Join(a.names(), " "), mark) {
		t.Errorf("the account has %v", a.names())
	}
}

func TestTheLedgerOfAnotherAccountIsRefused(t *testing.T) {
	a, b := newAccount(t), newAccount(t)
	if code, said := a.run(t.Context(), a.args("run", "--only=filter-plain")...); code != exitSame {
		t.Fatalf("exit code %d:\n%s", code, said)
	}
	b.out = a.out
	if code, said := b.run(t.Context(), b.args("clean")...); code != exitFailed || !strings.Contains(said, "give that account, or name other ledgers") {
		t.Errorf("exit code %d:\n%s", code, said)
	}
}
