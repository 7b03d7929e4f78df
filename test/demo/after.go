package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vpcmirror.io/operator/test/demo/process"
)

// idleWindow is how long manager and verifier are looked at while nothing happens.
const idleWindow = 5 * time.Second

// measureIdle looks at memory, which has a limit, and at the processor, which has none
// here: times decide nothing in the demo.
func (d *demo) measureIdle(ctx context.Context) error {
	const mib = 1 << 20
	programs := []struct {
		*process.Process
		limit float64
	}{{d.manager, 100}, {d.verifier, 60}}
	before := make([]time.Duration, len(programs))
	began := time.Now()
	for i, p := range programs {
		var err error
		if before[i], err = process.CPU(p.PID); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(idleWindow):
	}
	var tooMuch error
	for i, p := range programs {
		used, err := process.CPU(p.PID)
		if err != nil {
			return err
		}
		resident, err := process.Resident(p.PID)
		if err != nil {
			return err
		}
		u := usage{
			Name: p.Name, LimitMiB: p.limit, ResidentMiB: float64(resident*10/mib) / 10,
			CPUPercent: float64((used-before[i])*1000/time.Since(began)) / 10,
		}
		d.report.Processes = append(d.report.Processes, u)
		d.say("%-8s  %.1f MiB resident, limit %.0f MiB; %.1f %% of one core over %.0f s", u.Name, u.ResidentMiB, u.LimitMiB, u.CPUPercent, idleWindow.Seconds())
		if u.ResidentMiB >= u.LimitMiB {
			tooMuch = errors.Join(tooMuch, fmt.Errorf("the %s needs more memory than its limit", u.Name))
		}
	}
	return tooMuch
}

// askKubectl shows what a user sees.
func (d *demo) askKubectl(ctx context.Context) error {
	if err := d.consumed(ctx); err != nil {
		return err
	}
	out, err := d.runKubectl(ctx, "get", "mirf,mirs", "-o", "wide")
	if err != nil {
		return err
	}
	d.report.Kubectl = out
	d.show("$ kubectl get mirf,mirs -o wide\n" + out)
	return nil
}

// deleteObjects deletes session and filter and asks the cloud whether anything is left.
func (d *demo) deleteObjects(ctx context.Context) error {
	out, err := d.runKubectl(ctx, "delete", "--wait", "--timeout="+patience.String(),
		"mirrorsession/"+sessionName.Name, "mirrorfilter/"+filterName.Name)
	if err != nil {
		return err
	}
	d.show("$ kubectl delete mirrorsession/" + sessionName.Name + " mirrorfilter/" + filterName.Name + "\n" + out)
	sessions, err := d.cloud.sessions(ctx)
	if err != nil {
		return err
	}
	filters, err := d.cloud.filters(ctx)
	if err != nil {
		return err
	}
	rules, err := d.cloud.rules(ctx)
	if err != nil {
		return err
	}
	if len(sessions)+len(filters)+len(rules) > 0 {
		return fmt.Errorf("the cloud still has sessions %+v, filters %+v, rules %+v", sessions, filters, rules)
	}
	d.report.CloudEmpty = true
	d.say("the cloud, asked by signed calls: 0 sessions, 0 filters, 0 rules")
	return nil
}
