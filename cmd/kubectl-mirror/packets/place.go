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

// maxNodes is on how many nodes packets are looked at together.
const maxNodes = 16

// receivers are the nodes to which the session's copies come, sorted: where its target or the members of its load balancer are,
// as the manager says, and where that is not known of all, those where a verifier counts.
func receivers(s *v1alpha1.MirrorSession) []string {
	nodes := s.Status.Target.Nodes()
	if len(nodes) < len(s.Status.Target.Receivers()) {
		for i := range s.Status.Verification {
			if v := &s.Status.Verification[i]; !v.Ended {
				nodes = append(nodes, v.Node)
			}
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// Nodes are those on which packets are to be looked at: the one that is asked for, or all to which they come. The error is a
// sentence with a remedy.
func Nodes(s *v1alpha1.MirrorSession, asked string) ([]string, error) {
	nodes := receivers(s)
	switch {
	case s.Status.Target == nil:
		return nil, fmt.Errorf("MirrorSession %s has no target yet: kubectl mirror why %s says what it waits for", s.Name, s.Name)
	case asked != "":
		return []string{asked}, nil // the verifier there says it when nothing is counted by it
	case len(nodes) == 0:
		return nil, fmt.Errorf("the target of MirrorSession %s is on no node of this cluster: its packets can be seen only on the host that has it", s.Name)
	case len(nodes) > maxNodes:
		return nil, fmt.Errorf("the copies of MirrorSession %s come to %d nodes, and those of at most %d are shown together: choose one with --node, such as %s",
			s.Name, len(nodes), maxNodes, nodes[0])
	}
	return nodes, nil
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
			for i, argument := range slices.Backward(c.Args) {
				switch {
				case strings.HasPrefix(argument, "--port="):
					return argument
				case argument == "--port" && i+1 < len(c.Args):
					return "--port=" + c.Args[i+1]
				}
			}
		}
	}
	return ""
}
