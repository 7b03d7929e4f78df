package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stampFile says what a folder has; hack/localkube/build writes it too.
const stampFile = ".stamp"

// maxIndex is many times the size of the published index.
const maxIndex = 16 << 20

// fetch takes the programs from the archive. An error is why it could not. The tool has no limits of time of its own, and what it unpacks incompletely it takes
// for complete the next time: so it works in a folder that is thrown away, and is watched.
func (a assets) fetch(ctx context.Context, pinned string) error {
	if err := a.reach(ctx); err != nil {
		return err
	}
	minor := minorOf(pinned)
	fmt.Fprintf(a.out, "Taking Kubernetes %s from envtest's published archives (%s)\n", minor, a.index)
	began := time.Now()
	work, err := a.workFolder()
	if err != nil {
		return err
	}
	defer removeAll(work)
	tool := filepath.Join(work, "setup-envtest")
	if err := a.buildTool(ctx, tool); err != nil {
		return fmt.Errorf("setup-envtest could not be built: %w", err)
	}
	unpacked, err := a.use(ctx, tool, work, minor)
	if err != nil {
		return err
	}
	got, err := tryOut(ctx, unpacked, minor)
	if err != nil {
		return err
	}
	if err := place(unpacked, a.folder, mark{minor: minor, system: a.system}); err != nil {
		return err
	}
	if err := a.handOver(ctx); err != nil {
		fmt.Fprintln(a.out, "assets: some of what root fetched stays root's:", err)
	}
	fmt.Fprintf(a.out, "Kubernetes %s is that of envtest's archive, since the index answered; its checksum agrees; %s\n",
		got, time.Since(began).Round(time.Second))
	return nil
}

// workFolder makes one beside where the programs go, so that they can be moved, and takes away
// what a run left that was killed: no other runs now, see lock.
func (a assets) workFolder() (string, error) {
	const begins = ".fetch-"
	left, err := filepath.Glob(filepath.Join(a.folder, begins+"*"))
	if err != nil {
		return "", fmt.Errorf("looking for what an earlier run left: %w", err)
	}
	for _, folder := range left {
		removeAll(folder)
	}
	work, err := os.MkdirTemp(a.folder, begins)
	if err != nil {
		return "", fmt.Errorf("no folder could be made for the archive: %w", err)
	}
	return work, nil
}

// reach finds out within seconds whether the index can be read.
func (a assets) reach(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	what := "the index of envtest's archives (" + a.index + ")"
	request, err := http.NewRequestWithContext(bounded, http.MethodGet, a.index, nil)
	if err != nil {
		return fmt.Errorf("%s is no address: %w", what, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err == nil {
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", what, answer.Status)
		}
		_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxIndex))
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s did not answer within %s", what, a.patience)
	case err != nil:
		return fmt.Errorf("%s can't be reached: %w", what, withoutAddress(err))
	}
	return nil
}

// withoutAddress is the error of a request without its address, which was named already.
func withoutAddress(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

// use lets setup-envtest fetch the newest patch of the minor version, and returns the folder with
// what was unpacked.
func (a assets) use(ctx context.Context, tool, work, minor string) (string, error) {
	goos, goarch, _ := strings.Cut(a.system, "/")
	parts := filepath.Join(work, "parts")
	if err := os.Mkdir(parts, 0o755); err != nil {
		return "", fmt.Errorf("no folder could be made for the archive: %w", err)
	}
	bounded, cancel := context.WithTimeoutCause(ctx, a.limit, fmt.Errorf("the archive did not come within %s", a.limit))
	defer cancel()
	bounded, stop := context.WithCancelCause(bounded)
	defer stop(nil)
	go a.watch(bounded, stop, work)

	command := exec.CommandContext(bounded, tool, "use", minor+".x", "--print=path", "--index="+a.index,
		"--bin-dir="+filepath.Join(work, "store"), "--os="+goos, "--arch="+goarch)
	command.Env = append(os.Environ(), "TMPDIR="+parts)
	command.WaitDelay = 5 * time.Second
	var path, complaint bytes.Buffer
	command.Stdout, command.Stderr = &path, &complaint
	switch err := command.Run(); {
	case bounded.Err() != nil:
		return "", context.Cause(bounded)
	case err != nil:
		return "", fmt.Errorf("setup-envtest says: %s (%w)", strings.Join(strings.Fields(complaint.String()), " "), err)
	}
	return path.String(), nil
}

// watch stops what makes nothing grow in the folder any more.
func (a assets) watch(ctx context.Context, stop context.CancelCauseFunc, folder string) {
	size, moved := int64(-1), time.Now()
	every := time.NewTicker(a.stall / 20)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if now := sizeOf(folder); now != size {
			size, moved = now, time.Now()
		} else if time.Since(moved) > a.stall {
			stop(fmt.Errorf("the archive stood still for %s", a.stall))
			return
		}
	}
}

// sizeOf is the bytes of all files below the folder; what vanishes meanwhile counts nothing.
func sizeOf(folder string) int64 {
	var size int64
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it has vanished
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}

// tryOut runs each program, and returns the version that kube-apiserver says it has.
func tryOut(ctx context.Context, folder, minor string) (string, error) {
	var got string
	for _, name := range programs {
		args := []string{"--version"}
		if name == "kubectl" {
			args = []string{"version", "--client"}
		}
		said, err := exec.CommandContext(ctx, filepath.Join(folder, name), args...).Output()
		if err != nil {
			return "", fmt.Errorf("the archive's %s doesn't run here: %w", name, err)
		}
		if name == "etcd" {
			continue
		}
		found := version.FindStringSubmatch(string(said))
		if found == nil || found[2] != minor {
			return "", fmt.Errorf("the archive's %s calls itself %q, and %s is wanted", name, strings.TrimSpace(string(said)), minor)
		}
		got = found[1]
	}
	return got, nil
}

// place moves the programs into the folder. Whenever it is interrupted, no stamp says that the
// folder has what it has not.
func place(unpacked, folder string, m mark) error {
	if err := os.Remove(filepath.Join(folder, stampFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("taking the stamp off %s: %w", folder, err)
	}
	if err := removeBuilt(folder); err != nil {
		return err
	}
	// setup-envtest takes the right to write away, and a folder's files can't be moved then.
	if err := os.Chmod(unpacked, 0o755); err != nil {
		return fmt.Errorf("opening what was unpacked: %w", err)
	}
	for _, name := range programs {
		if err := os.Rename(filepath.Join(unpacked, name), filepath.Join(folder, name)); err != nil {
			return fmt.Errorf("moving %s to its place: %w", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, stampFile), []byte(m.String()+"\n"), 0o644); err != nil {
		return fmt.Errorf("stamping %s: %w", folder, err)
	}
	return nil
}

// removeBuilt takes away what was built from other sources: the node's programs are of another
// version than what is fetched.
func removeBuilt(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("looking for what was built: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		leads, err := os.Readlink(path)
		if entry.Name() != builtProgram && (err != nil || leads != builtProgram) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("removing what was built: %w", err)
		}
	}
	return nil
}

// builtProgram is what hack/localkube/build makes; a link to it stands for each component.
const builtProgram = "localkube"

// removeAll also removes folders that setup-envtest has made read-only.
func removeAll(folder string) {
	_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return nil // what can't be read is left to RemoveAll
	})
	_ = os.RemoveAll(folder)
}
