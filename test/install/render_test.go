package install

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/env/need"
)

func TestMain(m *testing.M) { env.Main(m) }

// namespace is where config/default installs.
const namespace = "vpcmirror-system"

// root is the project's folder; go test runs in the package's own.
const root = "../.."

// command runs a program and returns what it wrote; an error has what it complained of.
func command(t *testing.T, stdin string, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.Stdin = strings.NewReader(stdin)
	// Nothing of the user's own is read or written.
	home := t.TempDir()
	c.Env = append(os.Environ(), "HOME="+home, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, complaint bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaint
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, complaint.String())
	}
	return out.String(), nil
}

// helm runs helm, or skips the test where it was not built.
func helm(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	program, err := filepath.Abs(filepath.Join(root, "bin/tools/helm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		need.Skip(t, "it needs bin/tools/helm: run `make tools` once (2 to 3 minutes)")
	}
	return command(t, stdin, program, args...)
}

// kubectl runs kubectl, or skips the test where it was not built.
func kubectl(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	assets, err := env.Assets()
	if err != nil {
		need.Skip(t, err.Error())
	}
	program, err := filepath.Abs(filepath.Join(assets, "kubectl"))
	if err != nil {
		t.Fatal(err)
	}
	return command(t, stdin, program, args...)
}

// valueSet is a way to install the chart.
type valueSet struct {
	name   string
	values string // YAML; empty for the defaults
}

// valueSets are ways to install the chart that together use every template and branch.
var valueSets = []valueSet{
	{name: "the defaults"},
	{name: "everything switched on", values: `
image: {repository: registry.example.com/team/vpcmirror, tag: "1.0"}
imagePullSecrets: [{name: one}, {name: two}]
global: {imagePullSecrets: [{name: three}]}
commonLabels: {example.com/cost-centre: "42"}
credentials: {existingSecret: own-account, namespaces: "team in (network,security),!guest"}
cloud: {allowedEndpoints: ["https://vpc.example.com", "http://10.0.0.1:8600"], proxy: "http://proxy.example.com:3128", caBundle: company-ca}
log: {level: debug, encoding: text}
manager:
  extraArgs: [--resync-interval=5m]
  env: [{name: GODEBUG, value: madvdontneed=1}]
  priorityClassName: system-cluster-critical
  tolerations: [{key: dedicated, operator: Equal, value: infra, effect: NoSchedule}]
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: infra, operator: Exists}]}]}}}
  podAnnotations: {example.com/one: "1"}
  podDisruptionBudget: {maxUnavailable: 50%}
verifier:
  image: registry.example.com/verifier:1.0@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  extraArgs: [--port=4790]
  env: [{name: GODEBUG, value: madvdontneed=1}]
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: type, operator: NotIn, values: [virtual-kubelet]}]}]}}}
  podAnnotations: {example.com/two: "2"}
  maxUnavailable: 2
networkPolicy:
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  apiServer: {ports: [6443], cidrs: [10.0.0.1/32]}
  cloud: {cidrs: [100.64.0.0/10, "2001:db8::/32"]}
  extraEgress: [{to: [{ipBlock: {cidr: 192.0.2.1/32}}], ports: [{protocol: TCP, port: 3128}]}]
monitoring:
  sessionMetrics: troubled
  secure: true
  tokenSecret: {name: prometheus-token}
  serviceMonitor: {enabled: true, labels: {release: prometheus}, interval: 1m}
  podMonitor: {enabled: true, labels: {release: prometheus}}
  rules: {enabled: true, labels: {release: prometheus}, runbooks: "https://runbooks.example.com/"}
  dashboards: {enabled: true, annotations: {grafana_folder: network}}
`},
	{name: "as little as can be", values: `
crds: {install: false}
manager: {replicas: 1, nodeSelector: {}, podDisruptionBudget: {enabled: false}}
verifier: {enabled: false}
networkPolicy: {enabled: false}
`},
	{name: "the agency of the server, and no probes", values: `
credentials: {source: metadata, namespaces: team=network}
manager: {env: [{name: VPCMIRROR_REGION, value: cn-north-4}]}
probes: {allow: false}
`},
	{name: "keys in files", values: `
credentials: {source: file, existingSecret: own-account, namespaces: team=network}
`},
	{name: "definitions that go with the release", values: `
crds: {keep: false}
verifier: {priorityClassName: "", tolerations: [], metrics: {exposed: true}}
`},
}

// template renders the chart with the values (YAML).
func template(t *testing.T, values string, more ...string) (string, error) {
	t.Helper()
	return helm(t, values, append([]string{
		"template", "vpcmirror", filepath.Join(root, "config/chart"),
		"--namespace", namespace, "--values", "-",
	}, more...)...)
}

// rendered is template for values that are good, without the tests of the chart.
func rendered(t *testing.T, values string) []*unstructured.Unstructured {
	t.Helper()
	out, err := template(t, values, "--skip-tests")
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, out)
}

// kustomized builds a folder of config.
func kustomized(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	out, err := kubectl(t, "", "kustomize", filepath.Join(root, "config", folder))
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, out)
}

// objects reads every document of a stream.
func objects(t *testing.T, stream string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(stream)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("reading what was rendered: %v", err)
		}
		content, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			t.Fatalf("reading what was rendered: %v\n%s", err, document)
		}
		if string(content) == "null" {
			continue
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(content); err != nil {
			t.Fatalf("reading what was rendered: %v\n%s", err, document)
		}
		all = append(all, u)
	}
}

// typed reads an object as the Go type of its kind; a field that the type doesn't have
// fails the test.
func typed(t *testing.T, u *unstructured.Unstructured) runtime.Object {
	t.Helper()
	scheme, err := env.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	if err := monitoringv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	content, err := u.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	object, _, err := decoder.Decode(content, nil, nil)
	if err != nil {
		t.Fatalf("%s: %v", identity(u), err)
	}
	return object
}

// identity names an object.
func identity(u *unstructured.Unstructured) string {
	if u.GetNamespace() == "" {
		return u.GetKind() + " " + u.GetName()
	}
	return u.GetKind() + " " + u.GetNamespace() + "/" + u.GetName()
}

// identities names objects.
func identities(all []*unstructured.Unstructured) []string {
	names := make([]string, 0, len(all))
	for _, u := range all {
		names = append(names, identity(u))
	}
	return names
}

// write makes files in a folder.
func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
