package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// The names of the samples, in the namespace default.
var (
	filterName  = client.ObjectKey{Namespace: "default", Name: "to-service"}
	sessionName = client.ObjectKey{Namespace: "default", Name: "source-to-target"}
)

// runKubectl runs kubectl as the administrator and returns what it printed, without the
// last line end.
func (d *demo) runKubectl(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, d.kubectl, args...)
	command.Env = d.kubectlEnvironment()
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(complaints.Bytes()))
	}
	return strings.TrimRight(out.String(), "\n"), nil
}

// apply applies the samples as a user would, and waits until the cloud has them and the
// verifier looks.
func (d *demo) apply(ctx context.Context) error {
	folder, err := d.samples()
	if err != nil {
		return err
	}
	out, err := d.runKubectl(ctx, "apply", "-f", folder)
	if err != nil {
		return err
	}
	d.show("$ kubectl apply -f " + d.shown(folder) + "\n" + out)
	for _, object := range []client.Object{
		&v1alpha1.MirrorFilter{}, &v1alpha1.MirrorSession{},
	} {
		if err := d.waitReady(ctx, object); err != nil {
			return err
		}
	}
	if err := d.checkCloud(ctx); err != nil {
		return err
	}
	err = d.until(ctx, "the verifier has its own entry in the session's status", func(ctx context.Context) error {
		entry, s, err := d.entry(ctx)
		if err == nil && entry.Message != "" {
			err = errors.New(entry.Message)
		}
		if err == nil && entry.Interface != device {
			err = fmt.Errorf("it captures at the interface %q, not at %s", entry.Interface, device)
		}
		if err == nil && entry.Epoch != s.Status.Epoch {
			err = fmt.Errorf("it counts in epoch %d, the session is in epoch %d", entry.Epoch, s.Status.Epoch)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := d.until(ctx, "the verifier captures", d.captures); err != nil {
		return err
	}
	d.say("the verifier of %s looks for copies at %s", ecsTarget.name, device)
	return d.startIDS()
}

// captures reports whether a packet socket beside our own is bound to an interface of
// ecs-target (packet(7): the column Iface of /proc/net/packet). The entry in the status
// can be there a moment earlier, and a copy that nobody looks for is not counted.
func (d *demo) captures(context.Context) error {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/packet", d.verifier.PID))
	if err != nil {
		return err
	}
	bound := 0
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] != "0" && fields[4] != "Iface" {
			bound++
		}
	}
	if bound < 2 {
		return fmt.Errorf("%d packet sockets are bound in %s, ours among them", bound, ecsTarget.name)
	}
	return nil
}

// samples is the folder to apply: config/samples, or a copy of it where the simulated
// cloud is at another port than the samples say.
func (d *demo) samples() (string, error) {
	folder := filepath.Join(d.root, "config", "samples")
	if d.cloudPort == defaultCloudPort {
		return folder, nil
	}
	copied := d.path("samples")
	if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
		return "", fmt.Errorf("copying the samples: %w", err)
	}
	path := filepath.Join(copied, "credentials.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the sample: %w", err)
	}
	old := fmt.Sprintf("http://127.0.0.1:%d", defaultCloudPort)
	if !bytes.Contains(content, []byte(old)) {
		return "", fmt.Errorf("%s does not name the endpoint %s", path, old)
	}
	content = bytes.ReplaceAll(content, []byte(old), []byte(d.cloud.endpoint))
	return copied, os.WriteFile(path, content, 0o600)
}

// waitReady waits until the object's Ready is True for its present spec, and says so.
func (d *demo) waitReady(ctx context.Context, object client.Object) error {
	key, kind := filterName, "MirrorFilter"
	if _, isSession := object.(*v1alpha1.MirrorSession); isSession {
		key, kind = sessionName, "MirrorSession"
	}
	common := object.(interface{ Common() *v1alpha1.CommonStatus }).Common()
	err := d.until(ctx, fmt.Sprintf("%s %s is Ready", kind, key.Name), func(ctx context.Context) error {
		if err := d.api.Get(ctx, key, object); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(common.Conditions, v1alpha1.ConditionReady)
		switch {
		case ready == nil || ready.ObservedGeneration != object.GetGeneration():
			return errors.New("the manager has not reconciled it yet")
		case ready.Status != "True":
			return fmt.Errorf("its Ready is %s, reason %s: %s", ready.Status, ready.Reason, ready.Message)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.say("%s %s is Ready: %s", kind, key.Name, meta.FindStatusCondition(common.Conditions, v1alpha1.ConditionReady).Message)
	return nil
}

// checkCloud asks the cloud itself, with signed calls, whether it has what the samples
// say.
func (d *demo) checkCloud(ctx context.Context) error {
	filters, err := d.cloud.filters(ctx)
	if err != nil {
		return err
	}
	sessions, err := d.cloud.sessions(ctx)
	if err != nil {
		return err
	}
	if len(filters) != 1 || len(filters[0].Ingress) != 1 || len(filters[0].Egress) != 0 || len(sessions) != 1 {
		return fmt.Errorf("the cloud has filters %+v and sessions %+v, where one filter with one ingress rule and one session are wanted", filters, sessions)
	}
	rule, wantRule := filters[0].Ingress[0], cloudRule{
		Direction: "ingress", Protocol: "TCP", Action: "accept", Priority: 1,
		Source: ecsTest.address.String() + "/32", Destination: ecsSource.address.String() + "/32",
		Ports: fmt.Sprintf("%d-%d", servicePort, servicePort),
	}
	if rule != wantRule {
		return fmt.Errorf("the cloud's rule is %+v, wanted is %+v", rule, wantRule)
	}
	s := sessions[0]
	if s.FilterID != filters[0].ID || !slices.Equal(s.Sources, []string{scenario.WalkthroughSource}) ||
		s.Target != scenario.WalkthroughTarget || s.VNI != sessionVNI || s.Priority != 1 || s.PacketLength != 1460 || !s.Enabled {
		return fmt.Errorf("the cloud's session is %+v, which is not what the sample says", s)
	}
	d.say("the cloud, asked by signed calls: filter %s (%s %s %s from %s to %s port %d)", filters[0].Name,
		rule.Direction, rule.Action, rule.Protocol, rule.Source, rule.Destination, servicePort)
	d.say("and session %s (VNI %d, %d source, enabled)", s.Name, s.VNI, len(s.Sources))
	return nil
}

// entry reads the verifier's own entry in the session's status, and the session.
func (d *demo) entry(ctx context.Context) (v1alpha1.Verification, *v1alpha1.MirrorSession, error) {
	var s v1alpha1.MirrorSession
	if err := d.api.Get(ctx, sessionName, &s); err != nil {
		return v1alpha1.Verification{}, nil, err
	}
	if n := len(s.Status.Verification); n > 1 {
		return v1alpha1.Verification{}, nil, fmt.Errorf("%d verifiers have an entry, there is only one", n)
	}
	for _, e := range s.Status.Verification {
		if e.Node == ecsTarget.name {
			return e, &s, nil
		}
	}
	return v1alpha1.Verification{}, nil, errors.New("no verifier has an entry")
}

// waitCounted waits until the verifier has counted so many packets, no more and no
// fewer, and the manager has summed them up.
func (d *demo) waitCounted(ctx context.Context, want uint64) (v1alpha1.Verification, v1alpha1.MirrorSessionStatus, error) {
	var entry v1alpha1.Verification
	var status v1alpha1.MirrorSessionStatus
	err := d.until(ctx, fmt.Sprintf("the session's status has the %d packets that the kernel counted", want), func(ctx context.Context) error {
		e, s, err := d.entry(ctx)
		if err != nil {
			return err
		}
		entry, status = e, s.Status
		if e.Packets != int64(want) {
			return fmt.Errorf("the verifier's entry has %d", e.Packets)
		}
		if t := s.Status.Traffic; t == nil || t.Counts != e.Counts {
			return errors.New("the manager has not summed it up")
		}
		if !meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionTrafficObserved) {
			return errors.New("TrafficObserved is not True")
		}
		return nil
	})
	return entry, status, err
}
