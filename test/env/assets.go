package env

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"vpcmirror.io/operator/test/env/checkout"
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
		root, err := checkout.Root()
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrNoAssets, err)
		}
		folder = filepath.Join(root, "bin", "kube")
		remedy = "run `make assets` once (it takes them from an archive, or builds them in 7 to 12 minutes on 2 cores), or set " + assetsVariable
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
