package mirrorsession

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// resolve finds the filter and the interfaces that the spec names. What can't be resolved is
// returned, by the field that names it, and keeps what it stood for: the filter and the
// target those of the cloud's session, a source its interface in the status until that is
// surely gone. A source that never had one is left out. Without a session in the cloud
// filter, target and at least one source must be there. The error is about nothing that the
// spec names.
func (s *scope) resolve(ctx context.Context, have *cloud.Session) (unresolved []*lifecycle.Problem, err error) {
	// note takes a problem in, and returns an error that is not about the spec, or that
	// leaves nothing to go on with.
	note := func(err error) error {
		p := lifecycle.Diagnose(err)
		if p == nil || have == nil {
			return err
		}
		unresolved = append(unresolved, p)
		return nil
	}
	if err := s.findFilter(have); err != nil {
		if err := note(err); err != nil {
			return nil, err
		}
		s.filterID = have.FilterID
	}
	since := s.interfacesSince(ctx)
	if have == nil { // it may have waited for long, and an address be another server's by now
		since = later(since, s.Clock().Add(-numbersAge))
	}
	s.expectNamed(since)
	if s.target, err = s.findTarget(ctx, since); err != nil {
		if err := note(err); err != nil {
			return nil, err
		}
		s.target = s.kept(have.TargetID)
	}
	missing, err := s.resolveSources(ctx, since)
	if err != nil {
		return nil, err
	}
	unresolved = append(unresolved, missing...)
	if conflict := s.roleConflict(); conflict != nil {
		if err := note(conflict); err != nil {
			return nil, err
		}
		s.target = s.kept(have.TargetID)
		s.sources = slices.DeleteFunc(s.sources, func(i cloud.Interface) bool { return i.ID == s.target.ID })
	}
	if len(s.sources) == 0 {
		if have == nil {
			return nil, joined(unresolved)
		}
		// The last ones are never removed, and none of them stands for a source any more.
		s.noSource = true
		for _, id := range have.Sources {
			s.sources = append(s.sources, s.kept(id))
		}
	}
	return unresolved, s.describe(ctx, have)
}

// expectNamed tells the inventory how many sources the spec names.
func (s *scope) expectNamed(since time.Time) {
	named := 0
	for i := range s.session.Spec.Sources {
		if s.session.Spec.Sources[i].NodeSelector == nil {
			named++
		}
	}
	s.Inventory.ExpectInterfaces(s.Cloud, named, since)
}

// resolveSources finds the interfaces of spec.sources, and what is missing: first those that it names,
// then those of the nodes that it selects.
func (s *scope) resolveSources(ctx context.Context, since time.Time) (missing []*lifecycle.Problem, err error) {
	s.sourceFields, s.sourceNodes = make(map[string]string), make(map[string]string)
	for i, source := range s.session.Spec.Sources {
		if source.NodeSelector != nil {
			continue
		}
		field := fmt.Sprintf("spec.sources[%d]", i)
		found, problem, err := s.interfaceOrKept(ctx, named{field: field, InterfaceSelector: source.InterfaceSelector}, since)
		if err != nil {
			return nil, err
		}
		if problem != nil {
			missing = append(missing, problem)
		}
		if found == nil {
			continue
		}
		if source.NodeName != "" {
			s.sourceNodes[found.ID] = source.NodeName
		}
		s.addSource(field, *found)
	}
	selected, err := s.resolveSelected(ctx, since)
	return append(missing, selected...), err
}

// interfaceOrKept finds the interface of a source. Where it can't be found the problem says why, and it is
// the one that the source had, nil where it had none or that is surely gone.
func (s *scope) interfaceOrKept(ctx context.Context, source named, since time.Time) (*cloud.Interface, *lifecycle.Problem, error) {
	found, err := s.interfaceOf(ctx, source, since)
	if err == nil {
		return &found, nil, nil
	}
	problem := lifecycle.Diagnose(err)
	if problem == nil {
		return nil, nil, err
	}
	kept, err := s.keptSource(ctx, source.InterfaceSelector, since)
	if kept == nil && err == nil {
		s.lostSources = append(s.lostSources, source.InterfaceSelector)
	}
	return kept, problem, err
}

// addSource adds a source that a field of the spec names, unless it is there already.
func (s *scope) addSource(field string, found cloud.Interface) {
	if s.sourceFields[found.ID] == "" {
		s.sourceFields[found.ID] = field
		s.sources = append(s.sources, found)
	}
}

// roleConflict is an interface that is a source and the target, nil for none.
func (s *scope) roleConflict() error {
	field := s.sourceFields[s.target.ID]
	if field == "" {
		return nil
	}
	return lifecycle.Stall(v1alpha1.ReasonSourceIsTarget,
		"%s is interface %s, which is also the target: the cloud takes no interface as both, so change one of the two", field, s.target.ID)
}

// readFilter reads what filterRef names. The cache answers.
func (s *scope) readFilter(ctx context.Context) {
	filter := &v1alpha1.MirrorFilter{}
	s.noFilter = s.Client.Get(ctx, client.ObjectKey{Namespace: s.session.Namespace, Name: s.session.Spec.FilterRef.Name}, filter)
	if s.noFilter == nil {
		s.filter = filter
	}
}

// findFilter resolves filterRef. A session that exists goes on with a filter that is
// being changed; a new one waits until the filter has all its rules.
func (s *scope) findFilter(have *cloud.Session) error {
	name, filter, err := s.session.Spec.FilterRef.Name, s.filter, s.noFilter
	switch {
	case apierrors.IsNotFound(err):
		return lifecycle.Wait(v1alpha1.ReasonFilterNotFound,
			"the MirrorFilter %q of spec.filterRef does not exist in namespace %q: create it, and the session goes on", name, s.session.Namespace)
	case err != nil:
		return fmt.Errorf("read the MirrorFilter %q: %w", name, err)
	case !filter.DeletionTimestamp.IsZero() && have == nil:
		return lifecycle.Wait(v1alpha1.ReasonFilterNotReady, "the MirrorFilter %q is being deleted: name another in spec.filterRef", name)
	case filter.Status.ID == "", have == nil && !status.Settled(filter):
		return lifecycle.Wait(v1alpha1.ReasonFilterNotReady, "waiting for the MirrorFilter %q to be ready; its own conditions say why it is not", name)
	case !plan.SameAccount(filter.Status.Account, s.Cloud.Account()):
		return lifecycle.Stall(v1alpha1.ReasonAccountMismatch,
			"the MirrorFilter %q lives in another account or region than the session: give both the same credentials, region and project", name).Probed()
	}
	s.filterID = filter.Status.ID
	return nil
}

// kept is an interface of the cloud's session, with what the status has of it.
func (s *scope) kept(id string) cloud.Interface {
	all := s.session.Status.Sources
	if t := s.session.Status.Target; t != nil {
		if t.ID() == id {
			return fromTarget(*t)
		}
	}
	for _, r := range all {
		if r.InterfaceID == id {
			return fromStatus(r)
		}
	}
	return cloud.Interface{ID: id}
}

// keptSource is the interface that a source had, nil for none or one that is surely gone.
func (s *scope) keptSource(ctx context.Context, selector v1alpha1.InterfaceSelector, since time.Time) (*cloud.Interface, error) {
	i := slices.IndexFunc(s.session.Status.Sources, func(r v1alpha1.ResolvedInterface) bool { return standsFor(selector, r) })
	if i < 0 {
		return nil, nil
	}
	before := s.session.Status.Sources[i]
	is, err := s.Inventory.Interface(ctx, s.Cloud, before.InterfaceID, since)
	switch {
	case cloud.IsNotFound(err):
		s.absent[before.InterfaceID] = true
		return nil, nil
	case err != nil && lifecycle.Diagnose(err) == nil:
		return nil, fmt.Errorf("read the interface %s: %w", before.InterfaceID, err)
	case err == nil:
		s.seen[is.ID] = is
	}
	// As the status has it, by which the next reconcile knows what the source stood for.
	return new(fromStatus(before)), nil
}

// standsFor reports whether an interface in the status is what a selector named.
func standsFor(selector v1alpha1.InterfaceSelector, r v1alpha1.ResolvedInterface) bool {
	switch {
	case selector.Address != nil:
		ip, err := netip.ParseAddr(selector.Address.IP)
		return err == nil && slices.Contains(fromStatus(r).Addresses, ip.Unmap())
	case selector.NodeName != "":
		return r.NodeName == selector.NodeName
	default:
		return r.InterfaceID == selector.InterfaceID
	}
}

// fromStatus is what the status has of an interface.
func fromStatus(r v1alpha1.ResolvedInterface) cloud.Interface {
	out := cloud.Interface{ID: r.InterfaceID, MAC: r.MAC}
	for _, text := range r.Addresses {
		if a, err := netip.ParseAddr(text); err == nil {
			out.Addresses = append(out.Addresses, a.Unmap())
		}
	}
	return out
}

// joined is several problems as one: the first names the reason, all are in the message.
func joined(all []*lifecycle.Problem) error {
	if len(all) == 0 {
		return nil
	}
	out := *all[0]
	for _, p := range all[1:] {
		out.Message += "; " + p.Message
		out.Retry = out.Retry || p.Retry
		if p.After > 0 && (out.After == 0 || p.After < out.After) {
			out.After = p.After
		}
		out.Within = max(out.Within, p.Within)
	}
	return &out
}

// describe finds out how the status shows what the spec and the cloud's session name.
func (s *scope) describe(ctx context.Context, have *cloud.Session) error {
	all := append(slices.Clone(s.sources), s.target)
	if have != nil && have.TargetID != s.target.ID {
		all = append(all, s.kept(have.TargetID))
	}
	described := make(map[string]v1alpha1.ResolvedInterface, len(all))
	for _, i := range all {
		r, err := s.asResolved(ctx, i)
		if err != nil {
			return err
		}
		r.NodeName = cmp.Or(s.sourceNodes[i.ID], r.NodeName)
		described[i.ID] = r
	}
	s.resolved = described
	if have == nil {
		s.session.Status.Target = s.shownTarget(s.target.ID)
	}
	return nil
}

func (s *scope) asResolved(ctx context.Context, i cloud.Interface) (out v1alpha1.ResolvedInterface, err error) {
	out = v1alpha1.ResolvedInterface{InterfaceID: i.ID, MAC: i.MAC}
	for _, a := range i.Addresses {
		out.Addresses = append(out.Addresses, a.String())
	}
	out.NodeName, err = s.nodeAt(ctx, i.Addresses)
	return out, err
}

// show puts the interfaces that the cloud's session has into the status, where the verifiers
// read them: not what the spec names, because the cloud may refuse it. Without a session in
// the cloud those of the last one stay, by which is known what a source stood for.
func (s *scope) show() {
	have := s.inCloud()
	if s.resolved == nil || have == nil {
		return
	}
	if target := s.shownTarget(have.TargetID); target != nil {
		s.session.Status.Target = target
	}
	s.session.Status.Sources = nil
	for _, i := range s.sources {
		if slices.Contains(have.Sources, i.ID) {
			s.session.Status.Sources = append(s.session.Status.Sources, s.resolved[i.ID])
		}
	}
}

// named is an interface that the spec names by a field, or a node that a field selects.
type named struct {
	field string
	v1alpha1.InterfaceSelector
	// node is the one that is selected, nil for what is named.
	node *corev1.Node
}

// interfaceOf finds what a field of the spec names, and notes it as seen.
func (s *scope) interfaceOf(ctx context.Context, of named, since time.Time) (cloud.Interface, error) {
	found, err := s.findInterface(ctx, of, since)
	if err == nil {
		s.seen[found.ID] = found
	}
	return found, err
}

func (s *scope) findInterface(ctx context.Context, of named, since time.Time) (cloud.Interface, error) {
	switch {
	case of.Address != nil:
		return s.interfaceAt(ctx, of.field, *of.Address, since)
	case of.NodeName != "":
		return s.interfaceOfNode(ctx, of, since)
	}
	found, err := s.Inventory.Interface(ctx, s.Cloud, of.InterfaceID, since)
	switch {
	case cloud.IsNotFound(err):
		s.absent[of.InterfaceID] = true
		return found, absent(err, "%s.interfaceID names %s, but %s has no such elastic network interface: correct the ID, or wait until the server is there",
			of.field, of.InterfaceID, s.accountName())
	case err != nil:
		return found, fmt.Errorf("read the interface %s of %s: %w", of.InterfaceID, of.field, err)
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
			"%s.address.ip names %s, which several interfaces have%s. Set %s.address.vpcID to the VPC that is meant",
			field, at.IP, s.candidates(found), field)
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

// candidates lists interfaces for a person to choose from; with the operator's own
// credentials they are not the person's to know.
func (s *scope) candidates(all []cloud.Interface) string {
	if lifecycle.SharesAccount(s.session) {
		return ""
	}
	out := make([]string, 0, len(all))
	for _, i := range all {
		out = append(out, fmt.Sprintf("%s (VPC %s)", i.ID, i.VPCID))
	}
	slices.Sort(out)
	return ": " + strings.Join(out, ", ")
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
