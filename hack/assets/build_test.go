package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compiler stands for Go in the tests of the script: it takes no minutes, and tells what it was
// asked for.
const compiler = `#!/bin/sh
echo "$*" >>"$ASKED"
case $1 in
version) echo go version go1.26.0 linux/amd64 ;;
build) while [ $# -gt 0 ]; do if [ "$1" = -o ]; then printf '#!/bin/sh\n' >"$2"; chmod +x "$2"; fi; shift; done ;;
esac
`

// script is hack/localkube/build with that compiler.
type script struct {
	path, asked string
}

func newScript(t *testing.T) script {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "go"), []byte(compiler), 0o755); err != nil {
		t.Fatal(err)
	}
	return script{path: folder + ":" + os.Getenv("PATH"), asked: filepath.Join(folder, "asked")}
}

// run returns the exit code, and what the compiler was asked to build, with which modules.
func (s script) run(t *testing.T, args ...string) (code int, builds []string) {
	t.Helper()
	if err := os.WriteFile(s.asked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "../localkube/build", args...)
	command.Env = append(os.Environ(), "PATH="+s.path, "ASKED="+s.asked)
	said, err := command.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		t.Fatalf("%v: %s", err, said)
	}
	asked, err := os.ReadFile(s.asked)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(asked)) {
		words := strings.Fields(line)
		if words[0] != "build" {
			continue
		}
		modules := "go.mod"
		for _, word := range words {
			if named, found := strings.CutPrefix(word, "-modfile="); found {
				modules = named
			}
		}
		builds = append(builds, modules)
	}
	return code, builds
}

func TestWhatANodeRunsIsBuiltOverWhatWasFetchedAndNeverReplacedByIt(t *testing.T) {
	folder := t.TempDir()
	fetchedInto(t, folder)
	s := newScript(t)

	if code, builds := s.run(t, "--check", folder); code != 1 || builds != nil {
		t.Errorf("what was fetched is taken for what is built: exit code %d, built %v", code, builds)
	}
	if code, builds := s.run(t, folder); code != 0 || !slices.Equal(builds, []string{"go.mod"}) {
		t.Errorf("building over what was fetched: exit code %d, built %v", code, builds)
	}
	links := map[string]string{}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"} {
		links[name], _ = os.Readlink(filepath.Join(folder, name))
	}
	if diff := cmp.Diff(map[string]string{"etcd": builtProgram, "kube-apiserver": builtProgram, "kube-controller-manager": builtProgram,
		"kube-scheduler": builtProgram, "kubelet": builtProgram, "kube-proxy": builtProgram, "kubectl": builtProgram}, links); diff != "" {
		t.Errorf("the links to what was built (-want +got):\n%s", diff)
	}
	if code, builds := s.run(t, folder); code != 0 || builds != nil {
		t.Errorf("a second run: exit code %d, built %v", code, builds)
	}

	var out bytes.Buffer
	a := assets{out: &out, folder: folder, system: runtime.GOOS + "/" + runtime.GOARCH, project: "../..", index: "http://" + closedPort(t),
		build: func(context.Context, string) error { t.Error("it is built once more"); return nil },
		finished: func(context.Context, string) (bool, error) {
			code, _ := s.run(t, "--check", folder)
			return code == 0, nil
		}}
	if err := a.ensure(t.Context()); err != nil || out.Len() > 0 {
		t.Errorf("what was built is not just kept: %v, it said %q", err, out.String())
	}
}

func TestWhatWasBuiltFromOtherSourcesGivesWayToWhatIsFetched(t *testing.T) {
	folder := t.TempDir()
	s := newScript(t)
	if code, builds := s.run(t, folder); code != 0 || builds == nil {
		t.Fatalf("building: exit code %d, built %v", code, builds)
	}
	if err := os.WriteFile(filepath.Join(folder, stampFile), []byte("of other sources\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	fetchedInto(t, folder)
	if diff := cmp.Diff(fetched, left(t, folder, false)); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func TestTheOldestIsBuiltFromModulesOfItsOwnIntoAFolderOfItsOwn(t *testing.T) {
	folder := t.TempDir()
	s := newScript(t)
	if code, builds := s.run(t, folder, "oldest"); code != 0 || !slices.Equal(builds, []string{"oldest.mod"}) {
		t.Errorf("building the oldest: exit code %d, built %v", code, builds)
	}
	want := outcome{Files: []string{".lock", ".stamp", "etcd", "kube-apiserver", "kubectl", "localkube"}}
	got := left(t, folder, false)
	got.Stamp = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	if code, _ := s.run(t, "--check", folder, "oldest"); code != 0 {
		t.Error("a second run would build it again")
	}
	if code, _ := s.run(t, "--check", folder); code != 1 {
		t.Error("the oldest is taken for the newest")
	}
	if code, _ := s.run(t, folder, "older"); code != 2 {
		t.Errorf("another word than oldest gave exit code %d", code)
	}
}

// fetchedInto places what an archive has into the folder.
func fetchedInto(t *testing.T, folder string) {
	t.Helper()
	unpacked := t.TempDir()
	for _, name := range programs {
		if err := os.WriteFile(filepath.Join(unpacked, name), []byte("#!/bin/sh\n"), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	if err := place(unpacked, folder, mark{minor: "1.37", system: runtime.GOOS + "/" + runtime.GOARCH}); err != nil {
		t.Fatal(err)
	}
}
