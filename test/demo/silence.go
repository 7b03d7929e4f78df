package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/wire"
)

// silence is how a mirror that had worked was told to be silent.
type silence struct {
	Reason             string  `json:"reason"`
	Message            string  `json:"message"`
	Remedy             string  `json:"remedy"`
	SecondsUntilSilent float64 `json:"secondsUntilSilent"`
	SecondsUntilTrue   float64 `json:"secondsUntilTrue"`
	SourceKernel       uint64  `json:"sourceKernel"`
	TargetKernel       uint64  `json:"targetKernel"`
	Kubectl            string  `json:"kubectl"`
}

// quietMirror is what the two steps about silence share.
type quietMirror struct {
	chatter *chatter
	// counted is what the verifier had counted before, and began, closed, reopened are what
	// the kernels had: before the conversation, when the rule was deleted, when it came back.
	counted                 v1alpha1.Counts
	began, closed, reopened mark
}

// fallSilent lets a mirror that works go wrong, as a person in the cloud's console does it:
// the rule that lets the copies in is deleted. The traffic goes on, and nobody tells the
// manager anything.
func (d *demo) fallSilent(ctx context.Context) error {
	q := &d.quiet
	var err error
	if err := d.beginTalk(ctx, q); err != nil {
		return err
	}
	err = q.chatter.pause(func() (err error) {
		if q.closed, err = d.readKernels(); err != nil {
			return err
		}
		return d.cloud.close(ctx, d.vxlanRule)
	})
	if err != nil {
		return err
	}
	since := time.Now()
	d.say("the rule for UDP 4789 is deleted from ecs-target's security group; ecs-test goes on talking")
	var told *v1alpha1.MirrorSession
	var worst v1alpha1.Finding
	err = d.until(ctx, "the status says by itself that the session is silent, and why", func(ctx context.Context) (err error) {
		if _, told, err = d.entry(ctx); err != nil {
			return err
		}
		if err = observed(told, metav1.ConditionFalse, v1alpha1.ReasonSilent); err != nil {
			return err
		}
		worst, err = worstFinding(told, v1alpha1.ReasonTargetGroupDenies)
		return err
	})
	if err != nil {
		return err
	}
	took := time.Since(since)
	d.say("%.0f s later the status says by itself: %s", took.Seconds(), worst.Message)
	d.say("what to do: %s", worst.Remedy)
	printed, err := d.lookAtColumns(ctx, map[string]string{"TRAFFIC": "False", "WHY": v1alpha1.ReasonTargetGroupDenies})
	if err != nil {
		return err
	}
	if err := d.warned(ctx, v1alpha1.ReasonTargetGroupDenies); err != nil {
		return err
	}
	err = q.chatter.pause(func() (err error) {
		q.reopened, err = d.readKernels()
		return err
	})
	if err != nil {
		return err
	}
	while := q.reopened.since(q.closed)
	d.report.Silence = &silence{
		Reason: worst.Reason, Message: worst.Message, Remedy: worst.Remedy, SecondsUntilSilent: round(took),
		SourceKernel: while.source[requests], TargetKernel: while.target[all4789], Kubectl: printed,
	}
	if while.source[requests] == 0 || while.target[all4789] != 0 {
		return fmt.Errorf("meanwhile the kernel of ecs-source received %d packets, to ecs-target came %d copies; there had to be some and none", while.source[requests], while.target[all4789])
	}
	d.say("meanwhile the kernel of ecs-source received %d packets, to ecs-target came 0 copies", while.source[requests])
	return nil
}

// beginTalk has ecs-test talk on and on, sees that this is counted, and asks to be told when
// no copy comes for 10 s.
func (d *demo) beginTalk(ctx context.Context, q *quietMirror) error {
	entry, _, err := d.entry(ctx)
	if err != nil {
		return err
	}
	q.counted = entry.Counts
	if q.began, err = d.waitUntilQuiet(ctx); err != nil {
		return err
	}
	if q.chatter, err = d.chat(ctx, ecsTest, ecsSource, servicePort); err != nil {
		return err
	}
	err = d.until(ctx, "a conversation that goes on is counted", func(ctx context.Context) error {
		_, s, err := d.entry(ctx)
		if err == nil && (s.Status.Traffic == nil || s.Status.Traffic.Packets <= q.counted.Packets) {
			err = fmt.Errorf("traffic is still that of before: %+v", s.Status.Traffic)
		}
		return err
	})
	if err != nil {
		return err
	}
	d.say("ecs-test talks to ecs-source again, %d lines a second, and goes on; the copies are counted", time.Second/linePause)
	const patch = `{"spec":{"silenceAfter":"10s"}}`
	out, err := d.runKubectl(ctx, "patch", "mirs/"+sessionName.Name, "--type=merge", "-p", patch)
	if err != nil {
		return err
	}
	d.show("$ kubectl patch mirs/" + sessionName.Name + " --type=merge -p '" + patch + "'\n" + out)
	return d.until(ctx, "TrafficObserved is True for the new spec", func(ctx context.Context) error {
		_, s, err := d.entry(ctx)
		if err == nil {
			err = observed(s, metav1.ConditionTrue, v1alpha1.ReasonPacketsObserved)
		}
		return err
	})
}

// heardAgain puts the rule back, and compares what all four of them counted: every packet
// while the way was open has been copied and counted, and none of the rest.
func (d *demo) heardAgain(ctx context.Context) error {
	q := &d.quiet
	err := q.chatter.pause(func() (err error) {
		if q.reopened, err = d.readKernels(); err != nil {
			return err
		}
		d.vxlanRule, err = d.cloud.open(ctx, scenario.WalkthroughTargetGroup, "udp", wire.Port, ecsSource)
		return err
	})
	if err != nil {
		return err
	}
	since := time.Now()
	err = d.until(ctx, "TrafficObserved is True again", func(ctx context.Context) error {
		_, s, err := d.entry(ctx)
		if err == nil {
			err = observed(s, metav1.ConditionTrue, v1alpha1.ReasonPacketsObserved)
		}
		return err
	})
	if err != nil {
		return err
	}
	d.report.Silence.SecondsUntilTrue = round(time.Since(since))
	d.say("the rule is back, and %.1f s later TrafficObserved is True", d.report.Silence.SecondsUntilTrue)
	if _, err := d.lookAtColumns(ctx, map[string]string{"TRAFFIC": "True", "WHY": ""}); err != nil {
		return err
	}
	if err := q.chatter.stop(); err != nil {
		return err
	}
	now, err := d.waitUntilQuiet(ctx)
	if err != nil {
		return err
	}
	all, closed := now.since(q.began), q.reopened.since(q.closed)
	open := all.source[requests] - closed.source[requests]
	if closed.target[all4789] != 0 || all.target[requests] != open || all.target[all4789] != open {
		return fmt.Errorf("ecs-source received %d packets while the way was open and %d while it was not, to ecs-target came %d copies and %d",
			open, closed.source[requests], all.target[all4789]-closed.target[all4789], closed.target[all4789])
	}
	entry, _, err := d.waitCounted(ctx, uint64(q.counted.Packets)+open)
	if err != nil {
		return err
	}
	d.say("of this conversation ecs-source received %d packets, %d of them while the way was open: %d copies came, the verifier counted %d",
		all.source[requests], open, all.target[requests], entry.Packets-q.counted.Packets)
	return nil
}

// observed says how TrafficObserved differs from what is wanted for the present spec.
func observed(s *v1alpha1.MirrorSession, status metav1.ConditionStatus, reason string) error {
	c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved)
	switch {
	case c == nil:
		return errors.New("it has no condition TrafficObserved")
	case c.ObservedGeneration != s.Generation:
		return fmt.Errorf("TrafficObserved is about generation %d, the spec is %d", c.ObservedGeneration, s.Generation)
	case c.Status != status || c.Reason != reason:
		return fmt.Errorf("TrafficObserved is %s, %s: %s", c.Status, c.Reason, c.Message)
	}
	return nil
}

// worstFinding is the first one, which has to have the reason.
func worstFinding(s *v1alpha1.MirrorSession, reason string) (v1alpha1.Finding, error) {
	if len(s.Status.Findings) == 0 || s.Status.Findings[0].Reason != reason {
		return v1alpha1.Finding{}, fmt.Errorf("the first of status.findings is to have the reason %s: %+v", reason, s.Status.Findings)
	}
	return s.Status.Findings[0], nil
}

// lookAtColumns shows what `kubectl get mirs` prints, which must have these cells.
func (d *demo) lookAtColumns(ctx context.Context, want map[string]string) (string, error) {
	out, err := d.runKubectl(ctx, "get", "mirs")
	if err != nil {
		return "", err
	}
	d.show("$ kubectl get mirs\n" + out)
	for column, text := range want {
		if got, err := cell(out, column); err != nil || got != text {
			return out, errors.Join(err, fmt.Errorf("kubectl get mirs has %q below %s, wanted is %q", got, column, text))
		}
	}
	return out, nil
}

// warned waits for an event of type Warning with the reason.
func (d *demo) warned(ctx context.Context, reason string) error {
	err := d.until(ctx, "there is an event of type Warning, reason "+reason, func(ctx context.Context) error {
		out, err := d.runKubectl(ctx, "get", "events", "--field-selector", "type=Warning,reason="+reason, "-o", "name")
		if err == nil && out == "" {
			err = errors.New("there is none")
		}
		return err
	})
	if err == nil {
		d.say("an event of type Warning, reason %s, tells it too", reason)
	}
	return err
}

// cell is what kubectl prints below a column's head in the first line: each cell begins where
// its head does.
func cell(printed, column string) (string, error) {
	head, rest, _ := strings.Cut(printed, "\n")
	line, _, _ := strings.Cut(rest, "\n")
	names := strings.Fields(head)
	at := 0
	for i, name := range names {
		at += strings.Index(head[at:], name)
		if name != column {
			at += len(name)
			continue
		}
		end := len(line)
		if i+1 < len(names) {
			next := at + len(name)
			end = min(end, next+strings.Index(head[next:], names[i+1]))
		}
		return strings.TrimSpace(line[min(at, end):end]), nil
	}
	return "", fmt.Errorf("kubectl shows no column %s: %q", column, head)
}
