package mirrorsession

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// Indexes of the cache: what a reconcile costs must not grow with the number of nodes, nor
// what a node or a filter that changes costs with the number of sessions.
const (
	nodesByInternalIP = "vpcmirror.io/internalIP"
	sessionsByNode    = "vpcmirror.io/node"
	sessionsByAddress = "vpcmirror.io/address"
	// sessionsBySelector finds those whose nodeSelectors may match a node, see termsOf.
	sessionsBySelector = "vpcmirror.io/nodeSelector"
	sessionsByFilter   = lifecycle.SessionsByFilter
	sessionsByWait     = "vpcmirror.io/wait"
)

// forRoom is what a session waits for that wants a number or a place which others have.
const forRoom = "room"

// sessionIndexes are those of sessions: by which values each is found.
var sessionIndexes = map[string]func(*v1alpha1.MirrorSession) []string{
	sessionsByNode:     nodesOf,
	sessionsByAddress:  addressTexts,
	sessionsBySelector: selectorTerms,
	sessionsByFilter:   filterOf,
	sessionsByWait:     waitsOf,
	sessionsByPriority: priorityTexts,
	sessionsByVNI:      vniTargets,
	sessionsByChoice:   choiceOf,
}

// IndexValues are the values by which an index of the cache finds a session, none where there is no such index.
func IndexValues(index string, s *v1alpha1.MirrorSession) []string {
	values, known := sessionIndexes[index]
	if !known || v1alpha1.PlannedOf(s) != "" { // that asks what would be, and is nothing itself
		return nil
	}
	return values(s)
}

// addIndexes adds them; it must come before the cache is started.
func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &corev1.Node{}, nodesByInternalIP, func(o client.Object) []string {
		if n, is := o.(*corev1.Node); is {
			return internalIPTexts(n)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index nodes by %s: %w", nodesByInternalIP, err)
	}
	for _, index := range slices.Sorted(maps.Keys(sessionIndexes)) {
		err := indexer.IndexField(ctx, &v1alpha1.MirrorSession{}, index, func(o client.Object) []string {
			if s, is := o.(*v1alpha1.MirrorSession); is {
				return IndexValues(index, s)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("index sessions by %s: %w", index, err)
		}
	}
	return nil
}

func internalIPTexts(n *corev1.Node) (out []string) {
	for _, ip := range internalIPs(n) {
		out = append(out, ip.String())
	}
	return out
}

// nodesOf are the nodes that a session names, runs over, or has an entry of.
func nodesOf(s *v1alpha1.MirrorSession) []string {
	out := []string{s.Spec.Target.NodeName}
	for i := range s.Spec.Sources {
		out = append(out, s.Spec.Sources[i].NodeName)
	}
	for _, r := range resolvedOf(s) {
		out = append(out, r.NodeName)
	}
	for i := range s.Status.Verification {
		out = append(out, s.Status.Verification[i].Node)
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(name string) bool { return name == "" })
}

// addressesOf are the addresses of the interfaces that a session runs over.
func addressesOf(s *v1alpha1.MirrorSession) (out []netip.Addr) {
	for _, r := range resolvedOf(s) {
		for _, text := range r.Addresses {
			if a, err := netip.ParseAddr(text); err == nil {
				out = append(out, a.Unmap())
			}
		}
	}
	return out
}

// hostBits are how many bits at the end of an address the index leaves out: a value that one session has
// alone costs half a kilobyte.
const hostBits = 5

func addressText(a netip.Addr) string {
	network, _ := a.Prefix(a.BitLen() - hostBits) // every address has more bits
	return network.Addr().String()
}

func addressTexts(s *v1alpha1.MirrorSession) (texts []string) {
	for _, a := range addressesOf(s) {
		texts = append(texts, addressText(a))
	}
	return texts
}

func filterOf(s *v1alpha1.MirrorSession) []string { return []string{s.Spec.FilterRef.Name} }

// waitsOf is what a session waits for, or may be about to.
func waitsOf(s *v1alpha1.MirrorSession) []string {
	if s.WaitsFor(v1alpha1.ReasonPriorityTaken) || s.WaitsFor(v1alpha1.ReasonQuotaExceeded) || s.Status.ObservedGeneration != s.Generation {
		return []string{forRoom}
	}
	return nil
}

// resolvedOf are the interfaces that a session runs over.
func resolvedOf(s *v1alpha1.MirrorSession) []v1alpha1.ResolvedInterface {
	out := append([]v1alpha1.ResolvedInterface(nil), s.Status.Sources...)
	return append(out, s.Status.Target.Receivers()...)
}
