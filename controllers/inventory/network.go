package inventory

import (
	"context"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// whole is the key of what there is one of in an account.
type whole struct{}

// network is what is kept of an account's network. What is returned of it is shared: nobody
// changes it.
type network struct {
	interfaces     *shared[whole, interfaceList]
	securityGroups *shared[whole, map[string]cloud.SecurityGroup]
	addressGroups  *shared[whole, map[string]cloud.AddressGroup]
	acls           *shared[whole, []cloud.NetworkACL]
	acl            *shared[string, cloud.NetworkACL]
	peerings       *shared[whole, []cloud.Peering]
	routeTables    *shared[whole, []cloud.RouteTable]
	routeTable     *shared[string, cloud.RouteTable]
	servers        *shared[whole, map[string]cloud.Server]
	flavors        *shared[whole, map[string]cloud.Flavor]
	loadBalancer   *shared[string, cloud.LoadBalancer]
	listeners      *shared[string, []cloud.Listener]
	pool           *shared[string, cloud.Pool]
}

// sized is what can tell what it holds of memory.
type sized interface{ Size() int64 }

// keeper is a part of what is kept.
type keeper interface {
	size() int64
	drop()
}

func newNetwork(clock cloud.Clock) network {
	return network{
		interfaces:     newShared[whole](clock, interfaceList.size),
		securityGroups: newShared[whole](clock, sizeOfMap[cloud.SecurityGroup]),
		addressGroups:  newShared[whole](clock, sizeOfMap[cloud.AddressGroup]),
		acls:           newShared[whole](clock, sizeOfList[cloud.NetworkACL]),
		acl:            newShared[string](clock, cloud.NetworkACL.Size),
		peerings:       newShared[whole](clock, sizeOfList[cloud.Peering]),
		routeTables:    newShared[whole](clock, sizeOfList[cloud.RouteTable]),
		routeTable:     newShared[string](clock, cloud.RouteTable.Size),
		servers:        newShared[whole](clock, sizeOfMap[cloud.Server]),
		flavors:        newShared[whole](clock, sizeOfMap[cloud.Flavor]),
		loadBalancer:   newShared[string](clock, cloud.LoadBalancer.Size),
		listeners:      newShared[string](clock, sizeOfList[cloud.Listener]),
		pool:           newShared[string](clock, cloud.Pool.Size),
	}
}

func (n *network) all() (all [13]keeper) {
	diagnosed := n.diagnosed()
	copy(all[:], diagnosed[:])
	copy(all[len(diagnosed):], []keeper{n.interfaces, n.loadBalancer, n.listeners, n.pool})
	return all
}

// diagnosed is what nobody needs but who asks why copies don't come.
func (n *network) diagnosed() [9]keeper {
	return [9]keeper{n.securityGroups, n.addressGroups, n.acls, n.acl, n.peerings, n.routeTables, n.routeTable, n.servers, n.flavors}
}

func sizeOfList[T sized](all []T) (size int64) {
	for _, one := range all {
		size += one.Size()
	}
	return size
}

func sizeOfMap[T sized](all map[string]T) (size int64) {
	for _, one := range all {
		size += one.Size() + 40
	}
	return size
}

// byID makes a read of a list one of a map.
func byID[T any](list func(context.Context) ([]T, error), id func(T) string) func(context.Context, whole) (map[string]T, error) {
	return func(ctx context.Context, _ whole) (map[string]T, error) {
		all, err := list(ctx)
		if err != nil {
			return nil, err
		}
		by := make(map[string]T, len(all))
		for _, one := range all {
			by[id(one)] = one
		}
		return by, nil
	}
}

// listed makes a read of a list one by a key.
func listed[T any](list func(context.Context) ([]T, error)) func(context.Context, whole) ([]T, error) {
	return func(ctx context.Context, _ whole) ([]T, error) { return list(ctx) }
}

// Interfaces returns every interface of the account, from a list that began at or after
// notBefore. This and what follows is shared: nobody changes what is returned. A refusal (the
// classes Permission and Unsupported) is an answer too, which the client that got it gets again
// until notBefore passes it.
func (i *Inventory) Interfaces(ctx context.Context, c cloud.Client, notBefore time.Time) (*cloud.Interfaces, error) {
	defer i.trim()
	all, err := i.account(c.Account()).network.interfaces.get(ctx, c, whole{}, notBefore, i.readInterfaces(c))
	return all.all, err
}

// SecurityGroups returns every security group of the account by its ID, with its rules.
func (i *Inventory) SecurityGroups(ctx context.Context, c cloud.Client, notBefore time.Time) (map[string]cloud.SecurityGroup, error) {
	defer i.trim()
	return i.account(c.Account()).network.securityGroups.get(ctx, c, whole{}, notBefore,
		byID(c.ListSecurityGroups, func(g cloud.SecurityGroup) string { return g.ID }))
}

// AddressGroups returns every address group of the account by its ID.
func (i *Inventory) AddressGroups(ctx context.Context, c cloud.Client, notBefore time.Time) (map[string]cloud.AddressGroup, error) {
	defer i.trim()
	return i.account(c.Account()).network.addressGroups.get(ctx, c, whole{}, notBefore,
		byID(c.ListAddressGroups, func(g cloud.AddressGroup) string { return g.ID }))
}

// NetworkACLs returns every network ACL of the account, without rules.
func (i *Inventory) NetworkACLs(ctx context.Context, c cloud.Client, notBefore time.Time) ([]cloud.NetworkACL, error) {
	defer i.trim()
	return i.account(c.Account()).network.acls.get(ctx, c, whole{}, notBefore, listed(c.ListNetworkACLs))
}

// NetworkACL returns one network ACL with its rules.
func (i *Inventory) NetworkACL(ctx context.Context, c cloud.Client, id string, notBefore time.Time) (cloud.NetworkACL, error) {
	defer i.trim()
	return i.account(c.Account()).network.acl.get(ctx, c, id, notBefore, c.GetNetworkACL)
}

// Peerings returns every peering of the account.
func (i *Inventory) Peerings(ctx context.Context, c cloud.Client, notBefore time.Time) ([]cloud.Peering, error) {
	defer i.trim()
	return i.account(c.Account()).network.peerings.get(ctx, c, whole{}, notBefore, listed(c.ListPeerings))
}

// RouteTables returns every route table of the account, without routes.
func (i *Inventory) RouteTables(ctx context.Context, c cloud.Client, notBefore time.Time) ([]cloud.RouteTable, error) {
	defer i.trim()
	return i.account(c.Account()).network.routeTables.get(ctx, c, whole{}, notBefore, listed(c.ListRouteTables))
}

// RouteTable returns one route table with its routes.
func (i *Inventory) RouteTable(ctx context.Context, c cloud.Client, id string, notBefore time.Time) (cloud.RouteTable, error) {
	defer i.trim()
	return i.account(c.Account()).network.routeTable.get(ctx, c, id, notBefore, c.GetRouteTable)
}

// Servers returns every server of the account by its ID.
func (i *Inventory) Servers(ctx context.Context, c cloud.Client, notBefore time.Time) (map[string]cloud.Server, error) {
	defer i.trim()
	return i.account(c.Account()).network.servers.get(ctx, c, whole{}, notBefore,
		byID(c.ListServers, func(s cloud.Server) string { return s.ID }))
}

// Flavors returns every flavor of the region by its name.
func (i *Inventory) Flavors(ctx context.Context, c cloud.Client, notBefore time.Time) (map[string]cloud.Flavor, error) {
	defer i.trim()
	return i.account(c.Account()).network.flavors.get(ctx, c, whole{}, notBefore,
		byID(c.ListFlavors, func(f cloud.Flavor) string { return f.Name }))
}
