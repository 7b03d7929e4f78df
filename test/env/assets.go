package env

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// assetsVariable names the folder with etcd, kube-apiserver and kubectl; the same
// variable that controller-runtime's envtest reads.
const assetsVariable = "KUBEBUILDER_ASSETS"

// ErrNoAssets is returned when etcd or kube-apiserver can't be found.
var ErrNoAssets = errors.New("etcd and kube-apiserver are missing")

// Assets returns the folder that holds etcd, kube-apiserver and kubectl: that of
// KUBEBUILDER_ASSETS if it is set, else bin/kube of the project. It returns
// ErrNoAssets, with what to do, when one of the three isn't there.
func Assets() (string, error) {
	folder := os.Getenv(assetsVariable)
	remedy := "complete that folder, or unset the variable to use bin/kube"
	if folder == "" {
		root, err := projectRoot()
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrNoAssets, err)
		}
		folder = filepath.Join(root, "bin", "kube")
		remedy = "run `make assets` once (9 to 12 minutes on 2 cores), or set " + assetsVariable
	}
	var missing []string
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.IsDir() {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("%w: no %s in %s: %s", ErrNoAssets, strings.Join(missing, ", "), folder, remedy)
	}
	return folder, nil
}

// projectRoot walks up from the working folder, which `go test` sets to the
// package's own, to the folder with our go.mod.
func projectRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the project's folder: %w", err)
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		content, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), "module vpcmirror.io/operator\n") {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("no folder above %s is the project's: run this inside a clone of it", start)
		}
	}
}
