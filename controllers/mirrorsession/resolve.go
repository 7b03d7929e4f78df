package mirrorsession

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// findFilter resolves filterRef. A session that exists goes on with a filter that is
// being changed; a new one waits until the filter has all its rules.
func (s *scope) findFilter(ctx context.Context) error {
	name := s.session.Spec.FilterRef.Name
	filter := &v1alpha1.MirrorFilter{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.session.Namespace, Name: name}, filter)
	switch {
	case apierrors.IsNotFound(err):
		return lifecycle.Wait(v1alpha1.ReasonFilterNotFound,
			"the MirrorFilter %q of spec.filterRef does not exist in namespace %q: create it, and the session goes on", name, s.session.Namespace)
	case err != nil:
		return fmt.Errorf("read the MirrorFilter %q: %w", name, err)
	case !filter.DeletionTimestamp.IsZero() && !s.session.InCloud():
		return lifecycle.Wait(v1alpha1.ReasonFilterNotReady, "the MirrorFilter %q is being deleted: name another in spec.filterRef", name)
	case filter.Status.ID == "", !s.session.InCloud() && !status.IsSynced(filter):
		return lifecycle.Wait(v1alpha1.ReasonFilterNotReady, "waiting for the MirrorFilter %q to be ready; its own conditions say why it is not", name)
	case !plan.SameAccount(filter.Status.Account, s.Cloud.Account()):
		return lifecycle.Stall(v1alpha1.ReasonAccountMismatch,
			"the MirrorFilter %q lives in another account or region than the session: give both the same credentials, region and project", name)
	}
	s.filter = filter
	return nil
}

// resolve finds the interfaces that the spec names.
func (s *scope) resolve(ctx context.Context) error {
	since := s.FreshSince()
	target, err := s.interfaceOf(ctx, "spec.target", s.session.Spec.Target.InterfaceSelector, since)
	if err != nil {
		return err
	}
	s.target = target
	for i, source := range s.session.Spec.Sources {
		field := fmt.Sprintf("spec.sources[%d]", i)
		found, err := s.interfaceOf(ctx, field, source.InterfaceSelector, since)
		if err != nil {
			return err
		}
		if found.ID == target.ID {
			return lifecycle.Stall(v1alpha1.ReasonSourceIsTarget,
				"%s is interface %s, which is also the target: the cloud takes no interface as both, so change one of the two", field, found.ID)
		}
		if !slices.ContainsFunc(s.sources, func(o cloud.Interface) bool { return o.ID == found.ID }) {
			s.sources = append(s.sources, found)
		}
	}
	return s.show(ctx)
}

// show puts the resolved interfaces into the status, where the verifiers read them.
func (s *scope) show(ctx context.Context) error {
	nodes, err := s.nodesByIP(ctx)
	if err != nil {
		return err
	}
	target := resolved(s.target, nodes)
	s.session.Status.Target = &target
	s.session.Status.Sources = nil
	for _, i := range s.sources {
		s.session.Status.Sources = append(s.session.Status.Sources, resolved(i, nodes))
	}
	return nil
}

func resolved(i cloud.Interface, nodes map[netip.Addr]string) v1alpha1.ResolvedInterface {
	out := v1alpha1.ResolvedInterface{InterfaceID: i.ID, MAC: i.MAC}
	for _, a := range i.Addresses {
		out.Addresses = append(out.Addresses, a.String())
		if out.NodeName == "" {
			out.NodeName = nodes[a]
		}
	}
	return out
}

func (s *scope) interfaceOf(ctx context.Context, field string, selector v1alpha1.InterfaceSelector, since time.Time) (cloud.Interface, error) {
	switch {
	case selector.Address != nil:
		return s.interfaceAt(ctx, field, *selector.Address, since)
	case selector.NodeName != "":
		return s.interfaceOfNode(ctx, field, selector.NodeName, since)
	}
	found, err := s.Inventory.Interface(ctx, s.Cloud, selector.InterfaceID, since)
	switch {
	case cloud.IsNotFound(err):
		return found, absent(err, "%s.interfaceID names %s, but %s has no such elastic network interface: correct the ID, or wait until the server is there",
			field, selector.InterfaceID, s.accountName())
	case err != nil:
		return found, fmt.Errorf("read the interface %s of %s: %w", selector.InterfaceID, field, err)
	}
	return found, nil
}

func (s *scope) interfaceAt(ctx context.Context, field string, at v1alpha1.InterfaceAddress, since time.Time) (cloud.Interface, error) {
	found, err := s.interfacesAt(ctx, field, at, since)
	switch {
	case err != nil:
		return cloud.Interface{}, err
	case len(found) == 0:
		in := ""
		if at.VPCID != "" {
			in = " in VPC " + at.VPCID
		}
		return cloud.Interface{}, absent(nil, "%s.address.ip names %s, but no elastic network interface of %s has that address%s: correct it, or wait until the server is there",
			field, at.IP, s.accountName(), in)
	case len(found) > 1:
		return cloud.Interface{}, lifecycle.Stall(v1alpha1.ReasonAmbiguousAddress,
			"%s.address.ip names %s, which several interfaces have: %s. Set %s.address.vpcID to the VPC that is meant",
			field, at.IP, candidates(found), field)
	}
	return found[0], nil
}

// interfacesAt are the interfaces that have an address.
func (s *scope) interfacesAt(ctx context.Context, field string, at v1alpha1.InterfaceAddress, since time.Time) ([]cloud.Interface, error) {
	ip, err := netip.ParseAddr(at.IP)
	if err != nil {
		return nil, lifecycle.Stall(v1alpha1.ReasonInvalidRequest, "%s.address.ip: %s", field, err)
	}
	all, err := s.Inventory.InterfacesAt(ctx, s.Cloud, ip, since)
	if err != nil {
		return nil, fmt.Errorf("find the interface with address %s of %s: %w", ip, field, err)
	}
	var found []cloud.Interface
	for _, i := range all {
		if at.VPCID == "" || i.VPCID == at.VPCID {
			found = append(found, i)
		}
	}
	return found, nil
}

// candidates lists interfaces for a person to choose from.
func candidates(all []cloud.Interface) string {
	out := make([]string, 0, len(all))
	for _, i := range all {
		out = append(out, fmt.Sprintf("%s (VPC %s)", i.ID, i.VPCID))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// absent waits for a thing in the cloud that no watch shows.
func absent(cause error, format string, args ...any) *lifecycle.Problem {
	p := lifecycle.Wait(v1alpha1.ReasonInterfaceNotFound, format, args...)
	p.After, p.Cause = lifecycle.AbsentProbe, cause
	return p
}

// accountName is how messages call the account.
func (s *scope) accountName() string {
	a := s.Cloud.Account()
	return fmt.Sprintf("project %s in region %s", a.ProjectID, a.Region)
}
