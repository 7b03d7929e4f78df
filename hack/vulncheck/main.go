// Command vulncheck runs govulncheck, and tells apart what one exit code of that stands for:
// that it failed, and that there was no database to look anything up in:
//
//	vulncheck GOVULNCHECK PATTERN...
//
// Its exit codes: 0 none of the known vulnerabilities is in what the programs use; 1 some
// are; 2 govulncheck failed; 3 the database can't be reached, and nothing was looked at.
//
// It may import nothing of ours.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The exit codes.
const (
	clean = iota
	vulnerable
	failed
	unreachable
)

// foundByGovulncheck is its exit code where it found something.
const foundByGovulncheck = 3

// patience is how long the database may take to answer at all.
const patience = 15 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], cmp.Or(os.Getenv("GOVULNDB"), "https://vuln.go.dev"), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, database string, stdout, stderr io.Writer) int {
	if len(args) < 2 {
		fmt.Fprintf(stderr, "usage: vulncheck GOVULNCHECK PATTERN...; it was called with %q\n", args)
		return failed
	}
	if err := reach(ctx, database); err != nil {
		fmt.Fprintf(stderr, "vulncheck: nothing was looked at, as the database of vulnerabilities can't be reached: %v\n"+
			"vulncheck: where a proxy leads to it set HTTPS_PROXY; where nothing does unpack https://vuln.go.dev/vulndb.zip and set GOVULNDB=file:///FOLDER\n", err)
		return unreachable
	}
	command := exec.CommandContext(ctx, args[0], append([]string{"-db", database}, args[1:]...)...)
	command.Stdout, command.Stderr = stdout, stderr
	err := command.Run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return clean
	case ended && exit.ExitCode() == foundByGovulncheck:
		fmt.Fprintln(stderr, "vulncheck: vulnerabilities were found, see above: update what is named, with go get MODULE@VERSION or another Go")
		return vulnerable
	default:
		fmt.Fprintf(stderr, "vulncheck: govulncheck failed, and nothing is known: %v\n", err)
		return failed
	}
}

// reach reports why a database can't be read: a folder, or a server with the form of
// https://go.dev/security/vuln/database.
func reach(ctx context.Context, database string) error {
	where, err := url.Parse(database)
	if err != nil {
		return fmt.Errorf("GOVULNDB: %w", err)
	}
	if where.Scheme == "file" {
		_, err := os.Stat(filepath.Join(filepath.FromSlash(where.Path), "index", "db.json"))
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(database, "/")+"/index/db.json", nil)
	if err != nil {
		return fmt.Errorf("GOVULNDB: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", request.URL, answer.Status)
	}
	return nil
}
