// Command lab brings a three-node Kubernetes in the network of the simulated cloud up on
// this machine, and takes it down again:
//
//	lab up      start it in the background; then: source bin/lab/env
//	lab serve   start it and hold it until SIGINT or SIGTERM
//	lab down    take it down, or remove what a killed one left
//
// It only wires: package test/e2e/lab does the work. It may import test/e2e/lab and test/env/interrupt.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"vpcmirror.io/operator/test/e2e/lab"
	"vpcmirror.io/operator/test/env/interrupt"
)

const help = `lab is a three-node Kubernetes on this machine, in the network of the simulated cloud.

Usage:
  lab up    [flags]   start it in the background and return once its nodes are Ready
  lab serve [flags]   start it and hold it until SIGINT or SIGTERM
  lab down  [flags]   take it down, or remove what a killed one left

Flags:
`

// Exit codes: 1 when it did not work, 2 for wrong usage.
const (
	exitFailed = 1
	exitUsage  = 2
)

type options struct {
	folder, kube string
	images       []string
	wait         time.Duration
}

func main() {
	klog.SetLogger(logr.Discard()) // what client-go would log is in our own errors
	ctx, stop := interrupt.Context(context.Background())
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.folder, "folder", "bin/lab", "`folder` for everything that is written")
	flags.StringVar(&o.kube, "kube", "bin/kube", "`folder` with the programs of Kubernetes")
	flags.DurationVar(&o.wait, "wait", 0, "how long to wait for another lab on this machine to go")
	flags.Func("image", "image `archive` to load into every node; may be repeated", func(path string) error {
		o.images = append(o.images, path)
		return nil
	})
	flags.Usage = func() { fmt.Fprint(stderr, help); flags.PrintDefaults() }
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	do := map[string]func(context.Context, options, io.Writer) error{"up": up, "serve": serve, "down": down}[name]
	if do == nil {
		flags.Usage()
		return exitUsage
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "lab: unknown argument %q: there are flags only, see lab --help\n", flags.Arg(0))
		return exitUsage
	}
	if err := do(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, "lab:", err)
		return exitFailed
	}
	return 0
}

// ready is the line by which a lab in the background says that it is up.
const ready = "The lab is up."

// serve holds a lab until it is asked to stop.
func serve(ctx context.Context, o options, out io.Writer) error {
	cluster, err := lab.Up(ctx, lab.Options{Folder: o.folder, Kube: o.kube, Images: o.images, Wait: o.wait, Progress: out})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, ready)
	<-ctx.Done()
	err = cluster.Down() //nolint:contextcheck // it comes after the end of the context
	if err == nil {
		fmt.Fprintln(out, "The lab is down.")
	}
	return err
}

// up starts serve in the background and shows what it says until it is ready.
func up(ctx context.Context, o options, out io.Writer) error {
	if err := os.MkdirAll(o.folder, 0o755); err != nil {
		return fmt.Errorf("make the lab's folder: %w", err)
	}
	path := filepath.Join(o.folder, "lab.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open the lab's log: %w", err)
	}
	defer log.Close() // the child has its own copy
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read the lab's log: %w", err)
	}
	args := []string{"serve", "-folder", o.folder, "-kube", o.kube, "-wait", o.wait.String()}
	for _, image := range o.images {
		args = append(args, "-image", image)
	}
	child := exec.Command("/proc/self/exe", args...)
	child.Stdout, child.Stderr = log, log
	// A session of its own: it is to outlive this one's terminal.
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return fmt.Errorf("start the lab: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	stop := context.AfterFunc(ctx, func() { _ = child.Process.Signal(syscall.SIGTERM) })
	defer stop()
	isUp, err := follow(path, before, ended, out)
	switch {
	case isUp:
		fmt.Fprintf(out, "In a shell: source %s; take it down with: make lab-down\n", filepath.Join(o.folder, "env"))
		return nil
	case ctx.Err() != nil:
		return errors.New("interrupted, and taken down again")
	default:
		return fmt.Errorf("the lab did not start (%w); logs: %s", err, filepath.Join(o.folder, "*.log"))
	}
}

// glance is how often a log is looked at.
const glance = 50 * time.Millisecond

// follow prints the lines of a log from an offset on, until one says that the lab is up,
// or the process has ended.
func follow(path string, offset int64, ended <-chan error, out io.Writer) (isUp bool, err error) {
	log, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("open the lab's log: %w", err)
	}
	defer log.Close()
	if _, err := log.Seek(offset, io.SeekStart); err != nil {
		return false, fmt.Errorf("read the lab's log: %w", err)
	}
	lines := bufio.NewReader(log)
	tick := time.NewTicker(glance)
	defer tick.Stop()
	part, how, last := "", errors.New("exit status 0"), false
	for {
		text, err := lines.ReadString('\n')
		part += text
		if err == nil {
			fmt.Fprint(out, part)
			if strings.TrimSpace(part) == ready {
				return true, nil
			}
			part = ""
			continue
		}
		if last {
			return false, how
		}
		select {
		case err := <-ended:
			if last = true; err != nil {
				how = err
			}
		case <-tick.C:
		}
	}
}

// downPatience is how long a lab may take to go.
const downPatience = time.Minute

// down asks the process that holds the lab to stop, and removes what is left if there is
// none.
func down(ctx context.Context, _ options, out io.Writer) error {
	held, err := lab.Stop(ctx, downPatience)
	if err != nil {
		return err
	}
	removed, err := lab.Cleanup() //nolint:contextcheck // what is undone is undone whole
	if err != nil {
		return err
	}
	switch {
	case len(removed) > 0:
		fmt.Fprintf(out, "An earlier lab was killed; what it left is gone now: %s.\n", strings.Join(removed, ", "))
	case held:
		fmt.Fprintln(out, "The lab is down.")
	default:
		fmt.Fprintln(out, "No lab was up.")
	}
	return nil
}
