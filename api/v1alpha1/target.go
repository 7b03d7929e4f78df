package v1alpha1

// ID is what a session of the cloud has as its target: the load balancer's ID, or the interface's.
func (t *ResolvedTarget) ID() string {
	if t.LoadBalancerID != "" {
		return t.LoadBalancerID
	}
	return t.InterfaceID
}

// Receivers are the interfaces at which copies arrive: the target itself, or the members of a load
// balancer.
func (t *ResolvedTarget) Receivers() []ResolvedInterface {
	if t == nil {
		return nil
	}
	if t.LoadBalancerID == "" {
		return []ResolvedInterface{t.ResolvedInterface}
	}
	all := make([]ResolvedInterface, 0, len(t.Members))
	for _, m := range t.Members {
		all = append(all, ResolvedInterface{InterfaceID: m.InterfaceID, Addresses: []string{m.Address}, MAC: m.MAC, NodeName: m.NodeName})
	}
	return all
}

// Nodes are the nodes at which copies arrive, as far as they are known.
func (t *ResolvedTarget) Nodes() (nodes []string) {
	for _, r := range t.Receivers() {
		if r.NodeName != "" {
			nodes = append(nodes, r.NodeName)
		}
	}
	return nodes
}

// beyondNodes reports whether copies may arrive at more than the nodes that are known: at a member that is
// on no node by its address, which may be one all the same by another interface.
func (t *ResolvedTarget) beyondNodes() bool {
	return t.LoadBalancerID != "" && len(t.Nodes()) < len(t.Members)
}
