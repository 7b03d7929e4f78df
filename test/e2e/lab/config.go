package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"vpcmirror.io/operator/test/env/pki"
)

// pauseImage is what holds the namespaces of a pod.
const pauseImage = "localhost/vpcmirror-pause:1"

// containerdConfig is for containerd 1.6 and later.
//
// restrict_oom_score_adj: root without CAP_SYS_RESOURCE, as in many virtual machines and
// in a container, may not lower a score, and runc then fails with no more than "EOF".
// The plugin opt would otherwise make /opt/containerd on the machine.
const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`

// kubeletConfig refuses neither cgroups of version 1 nor swap, and never evicts nor
// collects images: the machine's disk is not the lab's, and what it has loaded can't be
// pulled again.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %q}
authorization: {mode: Webhook}
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: %q
cgroupsPerQOS: true
enforceNodeAllocatable: []
failSwapOn: false
resolvConf: ""
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volume-plugins
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 1Mi, nodefs.available: 0%%, nodefs.inodesFree: 0%%, imagefs.available: 0%%, imagefs.inodesFree: 0%%}
logging: {verbosity: 1}
`

// writeNodeFiles writes what the programs of a node read, below the node's folder.
func (l *Lab) writeNodeFiles(n *Node) error {
	cni, err := json.MarshalIndent(map[string]any{
		"cniVersion": "0.4.0", "name": "pods",
		"plugins": []any{map[string]any{
			"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": false,
			"ipam": map[string]any{
				"type": "host-local", "routes": []any{map[string]string{"dst": "0.0.0.0/0"}},
				"ranges": []any{[]any{map[string]string{"subnet": n.PodCIDR.String()}}},
			},
		}},
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the pod network of %s: %w", n.Name, err)
	}
	for name, content := range map[string]string{
		"cni.d/pods.conflist": string(cni),
		"containerd.toml":     fmt.Sprintf(containerdConfig, pauseImage, cniFolder(), n.path("cni.d")),
		"kubelet.yaml":        fmt.Sprintf(kubeletConfig, l.path("pki/ca.crt"), "/"+n.cgroup()),
	} {
		if err := os.MkdirAll(filepath.Dir(n.path(name)), 0o755); err != nil {
			return fmt.Errorf("make a folder of %s: %w", n.Name, err)
		}
		if err := os.WriteFile(n.path(name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write a file of %s: %w", n.Name, err)
		}
	}
	kubelet, err := l.authority.Client("system:node:"+n.Name, "system:nodes")
	if err != nil {
		return err
	}
	return writeKubeconfig(n.path("kubelet.kubeconfig"), l.insideURL(), l.authority, kubelet)
}

// writeKubeconfig writes one that needs no other file.
func writeKubeconfig(path, server string, authority *pki.Authority, user pki.Pair) error {
	const name = "vpcmirror-lab"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority.CertPEM}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: user.Cert, ClientKeyData: user.Key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write the kubeconfig %s: %w", path, err)
	}
	return nil
}
