package install

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	yamlv3 "go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestChart(t *testing.T) {
	t.Run("helm lint finds nothing to complain of", func(t *testing.T) {
		for _, set := range valueSets {
			if said, err := helm(t, set.values, "lint", "--strict", "--quiet", "--values", "-", filepath.Join(root, "config/chart")); err != nil {
				t.Errorf("%s: %v\n%s", set.name, err, said)
			}
		}
	})

	t.Run("every object is one that its Go type can read", func(t *testing.T) {
		for _, set := range valueSets {
			out, err := template(t, set.values)
			if err != nil {
				t.Fatalf("%s: %v", set.name, err)
			}
			for _, u := range objects(t, out) {
				typed(t, u)
			}
		}
	})

	t.Run("a switch takes away what it names and nothing else", func(t *testing.T) {
		all := identities(rendered(t, "monitoring: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}"))
		for values, gone := range map[string][]string{
			"monitoring: {podMonitor: {enabled: true}}":     {"Service vpcmirror-system/vpcmirror-manager-metrics", "ServiceMonitor vpcmirror-system/vpcmirror-manager"},
			"monitoring: {serviceMonitor: {enabled: true}}": {"PodMonitor vpcmirror-system/vpcmirror-verifier"},
			"{crds: {install: false}, monitoring: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}}": {
				"CustomResourceDefinition mirrorfilters.vpcmirror.io", "CustomResourceDefinition mirrorsessions.vpcmirror.io",
			},
			"{networkPolicy: {enabled: false}, monitoring: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}}": {
				"NetworkPolicy vpcmirror-system/vpcmirror-manager",
			},
			"{manager: {podDisruptionBudget: {enabled: false}}, monitoring: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}}": {
				"PodDisruptionBudget vpcmirror-system/vpcmirror-manager",
			},
			"{verifier: {enabled: false}, monitoring: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}}": {
				"ServiceAccount vpcmirror-system/vpcmirror-verifier", "ClusterRole vpcmirror-verifier", "ClusterRoleBinding vpcmirror-verifier",
				"Role vpcmirror-system/vpcmirror-verifier", "RoleBinding vpcmirror-system/vpcmirror-verifier",
				"DaemonSet vpcmirror-system/vpcmirror-verifier", "PodMonitor vpcmirror-system/vpcmirror-verifier",
				"ValidatingAdmissionPolicy vpcmirror-verifier", "ValidatingAdmissionPolicyBinding vpcmirror-verifier",
				"ValidatingAdmissionPolicy vpcmirror-verifier-lease", "ValidatingAdmissionPolicyBinding vpcmirror-verifier-lease",
				"Role vpcmirror-system/vpcmirror-tail", "ValidatingAdmissionPolicy vpcmirror-tail", "ValidatingAdmissionPolicyBinding vpcmirror-tail",
			},
		} {
			want := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(gone, name) })
			if diff := cmp.Diff(want, identities(rendered(t, values))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", values, diff)
			}
		}
	})

	t.Run("a definition outlives the release unless a value says otherwise", func(t *testing.T) {
		for values, want := range map[string]string{"": "keep", "crds: {keep: false}": ""} {
			definitions := 0
			for _, u := range rendered(t, values) {
				if u.GetKind() != "CustomResourceDefinition" {
					continue
				}
				definitions++
				if got := u.GetAnnotations()["helm.sh/resource-policy"]; got != want {
					t.Errorf("values %q: %s has the policy %q, want %q", values, u.GetName(), got, want)
				}
			}
			if definitions != 2 {
				t.Errorf("values %q: %d definitions, want 2", values, definitions)
			}
		}
	})

	t.Run("the operator's own credentials come from the keys that an object's Secret has too", func(t *testing.T) {
		type variable struct {
			Name, Secret, Key string
			Optional          bool
		}
		var got []variable
		for _, e := range manager(t, "credentials: {existingSecret: own}").Spec.Template.Spec.Containers[0].Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				ref := e.ValueFrom.SecretKeyRef
				got = append(got, variable{e.Name, ref.Name, ref.Key, ref.Optional != nil && *ref.Optional})
			}
		}
		want := []variable{
			{"HUAWEICLOUD_SDK_AK", "own", "accessKey", false},
			{"HUAWEICLOUD_SDK_SK", "own", "secretKey", false},
			{"HUAWEICLOUD_SDK_SECURITY_TOKEN", "own", "securityToken", true},
			{"HUAWEICLOUD_SDK_PROJECT_ID", "own", "projectID", true},
			{"VPCMIRROR_REGION", "own", "region", true},
			{"VPCMIRROR_ENDPOINT", "own", "endpoint", true},
			{"VPCMIRROR_IAM_ENDPOINT", "own", "iamEndpoint", true},
			{"VPCMIRROR_AGENCY_NAME", "own", "agencyName", true},
			{"VPCMIRROR_AGENCY_DOMAIN", "own", "agencyDomain", true},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("variables (-want +got):\n%s", diff)
		}
	})

	t.Run("the operator's own credentials serve the namespaces of the selector", func(t *testing.T) {
		for values, want := range map[string]string{
			"": "", "credentials: {existingSecret: own}": "",
			"credentials: {existingSecret: own, namespaces: 'team in (a, b),!guest'}": "--own-credentials-namespaces=team in (a, b),!guest",
		} {
			got := ""
			for _, arg := range manager(t, values).Spec.Template.Spec.Containers[0].Args {
				if strings.HasPrefix(arg, "--own-credentials-namespaces") {
					got = arg
				}
			}
			if got != want {
				t.Errorf("values %q: the manager gets %q, want %q", values, got, want)
			}
		}
	})

	t.Run("the way to the cloud is that of the values", func(t *testing.T) {
		for values, want := range map[string][]string{
			"": nil,
			`cloud: {allowedEndpoints: ["https://vpc.example.com", "http://10.0.0.1:8600"]}`: {"--allowed-endpoints=https://vpc.example.com,http://10.0.0.1:8600"},
			"cloud: {proxy: 'http://proxy.example.com:3128'}":                                {"--cloud-proxy=http://proxy.example.com:3128"},
			"cloud: {proxy: $(PROXY)}":                                                       {"--cloud-proxy=$(PROXY)"},
			"cloud: {caBundle: company-ca}":                                                  {"--cloud-ca-bundle=/etc/vpcmirror/cloud-ca/ca.crt"},
		} {
			var got []string
			for _, arg := range manager(t, values).Spec.Template.Spec.Containers[0].Args {
				if strings.HasPrefix(arg, "--allowed-endpoints") || strings.HasPrefix(arg, "--cloud-") {
					got = append(got, arg)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("values %q: the manager gets (-want +got):\n%s", values, diff)
			}
		}
	})

	t.Run("the authorities of a ConfigMap are where the manager's flag looks", func(t *testing.T) {
		pod := manager(t, "cloud: {caBundle: company-ca}").Spec.Template.Spec
		wantVolumes := []corev1.Volume{{Name: "cloud-ca", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "company-ca"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
		}}}}
		if diff := cmp.Diff(wantVolumes, pod.Volumes); diff != "" {
			t.Errorf("volumes (-want +got):\n%s", diff)
		}
		wantMounts := []corev1.VolumeMount{{Name: "cloud-ca", MountPath: "/etc/vpcmirror/cloud-ca", ReadOnly: true}}
		if diff := cmp.Diff(wantMounts, pod.Containers[0].VolumeMounts); diff != "" {
			t.Errorf("mounts (-want +got):\n%s", diff)
		}
	})

	t.Run("the verifiers' metrics leave the node only when they are asked to", func(t *testing.T) {
		for values, want := range map[string]string{
			"":                                     "127.0.0.1:14789",
			"verifier: {metrics: {port: 20001}}":   "127.0.0.1:20001",
			"verifier: {metrics: {exposed: true}}": ":14789",
			"monitoring: {podMonitor: {enabled: true}}": ":14789",
		} {
			for _, e := range verifier(t, values).Spec.Template.Spec.Containers[0].Env {
				if e.Name == "METRICS_ADDRESS" && e.Value != want {
					t.Errorf("values %q: the metrics are on %q, want %q", values, e.Value, want)
				}
			}
		}
	})
}

func TestValuesThatCannotBeAreRefused(t *testing.T) {
	for values, complaint := range map[string]string{
		"verifer: {enabled: false}":                                            "verifer",
		"manager: {replicas: 0}":                                               "/manager/replicas",
		"manager: {replicas: two}":                                             "/manager/replicas",
		"manager: {podDisruptionBudget: {maxUnavailable: 0}}":                  "/manager/podDisruptionBudget/maxUnavailable",
		"manager: {extraArgs: [leader-elect]}":                                 "/manager/extraArgs/0",
		"manager: {env: [{value: x}]}":                                         "/manager/env/0",
		"manager: {goMemLimit: 100Mi}":                                         "/manager/goMemLimit",
		"manager: {resources: {limits: {memory: lots}}}":                       "/manager/resources/limits/memory",
		"manager: {resources: {limit: {memory: 1Gi}}}":                         "/manager/resources",
		"credentials: {namespaces: [a]}":                                       "/credentials/namespaces",
		"cloud: {allowedEndpoints: [vpc.example.com]}":                         "/cloud/allowedEndpoints/0",
		"cloud: {allowedEndpoints: ['https://a,https://b']}":                   "/cloud/allowedEndpoints/0",
		"cloud: {proxy: 'proxy.example.com:3128'}":                             "/cloud/proxy",
		"cloud: {caBundle: My_CA}":                                             "/cloud/caBundle",
		"image: {pullPolicy: Sometimes}":                                       "/image/pullPolicy",
		"image: {repository: 'Registry.example.com/X'}":                        "/image/repository",
		"image: {tag: 1.0}":                                                    "/image/tag",
		"verifier: {image: 'registry.example.com/v:1@sha256:0'}":               "/verifier/image",
		"verifier: {maxUnavailable: 110%}":                                     "/verifier/maxUnavailable",
		"verifier: {health: {port: 80}}":                                       "/verifier/health/port",
		"verifier: {metrics: {port: 70000}}":                                   "/verifier/metrics/port",
		"verifier: {tolerations: [{effect: Never}]}":                           "/verifier/tolerations/0/effect",
		"verifier: {metrics: {port: 14790}}":                                   "verifier.metrics.port and verifier.health.port are both 14790: give each a port of its own",
		"networkPolicy: {cloud: {ports: []}}":                                  "/networkPolicy/cloud/ports",
		"networkPolicy: {cloud: {cidrs: [iam.example.com]}}":                   "/networkPolicy/cloud/cidrs/0",
		"networkPolicy: {metricsFrom: [{}]}":                                   "/networkPolicy/metricsFrom/0",
		"networkPolicy: {extraEgress: [{from: []}]}":                           "/networkPolicy/extraEgress/0",
		"tracing: {endpoint: 'collector:4318'}":                                "/tracing/endpoint",
		"log: {level: loud}":                                                   "/log/level",
		"global: {imageRegistry: https://registry.example.com}":                "/global/imageRegistry",
		"imagePullSecrets: [registry]":                                         "/imagePullSecrets/0",
		"imagePullSecrets: [{secret: registry}]":                               "/imagePullSecrets/0",
		"commonLabels: {app.kubernetes.io/name: x}":                            "/commonLabels",
		"manager: {podLabels: {app.kubernetes.io/component: x}}":               "/manager/podLabels",
		"commonLabels: {rbac.authorization.k8s.io/aggregate-to-view: 'true'}":  "/commonLabels",
		"monitoring: {serviceMonitor: {labels: {app.kubernetes.io/name: x}}}":  "/monitoring/serviceMonitor/labels",
		"monitoring: {podMonitor: {labels: {app.kubernetes.io/component: x}}}": "/monitoring/podMonitor/labels",
		"monitoring: {rules: {labels: {app.kubernetes.io/version: x}}}":        "/monitoring/rules/labels",
		"monitoring: {dashboards: {labels: {app.kubernetes.io/part-of: x}}}":   "/monitoring/dashboards/labels",
		"monitoring: {certSecret: My_TLS}":                                     "/monitoring/certSecret",
		"manager: {strategy: {type: OnDelete}}":                                "/manager/strategy/type",
		"verifier: {strategy: {type: RollingUpdate}}":                          "/verifier",
		"extraObjects: [1]":                                                    "/extraObjects/0",
		"credentials: {existingSecret: My_Secret}":                             "/credentials/existingSecret",
		"credentials: {accessKey: AKEXAMPLE}":                                  "/credentials",
		"monitoring: {podMonitor: {interval: often}}":                          "/monitoring/podMonitor/interval",
	} {
		t.Run(values, func(t *testing.T) {
			_, err := template(t, values)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), complaint) {
				t.Errorf("the complaint doesn't say %q:\n%v", complaint, err)
			}
		})
	}
}

func TestValues(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "config/chart/values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document yamlv3.Node
	if err := yamlv3.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	walkValues(document.Content[0], "", documented)

	t.Run("each has a comment that says what it is for", func(t *testing.T) {
		for path, comment := range documented {
			if len(strings.Fields(comment)) < 2 {
				t.Errorf("%s has the comment %q", path, comment)
			}
		}
	})

	t.Run("the schema knows the same values", func(t *testing.T) {
		content, err := os.ReadFile(filepath.Join(root, "config/chart/values.schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(content, &schema); err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		walkSchema(schema, schema, "", known)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(documented))); diff != "" {
			t.Errorf("values of the schema (-) and of values.yaml (+):\n%s", diff)
		}
	})
}

// kubernetesOwn are values whose fields Kubernetes documents.
var kubernetesOwn = []string{"resources", "affinity", "nodeSelector", "strategy", "labels", "tlsConfig"}

// walkValues gathers the comment of each value.
func walkValues(node *yamlv3.Node, path string, into map[string]string) {
	if node.Kind != yamlv3.MappingNode {
		return
	}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		into[path+"."+key.Value] = key.HeadComment
		if slices.Contains(kubernetesOwn, key.Value) {
			continue
		}
		walkValues(value, path+"."+key.Value, into)
	}
}

// walkSchema gathers the values that the schema names.
func walkSchema(schema, node map[string]any, path string, into map[string]bool) {
	if ref, ok := node["$ref"].(string); ok {
		definitions, _ := schema["definitions"].(map[string]any)
		node, _ = definitions[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any)
	}
	properties, _ := node["properties"].(map[string]any)
	for name, property := range properties {
		into[path+"."+name] = true
		if slices.Contains(kubernetesOwn, name) {
			continue
		}
		child, _ := property.(map[string]any)
		walkSchema(schema, child, path+"."+name, into)
	}
}

// find returns the only object of that kind and name.
func find(t *testing.T, all []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, u := range all {
		if u.GetKind() == kind && u.GetName() == name {
			return u
		}
	}
	t.Fatalf("no %s %s in %v", kind, name, identities(all))
	return nil
}
