package install

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	psa "k8s.io/pod-security-admission/api"
	psapolicy "k8s.io/pod-security-admission/policy"
)

// manager is the Deployment that the chart gives with the values.
func manager(t *testing.T, values string) *appsv1.Deployment {
	t.Helper()
	return typed(t, find(t, rendered(t, values), "Deployment", "vpcmirror-manager")).(*appsv1.Deployment)
}

// verifier is the DaemonSet that the chart gives with the values.
func verifier(t *testing.T, values string) *appsv1.DaemonSet {
	t.Helper()
	return typed(t, find(t, rendered(t, values), "DaemonSet", "vpcmirror-verifier")).(*appsv1.DaemonSet)
}

// pod is what a workload makes, or a Pod itself.
type pod struct {
	name     string
	workload bool // it runs on, and has probes
	template corev1.PodTemplateSpec
}

// pods of all workloads. A kind that could make pods and isn't known here fails the
// test, so that no workload escapes the policy.
func pods(t *testing.T, all []*unstructured.Unstructured) []pod {
	t.Helper()
	var found []pod
	for _, u := range all {
		switch o := typed(t, u).(type) {
		case *appsv1.Deployment:
			found = append(found, pod{identity(u), true, o.Spec.Template})
		case *appsv1.DaemonSet:
			found = append(found, pod{identity(u), true, o.Spec.Template})
		case *corev1.Pod:
			found = append(found, pod{identity(u), false, corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}})
		default:
			if _, has, _ := unstructured.NestedMap(u.Object, "spec", "template"); has {
				t.Errorf("%s makes pods, and this test doesn't know its kind", identity(u))
			}
		}
	}
	return found
}

// demand is what every pod must meet; it returns what is wrong.
type demand struct {
	name  string
	check func(pod, corev1.Container) string
}

var demands = []demand{
	{"seccomp filters system calls as the container runtime does by default", func(p pod, c corev1.Container) string {
		profile := p.template.Spec.SecurityContext.SeccompProfile
		if own := c.SecurityContext.SeccompProfile; own != nil {
			profile = own
		}
		return unless(profile != nil && profile.Type == corev1.SeccompProfileTypeRuntimeDefault, "it is %v", profile)
	}},
	{"no process can get more privileges than it began with", func(_ pod, c corev1.Container) string {
		allow := c.SecurityContext.AllowPrivilegeEscalation
		return unless(allow != nil && !*allow, "allowPrivilegeEscalation is not false")
	}},
	{"the container is not privileged", func(_ pod, c corev1.Container) string {
		privileged := c.SecurityContext.Privileged
		return unless(privileged == nil || !*privileged, "it is")
	}},
	{"the root file system can't be written", func(_ pod, c corev1.Container) string {
		readOnly := c.SecurityContext.ReadOnlyRootFilesystem
		return unless(readOnly != nil && *readOnly, "readOnlyRootFilesystem is not true")
	}},
	{"all capabilities are dropped, and only the verifier gets one back", func(p pod, c corev1.Container) string {
		want := &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
		if p.name == "DaemonSet vpcmirror-system/vpcmirror-verifier" {
			want.Add = []corev1.Capability{"NET_RAW"}
		}
		return cmp.Diff(want, c.SecurityContext.Capabilities)
	}},
	{"only the verifier is root and on the node's network", func(p pod, c corev1.Container) string {
		isVerifier := p.name == "DaemonSet vpcmirror-system/vpcmirror-verifier"
		user := p.template.Spec.SecurityContext.RunAsUser
		if own := c.SecurityContext.RunAsUser; own != nil {
			user = own
		}
		wantUser := int64(65532)
		if isVerifier {
			wantUser = 0
		}
		return unless(user != nil && *user == wantUser && p.template.Spec.HostNetwork == isVerifier,
			"user %v, host network %v", user, p.template.Spec.HostNetwork)
	}},
	{"nothing else of the node is shared", func(p pod, _ corev1.Container) string {
		s := p.template.Spec
		ofNode := slices.ContainsFunc(s.Volumes, func(v corev1.Volume) bool { return v.ConfigMap == nil && v.Secret == nil })
		return unless(!s.HostPID && !s.HostIPC && !ofNode, "host PID %v, host IPC %v, volumes %v", s.HostPID, s.HostIPC, s.Volumes)
	}},
	{"memory is bounded, and memory and CPU are asked for", func(_ pod, c corev1.Container) string {
		r := c.Resources
		return unless(!r.Limits.Memory().IsZero() && !r.Requests.Memory().IsZero() && !r.Requests.Cpu().IsZero(), "resources are %v", r)
	}},
	{"Go's garbage collector knows of the bound", func(p pod, c corev1.Container) string {
		if !p.workload {
			return ""
		}
		for _, e := range c.Env {
			if e.Name == "GOMEMLIMIT" {
				mebibytes, err := strconv.Atoi(strings.TrimSuffix(e.Value, "MiB"))
				limit := c.Resources.Limits.Memory().Value() >> 20
				return unless(err == nil && int64(mebibytes) <= limit*8/10, "GOMEMLIMIT is %s of %d MiB", e.Value, limit)
			}
		}
		return "GOMEMLIMIT is not set"
	}},
	{"it has probes for being alive and being ready", func(p pod, c corev1.Container) string {
		return unless(!p.workload || c.LivenessProbe != nil && c.ReadinessProbe != nil, "a probe is missing")
	}},
	{"the token of the API server is mounted only where it is used", func(p pod, _ corev1.Container) string {
		mount := p.template.Spec.AutomountServiceAccountToken
		return unless(mount != nil && *mount == p.workload, "automountServiceAccountToken is %v", mount)
	}},
	{"the image has a version", func(_ pod, c corev1.Container) string {
		_, tag, found := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
		return unless(found && tag != "latest", "it is %s", c.Image)
	}},
	{"it is scheduled to Linux", func(p pod, _ corev1.Container) string {
		return unless(p.template.Spec.NodeSelector[corev1.LabelOSStable] == "linux", "node selector %v", p.template.Spec.NodeSelector)
	}},
}

func unless(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func TestEveryWorkload(t *testing.T) {
	for _, set := range valueSets {
		out, err := template(t, set.values)
		if err != nil {
			t.Fatal(err)
		}
		found := pods(t, objects(t, out))
		if want := 3; len(found) != want && set.name == "the defaults" {
			t.Errorf("%d workloads with the defaults, want %d", len(found), want)
		}
		for _, d := range demands {
			if d.name == "it is scheduled to Linux" && strings.Contains(set.values, "nodeSelector: {}") {
				continue // asked for
			}
			t.Run(d.name+", with "+set.name, func(t *testing.T) {
				for _, p := range found {
					if len(p.template.Spec.InitContainers) > 0 {
						t.Errorf("%s has init containers, which this test doesn't check", p.name)
					}
					for _, c := range p.template.Spec.Containers {
						if wrong := d.check(p, c); wrong != "" {
							t.Errorf("%s: %s", p.name, wrong)
						}
					}
				}
			})
		}
	}
}

func TestPodSecurity(t *testing.T) {
	checks, err := psapolicy.NewEvaluator(psapolicy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	violations := func(p pod, level psa.Level) []string {
		var said []string
		for _, result := range checks.EvaluatePod(psa.LevelVersion{Level: level, Version: psa.LatestVersion()}, &p.template.ObjectMeta, &p.template.Spec) {
			if !result.Allowed {
				said = append(said, result.ForbiddenReason+": "+result.ForbiddenDetail)
			}
		}
		slices.Sort(said)
		return said
	}
	baseline := []string{
		`host namespaces: hostNetwork=true`,
		`hostPort: container "verifier" uses hostPorts 14789, 14790`,
		`non-default capabilities: container "verifier" must not include "NET_RAW" in securityContext.capabilities.add`,
		`probe or lifecycle host: container "verifier" uses probe or lifecycle host "127.0.0.1"`,
	}
	restricted := append(slices.Clone(baseline)[:2],
		baseline[3],
		`runAsNonRoot != true: container "verifier" must not set securityContext.runAsNonRoot=false`,
		`runAsUser=0: container "verifier" must not set runAsUser=0`,
		`unrestricted capabilities: container "verifier" must not include "NET_RAW" in securityContext.capabilities.add`,
	)
	want := map[string]map[psa.Level][]string{
		"Deployment vpcmirror-system/vpcmirror-manager": {},
		"Pod vpcmirror-system/vpcmirror-test-version":   {},
		"DaemonSet vpcmirror-system/vpcmirror-verifier": {psa.LevelBaseline: baseline, psa.LevelRestricted: restricted},
	}
	for _, set := range valueSets {
		t.Run("the manager is restricted, and the verifier needs what it is known to need, with "+set.name, func(t *testing.T) {
			out, err := template(t, set.values)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pods(t, objects(t, out)) {
				for _, level := range []psa.Level{psa.LevelBaseline, psa.LevelRestricted} {
					if diff := cmp.Diff(want[p.name][level], violations(p, level)); diff != "" {
						t.Errorf("%s at level %s (-want +got):\n%s", p.name, level, diff)
					}
				}
			}
		})
	}
}

func TestManager(t *testing.T) {
	t.Run("two run, one of them leads, and they avoid each other's node and zone", func(t *testing.T) {
		m := manager(t, "")
		var keys []string
		for _, spread := range m.Spec.Template.Spec.TopologySpreadConstraints {
			keys = append(keys, spread.TopologyKey)
			if diff := cmp.Diff(m.Spec.Selector, spread.LabelSelector); diff != "" {
				t.Errorf("the spread over %s is not about the manager's pods:\n%s", spread.TopologyKey, diff)
			}
		}
		if diff := cmp.Diff([]string{corev1.LabelHostname, corev1.LabelTopologyZone}, keys); diff != "" {
			t.Errorf("spread over (-want +got):\n%s", diff)
		}
		if *m.Spec.Replicas != 2 || !slices.Contains(m.Spec.Template.Spec.Containers[0].Args, "--leader-elect") {
			t.Errorf("%d replicas with the flags %v", *m.Spec.Replicas, m.Spec.Template.Spec.Containers[0].Args)
		}
	})

	t.Run("a drain takes one at a time", func(t *testing.T) {
		budget := typed(t, find(t, rendered(t, ""), "PodDisruptionBudget", "vpcmirror-manager")).(*policyv1.PodDisruptionBudget)
		if diff := cmp.Diff(manager(t, "").Spec.Selector, budget.Spec.Selector); diff != "" {
			t.Errorf("the budget is not about the manager's pods:\n%s", diff)
		}
		if one := intstr.FromInt32(1); budget.Spec.MaxUnavailable == nil || *budget.Spec.MaxUnavailable != one {
			t.Errorf("it may take %v", budget.Spec.MaxUnavailable)
		}
	})
}

func TestVerifier(t *testing.T) {
	// Ports that something usual has on a node, and the ranges in which anything may come
	// up: NodePorts, and Linux' own for outgoing connections.
	usual := map[int32]string{
		22: "SSH", 53: "DNS", 80: "HTTP", 111: "rpcbind", 123: "NTP", 179: "BGP", 443: "HTTPS", 2379: "etcd", 2380: "etcd", 2381: "etcd",
		4240: "Cilium", 4244: "Cilium", 4789: "VXLAN", 5443: "Huawei Cloud CCE's API server", 5473: "Calico Typha", 6081: "Geneve",
		6443: "API server", 7472: "MetalLB", 7946: "MetalLB", 8080: "HTTP", 8181: "CoreDNS", 8472: "VXLAN of Linux and Flannel", 9090: "Prometheus",
		9091: "Calico", 9099: "Calico", 9100: "node exporter", 9153: "CoreDNS", 9253: "node-local DNS", 9353: "node-local DNS", 9443: "webhooks",
		9879: "Cilium", 9890: "Cilium", 9962: "Cilium", 10248: "kubelet", 10249: "kube-proxy", 10250: "kubelet", 10255: "kubelet",
		10256: "kube-proxy", 10257: "controller manager", 10259: "scheduler", 51820: "WireGuard",
	}
	t.Run("its ports on the node collide with nothing usual", func(t *testing.T) {
		seen := map[int32]bool{}
		for _, port := range verifier(t, "").Spec.Template.Spec.Containers[0].Ports {
			switch {
			case usual[port.HostPort] != "":
				t.Errorf("port %d is that of %s", port.HostPort, usual[port.HostPort])
			case port.HostPort < 1024 || port.HostPort >= 30000:
				t.Errorf("port %d is privileged, or may be a NodePort or that of an outgoing connection", port.HostPort)
			}
			seen[port.HostPort] = true
		}
		if diff := cmp.Diff([]int32{14789, 14790}, slices.Sorted(maps.Keys(seen))); diff != "" {
			t.Errorf("ports (-want +got):\n%s", diff)
		}
	})

	t.Run("it runs on every node, is evicted last, and is replaced a tenth at a time", func(t *testing.T) {
		v := verifier(t, "")
		spec := v.Spec.Template.Spec
		if diff := cmp.Diff([]corev1.Toleration{{Operator: corev1.TolerationOpExists}}, spec.Tolerations); diff != "" {
			t.Errorf("tolerations (-want +got):\n%s", diff)
		}
		if spec.PriorityClassName != "system-node-critical" || spec.DNSPolicy != corev1.DNSClusterFirstWithHostNet {
			t.Errorf("priority class %q, DNS policy %q", spec.PriorityClassName, spec.DNSPolicy)
		}
		tenth := intstr.FromString("10%")
		if diff := cmp.Diff(appsv1.DaemonSetUpdateStrategy{
			Type:          appsv1.RollingUpdateDaemonSetStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &tenth},
		}, v.Spec.UpdateStrategy); diff != "" {
			t.Errorf("update strategy (-want +got):\n%s", diff)
		}
	})

	t.Run("it knows the name of its node", func(t *testing.T) {
		for _, e := range verifier(t, "").Spec.Template.Spec.Containers[0].Env {
			if e.Name == "NODE_NAME" && e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "spec.nodeName" {
				return
			}
		}
		t.Error("NODE_NAME is not the pod's spec.nodeName")
	})
}
