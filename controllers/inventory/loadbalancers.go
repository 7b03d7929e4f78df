package inventory

import (
	"context"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// LoadBalancer returns one load balancer, as it was in a call that began at or after notBefore. It and what
// follows is shared, as the account's network is: sessions to one load balancer cost one call.
func (i *Inventory) LoadBalancer(ctx context.Context, c cloud.Client, id string, notBefore time.Time) (cloud.LoadBalancer, error) {
	defer i.trim()
	return i.account(c.Account()).network.loadBalancer.get(ctx, c, id, notBefore, c.GetLoadBalancer)
}

// Listeners returns the listeners of a load balancer that take UDP.
func (i *Inventory) Listeners(ctx context.Context, c cloud.Client, loadBalancerID string, notBefore time.Time) ([]cloud.Listener, error) {
	defer i.trim()
	return i.account(c.Account()).network.listeners.get(ctx, c, loadBalancerID, notBefore, c.ListListeners)
}

// Pool returns a pool with its members.
func (i *Inventory) Pool(ctx context.Context, c cloud.Client, id string, notBefore time.Time) (cloud.Pool, error) {
	defer i.trim()
	return i.account(c.Account()).network.pool.get(ctx, c, id, notBefore, c.GetPool)
}
