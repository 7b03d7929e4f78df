package cloud

import (
	"net/netip"
	"slices"
)

// Interfaces are all interfaces of an account, as one list showed them. Many ask at each of their looks
// who is in a security group or a subnet, so that is found without a walk over all. Nobody changes what
// it returns; several goroutines may ask it. A nil one has none.
type Interfaces struct {
	byID    map[string]Interface
	members map[groupInVPC]*addresses
	subnets map[string]*addresses
}

// groupInVPC is a security group among the interfaces of one VPC.
type groupInVPC struct{ group, vpc string }

// addresses are those of some interfaces, which may have none, in order.
type addresses struct{ sorted []netip.Addr }

// InterfacesOf takes what a list showed. Of two with one ID the later one counts.
func InterfacesOf(all []Interface) *Interfaces {
	i := &Interfaces{byID: make(map[string]Interface, len(all))}
	for _, one := range all {
		i.byID[one.ID] = one
	}
	i.index()
	return i
}

// All returns them by their IDs.
func (i *Interfaces) All() map[string]Interface {
	if i == nil {
		return nil
	}
	return i.byID
}

// ByID returns one.
func (i *Interfaces) ByID(id string) (Interface, bool) {
	one, ok := i.All()[id]
	return one, ok
}

// InGroup reports whether some interface of a VPC, or one of which it is not known in which VPC it is,
// has a security group and an address in within; the zero value of that is any interface. An empty vpc
// is every one.
func (i *Interfaces) InGroup(group, vpc string, within netip.Prefix) bool {
	if i == nil {
		return false
	}
	for _, in := range slices.Compact([]string{vpc, ""}) {
		if i.members[groupInVPC{group, in}].some(within) {
			return true
		}
	}
	return vpc == "" && i.members[groupInVPC{group, everyVPC}].some(within)
}

// everyVPC stands for all VPCs together: it is no ID.
const everyVPC = "*"

// InSubnet reports whether some interface of a subnet has an address in within, or whether there is one
// at all where that is the zero value.
func (i *Interfaces) InSubnet(subnet string, within netip.Prefix) bool {
	if i == nil {
		return false
	}
	return i.subnets[subnet].some(within)
}

func (i *Interfaces) index() {
	i.members, i.subnets = map[groupInVPC]*addresses{}, map[string]*addresses{}
	for _, one := range i.byID {
		for _, group := range one.SecurityGroups {
			for _, vpc := range []string{one.VPCID, everyVPC} {
				add(i.members, groupInVPC{group, vpc}, one.Addresses)
			}
		}
		if one.SubnetID != "" {
			add(i.subnets, one.SubnetID, one.Addresses)
		}
	}
	for _, all := range i.members {
		all.sort()
	}
	for _, all := range i.subnets {
		all.sort()
	}
}

func add[K comparable](to map[K]*addresses, key K, more []netip.Addr) {
	all, ok := to[key]
	if !ok {
		all = &addresses{}
		to[key] = all
	}
	all.sorted = append(all.sorted, more...)
}

func (a *addresses) sort() {
	slices.SortFunc(a.sorted, netip.Addr.Compare)
	a.sorted = slices.Clip(slices.Compact(a.sorted))
}

// some reports whether one of them is in a prefix; for the zero value whether there is an interface.
func (a *addresses) some(within netip.Prefix) bool {
	if a == nil || !within.IsValid() {
		return a != nil
	}
	at, _ := slices.BinarySearchFunc(a.sorted, within.Masked().Addr(), netip.Addr.Compare)
	return at < len(a.sorted) && within.Contains(a.sorted[at])
}
