package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"vpcmirror.io/operator/test/live/account"
	"vpcmirror.io/operator/test/live/ledger"
)

// clean deletes what runs left that were killed.
func (p program) clean(ctx context.Context, args []string) error {
	var s settings
	flags := p.flags("clean")
	s.account(flags, p.getenv)
	flags.StringVar(&s.ledgers, "ledgers", "bin/live/*/ledger.jsonl", "`pattern` of the ledgers to clean up after")
	flags.StringVar(&s.mark, "mark", "", "`mark` of a run whose ledger is lost, as in the names of what it made, such as "+account.MarkPrefix+"ABCDEFGHIJKL")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if missing := s.missing(); len(missing) > 0 {
		return fmt.Errorf("no account was named to clean: %s %s missing. It would delete what the ledgers %s list, and what bears their runs' marks",
			strings.Join(missing, ", "), isOrAre(len(missing)), s.ledgers)
	}
	if err := s.check(); err != nil {
		return err
	}
	if s.confirm != s.project {
		return fmt.Errorf("nothing was sent: say --confirm=%s, the ID of the project, to have this project cleaned", s.project)
	}
	books, err := s.books()
	if err != nil {
		return err
	}
	var failed []error
	for _, book := range books {
		failed = append(failed, p.cleanOne(ctx, &s, book), book.Close())
	}
	return errors.Join(failed...)
}

// books opens the ledgers to clean up after. Those of other accounts are an error: their objects would seem to be gone.
func (s *settings) books() ([]*ledger.File, error) {
	run := ledger.Run{Mark: s.mark, Endpoint: s.endpoint, Region: s.region, Project: s.project}
	if s.mark != "" {
		if rest, is := strings.CutPrefix(s.mark, account.MarkPrefix); !is || len(rest) != len(account.NewMark())-len(account.MarkPrefix) {
			return nil, fmt.Errorf("--mark=%q is no mark of a run: give one such as %sABCDEFGHIJKL", s.mark, account.MarkPrefix)
		}
		return []*ledger.File{ledger.Memory(run)}, nil
	}
	paths, err := filepath.Glob(s.ledgers)
	if err != nil {
		return nil, fmt.Errorf("--ledgers=%q: %w", s.ledgers, err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no ledger is at %s: name them by --ledgers, or a run by --mark", s.ledgers)
	}
	var books []*ledger.File
	for _, path := range paths {
		book, err := ledger.Open(path)
		if errors.Is(err, ledger.ErrNeverBegun) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, closeAll(books))
		}
		books = append(books, book)
		run.Mark = book.Run().Mark
		if book.Run() != run {
			return nil, errors.Join(fmt.Errorf("the ledger %s is of project %s at %s: give that account, or name other ledgers by --ledgers",
				path, book.Run().Project, book.Run().Endpoint), closeAll(books))
		}
	}
	return books, nil
}

func closeAll(books []*ledger.File) error {
	var failed []error
	for _, book := range books {
		failed = append(failed, book.Close())
	}
	return errors.Join(failed...)
}

func (p program) cleanOne(ctx context.Context, s *settings, book *ledger.File) error {
	vars := variables(s.region, s.project, nil, "")
	vars["mark"] = book.Run().Mark
	side := p.side(s, vars, book, io.Discard)
	defer side.Client.Close()
	before := len(book.Open())
	if err := side.Clean(ctx, s.lag); err != nil {
		return fmt.Errorf("clean up after %s: %w", book.Run().Mark, err)
	}
	_, err := fmt.Fprintf(p.out, "Nothing with the mark %s is left; the ledger had %d that might be there, and %d calls were made.\n", book.Run().Mark, before, side.Client.Calls())
	return err
}
