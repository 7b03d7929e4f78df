package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/kernel"
	"vpcmirror.io/operator/test/demo/wire"
)

// answers is what `kubectl mirror why` printed.
type answers struct {
	// Closed is while a rule denies the copies, Broader while another session takes the packets,
	// and Well when nothing of that is left.
	Closed  string `json:"closed"`
	Broader string `json:"broader"`
	Well    string `json:"well"`
	// SecondsUntilClosed and SecondsUntilBroader are how long the status took to say so.
	SecondsUntilClosed  float64 `json:"secondsUntilClosed"`
	SecondsUntilBroader float64 `json:"secondsUntilBroader"`
}

// kubectlEnvironment is that of kubectl as the administrator, who has installed its plugin.
func (d *demo) kubectlEnvironment() []string {
	return []string{
		"PATH=" + d.programs + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + d.path("home"), "KUBECACHEDIR=" + d.path("kube/cache"),
		"KUBECONFIG=" + filepath.Join(d.path("kube"), "admin.kubeconfig"),
	}
}

// why runs `kubectl mirror why` and returns what it printed and its exit code.
func (d *demo) why(ctx context.Context) (string, int, error) {
	command := exec.CommandContext(ctx, d.kubectl, "mirror", "why", sessionName.Name)
	command.Env = d.kubectlEnvironment()
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	err := command.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return "", 0, fmt.Errorf("kubectl mirror why: %w", err)
	}
	if complaints.Len() > 0 {
		return "", 0, fmt.Errorf("kubectl mirror why: %s", bytes.TrimSpace(complaints.Bytes()))
	}
	return strings.TrimRight(out.String(), "\n"), command.ProcessState.ExitCode(), nil
}

// untilWhy runs it until it ends with the exit code and says all of the words, and shows that.
func (d *demo) untilWhy(ctx context.Context, exit int, words ...string) (string, error) {
	var printed string
	err := d.until(ctx, fmt.Sprintf("kubectl mirror why says %q", words), func(ctx context.Context) error {
		out, code, err := d.why(ctx)
		if err != nil {
			return err
		}
		printed = out
		for _, word := range words {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), word) {
				return fmt.Errorf("there is no %q in:\n%s", word, out)
			}
		}
		if code != exit {
			return fmt.Errorf("its exit code is %d and not %d:\n%s", code, exit, out)
		}
		return nil
	})
	if err == nil {
		d.show(fmt.Sprintf("$ kubectl mirror why %s; echo exit code $?\n%s\nexit code %d", sessionName.Name, printed, exit))
	}
	return printed, err
}

// untilCopied waits until the counts of the session grow.
func (d *demo) untilCopied(ctx context.Context) error {
	before, _, err := d.entry(ctx)
	if err != nil {
		return err
	}
	return d.until(ctx, "copies are counted", func(ctx context.Context) error {
		entry, _, err := d.entry(ctx)
		if err == nil && entry.Packets <= before.Packets {
			err = fmt.Errorf("they still are %d", entry.Packets)
		}
		return err
	})
}

// untilTraffic waits until TrafficObserved says that copies come, or that they don't.
func (d *demo) untilTraffic(ctx context.Context, status metav1.ConditionStatus, reason string) error {
	return d.until(ctx, "TrafficObserved is "+string(status), func(ctx context.Context) error {
		_, s, err := d.entry(ctx)
		if err == nil {
			err = observed(s, status, reason)
		}
		return err
	})
}

// conversing has ecs-test talk to ecs-source while look runs, and ends when every copy that came
// meanwhile with the session's VNI is counted.
func (d *demo) conversing(ctx context.Context, look func() error) error {
	judge, err := kernel.Watch(d.namespace(ecsTarget), tableName+"-why", []kernel.Counter{{
		Name: requests, Fields: []kernel.Field{kernel.Protocol(udp), kernel.DestinationPort(wire.Port), kernel.VNI(sessionVNI)},
	}})
	if err != nil {
		return err
	}
	defer judge.Close()
	before, _, err := d.entry(ctx)
	if err != nil {
		return err
	}
	chatter, err := d.chat(ctx, ecsTest, ecsSource, servicePort)
	if err != nil {
		return err
	}
	if err := look(); err != nil {
		return err
	}
	if err := chatter.stop(); err != nil {
		return err
	}
	if _, err := d.waitUntilQuiet(ctx); err != nil {
		return err
	}
	came, err := judge.Read()
	if err != nil {
		return err
	}
	_, _, err = d.waitCounted(ctx, uint64(before.Packets)+came[requests])
	return err
}

// askWhyClosed has somebody deny the copies at the target while traffic goes on, and asks why
// none come.
func (d *demo) askWhyClosed(ctx context.Context) error {
	return d.conversing(ctx, func() error { return d.closeAndAsk(ctx) })
}

func (d *demo) closeAndAsk(ctx context.Context) error {
	if err := d.untilCopied(ctx); err != nil {
		return err
	}
	rule, err := d.cloud.deny(ctx, scenario.WalkthroughTargetGroup, "udp", wire.Port, ecsSource)
	if err != nil {
		return err
	}
	since := time.Now()
	d.say("a rule of ecs-target's security group now denies UDP 4789 from ecs-source, before the one that allows it; ecs-test goes on talking")
	if err := d.untilTraffic(ctx, metav1.ConditionFalse, v1alpha1.ReasonSilent); err != nil {
		return err
	}
	d.report.Why = &answers{}
	if d.report.Why.Closed, err = d.untilWhy(ctx, exitCause, "SILENT", "Cause: "+v1alpha1.ReasonTargetGroupDenies, rule[:8]); err != nil {
		return err
	}
	d.report.Why.SecondsUntilClosed = round(time.Since(since))
	if err := d.cloud.close(ctx, rule); err != nil {
		return err
	}
	d.say("%.0f s after the rule came; now it is deleted again", d.report.Why.SecondsUntilClosed)
	return d.untilTraffic(ctx, metav1.ConditionTrue, v1alpha1.ReasonPacketsObserved)
}

// exitCause is the exit code of `kubectl mirror why` where it has found a cause.
const exitCause = 1

// broader is a session that takes everything that ecs-source receives.
const broader = `
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorFilter
metadata: {name: everything}
spec:
  credentialsRef: {name: huawei-cloud}
  rules: [{direction: Ingress, priority: 1, action: Accept, protocol: All}]
---
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorSession
metadata: {name: broader}
spec:
  credentialsRef: {name: huawei-cloud}
  filterRef: {name: everything}
  sources: [{address: {ip: 192.168.0.230}}]
  target: {address: {ip: 192.168.0.164}}
  priority: 1
`

// askWhyTaken has somebody put another session before ours, which takes all packets of the source,
// and asks why none come any more.
func (d *demo) askWhyTaken(ctx context.Context) error {
	if err := d.makeRoom(ctx); err != nil {
		return err
	}
	return d.conversing(ctx, func() error { return d.takeAndAsk(ctx) })
}

func (d *demo) takeAndAsk(ctx context.Context) error {
	if err := d.untilCopied(ctx); err != nil {
		return err
	}
	manifest := d.path("broader.yaml")
	if err := os.WriteFile(manifest, []byte(broader), 0o600); err != nil {
		return fmt.Errorf("writing the broader session: %w", err)
	}
	out, err := d.runKubectl(ctx, "apply", "-f", manifest)
	if err != nil {
		return err
	}
	since := time.Now()
	d.show("$ kubectl apply -f " + d.shown(manifest) + "\n" + out)
	d.say("it has priority 1 and takes whatever ecs-source receives; ecs-test goes on talking")
	if err := d.untilTraffic(ctx, metav1.ConditionFalse, v1alpha1.ReasonSilent); err != nil {
		return err
	}
	if d.report.Why.Broader, err = d.untilWhy(ctx, exitCause, "SILENT", "Cause: "+v1alpha1.ReasonTakenEarlier, "broader"); err != nil {
		return err
	}
	d.report.Why.SecondsUntilBroader = round(time.Since(since))
	if _, err := d.runKubectl(ctx, "delete", "--wait", "--timeout="+patience.String(), "-f", manifest); err != nil {
		return err
	}
	d.say("%.0f s after it came; now it is deleted again", d.report.Why.SecondsUntilBroader)
	if err := d.untilTraffic(ctx, metav1.ConditionTrue, v1alpha1.ReasonPacketsObserved); err != nil {
		return err
	}
	d.report.Why.Well, err = d.untilWhy(ctx, 0, "COPIES ARRIVE")
	return err
}

// makeRoom gives our session another priority than the first, so that one can go before it.
func (d *demo) makeRoom(ctx context.Context) error {
	const patch = `{"spec":{"priority":2}}`
	out, err := d.runKubectl(ctx, "patch", "mirs/"+sessionName.Name, "--type=merge", "-p", patch)
	if err != nil {
		return err
	}
	d.show("$ kubectl patch mirs/" + sessionName.Name + " --type=merge -p '" + patch + "'\n" + out)
	return d.waitReady(ctx, &v1alpha1.MirrorSession{})
}
