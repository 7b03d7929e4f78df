// Command assets sees to it that a folder has etcd, kube-apiserver and kubectl of the version
// that hack/localkube pins. What is there is kept. Else they are taken from the archives that
// envtest publishes, where the index of those can be reached, and built from source where that
// fails; one line says which, and why.
//
//	assets FOLDER            for example bin/kube; in the project's folder, the Makefile calls it
//
// ENVTEST_INDEX names another index than the published one; the word none means that nothing is
// asked and the programs are built.
//
// It may import nothing of ours.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// publishedIndex is where setup-envtest itself looks.
const publishedIndex = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"

// noIndex is the index of those who want the programs built.
const noIndex = "none"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "assets:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("assets", flag.ExitOnError)
	a := assets{out: os.Stdout, system: runtime.GOOS + "/" + runtime.GOARCH, project: ".", buildTool: buildSetupEnvtest,
		build: buildFromSource, finished: builtIsFinished, handOver: giveToOwner}
	flags.DurationVar(&a.patience, "patience", 5*time.Second, "how long the index may take to answer")
	flags.DurationVar(&a.stall, "stall", 20*time.Second, "how long an archive may stand still")
	flags.DurationVar(&a.limit, "limit", 5*time.Minute, "how long the archive may take; by then it would have been built")
	flags.StringVar(&a.index, "index", os.Getenv("ENVTEST_INDEX"), "`URL` of the index of archives; none builds the programs; empty means the published one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("usage: assets FOLDER (the folder that takes the programs, for example bin/kube); it was called with %q", args)
	}
	if a.index == "" {
		a.index = publishedIndex
	}
	folder, err := filepath.Abs(flags.Arg(0))
	if err != nil {
		return fmt.Errorf("finding the folder for the programs: %w", err)
	}
	a.folder = folder
	return a.ensure(ctx)
}

// assets is what this program does its work with.
type assets struct {
	out                    io.Writer
	folder                 string // takes the programs
	system                 string // GOOS/GOARCH
	project                string // the project's folder
	index                  string // URL, or noIndex
	patience, stall, limit time.Duration
	// buildTool makes setup-envtest as the file; build makes the programs in the folder from
	// source; finished is whether what was built there is what build would make; handOver gives
	// it to the checkout's owner.
	buildTool func(ctx context.Context, file string) error
	build     func(ctx context.Context, folder string) error
	finished  func(ctx context.Context, folder string) (bool, error)
	handOver  func(ctx context.Context) error
}

// ensure does nothing where the folder has what it is to have, as after every run but the first.
func (a assets) ensure(ctx context.Context) error {
	version, err := pinnedVersion(a.project, "go.mod")
	if err != nil {
		return err
	}
	why, err := a.fetchUnlessThere(ctx, version)
	if err != nil || why == "" {
		return err
	}
	fmt.Fprintf(a.out, "Kubernetes is built from source, since %s\n", why)
	return a.build(ctx, a.folder)
}

// fetchUnlessThere returns why the programs are to be built, or nothing where the folder has them
// afterwards.
func (a assets) fetchUnlessThere(ctx context.Context, version string) (why string, err error) {
	unlock, err := a.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	present, err := a.look(ctx)
	if err != nil {
		return "", err
	}
	next, why := decide(present, mark{minor: minorOf(version), system: a.system}, a.index)
	switch next {
	case keep:
		return "", nil
	case build:
		return why, nil
	case fetch:
		err = a.fetch(ctx, version)
	}
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("interrupted: %w", ctx.Err())
	case err != nil:
		return err.Error(), nil
	}
	return "", nil
}

// lock makes a second run wait, also for hack/localkube/build, which takes the same lock.
func (a assets) lock() (unlock func(), err error) {
	if err := os.MkdirAll(a.folder, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder for the programs: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(a.folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of %s: %w", a.folder, err)
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		fmt.Fprintln(a.out, "assets: another build is running, waiting for it")
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			file.Close()
			return nil, fmt.Errorf("waiting for the other build of %s: %w", a.folder, err)
		}
	}
	return func() { file.Close() }, nil
}

func (a assets) look(ctx context.Context) (present, error) {
	built, err := a.finished(ctx, a.folder)
	if err != nil {
		return present{}, err
	}
	p := present{built: built, complete: true}
	for _, name := range programs {
		info, err := os.Stat(filepath.Join(a.folder, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			p.complete = false
		}
	}
	stamp, err := os.ReadFile(filepath.Join(a.folder, stampFile))
	if err == nil {
		p.fetched = parseMark(string(stamp))
	}
	return p, nil
}

// What this program calls, in the project's folder.
const (
	localkube = "hack/localkube/build"
	handover  = "hack/handover"
)

func buildFromSource(ctx context.Context, folder string) error {
	if err := execute(ctx, localkube, folder); err != nil {
		return fmt.Errorf("building Kubernetes: %w", err)
	}
	return nil
}

// builtIsFinished asks the script that builds, which has the one reckoning of what a build
// comes from.
func builtIsFinished(ctx context.Context, folder string) (bool, error) {
	err := execute(ctx, localkube, "--check", folder)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return false, nil
	default:
		return false, fmt.Errorf("asking whether the local Kubernetes is built: %w", err)
	}
}

// buildSetupEnvtest builds the tool that hack/tools pins.
func buildSetupEnvtest(ctx context.Context, file string) error {
	return execute(ctx, "go", "-C", "hack/tools", "build", "-o", file, "sigs.k8s.io/controller-runtime/tools/setup-envtest")
}

// giveToOwner gives what root made to the owner of the checkout, after a run with sudo.
func giveToOwner(ctx context.Context) error { return execute(ctx, handover) }

// execute runs a command that speaks for itself. It is asked to end, and not killed, so that it
// can end what it has begun.
func execute(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	return command.Run()
}
