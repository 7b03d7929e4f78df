package mirrorsession

import (
	"context"
	"fmt"
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

// addIndexes adds them; it must come before the cache is started.
func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		kind   client.Object
		name   string
		values client.IndexerFunc
	}{
		{&corev1.Node{}, nodesByInternalIP, func(o client.Object) []string { return indexed(o, internalIPTexts) }},
		{&v1alpha1.MirrorSession{}, sessionsByNode, func(o client.Object) []string { return indexed(o, nodesOf) }},
		{&v1alpha1.MirrorSession{}, sessionsByAddress, func(o client.Object) []string { return indexed(o, addressTexts) }},
		{&v1alpha1.MirrorSession{}, sessionsBySelector, func(o client.Object) []string { return indexed(o, selectorTerms) }},
		{&v1alpha1.MirrorSession{}, sessionsByFilter, func(o client.Object) []string { return indexed(o, filterOf) }},
		{&v1alpha1.MirrorSession{}, sessionsByWait, func(o client.Object) []string { return indexed(o, waitsOf) }},
		{&v1alpha1.MirrorSession{}, sessionsByPriority, func(o client.Object) []string { return indexed(o, priorityTexts) }},
		{&v1alpha1.MirrorSession{}, sessionsByVNI, func(o client.Object) []string { return indexed(o, vniTargets) }},
		{&v1alpha1.MirrorSession{}, sessionsByChoice, func(o client.Object) []string { return indexed(o, choiceOf) }},
	} {
		if err := indexer.IndexField(ctx, index.kind, index.name, index.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", index.kind, index.name, err)
		}
	}
	return nil
}

func indexed[T client.Object](o client.Object, values func(T) []string) []string {
	if s, ok := o.(*v1alpha1.MirrorSession); ok && v1alpha1.PlannedOf(s) != "" {
		return nil // it asks what would be, and is nothing itself
	}
	if is, ok := o.(T); ok {
		return values(is)
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
