package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// programs are what envtest's archives have, and all that tests and demo need.
var programs = []string{"etcd", "kube-apiserver", "kubectl"}

// mark says what was fetched into a folder: which minor version, such as 1.37, for which system,
// such as linux/amd64.
type mark struct{ minor, system string }

// markBegins tells the stamp of what was fetched from that of what was built, which is a hash.
const markBegins = "envtest"

// String is the mark as it stands in the folder's stamp.
func (m mark) String() string { return strings.Join([]string{markBegins, m.minor, m.system}, " ") }

// parseMark reads a folder's stamp; zero where that is not one of what was fetched.
func parseMark(stamp string) mark {
	words := strings.Fields(stamp)
	if len(words) != 3 || words[0] != markBegins {
		return mark{}
	}
	return mark{minor: words[1], system: words[2]}
}

// present is what a folder has.
type present struct {
	built    bool // by hack/localkube/build, from the sources as they are now
	complete bool // each of the programs is a file that can be run
	fetched  mark // zero where what is there was not fetched
}

// step is what is to be done about a folder.
type step string

const (
	keep  step = "keep what is there"
	fetch step = "fetch the archive"
	build step = "build from source"
)

// decide keeps whatever will do: what was built from these sources, as that takes minutes and has
// the node's programs too, and what was fetched for this minor version, whichever patch. It says
// why where it is to be built.
func decide(p present, want mark, index string) (next step, why string) {
	switch {
	case p.built, p.complete && p.fetched == want:
		return keep, ""
	case index == noIndex:
		return build, "ENVTEST_INDEX is " + noIndex
	default:
		return fetch, ""
	}
}

var (
	pin     = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes v(\d+\.\d+\.\d+)$`)
	version = regexp.MustCompile(`\bv?((\d+\.\d+)\.\d+)\b`)
)

// pinnedVersion is the version of Kubernetes that hack/localkube builds from these modules, go.mod
// or oldest.mod.
func pinnedVersion(project, modules string) (string, error) {
	file := filepath.Join(project, "hack", "localkube", modules)
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading which Kubernetes is pinned: %w", err)
	}
	found := pin.FindSubmatch(content)
	if found == nil {
		return "", fmt.Errorf("%s has no line 'k8s.io/kubernetes vX.Y.Z': restore it, the version is read from there", file)
	}
	return string(found[1]), nil
}

// minorOf is 1.37 of 1.37.2, and of "Kubernetes v1.37.2"; empty where there is no version.
func minorOf(text string) string {
	found := version.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return found[2]
}
