package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// found is an entry of a file for file_sd_configs.
type found struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// discovery keeps a file up to date with all that kubernetes_sd_configs would find in the cluster: the endpoints of
// every Service, and every port of every pod. Debian's Prometheus is built without kubernetes_sd_configs, and reads
// the file instead. What is scraped of it is decided by Prometheus, with the monitors' relabelings.
type discovery struct {
	w    *world
	file string
}

// discover begins to keep the file, until the test ends, and returns its path.
func (w *world) discover(t *testing.T) string {
	t.Helper()
	d := &discovery{w: w, file: filepath.Join(t.TempDir(), "found.json")}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	if err := d.write(ctx); err != nil {
		t.Fatal(err)
	}
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		var last error
		for {
			select {
			case <-ctx.Done():
				done <- last
				return
			case <-tick.C:
			}
			if err := d.write(ctx); ctx.Err() == nil {
				last = err
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("finding what Prometheus could scrape: %v", err)
		}
	})
	return d.file
}

// write looks once.
func (d *discovery) write(ctx context.Context) error {
	var services corev1.ServiceList
	var slices discoveryv1.EndpointSliceList
	var pods corev1.PodList
	for _, list := range []client.ObjectList{&services, &slices, &pods} {
		if err := d.w.api.List(ctx, list); err != nil {
			return fmt.Errorf("list %T: %w", list, err)
		}
	}
	content, err := json.Marshal(append(ofServices(services.Items, slices.Items, pods.Items), ofPods(pods.Items)...))
	if err != nil {
		return fmt.Errorf("write what is found: %w", err)
	}
	if before, err := os.ReadFile(d.file); err == nil && string(before) == string(content) {
		return nil
	}
	// Whole at once: Prometheus may read it at any moment.
	next := d.file + ".next"
	return errors.Join(os.WriteFile(next, content, 0o600), os.Rename(next, d.file))
}

// ofServices has a place for each port of each endpoint, with the labels of the role endpoints.
func ofServices(services []corev1.Service, slices []discoveryv1.EndpointSlice, pods []corev1.Pod) (all []found) {
	for _, slice := range slices {
		service := one(services, slice.Namespace, slice.Labels[discoveryv1.LabelServiceName], func(s *corev1.Service) client.Object { return s })
		if service == nil {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			for _, port := range slice.Ports {
				labels := map[string]string{
					"namespace": slice.Namespace, "service_name": service.Name, "endpoints_name": service.Name,
					"endpoint_port_name": value(port.Name), "endpoint_port_protocol": string(value(port.Protocol)),
					"endpoint_ready": strconv.FormatBool(value(endpoint.Conditions.Ready)), "endpoint_node_name": value(endpoint.NodeName),
				}
				addLabels(labels, "service", service.Labels)
				if ref := endpoint.TargetRef; ref != nil {
					labels["endpoint_address_target_kind"], labels["endpoint_address_target_name"] = ref.Kind, ref.Name
					if pod := one(pods, ref.Namespace, ref.Name, func(p *corev1.Pod) client.Object { return p }); pod != nil && ref.Kind == "Pod" {
						addPod(labels, pod)
						addContainer(labels, pod, value(port.Port))
					}
				}
				all = append(all, place(endpoint.Addresses[0], value(port.Port), labels))
			}
		}
	}
	return all
}

// ofPods has a place for each port of each pod that has an address, with the labels of the role pod.
func ofPods(pods []corev1.Pod) (all []found) {
	for _, pod := range pods {
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				if pod.Status.PodIP == "" {
					continue
				}
				labels := map[string]string{"namespace": pod.Namespace}
				addPod(labels, &pod)
				addContainer(labels, &pod, port.ContainerPort)
				all = append(all, place(pod.Status.PodIP, port.ContainerPort, labels))
			}
		}
	}
	return all
}

func addPod(labels map[string]string, pod *corev1.Pod) {
	ready := "unknown"
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			ready = map[corev1.ConditionStatus]string{corev1.ConditionTrue: "true", corev1.ConditionFalse: "false"}[c.Status]
		}
	}
	for name, value := range map[string]string{
		"name": pod.Name, "ip": pod.Status.PodIP, "phase": string(pod.Status.Phase), "ready": ready,
		"node_name": pod.Spec.NodeName, "host_ip": pod.Status.HostIP, "uid": string(pod.UID),
	} {
		labels["pod_"+name] = value
	}
	addLabels(labels, "pod", pod.Labels)
}

// addContainer adds which container of the pod has the port.
func addContainer(labels map[string]string, pod *corev1.Pod, number int32) {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.ContainerPort == number {
				labels["pod_container_name"], labels["pod_container_port_name"] = container.Name, port.Name
				labels["pod_container_port_number"], labels["pod_container_port_protocol"] = strconv.Itoa(int(number)), string(port.Protocol)
			}
		}
	}
}

var notInLabels = regexp.MustCompile(`[^a-zA-Z0-9_]`)

func addLabels(labels map[string]string, of string, all map[string]string) {
	for name, value := range all {
		clean := notInLabels.ReplaceAllString(name, "_")
		labels[of+"_label_"+clean], labels[of+"_labelpresent_"+clean] = value, "true"
	}
}

// place gives the labels the beginning that those of kubernetes_sd_configs have.
func place(host string, port int32, labels map[string]string) found {
	full := map[string]string{}
	for name, value := range labels {
		full["__meta_kubernetes_"+name] = value
	}
	return found{Targets: []string{net.JoinHostPort(host, strconv.Itoa(int(port)))}, Labels: full}
}

func one[T any](all []T, namespace, name string, object func(*T) client.Object) *T {
	for i := range all {
		if o := object(&all[i]); o.GetNamespace() == namespace && o.GetName() == name {
			return &all[i]
		}
	}
	return nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
