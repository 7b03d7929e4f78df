package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vpcmirror.io/operator/test/live/account"
	"vpcmirror.io/operator/test/live/cases"
	"vpcmirror.io/operator/test/live/ledger"
	"vpcmirror.io/operator/test/live/play"
)

// live asks a real account.
func (p program) live(ctx context.Context, args []string) error {
	var s settings
	flags := p.flags("run")
	s.account(flags, p.getenv)
	s.run(flags, p.getenv)
	s.both(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	selected, err := s.selected()
	if err != nil {
		return err
	}
	if missing := s.missing(); len(missing) > 0 {
		return fmt.Errorf("no account was named to ask: %s %s missing. %s", strings.Join(missing, ", "), isOrAre(len(missing)), touches(selected))
	}
	if err := s.check(); err != nil {
		return err
	}
	sources, target, err := s.ports()
	if err != nil {
		return err
	}
	if s.confirm != s.project {
		return fmt.Errorf("nothing was sent: say --confirm=%s, the ID of the project, to have this project written to. %s", s.project, touches(selected))
	}
	vars := variables(s.region, s.project, sources, target)
	vars["mark"] = account.NewMark()
	ctx, cancel := context.WithTimeoutCause(ctx, s.maxTime, fmt.Errorf("--max-time=%s is over", s.maxTime))
	defer cancel()
	return p.against(ctx, &s, selected, vars)
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// touches says what a run makes in an account.
func touches(selected []cases.Case) string {
	made := map[ledger.Kind]int{}
	calls := 0
	for _, c := range selected {
		for _, step := range c.Steps {
			calls++
			for _, kind := range ledger.Kinds() {
				if step.Method == http.MethodPost && strings.HasSuffix(step.Path, string(kind)) {
					made[kind]++
					calls++ // the delete
				}
			}
		}
	}
	return fmt.Sprintf("In about %d calls it would ask to make at most %d traffic mirror filters, %d rules and %d sessions, a few at a time, on the "+
		"ports given by --sources and --target, all marked %sXXXX in name or description, and delete them again; the sessions use filters without "+
		"rules, so that nothing is copied; it writes nothing else.",
		calls, made[ledger.Filter], made[ledger.Rule], made[ledger.Session], account.MarkPrefix)
}

// against compares the account of the settings with a simulator.
func (p program) against(ctx context.Context, s *settings, selected []cases.Case, vars cases.Vars) (err error) {
	to, err := newFolder(s.out, vars["mark"])
	if err != nil {
		return err
	}
	book, err := ledger.Create(to.file("ledger.jsonl"), ledger.Run{Mark: vars["mark"], Endpoint: s.endpoint, Region: s.region, Project: s.project})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	log, err := os.OpenFile(to.file("journal.jsonl"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	right := p.side(s, vars, book, log)
	defer right.Client.Close()
	priorities, err := right.Priorities(ctx, len(priorityVars))
	if err != nil {
		return fmt.Errorf("look for free priorities: %w", err)
	}
	setPriorities(vars, priorities)
	left, err := startSimulator(ctx, "simulator", split(s.switches), vars, &account.Journal{Out: log, Side: "simulator"})
	if err != nil {
		return err
	}
	defer left.close()
	c := &comparison{left: left, right: right, switches: split(s.switches), cases: selected, progress: p.progress, lag: s.lag}
	return p.finish(c, c.run(ctx), to)
}

// side is the account of the settings.
func (p program) side(s *settings, vars cases.Vars, book *ledger.File, log io.Writer) *play.Side {
	client := account.New(account.Config{
		VPC: s.endpoint, IAM: s.iam, Project: s.project, Keys: s.keys, Guard: guard(vars, book), PerSecond: s.perSecond, MaxCalls: s.maxCalls,
		Journal: &account.Journal{Out: log, Side: "cloud"}, Scrub: account.NewScrubber(s.keys.SecretKey, s.keys.AccessKey, s.keys.Token),
	})
	return &play.Side{Name: "cloud", Client: client, Ledger: book, Vars: vars, Patience: s.patience}
}

func setPriorities(vars cases.Vars, priorities []int) {
	for i, name := range priorityVars {
		vars[name] = strconv.Itoa(priorities[i])
	}
}

// newFolder makes the folder of a run.
func newFolder(parent, mark string) (folder, error) {
	name := time.Now().UTC().Format("20060102-150405-") + strings.TrimPrefix(mark, account.MarkPrefix)
	path := filepath.Join(parent, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("make the folder of the run: %w", err)
	}
	return folder(path), nil
}

// finish writes the report, and says how the run ended.
func (p program) finish(c *comparison, failed error, to folder) error {
	err := errors.Join(writeFile(to.file("report.txt"), c.report.Text), writeFile(to.file("report.json"), c.report.JSON), c.report.Text(p.out))
	p.say("The whole is in %s.\n", to)
	switch {
	case failed != nil:
		return errors.Join(failed, err)
	case c.report.Remains != "":
		return errors.Join(fmt.Errorf("something is left behind, run live clean: %s", c.report.Remains), err)
	case err != nil:
		return err
	}
	for _, one := range c.report.Cases {
		if one.Differs > 0 {
			return errDiffers
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return errors.Join(write(file), file.Close())
}

// rehearse compares two simulators.
func (p program) rehearse(ctx context.Context, args []string) error {
	var s settings
	flags := p.flags("rehearse")
	s.both(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	selected, err := s.selected()
	if err != nil {
		return err
	}
	c, closed, err := rehearsal(ctx, split(s.switches), selected)
	if err != nil {
		return err
	}
	defer closed()
	to, err := newFolder(s.out, c.left.Vars["mark"])
	if err != nil {
		return err
	}
	return p.finish(c, c.run(ctx), to)
}

// rehearsal is a comparison of a plain simulator with one that has these switches on.
func rehearsal(ctx context.Context, switches []string, selected []cases.Case) (*comparison, func(), error) {
	vars := cases.Vars{"mark": account.NewMark()}
	setPriorities(vars, []int{32766, 32765, 32764, 32763})
	left, err := startSimulator(ctx, "simulator", nil, vars, nil)
	if err != nil {
		return nil, nil, err
	}
	right, err := startSimulator(ctx, "other", switches, vars, nil)
	if err != nil {
		left.close()
		return nil, nil, err
	}
	closed := func() {
		left.close()
		right.close()
	}
	return &comparison{left: left, right: right.Side, cases: selected}, closed, nil
}
