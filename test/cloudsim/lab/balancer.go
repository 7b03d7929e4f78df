package lab

import (
	"slices"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// copiesPort is where copies go.
const copiesPort = 4789

// balancer is the load balancer to which a session copies, nil where its target is none. Whoever is offline, switched off or
// has no weight gets nothing.
func balancer(w *state.World, s state.Session) *dataplane.Balancer {
	if s.TargetType != state.TargetELB {
		return nil
	}
	lb := w.LoadBalancers[s.TargetID]
	out := &dataplane.Balancer{Address: lb.Address}
	for _, l := range w.Listeners {
		pool, ok := w.Pools[l.PoolID]
		if !ok || l.LoadBalancerID != lb.ID || l.Protocol != "UDP" || l.Port != copiesPort || l.Off || pool.Off || lb.Off {
			continue
		}
		out.HidesClients = l.HidesClients
		for _, m := range pool.Members {
			if m.Off || m.Weight == 0 || w.HealthOf(pool, m) == state.MemberOffline {
				continue
			}
			port := uint16(m.Port) // it was checked
			if pool.AnyPort {
				port = copiesPort
			}
			at, _ := w.PortAt(lb.VPCID, m.Address)
			out.Members = append(out.Members, dataplane.Member{Port: at.ID, UDPPort: port})
		}
	}
	slices.SortFunc(out.Members, func(a, b dataplane.Member) int { return strings.Compare(a.Port, b.Port) })
	return out
}
