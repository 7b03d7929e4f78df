package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vpcmirror.io/operator/test/demo/process"
)

// step is a part of the story. Its run says with d.tell what it showed.
type step struct {
	id, title string
	run       func(context.Context) error
	// logs are the files to look at when it fails.
	logs []string
}

// story is the walkthrough, in order.
func (d *demo) story() []step {
	steps := []step{
		{"machine", "Look at this machine", d.checkMachine, nil},
		{"kubernetes", "Start Kubernetes: etcd and kube-apiserver", d.startKubernetes, []string{"etcd", "kube-apiserver"}},
		{"cloud", "Start the simulated cloud with its three servers", d.startCloud, []string{"cloudsim"}},
		{"manager", "Start the manager", d.startManager, []string{"manager"}},
		{"verifier", "Start the verifier, inside ecs-target", d.startVerifier, []string{"verifier", "forwarder"}},
		{"apply", "Apply the samples", d.apply, []string{"manager", "verifier"}},
		{"conversation", "ecs-test talks to ecs-source on TCP 1234", d.converse, []string{"verifier", "cloudsim"}},
		{"negatives", "Send ecs-source what must not be copied", d.sendNegatives, []string{"cloudsim"}},
		{"closed", "Close UDP 4789 at ecs-target and talk once more", d.talkClosed, []string{"cloudsim"}},
		{"reopened", "Open it again and talk once more", d.talkReopened, []string{"cloudsim"}},
		{"counts", "Compare what kernels and verifier counted", d.compare, []string{"verifier", "manager"}},
		{"idle", "Look at manager and verifier while nothing happens", d.measureIdle, nil},
		{"kubectl", "Ask kubectl", d.askKubectl, []string{"manager"}},
	}
	if d.command == "up" {
		return steps
	}
	return append(steps,
		step{"silent", "Close UDP 4789 again, and ask nobody but the status", d.fallSilent, []string{"manager", "verifier", "cloudsim"}},
		step{"heard", "Put the rule back", d.heardAgain, []string{"manager", "verifier", "cloudsim"}},
		step{"why", "Deny the copies at ecs-target, and ask kubectl mirror why", d.askWhyClosed, []string{"manager", "verifier", "cloudsim"}},
		step{"broader", "Put a broader session before ours, and ask again", d.askWhyTaken, []string{"manager", "verifier", "cloudsim"}},
		step{"forgeries", "Send false copies, which the verifier must not fall for", d.sendForgeries, []string{"verifier"}},
		step{"delete", "Delete session and filter", d.deleteObjects, []string{"manager"}},
	)
}

// play is run and up.
func (d *demo) play(ctx context.Context) error {
	if up, err := d.isUp(); err != nil {
		return err
	} else if up {
		return fmt.Errorf("a demo is up already: use it (source %s) or take it down first (make demo-down)", d.shown(d.path("env")))
	}
	left, err := d.cleanUp()
	if err != nil {
		return err
	}
	if err := d.freshFolder(); err != nil {
		return err
	}
	d.screen.headline("The walkthrough of the cloud's guide: real packets, a real kube-apiserver, a simulated cloud.")
	if len(left) > 0 {
		d.screen.line("An earlier demo was killed; what it left is gone now: %s.", strings.Join(left, ", "))
	}
	d.report = newReport(d.command, time.Now())
	failure := d.playSteps(ctx)
	keep := failure == nil && d.command == "up"
	if keep {
		failure = errors.Join(d.writeEnv(), d.source.Close(), d.target.Close())
		keep = failure == nil
	}
	if !keep {
		if ctx.Err() != nil {
			d.screen.line("\nInterrupted: taking everything down.")
		}
		failure = errors.Join(failure, d.takeDown())
	}
	return d.conclude(ctx, failure)
}

// playSteps plays until one step fails. What panics is taken down too: the panic goes
// on after that.
func (d *demo) playSteps(ctx context.Context) error {
	defer func() {
		if trouble := recover(); trouble != nil {
			_ = d.takeDown()
			panic(trouble)
		}
	}()
	for _, s := range d.story() {
		if err := d.playStep(ctx, s); err != nil {
			if ctx.Err() == nil {
				d.showLogs(s.logs)
			}
			return fmt.Errorf("%s: %w", s.title, err)
		}
	}
	return nil
}

func (d *demo) playStep(ctx context.Context, s step) error {
	d.screen.begin(s.title)
	d.report.begin(s.id, s.title)
	began := time.Now()
	err := context.Cause(ctx)
	if err == nil {
		err = s.run(ctx)
	}
	if err != nil && ctx.Err() != nil {
		err = errors.Join(errInterrupted, err)
	}
	took := time.Since(began)
	d.report.end(took, err)
	d.screen.end(took, err)
	return err
}

// errInterrupted marks what failed only because we were told to stop.
var errInterrupted = errors.New("interrupted")

// say adds a line to what the step showed.
func (d *demo) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	d.report.say(text)
	d.screen.say(text)
}

// show adds a block that is shown as it is, such as the output of a program.
func (d *demo) show(block string) {
	d.report.say(block)
	d.screen.block(block)
}

// showLogs prints the end of each log that may say why a step failed.
func (d *demo) showLogs(names []string) {
	for _, name := range names {
		path := d.path(name + ".log")
		if _, err := os.Stat(path); err != nil {
			continue
		}
		d.screen.line("\nThe end of %s:", d.shown(path))
		d.screen.block(process.Tail(path, 15))
	}
}

// takeDown undoes everything, the last first, also when a part of it fails, and looks
// whether anything is left.
func (d *demo) takeDown() error {
	d.screen.begin("Take everything down")
	d.report.begin("down", "Take everything down")
	began := time.Now()
	var failure error
	for len(d.undos) > 0 {
		last := d.undos[len(d.undos)-1]
		d.undos = d.undos[:len(d.undos)-1]
		if err := last.do(); err != nil {
			failure = errors.Join(failure, fmt.Errorf("taking down %s: %w", last.what, err))
		}
	}
	d.processes = nil
	if failure == nil {
		failure = d.checkNothingLeft()
	}
	if failure == nil {
		d.report.TookDown = true
		d.say("no process and no network namespace of the demo is left")
	}
	d.report.end(time.Since(began), failure)
	d.screen.end(time.Since(began), failure)
	return failure
}

func (d *demo) checkNothingLeft() error {
	records, err := d.book.Records()
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Alive() {
			return fmt.Errorf("the %s (process %d) is still there", r.Name, r.PID)
		}
	}
	if names := d.namespaces(); len(names) > 0 {
		return fmt.Errorf("network namespaces are still there: %s", strings.Join(names, ", "))
	}
	_ = os.RemoveAll(d.path("kube/etcd")) // large, and of no use without its keys' authority
	return d.book.Clear()
}

// conclude writes the report and says how all of it ended.
func (d *demo) conclude(ctx context.Context, failure error) error {
	took := time.Since(d.report.StartedAt)
	d.report.finish(took, failure)
	path := d.path("report.json")
	if err := d.report.write(path); err != nil {
		return errors.Join(failure, err)
	}
	switch {
	case failure == nil:
	case ctx.Err() != nil && d.report.TookDown:
		d.screen.verdict(false, fmt.Sprintf("Interrupted after %.0f s. Everything was taken down.", took.Seconds()))
		return errReported
	default:
		d.screen.verdict(false, fmt.Sprintf("Not all of it held, after %.0f s: %v", took.Seconds(), failure))
		d.screen.line("Facts: %s. Logs: %s", d.shown(path), d.shown(filepath.Join(d.folder, "*.log")))
		return errReported
	}
	d.screen.verdict(true, fmt.Sprintf("All of it held, in %.0f s.", took.Seconds()))
	d.screen.line("Facts: %s. Copies: %s. Logs: %s", d.shown(path), d.shown(d.path("copies.pcap")), d.shown(filepath.Join(d.folder, "*.log")))
	if d.command == "up" {
		d.sayHowToUse()
	}
	return nil
}

func (d *demo) sayHowToUse() {
	d.screen.line(`
Everything is left running. In a shell:
  source %s
  kubectl get mirf,mirs -o wide
  cloudsim call GET /v3/{project_id}/vpc/traffic-mirror-sessions
  ip netns exec %s tcpdump -i eth0 -nne udp port 4789
  ip netns exec %s nc -l 1234
  ip netns exec %s nc %s 1234
Take it down with: make demo-down`, d.shown(d.path("env")),
		d.namespace(ecsTarget), d.namespace(ecsSource), d.namespace(ecsTest), ecsSource.address)
}

// freePort asks the kernel for a TCP port of 127.0.0.1 that nobody uses now.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), listener.Close()
}
