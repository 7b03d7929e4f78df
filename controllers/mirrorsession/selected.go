package mirrorsession

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// How many interfaces a session copies from, whatever its sources select: ten sessions of ten are what the cloud takes
// at an interface, and twice as many sources at a load balancer.
const (
	maxSources         = 100
	maxSourcesBalanced = 200
)

// most is how many interfaces the session copies from.
func (s *scope) most() int {
	if s.session.Spec.Target.LoadBalancerID != "" {
		return maxSourcesBalanced
	}
	return maxSources
}

// namedOnes is how many nodes a message names of those that have something in common.
const namedOnes = 3

// nodeSelector is one of the spec.
type nodeSelector struct {
	field    string // such as spec.sources[2].nodeSelector
	matches  labels.Selector
	selects  int    // how many nodes
	onTarget string // a node among them that is left out, as the target is its interface
}

// selectedNode is a node that a selector selects, the first that does.
type selectedNode struct {
	*corev1.Node
	by       *nodeSelector
	newcomer bool // it is not mirrored yet
}

// selected are the nodes that any of the selectors selects, in the order in which they become sources, and
// counts for each selector how many it selects. Those that are mirrored come first, so that nobody loses his
// place to a newcomer, and then the oldest.
func selected(by []*nodeSelector, nodes []corev1.Node, mirrored func(node string) bool) []selectedNode {
	var out []selectedNode
	for i := range nodes {
		var first *nodeSelector
		for _, s := range by {
			if s.matches.Matches(labels.Set(nodes[i].Labels)) {
				s.selects++
				first = cmp.Or(first, s)
			}
		}
		if first != nil {
			out = append(out, selectedNode{&nodes[i], first, !mirrored(nodes[i].Name)})
		}
	}
	rank := func(n selectedNode) int {
		if n.newcomer {
			return 1
		}
		return 0
	}
	slices.SortFunc(out, func(a, b selectedNode) int {
		return cmp.Or(rank(a)-rank(b), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	return out
}

// nodeSelectors are those of the spec. One that can't be read is a problem of the spec.
func (s *scope) nodeSelectors() (all []*nodeSelector, wrong []*lifecycle.Problem) {
	for i, source := range s.session.Spec.Sources {
		if source.NodeSelector == nil {
			continue
		}
		field := fmt.Sprintf("spec.sources[%d].nodeSelector", i)
		matches, err := source.NodeSelector.Selector()
		if err != nil {
			wrong = append(wrong, lifecycle.Stall(v1alpha1.ReasonInvalidRequest, "%s: %s", field, err))
			continue
		}
		all = append(all, &nodeSelector{field: field, matches: matches})
	}
	return all, wrong
}

// resolveSelected finds the interfaces of the nodes that spec.sources selects, after those that it names,
// and what is missing. A node that no selector selects any more stands for nothing.
func (s *scope) resolveSelected(ctx context.Context, since time.Time) (missing []*lifecycle.Problem, err error) {
	all, missing := s.nodeSelectors()
	if len(all) == 0 {
		return missing, nil
	}
	s.selectors = all
	var nodes corev1.NodeList
	// The cache's own objects are only read here.
	if err := s.Client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the nodes for %s: %w", all[0].field, err)
	}
	chosen := selected(all, nodes.Items, s.mirrors)
	s.Inventory.ExpectInterfaces(s.Cloud, min(len(chosen), s.most()-len(s.sources)), since)
	var absent []*lifecycle.Problem
	var left []selectedNode
	for _, node := range chosen {
		if len(s.sources) >= s.most() {
			if !s.isOf(node) {
				left = append(left, node)
			}
			continue
		}
		found, problem, err := s.interfaceOrKept(ctx, nodeOf(node), since)
		switch {
		case err != nil:
			return nil, err
		case problem != nil:
			absent = append(absent, problem)
		}
		if found != nil {
			s.takeSelected(node, *found)
		}
	}
	missing = append(missing, few(absent)...)
	switch {
	case len(left) > 0:
		missing = append(missing, tooMany(all, left, s.most()))
	case len(s.sources) == 0 && len(missing) == 0:
		missing = append(missing, nothingSelected(all))
	}
	return missing, nil
}

// mirrors reports whether a node is mirrored by the session now.
func (s *scope) mirrors(node string) bool {
	return slices.ContainsFunc(s.session.Status.Sources, func(r v1alpha1.ResolvedInterface) bool { return r.NodeName == node })
}

// takeSelected takes the interface of a selected node for a source, unless it is the target or there already.
func (s *scope) takeSelected(node selectedNode, found cloud.Interface) {
	if found.ID == s.target.ID {
		node.by.onTarget = node.Name
		return
	}
	if s.sourceNodes[found.ID] == "" {
		s.sourceNodes[found.ID] = node.Name
	}
	s.addSource(fmt.Sprintf("%s (node %s)", node.by.field, node.Name), found)
}

// isOf reports whether a node, as far as its addresses tell, is a source already or the target.
func (s *scope) isOf(node selectedNode) bool {
	ips := internalIPs(node.Node)
	has := func(i cloud.Interface) bool {
		return slices.ContainsFunc(i.Addresses, func(a netip.Addr) bool { return slices.Contains(ips, a) })
	}
	return has(s.target) || slices.ContainsFunc(s.sources, has)
}

// few are some problems of nodes; what is left out is counted.
func few(all []*lifecycle.Problem) []*lifecycle.Problem {
	if len(all) <= namedOnes {
		return all
	}
	rest := joined(all[namedOnes:])
	more := *lifecycle.Diagnose(rest)
	more.Message = fmt.Sprintf("the same goes for %d more selected nodes", len(all)-namedOnes)
	if len(all) == namedOnes+1 {
		more.Message = "the same goes for one more selected node"
	}
	return append(slices.Clone(all[:namedOnes]), &more)
}

// tooMany is said where more nodes are selected than fit. They may become fewer by themselves, but as
// long as they don't only a person can help.
func tooMany(by []*nodeSelector, left []selectedNode, most int) *lifecycle.Problem {
	var fields, names []string
	for _, s := range by {
		fields = append(fields, s.field+" selects "+countOf(s.selects))
	}
	for _, n := range left[:min(len(left), namedOnes)] {
		names = append(names, n.Name)
	}
	if more := len(left) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return lifecycle.Stall(v1alpha1.ReasonTooManySources,
		"%s, but a session copies from at most %d interfaces: %s left out, the youngest (%s). Narrow the selection, and mirror the others by another MirrorSession",
		strings.Join(fields, ", "), most, isOrAre(len(left)), strings.Join(names, ", "))
}

func countOf(nodes int) string {
	switch nodes {
	case 0:
		return "no node"
	case 1:
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", nodes)
}

func isOrAre(nodes int) string {
	if nodes == 1 {
		return "1 node is"
	}
	return fmt.Sprintf("%d nodes are", nodes)
}

// nothingSelected is said where there is no source at all.
func nothingSelected(by []*nodeSelector) *lifecycle.Problem {
	return lifecycle.Wait(v1alpha1.ReasonNoNodeSelected,
		"%s: there is nothing to copy from. Correct the selector, or wait until a node has these labels", selections(by))
}

// selections say what selectors of the spec select.
func selections(by []*nodeSelector) string {
	said := make([]string, 0, len(by))
	for _, s := range by {
		text := fmt.Sprintf("%s (%s) selects %s", s.field, s.matches, countOf(s.selects))
		if s.onTarget != "" {
			text += fmt.Sprintf(", of which %s is left out, being the target", s.onTarget)
		}
		said = append(said, text)
	}
	return strings.Join(said, "; ")
}
