package mirrorsession

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// pathReader reads the way of a session's copies, from answers that began at or after since.
type pathReader struct {
	*scope
	since time.Time
	// before is what was read the last time: where the cloud gives no answer that serves.
	before *diagnosis.Path
	// former may be sources that are gone and were taken off the session; once the interfaces were
	// read, they are.
	former []v1alpha1.ResolvedInterface
	// outcome is how it ended that the session was brought in line.
	outcome error
	// failed is why the cloud gave none, nil when it gave all.
	failed error
	// silent is true once it gave none at all: then nothing more is asked.
	silent bool
}

// read returns nil where there is no way yet, as what the spec names could not be found, or where
// sessions and filters can't be read: without them nothing can be said.
func (r *pathReader) read(ctx context.Context) *diagnosis.Path {
	p := &diagnosis.Path{At: r.since, Session: r.mirrored(), Private: lifecycle.SharesAccount(r.session), Idle: r.noSource}
	if len(p.Session.Sources) == 0 {
		return nil
	}
	if parts := r.each(); len(parts) > 1 {
		p.Parts = parts
	}
	p.Session.Sources = sorted(p.Session.Sources) // the cloud may list them in another order each time
	sessions := ask(ctx, r, diagnosis.Answer[inventory.Sessions]{}, r.Inventory.Sessions)
	filters := ask(ctx, r, diagnosis.Answer[*inventory.Listed[cloud.Filter]]{}, r.Inventory.Filters)
	if !sessions.Read || !filters.Read {
		return nil
	}
	if r.since.After(r.began.Add(-r.Resync)) {
		r.wakeFilter(filters.Value)
	}
	p.Filter = filterIn(filters.Value, p.Session.FilterID)
	p.Others = r.others(p, sessions.Value, filters.Value)
	r.readInterfaces(ctx, p)
	r.readBalancer(ctx, p)
	r.readWay(ctx, p)
	p.Wanted, p.Quota = r.wanted(p), r.quota(ctx)
	if r.failed != nil && !r.before.At.IsZero() && r.before.At.Before(p.At) {
		p.At = r.before.At
	}
	return p
}

// readInterfaces reads those that the session names. Where an edge asks, or what the session has
// could not be resolved, one list says what there is.
func (r *pathReader) readInterfaces(ctx context.Context, p *diagnosis.Path) {
	ids := append(slices.Clone(p.Session.Sources), p.Session.TargetID)
	if p.Session.TargetType == cloud.TargetLoadBalancer {
		ids[len(ids)-1] = "" // it is no interface, see readBalancer
	}
	wanted := slices.Clone(ids)
	for _, f := range r.former {
		wanted = append(wanted, f.InterfaceID)
	}
	listed := r.listed(ctx, wanted)
	for i, id := range ids {
		is, there := r.seen[id]
		if id != "" && listed.Read && (!there || r.edge()) {
			is, there = r.byList(ctx, p, id, listed.Value)
		}
		switch {
		case !there || id == "":
		case i == len(ids)-1:
			p.Target = &is
		default:
			p.Sources = append(p.Sources, is)
		}
	}
	r.former = slices.DeleteFunc(r.former, func(f v1alpha1.ResolvedInterface) bool {
		_, back := listed.Value.ByID(f.InterfaceID)
		return back || slices.Contains(ids, f.InterfaceID)
	})
	r.noteGone(p, listed)
}

// byList is an interface as a list of all shows it. That the list lacks it proves nothing: it may
// have been made, or the pages may have moved, since the list began. What was read of it by itself is
// at least as new; where that is nothing, it is read.
func (r *pathReader) byList(ctx context.Context, p *diagnosis.Path, id string, all *cloud.Interfaces) (cloud.Interface, bool) {
	if is, shown := all.ByID(id); shown {
		return is, true
	}
	if is, seen := r.seen[id]; seen {
		return is, true
	}
	if r.absent[id] {
		p.Gone = append(p.Gone, id)
		return cloud.Interface{}, false
	}
	gone := false
	got := ask(ctx, r, diagnosis.Answer[cloud.Interface]{}, func(ctx context.Context, c cloud.Client, since time.Time) (cloud.Interface, error) {
		is, err := r.Inventory.Interface(ctx, c, id, since)
		if gone = cloud.IsNotFound(err); gone {
			err = nil // that is an answer
		}
		return is, err
	})
	if gone {
		p.Gone = append(p.Gone, id)
	}
	return got.Value, got.Read && !gone
}

// noteGone notes what was taken off the session, and who has the addresses of what is gone now.
func (r *pathReader) noteGone(p *diagnosis.Path, listed diagnosis.Answer[*cloud.Interfaces]) {
	gone := make([]cloud.Interface, 0, len(p.Gone))
	for _, f := range r.former {
		p.Former = append(p.Former, fromStatus(f))
	}
	for _, id := range p.Gone {
		gone = append(gone, r.kept(id))
	}
	gone = append(gone, p.Former...)
	for i := range gone {
		gone[i].VPCID = r.wasIn(p, gone[i])
	}
	if len(gone) > 0 && listed.Read {
		p.Interfaces, p.Successors = listed, successors(gone, listed.Value.All())
	}
}

// wasIn is the VPC of an interface that is gone: by what was read of it last, by the spec, or by the
// session's other interfaces; empty where these don't agree.
func (r *pathReader) wasIn(p *diagnosis.Path, was cloud.Interface) string {
	last := r.before.GoneFrom[was.ID]
	for i := range interfacesOf(r.before) {
		if i.ID == was.ID {
			last = i.VPCID
		}
	}
	if last != "" {
		if p.GoneFrom == nil {
			p.GoneFrom = map[string]string{}
		}
		p.GoneFrom[was.ID] = last
		return last
	}
	selectors := []v1alpha1.InterfaceSelector{r.session.Spec.Target.InterfaceSelector}
	for _, source := range r.session.Spec.Sources {
		selectors = append(selectors, source.InterfaceSelector)
	}
	var vpcs []string
	for _, s := range selectors {
		if s.Address == nil || s.Address.VPCID == "" {
			continue
		}
		if ip, err := netip.ParseAddr(s.Address.IP); err == nil && slices.Contains(was.Addresses, ip.Unmap()) {
			vpcs = append(vpcs, s.Address.VPCID)
		}
	}
	if len(vpcs) == 0 {
		vpcs = vpcsOf(p)
	}
	slices.Sort(vpcs)
	if vpcs = slices.Compact(vpcs); len(vpcs) == 1 {
		return vpcs[0]
	}
	return ""
}

// listed is the list of all interfaces, as far as it is needed for some.
func (r *pathReader) listed(ctx context.Context, ids []string) diagnosis.Answer[*cloud.Interfaces] {
	unseen := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, seen := r.seen[id]; return seen || id == "" })
	if len(unseen) == 0 && !r.edge() {
		return diagnosis.Answer[*cloud.Interfaces]{}
	}
	age := changedAge
	if !slices.ContainsFunc(unseen, func(id string) bool { return !saidGone(r.before, id) }) {
		age = max(age, roundGap(r.Inventory.Calls(r.Cloud))) // thousands of them must not cost a list each time
	}
	return ask(ctx, r, r.before.Interfaces, func(ctx context.Context, c cloud.Client, since time.Time) (*cloud.Interfaces, error) {
		if len(unseen) > 0 {
			since = later(since, r.began.Add(-age)) // what could not be resolved may be gone since a while ago
		}
		return r.Inventory.Interfaces(ctx, c, since)
	})
}

// saidGone reports whether an interface was found gone the last time.
func saidGone(before *diagnosis.Path, id string) bool {
	return slices.Contains(before.Gone, id) || slices.ContainsFunc(before.Former, func(i cloud.Interface) bool { return i.ID == id })
}

// edge reports whether answers of now are asked for, whatever was read of single interfaces.
func (r *pathReader) edge() bool { return !r.NotBefore.IsZero() }

// successors are the interfaces that have an address of one that is gone, by the ID of that. Other
// VPCs may have the same address; of several the one with the smallest ID is named, always.
func successors(gone []cloud.Interface, all map[string]cloud.Interface) map[string]cloud.Interface {
	found := map[string]cloud.Interface{}
	for _, was := range gone {
		for _, is := range all {
			if was.VPCID == "" || is.VPCID != was.VPCID || !shareAddress(was, is) {
				continue
			}
			if other, has := found[was.ID]; !has || is.ID < other.ID {
				found[was.ID] = is
			}
		}
	}
	return found
}

func shareAddress(a, b cloud.Interface) bool {
	return slices.ContainsFunc(a.Addresses, func(address netip.Addr) bool { return slices.Contains(b.Addresses, address) })
}

// formerSources are the interfaces that sources of the spec stood for which stand for nothing now: by
// what the process remembers, by the status, and by what was said of one before the process began.
func (s *scope) formerSources(remembered []v1alpha1.ResolvedInterface) (former []v1alpha1.ResolvedInterface) {
	status := s.storedSession().Status
	known := slices.Concat(status.Sources, remembered)
	for _, selector := range s.lostSources {
		at := slices.IndexFunc(known, func(r v1alpha1.ResolvedInterface) bool { return standsFor(selector, r) })
		switch {
		case at >= 0:
			former = append(former, known[at])
		case selector.InterfaceID != "":
			if f := diagnosis.SaidGone(&status, selector.InterfaceID); f != nil {
				former = append(former, *f)
			}
		}
	}
	return former
}

// readWay reads what lies between.
func (r *pathReader) readWay(ctx context.Context, p *diagnosis.Path) {
	n, in, was := needsOf(p), r.Inventory, r.before
	if n.groups {
		p.Groups = ask(ctx, r, was.Groups, in.SecurityGroups)
	}
	if n.acls {
		p.ACLs = ask(ctx, r, was.ACLs, func(ctx context.Context, c cloud.Client, since time.Time) ([]cloud.NetworkACL, error) {
			all, err := in.NetworkACLs(ctx, c, since)
			return contents(ctx, c, since, p.Private, aclsOn(p, all), err, aclID, in.NetworkACL)
		})
		p.ACLs.Value = shareList(&r.reconciler.shared, p.ACLs.Value, aclID)
	}
	if n.network {
		p.Peerings = ask(ctx, r, was.Peerings, in.Peerings)
		p.Peerings.Value = shareList(&r.reconciler.shared, peeringsOn(p, p.Peerings.Value), func(p cloud.Peering) string { return p.ID })
		p.RouteTables = ask(ctx, r, was.RouteTables, func(ctx context.Context, c cloud.Client, since time.Time) ([]cloud.RouteTable, error) {
			all, err := in.RouteTables(ctx, c, since)
			return contents(ctx, c, since, p.Private, tablesOn(p, all), err, tableID, in.RouteTable)
		})
		p.RouteTables.Value = shareList(&r.reconciler.shared, p.RouteTables.Value, tableID)
	}
	if n.servers {
		p.Servers = ask(ctx, r, was.Servers, func(ctx context.Context, c cloud.Client, since time.Time) ([]cloud.Server, error) {
			all, err := in.Servers(ctx, c, since)
			return serversOn(p, all), err
		})
	}
	if n.flavors {
		p.Flavors = ask(ctx, r, was.Flavors, in.Flavors)
		p.Flavors.Value = shareMap(&r.reconciler.shared, only(p.Flavors.Value, flavorsOf(p)))
	}
	if membersDecide(p) && !p.Interfaces.Read {
		p.Interfaces = ask(ctx, r, was.Interfaces, in.Interfaces)
	}
	p.Groups.Value = shareMap(&r.reconciler.shared, only(p.Groups.Value, slices.Concat(groupsOf(p), namedGroups(p))))
	if named := namedAddressGroups(p); len(named) > 0 {
		p.AddressGroups = ask(ctx, r, was.AddressGroups, in.AddressGroups)
		p.AddressGroups.Value = only(p.AddressGroups.Value, named)
	}
}

func aclID(acl cloud.NetworkACL) string { return acl.ID }

func tableID(t cloud.RouteTable) string { return t.ID }

// ask gives the cloud's answer. A refusal is one. Where there is none the last one serves, and
// without that it is missing.
func ask[T any](ctx context.Context, r *pathReader, before diagnosis.Answer[T], get func(context.Context, cloud.Client, time.Time) (T, error)) diagnosis.Answer[T] {
	if !r.silent {
		value, err := get(ctx, r.Cloud, r.since)
		if class := cloud.ClassOf(err); class == cloud.ClassPermission || class == cloud.ClassUnsupported {
			return diagnosis.Answer[T]{Missing: &diagnosis.Missing{Action: cloud.ActionOf(err), Says: err.Error()}}
		}
		if err == nil {
			return diagnosis.Answer[T]{Value: value, Read: true}
		}
		r.failed, r.silent = err, cloud.IsSilence(err)
	}
	if before.Read {
		return before
	}
	return diagnosis.Answer[T]{Missing: &diagnosis.Missing{Says: r.failed.Error()}}
}

// contents reads what a list does not show of the ones that are needed. One that has gone meanwhile
// is left out. That it can't be read is said to the object's readers, who may not know its ID where the
// account is not theirs.
func contents[T any](ctx context.Context, c cloud.Client, since time.Time, private bool, listed []T, err error, id func(T) string,
	get func(context.Context, cloud.Client, string, time.Time) (T, error),
) ([]T, error) {
	if err != nil {
		return nil, err
	}
	var all []T
	for _, one := range listed {
		full, err := get(ctx, c, id(one), since)
		switch {
		case cloud.IsNotFound(err):
		case err != nil && private:
			return nil, fmt.Errorf("read what a list does not show: %w", err)
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", id(one), err)
		default:
			all = append(all, full)
		}
	}
	return all, nil
}

// others are the other sessions of the cloud that have an interface in common with this one. Of those that
// only copy to the same target, which can be thousands, those count that can't be told apart from this
// one; and all while the cloud does not have this one, as they may keep it out.
func (r *pathReader) others(p *diagnosis.Path, sessions inventory.Sessions, filters *inventory.Listed[cloud.Filter]) (others []diagnosis.Other) {
	target := sessions.WithVNI(p.Session.TargetID, p.Session.VNI)
	if p.Session.ID == "" || len(r.parts.have) < r.changes.wanted { // who has the places that it needs
		target = sessions.To(p.Session.TargetID)
	}
	sharing := slices.Concat(target, sessions.From(p.Session.TargetID))
	for _, id := range p.Session.Sources {
		sharing = slices.Concat(sharing, sessions.From(id), sessions.To(id))
	}
	found := make(map[string]cloud.Session, len(sharing))
	for _, other := range sharing {
		found[other.ID] = other
	}
	for _, own := range r.each() {
		delete(found, own.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		other, name := found[id], "another session"
		if !p.Private {
			name = r.nameInCloud(other)
		}
		others = append(others, diagnosis.Other{Session: other, Name: name, Filter: filterIn(filters, other.FilterID)})
	}
	return others
}

// nameInCloud is how messages call a session of the cloud: by its object where it is this cluster's.
func (s *scope) nameInCloud(other cloud.Session) string {
	mark, marked := plan.MarkOf(other.Description)
	if !marked || mark.Cluster != s.Cluster {
		return nameOf(other, "")
	}
	object, known := s.Named(types.UID(mark.UID))
	if !known {
		return nameOf(other, "")
	}
	return nameOf(other, object.String())
}

// nameOf is how a message calls a session of the cloud, by its object where it has one.
func nameOf(s cloud.Session, object string) string {
	switch {
	case object != "":
		return "MirrorSession " + object + " (" + s.ID + ")"
	case s.Name == "":
		return "the session " + s.ID
	default:
		return fmt.Sprintf("the session %s (%s)", s.ID, s.Name)
	}
}
