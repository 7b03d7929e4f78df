package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// source is what a release is made from.
type source struct {
	commit string
	// when is the time of the commit: the only one that a release knows, so that it is the
	// same whenever it is made.
	when time.Time
}

// cleanTree returns what is checked out in the folder, and refuses files that are not
// committed: nobody else could make that release.
func cleanTree(ctx context.Context, folder, version string) (source, error) {
	status, err := git(ctx, folder, "status", "--porcelain", "--untracked-files=all")
	if err != nil {
		return source{}, fmt.Errorf("a release is made from a checkout of Git: %w", err)
	}
	if status != "" {
		first, _, more := strings.Cut(status, "\n")
		others := ""
		if more {
			others = fmt.Sprintf(" and %d others", strings.Count(status, "\n"))
		}
		return source{}, fmt.Errorf("%s%s differ from the commit: a release is made from a clean tree, so commit or remove what git status names",
			strings.TrimSpace(first[2:]), others)
	}
	head, err := git(ctx, folder, "log", "-1", "--format=%H %ct")
	if err != nil {
		return source{}, fmt.Errorf("read the commit: %w", err)
	}
	commit, seconds, _ := strings.Cut(head, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return source{}, fmt.Errorf("read the time of commit %s: %w", commit, err)
	}
	if tagged, err := git(ctx, folder, "rev-parse", "--verify", "--quiet", "refs/tags/v"+version+"^{commit}"); err == nil && tagged != commit {
		return source{}, fmt.Errorf("the tag v%s is of commit %.12s and %.12s is checked out: git checkout v%s, or choose another VERSION",
			version, tagged, commit, version)
	}
	return source{commit, time.Unix(unix, 0).UTC()}, nil
}

// export writes what is committed, and nothing else that a checkout may hold, into a folder:
// what Git ignores is neither seen by its status nor anybody's to give on.
func export(ctx context.Context, folder, commit, into string) error {
	packed, err := output(ctx, folder, nil, "git", "-c", "core.autocrlf=false", "archive", "--format=tar", commit)
	if err != nil {
		return err
	}
	entries, err := readTar(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("read what git archive gives of %s: %w", commit, err)
	}
	for _, e := range entries {
		name := filepath.Join(into, filepath.FromSlash(e.name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, e.content, os.FileMode(e.mode())); err != nil {
			return err
		}
	}
	return nil
}

// git runs git in the folder and returns what it says, without the last line's end.
func git(ctx context.Context, folder string, args ...string) (string, error) {
	out, err := output(ctx, folder, nil, "git", args...)
	return strings.TrimRight(string(out), "\n"), err
}

// output runs a program in a folder, with variables beside those of this process, and
// returns what it wrote. An error has what it complained of.
func output(ctx context.Context, folder string, variables []string, program string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = folder
	command.Env = append(command.Environ(), variables...)
	var said, complaint bytes.Buffer
	command.Stdout, command.Stderr = &said, &complaint
	if err := command.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("%s is needed and not installed: %w", program, err)
		}
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return said.Bytes(), nil
}
