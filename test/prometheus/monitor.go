package prometheus

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/test/env/checkout"
)

// Monitor is a ServiceMonitor or a PodMonitor, with what ours say.
type Monitor struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints           []Endpoint `json:"endpoints,omitempty"`
		PodMetricsEndpoints []Endpoint `json:"podMetricsEndpoints,omitempty"`
	} `json:"spec"`
}

// Endpoint is a port of what a monitor selects.
type Endpoint struct {
	Port              string       `json:"port"`
	Path              string       `json:"path,omitempty"`
	Scheme            string       `json:"scheme,omitempty"`
	Interval          string       `json:"interval,omitempty"`
	ScrapeTimeout     string       `json:"scrapeTimeout,omitempty"`
	HonorLabels       bool         `json:"honorLabels,omitempty"`
	Relabelings       []Relabeling `json:"relabelings,omitempty"`
	MetricRelabelings []Relabeling `json:"metricRelabelings,omitempty"`
	TLSConfig         *struct {
		InsecureSkipVerify bool `json:"insecureSkipVerify"`
	} `json:"tlsConfig,omitempty"`
	Authorization *struct {
		Credentials struct {
			Name string `json:"name"`
			Key  string `json:"key"`
		} `json:"credentials"`
	} `json:"authorization,omitempty"`
}

// Relabeling is one as a monitor has it.
type Relabeling struct {
	SourceLabels []string `json:"sourceLabels,omitempty"`
	Separator    string   `json:"separator,omitempty"`
	TargetLabel  string   `json:"targetLabel,omitempty"`
	Regex        string   `json:"regex,omitempty"`
	Replacement  *string  `json:"replacement,omitempty"`
	Action       string   `json:"action,omitempty"`
}

// Monitors are those of config/prometheus: the manager's, then the verifiers'.
func Monitors() ([]Monitor, error) {
	var all []Monitor
	for _, file := range []string{"service_monitor.yaml", "pod_monitor.yaml"} {
		content, err := read(filepath.Join("config", "prometheus", file))
		if err != nil {
			return nil, err
		}
		found, err := ParseMonitors(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

var documentEnd = regexp.MustCompile(`(?m)^---$`)

// ParseMonitors reads those among the documents of a YAML file, such as what helm template gives.
func ParseMonitors(content []byte) ([]Monitor, error) {
	var all []Monitor
	for _, document := range documentEnd.Split(string(content), -1) {
		var m Monitor
		if err := yaml.Unmarshal([]byte(document), &m); err != nil {
			return nil, fmt.Errorf("read a monitor: %w", err)
		}
		if m.Kind != "ServiceMonitor" && m.Kind != "PodMonitor" {
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(document), &strict{Monitor: m}); err != nil {
			return nil, fmt.Errorf("the %s %s says what this package does not know of: %w", m.Kind, m.Metadata.Name, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// strict is a Monitor of which nothing is overlooked, but for what only the API server reads.
type strict struct {
	Monitor
	APIVersion string `json:"apiVersion"`
	Metadata   struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
}

// Discovery is where Prometheus finds what a monitor selects.
type Discovery func(m Monitor, job Job)

// Files finds it in files for file_sd_configs, whose labels are those that kubernetes_sd_configs gives to what is in
// a cluster: Debian's Prometheus is built without that.
func Files(paths ...string) Discovery {
	return func(m Monitor, job Job) {
		job["file_sd_configs"] = []any{map[string]any{"files": paths, "refresh_interval": "5s"}}
		job["relabel_configs"] = append(selecting(m), job["relabel_configs"].([]any)...)
	}
}

// Place is something to scrape where there is no cluster with pods.
type Place struct {
	// Address is its host and port.
	Address string
	// Pod and Node are those that the monitor's relabelings find there.
	Pod, Node string
}

// Static is that which Prometheus would find in a cluster.
func Static(places ...Place) Discovery {
	return func(m Monitor, job Job) {
		var all []any
		for _, p := range places {
			all = append(all, map[string]any{
				"targets": []string{p.Address},
				"labels": map[string]string{
					"__meta_kubernetes_namespace": m.Metadata.Namespace, "__meta_kubernetes_pod_name": p.Pod, "__meta_kubernetes_pod_node_name": p.Node,
					"__meta_kubernetes_endpoint_address_target_kind": "Pod", "__meta_kubernetes_endpoint_address_target_name": p.Pod,
					"__meta_kubernetes_service_name":            m.Metadata.Name + "-metrics",
					"__meta_kubernetes_pod_container_port_name": m.endpoint().Port, "__meta_kubernetes_endpoint_port_name": m.endpoint().Port,
				},
			})
		}
		job["static_configs"] = all
	}
}

// Option changes a job.
type Option func(Job)

// Every scrapes at another interval than the monitor's, for tests that do not wait for half a minute.
func Every(interval string) Option {
	return func(j Job) {
		j["scrape_interval"] = interval
		delete(j, "scrape_timeout") // which may not be longer
	}
}

// Token is what the Secret of the monitor's authorization has.
func Token(token string) Option {
	return func(j Job) { j["authorization"] = map[string]any{"credentials": token} }
}

// Job is the scrape configuration that the Prometheus operator makes of the monitor.
func (m Monitor) Job(where Discovery, change ...Option) Job {
	e := m.endpoint()
	job := Job{
		"job_name":        fmt.Sprintf("%s/%s/%s/0", m.Kind, m.Metadata.Namespace, m.Metadata.Name),
		"honor_labels":    e.HonorLabels,
		"relabel_configs": append(naming(m), relabel(e.Relabelings)...),
	}
	for name, value := range map[string]string{
		"scrape_interval": e.Interval, "scrape_timeout": e.ScrapeTimeout, "scheme": e.Scheme, "metrics_path": e.Path,
	} {
		if value != "" {
			job[name] = value
		}
	}
	if len(e.MetricRelabelings) > 0 {
		job["metric_relabel_configs"] = relabel(e.MetricRelabelings)
	}
	if e.TLSConfig != nil {
		job["tls_config"] = map[string]any{"insecure_skip_verify": e.TLSConfig.InsecureSkipVerify}
	}
	where(m, job)
	for _, c := range change {
		c(job)
	}
	return job
}

// endpoint is the only one that ours have.
func (m Monitor) endpoint() Endpoint {
	if m.Kind == "PodMonitor" {
		return m.Spec.PodMetricsEndpoints[0]
	}
	return m.Spec.Endpoints[0]
}

// selecting keeps what the monitor's selector and port name in its namespace.
func selecting(m Monitor) (all []any) {
	object, port := "service", "__meta_kubernetes_endpoint_port_name"
	if m.Kind == "PodMonitor" {
		object, port = "pod", "__meta_kubernetes_pod_container_port_name"
	}
	all = append(all, map[string]any{
		"action": "keep", "source_labels": []string{"__meta_kubernetes_namespace"}, "regex": regexp.QuoteMeta(m.Metadata.Namespace),
	})
	for _, label := range slices.Sorted(maps.Keys(m.Spec.Selector.MatchLabels)) {
		all = append(all, map[string]any{
			"action":        "keep",
			"source_labels": []string{"__meta_kubernetes_" + object + "_label_" + sanitized(label)},
			"regex":         regexp.QuoteMeta(m.Spec.Selector.MatchLabels[label]),
		})
	}
	all = append(all,
		map[string]any{"action": "keep", "source_labels": []string{port}, "regex": regexp.QuoteMeta(m.endpoint().Port)},
		map[string]any{"action": "drop", "source_labels": []string{"__meta_kubernetes_pod_phase"}, "regex": "(Failed|Succeeded)"})
	return all
}

// naming gives what is scraped the labels that the Prometheus operator gives.
func naming(m Monitor) []any {
	from := func(source, target string) any {
		return map[string]any{"source_labels": []string{source}, "target_label": target}
	}
	all := []any{from("__meta_kubernetes_namespace", "namespace"), from("__meta_kubernetes_pod_container_name", "container")}
	if m.Kind == "PodMonitor" {
		return append(all, from("__meta_kubernetes_pod_name", "pod"),
			map[string]any{"target_label": "job", "replacement": m.Metadata.Namespace + "/" + m.Metadata.Name},
			map[string]any{"target_label": "endpoint", "replacement": m.endpoint().Port})
	}
	return append(all,
		map[string]any{
			"source_labels": []string{"__meta_kubernetes_endpoint_address_target_kind", "__meta_kubernetes_endpoint_address_target_name"},
			"separator":     ";", "regex": "Pod;(.*)", "replacement": "${1}", "target_label": "pod",
		},
		from("__meta_kubernetes_service_name", "service"), from("__meta_kubernetes_service_name", "job"),
		map[string]any{"target_label": "endpoint", "replacement": m.endpoint().Port})
}

// relabel writes relabelings as Prometheus reads them.
func relabel(all []Relabeling) (out []any) {
	for _, r := range all {
		one := map[string]any{}
		if len(r.SourceLabels) > 0 {
			one["source_labels"] = r.SourceLabels
		}
		if r.Replacement != nil {
			one["replacement"] = *r.Replacement
		}
		for name, value := range map[string]string{"separator": r.Separator, "target_label": r.TargetLabel, "regex": r.Regex, "action": r.Action} {
			if value != "" {
				one[name] = value
			}
		}
		out = append(out, one)
	}
	return out
}

var notInLabels = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// sanitized is a label of Kubernetes as Prometheus names it.
func sanitized(label string) string { return notInLabels.ReplaceAllString(label, "_") }

// read is a file of the project.
func read(name string) ([]byte, error) {
	root, err := checkout.Root()
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return nil, fmt.Errorf("read a file of the project: %w", err)
	}
	return content, nil
}
