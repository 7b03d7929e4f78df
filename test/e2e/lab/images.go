package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"vpcmirror.io/operator/test/e2e/lab/archive"
)

// imagePatience bounds the loading of one image into one node; a second is usual.
const imagePatience = 2 * time.Minute

// LoadImage loads an image archive (as `docker save` writes it) into the nodes, all of
// them when none is named, and returns the names of its images. Dead nodes can't be
// loaded; what a node has loaded it keeps when it dies and comes back. Pods use the image
// with imagePullPolicy IfNotPresent or Never: there is no registry.
func (l *Lab) LoadImage(ctx context.Context, archivePath string, nodes ...string) ([]string, error) {
	names, err := archive.Names(archivePath)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(archivePath)
	if err != nil {
		return nil, fmt.Errorf("find the image archive: %w", err)
	}
	if len(nodes) == 0 {
		for _, n := range l.nodes {
			nodes = append(nodes, n.Name)
		}
	}
	return names, together(nodes, func(node string) error { return l.load(ctx, path, node) })
}

func (l *Lab) load(ctx context.Context, path, node string) error {
	n, err := l.Node(node)
	if err != nil {
		return err
	}
	socket := n.path("run-containerd/containerd.sock")
	err = poll(ctx, containerdPatience, 20*time.Millisecond, "containerd of "+node+" listens", func() error {
		_, err := os.Stat(socket)
		return err
	})
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, imagePatience)
	defer cancel()
	command, err := l.Command(limited, node, "ctr", "--connect-timeout", "20s", "--namespace", "k8s.io", "images", "import", path)
	if err != nil {
		return err
	}
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("load the image archive %s into %s: %w: %s", path, node, err, bytes.TrimSpace(said))
	}
	return nil
}

// makePause builds the image of pods' sandboxes.
func (l *Lab) makePause(ctx context.Context) (string, error) {
	program, path := l.path("pause/pause"), l.path("pause/pause.tar")
	if err := l.GoBuild(ctx, "./test/e2e/lab/pause", program); err != nil {
		return "", err
	}
	return path, archive.Write(path, archive.Image{Name: pauseImage, Program: program, User: "65535:65535"})
}

// buildPatience bounds a build of a small program.
const buildPatience = 5 * time.Minute

// GoBuild builds a static program of this project, for a small image of a test's own
// (package archive makes it).
func (l *Lab) GoBuild(ctx context.Context, pkg, out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("make a folder to build in: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, buildPatience)
	defer cancel()
	command := exec.CommandContext(limited, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, pkg)
	command.Dir = l.root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := command.CombinedOutput()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return &NeedError{"the lab needs the Go compiler: install Go 1.26 or later (https://go.dev/dl)"}
	}
	if err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, bytes.TrimSpace(said))
	}
	return nil
}

// together runs f for all at the same time and returns every error.
func together[T any](all []T, f func(T) error) error {
	results := make([]error, len(all))
	var group sync.WaitGroup
	for i, one := range all {
		group.Go(func() { results[i] = f(one) })
	}
	group.Wait()
	return errors.Join(results...)
}
