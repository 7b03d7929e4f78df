// Package packets finds the verifier that counts a session's copies, and has it show them: "kubectl mirror
// tail" and "kubectl mirror capture". It reads no packet itself: the verifier's program does, in its pod,
// started by the API server's pods/exec with the rights of whoever asks.
//
// It may import api.
package packets

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Nodes are those on which a verifier counts the session's copies, sorted: where its target is, as the
// manager says, else where a verifier has an entry that has not ended.
func Nodes(s *v1alpha1.MirrorSession) []string {
	if t := s.Status.Target; t != nil && t.NodeName != "" {
		return []string{t.NodeName}
	}
	var nodes []string
	for i := range s.Status.Verification {
		if v := &s.Status.Verification[i]; !v.Ended {
			nodes = append(nodes, v.Node)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// Node is the one of them that is asked for, or the only one. The error is a sentence with a remedy.
func Node(s *v1alpha1.MirrorSession, asked string) (string, error) {
	nodes := Nodes(s)
	switch {
	case s.Status.Target == nil:
		return "", fmt.Errorf("MirrorSession %s has no target yet: kubectl mirror why %s says what it waits for", s.Name, s.Name)
	case asked != "":
		return asked, nil // the verifier there says it when nothing is counted by it
	case len(nodes) == 0:
		return "", fmt.Errorf("the target of MirrorSession %s is on no node of this cluster: its packets can be seen only on the host that has it", s.Name)
	case len(nodes) > 1:
		return "", fmt.Errorf("copies of MirrorSession %s are counted on the nodes %s: choose one with --node", s.Name, strings.Join(nodes, ", "))
	}
	return nodes[0], nil
}

// The container of the verifier, and the labels of its pods. Those of the chart and of the kustomize folders
// never change.
const (
	container = "verifier"
	nameLabel = "app.kubernetes.io/name"
	nameValue = "vpcmirror"
	partLabel = "app.kubernetes.io/component"
	partValue = "verifier"
)

// Labels are those by which the pods of verifiers are found.
func Labels() map[string]string { return map[string]string{nameLabel: nameValue, partLabel: partValue} }

// Pod is the verifier's on a node, of all pods of verifiers that were found.
func Pod(pods []corev1.Pod, node string) (*corev1.Pod, error) {
	var found []*corev1.Pod
	for i := range pods {
		if p := &pods[i]; p.Spec.NodeName == node && p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			found = append(found, p)
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("no verifier runs on node %s: look at the DaemonSet vpcmirror-verifier, or name its namespace with --verifier-namespace", node)
	case len(found) > 1:
		var names []string
		for _, p := range found {
			names = append(names, p.Namespace+"/"+p.Name)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("several verifiers run on node %s (%s): choose one with --verifier-namespace", node, strings.Join(names, ", "))
	}
	return found[0], nil
}

// port is the flag of a verifier that counts another UDP port than the usual one, empty for none.
func port(p *corev1.Pod) string {
	for i := range p.Spec.Containers {
		if c := &p.Spec.Containers[i]; c.Name == container {
			for _, argument := range slices.Backward(c.Args) {
				if strings.HasPrefix(argument, "--port=") {
					return argument
				}
			}
		}
	}
	return ""
}
