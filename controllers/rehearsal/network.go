package rehearsal

import (
	"context"
	"maps"
	"slices"

	"vpcmirror.io/operator/controllers/cloud"
)

// values are what a map that the inventory shares has, in the order of their keys.
func values[T any](all map[string]T, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[key])
	}
	return out, nil
}

// ListInterfaces returns what the inventory knows.
func (s *stageCloud) ListInterfaces(ctx context.Context) ([]cloud.Interface, error) {
	all, err := s.known.Interfaces(ctx, s.real, s.since())
	if err != nil {
		return nil, err
	}
	return values(all.All(), nil)
}

// ListSecurityGroups returns what the inventory knows.
func (s *stageCloud) ListSecurityGroups(ctx context.Context) ([]cloud.SecurityGroup, error) {
	return values(s.known.SecurityGroups(ctx, s.real, s.since()))
}

// ListAddressGroups returns what the inventory knows.
func (s *stageCloud) ListAddressGroups(ctx context.Context) ([]cloud.AddressGroup, error) {
	return values(s.known.AddressGroups(ctx, s.real, s.since()))
}

// ListNetworkACLs returns what the inventory knows.
func (s *stageCloud) ListNetworkACLs(ctx context.Context) ([]cloud.NetworkACL, error) {
	return s.known.NetworkACLs(ctx, s.real, s.since())
}

// GetNetworkACL returns what the inventory knows.
func (s *stageCloud) GetNetworkACL(ctx context.Context, id string) (cloud.NetworkACL, error) {
	return s.known.NetworkACL(ctx, s.real, id, s.since())
}

// ListPeerings returns what the inventory knows.
func (s *stageCloud) ListPeerings(ctx context.Context) ([]cloud.Peering, error) {
	return s.known.Peerings(ctx, s.real, s.since())
}

// ListRouteTables returns what the inventory knows.
func (s *stageCloud) ListRouteTables(ctx context.Context) ([]cloud.RouteTable, error) {
	return s.known.RouteTables(ctx, s.real, s.since())
}

// GetRouteTable returns what the inventory knows.
func (s *stageCloud) GetRouteTable(ctx context.Context, id string) (cloud.RouteTable, error) {
	return s.known.RouteTable(ctx, s.real, id, s.since())
}

// ListServers returns what the inventory knows.
func (s *stageCloud) ListServers(ctx context.Context) ([]cloud.Server, error) {
	return values(s.known.Servers(ctx, s.real, s.since()))
}

// ListFlavors returns what the inventory knows.
func (s *stageCloud) ListFlavors(ctx context.Context) ([]cloud.Flavor, error) {
	return values(s.known.Flavors(ctx, s.real, s.since()))
}

// GetLoadBalancer returns what the inventory knows.
func (s *stageCloud) GetLoadBalancer(ctx context.Context, id string) (cloud.LoadBalancer, error) {
	return s.known.LoadBalancer(ctx, s.real, id, s.since())
}

// ListListeners returns what the inventory knows.
func (s *stageCloud) ListListeners(ctx context.Context, loadBalancerID string) ([]cloud.Listener, error) {
	return s.known.Listeners(ctx, s.real, loadBalancerID, s.since())
}

// GetPool returns what the inventory knows.
func (s *stageCloud) GetPool(ctx context.Context, id string) (cloud.Pool, error) {
	return s.known.Pool(ctx, s.real, id, s.since())
}
