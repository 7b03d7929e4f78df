package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world is an index with archives, as they are published.
type world struct {
	*httptest.Server
	// archives by version.
	archives map[string]published
	// indexHangs and archiveHangs never answer to the end.
	indexHangs, archiveHangs bool
}

type published struct {
	content []byte
	hash    string
}

func (w *world) ServeHTTP(out http.ResponseWriter, request *http.Request) {
	if request.URL.Path == "/index.yaml" {
		if w.indexHangs {
			<-request.Context().Done()
			return
		}
		fmt.Fprintln(out, "releases:")
		for version, archive := range w.archives {
			name := fmt.Sprintf("envtest-v%s-%s-%s.tar.gz", version, runtime.GOOS, runtime.GOARCH)
			fmt.Fprintf(out, "  v%s:\n    %s:\n      hash: %s\n      selfLink: %s/archive/%s\n", version, name, archive.hash, w.URL, version)
		}
		return
	}
	version, isArchive := strings.CutPrefix(request.URL.Path, "/archive/")
	archive, known := w.archives[version]
	if !isArchive || !known {
		http.NotFound(out, request)
		return
	}
	if !w.archiveHangs {
		_, _ = out.Write(archive.content)
		return
	}
	_, _ = out.Write(archive.content[:len(archive.content)/2])
	_ = http.NewResponseController(out).Flush()
	<-request.Context().Done()
}

// archive packs programs that say they are of the version.
func archive(t *testing.T, version string, names ...string) published {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	files := tar.NewWriter(zipped)
	for _, name := range names {
		script := fmt.Sprintf("#!/bin/sh\necho Kubernetes v%s\n", version)
		err := files.WriteHeader(&tar.Header{Name: "controller-tools/envtest/" + name, Mode: 0o755, Size: int64(len(script)), Typeflag: tar.TypeReg})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write([]byte(script)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(files.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(packed.Bytes())
	return published{content: packed.Bytes(), hash: hex.EncodeToString(sum[:])}
}

// tool is the file of setup-envtest as hack/tools pins it, built once, into toolFolder.
var tool = sync.OnceValues(func() (string, error) {
	file := filepath.Join(toolFolder, "setup-envtest")
	command := exec.Command("go", "-C", "../tools", "build", "-o", file, "sigs.k8s.io/controller-runtime/tools/setup-envtest")
	if said, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building setup-envtest: %w: %s", err, said)
	}
	return file, nil
})

// toolFolder is there for as long as the tests run.
var toolFolder string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "setup-envtest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "no folder could be made for setup-envtest:", err)
		os.Exit(1)
	}
	toolFolder = folder
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// outcome is what a run has left.
type outcome struct {
	Built bool     // it was left to the build
	Files []string // of the folder
	Stamp string
}

var fetched = outcome{Files: []string{".lock", ".stamp", "etcd", "kube-apiserver", "kubectl"},
	Stamp: "envtest 1.37 " + runtime.GOOS + "/" + runtime.GOARCH + "\n"}

var leftToTheBuild = outcome{Built: true, Files: []string{".lock"}}

// fetching is an assets that asks the index.
func fetching(t *testing.T, index string, built *bool, out *bytes.Buffer) assets {
	t.Helper()
	program, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	return assets{
		out: out, folder: t.TempDir(), system: runtime.GOOS + "/" + runtime.GOARCH, project: "../..", index: index,
		patience: time.Minute, stall: time.Minute, limit: time.Minute,
		// Linked, never written here: a process that another test forks meanwhile would inherit the file open for writing, and the kernel runs no such
		// file (ETXTBSY, golang.org/issue/22315).
		buildTool: func(_ context.Context, file string) error { return os.Symlink(program, file) },
		build:     func(context.Context, string) error { *built = true; return nil },
		finished:  func(context.Context, string) (bool, error) { return false, nil },
		handOver:  func(context.Context) error { return nil },
	}
}

func left(t *testing.T, folder string, built bool) outcome {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	o := outcome{Built: built}
	for _, entry := range entries {
		o.Files = append(o.Files, entry.Name())
	}
	slices.Sort(o.Files)
	stamp, _ := os.ReadFile(filepath.Join(folder, ".stamp"))
	o.Stamp = string(stamp)
	return o
}

func TestTheProgramsAreTakenFromTheArchiveWhereAllOfItIsRightAndElseBuiltWithTheReason(t *testing.T) {
	right := archive(t, "1.37.5", programs...)
	for _, row := range []struct {
		name  string
		world world
		index string // what else than the world's index is asked
		limit func(*assets)
		want  outcome
		says  string
	}{
		{name: "the newest patch of the version that is pinned", want: fetched, says: "Kubernetes 1.37.5 is that of envtest's archive",
			world: world{archives: map[string]published{"1.37.0": archive(t, "1.37.0", programs...), "1.37.5": right, "1.38.0": archive(t, "1.38.0", programs...)}}},
		{name: "the checksum is another", want: leftToTheBuild, says: "checksum mismatch",
			world: world{archives: map[string]published{"1.37.5": {content: right.content, hash: strings.Repeat("0", 128)}}}},
		{name: "there is no checksum", want: leftToTheBuild, says: "checksum mismatch",
			world: world{archives: map[string]published{"1.37.5": {content: right.content, hash: `""`}}}},
		{name: "only another version is published", want: leftToTheBuild, says: "unable to find a version",
			world: world{archives: map[string]published{"1.36.9": archive(t, "1.36.9", programs...)}}},
		{name: "the archive has another version than its name", want: leftToTheBuild, says: `calls itself "Kubernetes v1.36.9", and 1.37 is wanted`,
			world: world{archives: map[string]published{"1.37.5": archive(t, "1.36.9", programs...)}}},
		{name: "the archive lacks a program", want: leftToTheBuild, says: "the archive's etcd doesn't run here",
			world: world{archives: map[string]published{"1.37.5": archive(t, "1.37.5", "kube-apiserver", "kubectl")}}},
		{name: "the index is not there", want: leftToTheBuild, index: "/elsewhere", says: "answers 404"},
		{name: "nobody listens", want: leftToTheBuild, index: "nobody", says: "can't be reached"},
		{name: "the index never answers", want: leftToTheBuild, says: "did not answer within 200ms",
			world: world{indexHangs: true}, limit: func(a *assets) { a.patience = 200 * time.Millisecond }},
		{name: "the archive stands still", want: leftToTheBuild, says: "the archive stood still for 500ms",
			world: world{archives: map[string]published{"1.37.5": right}, archiveHangs: true}, limit: func(a *assets) { a.stall = 500 * time.Millisecond }},
		{name: "the archive takes too long", want: leftToTheBuild, says: "the archive did not come within 500ms",
			world: world{archives: map[string]published{"1.37.5": right}, archiveHangs: true}, limit: func(a *assets) { a.limit = 500 * time.Millisecond }},
		{name: "nothing is to be asked", want: leftToTheBuild, index: noIndex, says: "since ENVTEST_INDEX is none"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := row.world
			server.Server = httptest.NewServer(&server)
			t.Cleanup(server.Close)
			index := server.URL + "/index.yaml"
			switch {
			case row.index == "nobody":
				index = "http://" + closedPort(t)
			case strings.HasPrefix(row.index, "/"):
				index = server.URL + row.index
			case row.index != "":
				index = row.index
			}
			var out bytes.Buffer
			var built bool
			a := fetching(t, index, &built, &out)
			if row.limit != nil {
				row.limit(&a)
			}
			if err := a.ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, left(t, a.folder, built)); diff != "" {
				t.Errorf("what is left (-want +got):\n%s\nit said:\n%s", diff, out.String())
			}
			if !strings.Contains(out.String(), row.says) {
				t.Errorf("it should say %q, and said:\n%s", row.says, out.String())
			}
			if said := strings.Contains(out.String(), "Kubernetes is built from source, since "); said != row.want.Built {
				t.Errorf("whether it is built from source is said wrongly:\n%s", out.String())
			}
		})
	}
}

// closedPort is an address of this machine where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestASecondRunKeepsWhatTheFirstFetchedAndSaysNothing(t *testing.T) {
	server := world{archives: map[string]published{"1.37.5": archive(t, "1.37.5", programs...)}}
	server.Server = httptest.NewServer(&server)
	var out bytes.Buffer
	var built bool
	a := fetching(t, server.URL+"/index.yaml", &built, &out)
	if err := a.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Close()
	out.Reset()
	if err := a.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fetched, left(t, a.folder, built)); diff != "" || out.Len() > 0 {
		t.Errorf("what is left (-want +got):\n%s\nit said:\n%s", diff, out.String())
	}
}

func TestWhatARunLeftThatWasKilledIsTakenAway(t *testing.T) {
	server := world{archives: map[string]published{"1.37.5": archive(t, "1.37.5", programs...)}}
	server.Server = httptest.NewServer(&server)
	defer server.Close()
	var out bytes.Buffer
	var built bool
	a := fetching(t, server.URL+"/index.yaml", &built, &out)
	unpacked := filepath.Join(a.folder, ".fetch-123", "store", "k8s", "1.37.5")
	if err := os.MkdirAll(unpacked, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(unpacked, 0o555); err != nil { // as setup-envtest leaves it
		t.Fatal(err)
	}
	if err := a.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fetched, left(t, a.folder, built)); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func TestAnInterruptIsNoReasonToBuild(t *testing.T) {
	server := world{archives: map[string]published{"1.37.5": archive(t, "1.37.5", programs...)}, archiveHangs: true}
	server.Server = httptest.NewServer(&server)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	var built bool
	a := fetching(t, server.URL+"/index.yaml", &built, &out)
	buildTool := a.buildTool
	a.buildTool = func(ctx context.Context, file string) error {
		defer cancel() // while it is fetched
		return buildTool(ctx, file)
	}
	if err := a.ensure(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the interrupt gave %v", err)
	}
	if diff := cmp.Diff(outcome{Files: []string{".lock"}}, left(t, a.folder, built)); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}
