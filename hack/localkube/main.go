// Command localkube is a whole Kubernetes in one binary: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, kubelet, kube-proxy and kubectl, built
// from their public Go modules. It plays the component whose name it is called
// by, so a folder of symlinks to it serves as KUBEBUILDER_ASSETS.
//
// One binary, because the components share most of their code: one link step and
// 160 MB in place of six and 484 MB.
//
// Built with -modfile=oldest.mod and the tag oldest it is etcd, kube-apiserver and
// kubectl of the oldest Kubernetes that the project promises to run on.
//
// It may import nothing of ours.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// components maps the name of each component but etcd to its root command; node.go adds to
// it what a node runs.
var components = map[string]func() *cobra.Command{
	"kube-apiserver": apiserver.NewAPIServerCommand,
	"kubectl":        kubectl.NewDefaultKubectlCommand,
}

func main() {
	name := filepath.Base(os.Args[0])
	if name == "etcd" {
		etcdmain.Main(os.Args)
		return
	}
	command, known := components[name]
	if !known {
		fmt.Fprintf(os.Stderr, "localkube: call it by the name of a component (a symlink): etcd, %s; it was called %q\n",
			strings.Join(slices.Sorted(maps.Keys(components)), ", "), name)
		os.Exit(2)
	}
	os.Exit(cli.Run(command()))
}
