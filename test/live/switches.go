package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sign"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/live/account"
	"vpcmirror.io/operator/test/live/cases"
	"vpcmirror.io/operator/test/live/ledger"
	"vpcmirror.io/operator/test/live/play"
)

// Switches of the simulator are quirks by their names, and two more forms: "without:ListPorts" for a region that lacks a call
// (patterns as in path.Match), and "lag:1s" for reads that answer with the state of so long ago.
const (
	withoutSwitch = "without:"
	lagSwitch     = "lag:"
)

// candidates are the switches by which differences may be explained. Those at the end take time, and are tried last.
func candidates() []string {
	return append(state.QuirkNames(), withoutSwitch+"ListPorts", withoutSwitch+"ShowPort", withoutSwitch+"ShowQuota",
		withoutSwitch+"KeystoneListProjects", withoutSwitch+"KeystoneListAuthProjects", withoutSwitch+"*PortV1", withoutSwitch+"*PortsV1")
}

// read turns switches into what the simulator knows.
func read(switches []string) (options []sim.Option, faults []fault.Fault, err error) {
	var quirks state.Quirks
	for _, s := range switches {
		if operation, is := strings.CutPrefix(s, withoutSwitch); is {
			options = append(options, sim.WithoutOperations(operation))
			continue
		}
		if lag, is := strings.CutPrefix(s, lagSwitch); is {
			d, err := time.ParseDuration(lag)
			if err != nil || d <= 0 {
				return nil, nil, fmt.Errorf("the switch %q: name a duration, such as lag:1s", s)
			}
			faults = append(faults, fault.Fault{Kind: fault.Stale, Method: http.MethodGet, For: fault.Duration(d)})
			continue
		}
		if err := quirks.Set(s); err != nil {
			return nil, nil, err
		}
	}
	return append(options, sim.WithQuirks(quirks)), faults, nil
}

// simulator is one in this process, and the side that asks it.
type simulator struct {
	*play.Side
	cloud *sim.Sim
	end   context.CancelFunc
}

// startSimulator starts one with these switches on. The values of a run, the mark and the priorities, are those of base.
func startSimulator(ctx context.Context, name string, switches []string, base cases.Vars, journal *account.Journal) (*simulator, error) {
	options, faults, err := read(switches)
	if err != nil {
		return nil, err
	}
	// It ends when it is closed: what an interrupted run made there is cleaned up like all else.
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	cloud, err := sim.Start(ctx, scenario.Walkthrough(), options...)
	if err != nil {
		end()
		return nil, err
	}
	for _, f := range faults {
		if _, err := cloud.Faults.Add(f); err != nil {
			end()
			return nil, fmt.Errorf("switch a fault of the simulator on: %w", err)
		}
	}
	vars := variables(scenario.WalkthroughRegion, scenario.WalkthroughProject, []string{scenario.WalkthroughSource, scenario.WalkthroughTest}, scenario.WalkthroughTarget)
	for _, key := range append(slices.Clone(priorityVars), "mark") {
		vars[key] = base[key]
	}
	book := ledger.Memory(ledger.Run{Mark: vars["mark"], Endpoint: cloud.URL, Region: vars["region"], Project: vars["project"]})
	client := account.New(account.Config{
		VPC: cloud.URL, IAM: cloud.URL, Project: vars["project"], Journal: journal, Guard: guard(vars, book),
		Keys:  sign.Credentials{AccessKey: scenario.WalkthroughAccessKey, SecretKey: scenario.WalkthroughSecretKey},
		Scrub: account.NewScrubber(scenario.WalkthroughSecretKey, scenario.WalkthroughAccessKey),
	})
	side := &play.Side{Name: name, Client: client, Ledger: book, Vars: vars, Interval: 20 * time.Millisecond}
	return &simulator{Side: side, cloud: cloud, end: end}, nil
}

func (s *simulator) close() {
	s.Client.Close()
	s.end()
}

// priorityVars are the variables that hold priorities.
var priorityVars = []string{"priority1", "priority2", "priority3", "priority4"}

// variables are those that every case begins with, without mark and priorities.
func variables(region, project string, sources []string, target string) cases.Vars {
	vars := cases.Vars{
		"region": region, "project": project, "target": target, "nothing1": account.MadeUp(1), "nothing2": account.MadeUp(2),
	}
	for i, source := range sources {
		vars[[]string{"source", "source2"}[i]] = source
	}
	return vars
}

// guard lets through what the run may write.
func guard(vars cases.Vars, book *ledger.File) account.Guard {
	return account.Guard{Project: vars["project"], Mark: vars["mark"], Owns: book.Owns, Ports: []string{vars["source"], vars["source2"], vars["target"]}}
}
