package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // in the events of a build
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// key names a test, or with an empty test a package.
type key struct{ pkg, test string }

// report gathers the events of a run.
type report struct {
	out     io.Writer
	output  map[key][]string // of tests and packages that have not ended yet
	passed  int
	failed  []key
	skipped []skip
	broken  []string // packages that failed
	took    []timing // of packages
	running map[string]bool
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[key][]string{}, running: map[string]bool{}}
}

type skip struct {
	key
	reason string
}

type timing struct {
	pkg     string
	seconds float64
}

// tests runs `go test` with the arguments, prints a line for each package, the
// whole output of what failed, and at the end what was skipped and why. Where
// nobody would read that (CI=true), a skip is a failure. One program more than there are cores runs at a time,
// unless the arguments say otherwise: each of the long ones waits for half of its time or more.
func tests(ctx context.Context, args []string) int {
	strict := os.Getenv("CI") == "true" || os.Getenv("VPCMIRROR_NO_SKIPS") != ""
	if os.Geteuid() != 0 {
		fmt.Println("not root: tests that make network namespaces will be skipped (sudo -E make test runs them)")
	}
	command := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-p", strconv.Itoa(runtime.NumCPU() + 1)}, args...)...)
	command.Stderr = os.Stderr
	command.Env = os.Environ()
	if strict {
		command.Env = append(command.Env, "VPCMIRROR_NO_SKIPS=1")
	}
	// A group of their own: go test doesn't pass an interrupt on to the tests that it
	// runs, so we tell them all. It is no kill, so that they can clean up.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGINT) }
	command.WaitDelay = 30 * time.Second
	events, err := command.StdoutPipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, "checks tests: connecting to go test:", err)
		return 2
	}
	began := time.Now()
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "checks tests: starting go test:", err)
		return 2
	}
	r := newReport(os.Stdout)
	readErr := r.read(events)
	waitErr := command.Wait()
	if readErr != nil {
		fmt.Fprintln(os.Stderr, "checks tests: reading what go test says:", readErr)
	}
	r.summary(time.Since(began))
	switch {
	case waitErr != nil || readErr != nil || len(r.broken) > 0 || len(r.failed) > 0:
		return 1
	case strict && len(r.skipped) > 0:
		fmt.Println("FAIL: a skipped test counts as failed here, since CI is true or VPCMIRROR_NO_SKIPS is set")
		return 1
	default:
		return 0
	}
}

// read handles events until they end. Where nothing ended for a minute it prints what
// is still running.
func (r *report) read(events io.Reader) error {
	lines := make(chan []byte)
	failure := make(chan error, 1)
	go func() {
		defer close(lines)
		reader := bufio.NewReader(events)
		for {
			line, err := reader.ReadBytes('\n')
			if len(line) > 0 {
				lines <- line
			}
			if err != nil {
				failure <- err
				return
			}
		}
	}()
	quiet := time.NewTicker(time.Minute)
	defer quiet.Stop()
	for {
		select {
		case line, more := <-lines:
			if !more {
				if err := <-failure; !errors.Is(err, io.EOF) {
					return err
				}
				return nil
			}
			if r.handleLine(line) {
				quiet.Reset(time.Minute)
			}
		case <-quiet.C:
			fmt.Fprintf(r.out, "...   still testing %s\n", strings.Join(slices.Sorted(maps.Keys(r.running)), ", "))
		}
	}
}

// handleLine reports whether the line was the end of a package.
func (r *report) handleLine(line []byte) bool {
	var e event
	if json.Unmarshal(line, &e) != nil {
		fmt.Fprint(r.out, string(line)) // not from a test, but somebody's words
		return false
	}
	r.handle(e)
	return e.Test == "" && (e.Action == "pass" || e.Action == "fail")
}

func (r *report) handle(e event) {
	k := key{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "start":
		r.running[within(e.Package)] = true
	case "output":
		r.output[k] = append(r.output[k], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			delete(r.running, within(e.Package))
			r.endPackage(e)
		} else {
			r.endTest(e)
		}
		delete(r.output, k)
	}
}

// resultMark begins what a test that passed wants to be read, such as how much it tried.
const resultMark = "Result: "

func (r *report) endTest(e event) {
	k := key{e.Package, e.Test}
	switch e.Action {
	case "pass":
		r.passed++
		for _, line := range r.output[k] {
			if _, result, ok := strings.Cut(line, resultMark); ok {
				fmt.Fprintf(r.out, "      %s: %s", within(e.Package), result)
			}
		}
	case "fail":
		r.failed = append(r.failed, k)
		fmt.Fprintf(r.out, "--- FAIL: %s: %s (%.2fs)\n", within(e.Package), e.Test, e.Elapsed)
		for _, line := range r.output[k] {
			if !isFrame(line) {
				fmt.Fprint(r.out, line)
			}
		}
	case "skip":
		r.skipped = append(r.skipped, skip{k, reason(r.output[k])})
	}
}

func (r *report) endPackage(e event) {
	r.took = append(r.took, timing{within(e.Package), e.Elapsed})
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.out, "ok    %-45s %7.2fs\n", within(e.Package), e.Elapsed)
	case "skip": // it has no tests
	case "fail":
		r.broken = append(r.broken, e.Package)
		// A test that hadn't ended when its package did: a panic or a deadline.
		var open []key
		for k := range r.output {
			if k.pkg == e.Package {
				open = append(open, k)
			}
		}
		slices.SortFunc(open, func(a, b key) int { return strings.Compare(a.test, b.test) })
		for _, k := range open {
			for _, line := range r.output[k] {
				if !isFrame(line) {
					fmt.Fprint(r.out, line)
				}
			}
			delete(r.output, k)
		}
		fmt.Fprintf(r.out, "FAIL  %-45s %7.2fs\n", within(e.Package), e.Elapsed)
	}
}

// isFrame reports whether a line only marks where a test begins, pauses or ends.
func isFrame(line string) bool {
	line = strings.TrimLeft(line, " ")
	for _, mark := range []string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "--- FAIL: ", "--- PASS: ", "--- SKIP: "} {
		if strings.HasPrefix(line, mark) {
			return true
		}
	}
	return false
}

var location = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reason is what a skipped test said.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		if !isFrame(line) {
			said = append(said, strings.TrimSpace(location.ReplaceAllString(line, "")))
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

// At the end as many packages are listed as took the longest; what takes less than a second is of no interest.
const (
	slowest  = 10
	slowFrom = 1.0 // seconds
)

func (r *report) slowest() {
	slices.SortStableFunc(r.took, func(a, b timing) int { return cmp.Compare(b.seconds, a.seconds) })
	fmt.Fprintf(r.out, "\nSlowest packages:\n")
	for _, t := range r.took[:min(slowest, len(r.took))] {
		if t.seconds >= slowFrom {
			fmt.Fprintf(r.out, "  %7.2fs  %s\n", t.seconds, t.pkg)
		}
	}
}

func (r *report) summary(took time.Duration) {
	r.slowest()
	if len(r.skipped) > 0 {
		fmt.Fprintf(r.out, "\nSkipped:\n")
		for _, s := range r.skipped {
			fmt.Fprintf(r.out, "  %s: %s: %s\n", within(s.pkg), s.test, s.reason)
		}
	}
	if len(r.failed)+len(r.broken) > 0 {
		fmt.Fprintf(r.out, "\nFailed:\n")
		for _, k := range r.failed {
			fmt.Fprintf(r.out, "  %s: %s\n", within(k.pkg), k.test)
		}
		for _, pkg := range r.broken {
			if !slices.ContainsFunc(r.failed, func(k key) bool { return k.pkg == pkg }) {
				fmt.Fprintf(r.out, "  %s: it doesn't build, or ended outside of a test\n", within(pkg))
			}
		}
	}
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped (tests and their parts) in %s\n",
		r.passed, len(r.failed), len(r.skipped), took.Round(time.Second))
}
