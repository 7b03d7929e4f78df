package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// govulncheck is a stand-in that says how it was called and ends with the code.
func govulncheck(t *testing.T, code string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "govulncheck")
	if err := os.WriteFile(file, []byte("#!/bin/sh\necho \"$@\"\nexit "+code+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// outcome is what a run leaves.
type outcome struct {
	Code           int
	Stdout, Stderr string
}

func play(t *testing.T, database string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, database, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

func TestTheExitCodeTellsNothingFoundFromNothingLookedAt(t *testing.T) {
	database := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/index/db.json" {
			http.NotFound(w, r)
		}
	}))
	defer database.Close()
	local := t.TempDir()
	if err := os.Mkdir(filepath.Join(local, "index"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(local, "index/db.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := (&url.URL{Scheme: "file", Path: local}).String()
	for name, c := range map[string]struct {
		database, code string
		want           outcome
	}{
		"nothing is found":  {database.URL, "0", outcome{clean, "-db " + database.URL + " ./cmd/...\n", ""}},
		"so in a folder":    {file, "0", outcome{clean, "-db " + file + " ./cmd/...\n", ""}},
		"something is":      {database.URL, "3", outcome{vulnerable, "-db " + database.URL + " ./cmd/...\n", "vulncheck: vulnerabilities were found, see above: update what is named, with go get MODULE@VERSION or another Go\n"}},
		"govulncheck fails": {database.URL, "1", outcome{failed, "-db " + database.URL + " ./cmd/...\n", "vulncheck: govulncheck failed, and nothing is known: exit status 1\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := play(t, c.database, govulncheck(t, c.code), "./cmd/...")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestADatabaseThatCannotBeReachedIsSaidAndNothingIsRun(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	empty := httptest.NewServer(http.NotFoundHandler())
	defer empty.Close()
	for name, c := range map[string]struct{ database, says string }{
		"nobody listens":          {gone.URL, "connection refused"},
		"the server has none":     {empty.URL, empty.URL + "/index/db.json answers 404 Not Found"},
		"the folder has none":     {"file://" + t.TempDir(), "no such file or directory"},
		"the address can't be so": {"ftp://vuln.go.dev", "unsupported protocol scheme"},
	} {
		t.Run(name, func(t *testing.T) {
			got := play(t, c.database, govulncheck(t, "0"), "./cmd/...")
			if got.Code != unreachable || got.Stdout != "" || !strings.Contains(got.Stderr, c.says) ||
				!strings.HasPrefix(got.Stderr, "vulncheck: nothing was looked at, as the database of vulnerabilities can't be reached: ") {
				t.Errorf("it says %+v", got)
			}
		})
	}
}
