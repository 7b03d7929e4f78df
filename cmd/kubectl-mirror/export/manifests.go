package export

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// Request says what is exported, and how.
type Request struct {
	Source
	// Observe lets every object only be observed.
	Observe bool
	// Named are IDs or names of filters and sessions in the cloud; all where there is none. A session brings its filter.
	Named []string
}

// Present are the objects that the namespace has already.
type Present struct {
	Filters  []*v1alpha1.MirrorFilter
	Sessions []*v1alpha1.MirrorSession
}

// Manifest is one object to apply.
type Manifest struct {
	Kind, Name string
	// Spec is a MirrorFilterSpec or a MirrorSessionSpec.
	Spec any
	// Of names the object of the cloud, and Remarks are what a person should know, a sentence each.
	Of      string
	Remarks []string
}

// Result is what becomes of an account.
type Result struct {
	// Manifests are in the order in which they are applied.
	Manifests []Manifest
	// LeftOut says of each object of the cloud that there is no manifest of, why, and Unseen what could not be looked at:
	// a sentence each.
	LeftOut, Unseen []string
}

// The kinds.
const (
	filterKind  = "MirrorFilter"
	sessionKind = "MirrorSession"
)

// Of makes the manifests. It asks nobody, and the same account gives the same ones. An error names what was asked for
// and is not there.
func Of(r Request, have Account, present Present) (Result, error) {
	e := &exporter{Request: r, account: have, present: present, refs: map[string]string{}, unsaid: map[string]string{}}
	filters := slices.SortedFunc(slices.Values(have.Filters), func(a, b cloud.Filter) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	sessions := slices.SortedFunc(slices.Values(have.Sessions), func(a, b cloud.Session) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	if err := e.choose(filters, sessions); err != nil {
		return Result{}, err
	}
	e.filters(filters)
	e.sessions(sessions)
	e.Unseen = have.Unseen
	return e.Result, nil
}

// exporter is one export on its way.
type exporter struct {
	Request
	Result
	account Account
	present Present
	// chosen are the IDs of what is exported.
	chosen map[string]bool
	// refs are the names of the MirrorFilters that stand for filters of the cloud, by ID, and unsaid is why none does.
	refs, unsaid map[string]string
}

// choose finds what was asked for.
func (e *exporter) choose(filters []cloud.Filter, sessions []cloud.Session) error {
	e.chosen = map[string]bool{}
	found := map[string]bool{}
	asked := func(id, name string) bool {
		byID, byName := slices.Contains(e.Named, id), slices.Contains(e.Named, name)
		found[id], found[name] = found[id] || byID, found[name] || byName
		return len(e.Named) == 0 || byID || byName
	}
	for _, f := range filters {
		e.chosen[f.ID] = asked(f.ID, f.Name)
	}
	for _, s := range sessions {
		if e.chosen[s.ID] = asked(s.ID, s.Name); e.chosen[s.ID] {
			e.chosen[s.FilterID] = true
		}
	}
	for _, name := range e.Named {
		if !found[name] {
			return fmt.Errorf("project %s in region %s has no filter and no session with the name or the ID %s", e.account.ProjectID, e.account.Region, quoted(name))
		}
	}
	return nil
}

func (e *exporter) filters(filters []cloud.Filter) {
	taken := names{}
	owners := map[string]string{}
	for _, f := range e.present.Filters {
		taken.take(f.Name)
		own(owners, f, f.Status.ID)
	}
	for _, f := range filters {
		taken.wish(f.Name, "filter")
	}
	for _, f := range filters {
		of := of("filter", f.ID, f.Name)
		if owner, why := e.owner(filterKind, f.ID, f.Description, owners); why != "" {
			e.refs[f.ID], e.unsaid[f.ID] = owner, why
			e.leaveOut(f.ID, of, why)
			continue
		}
		spec, said := plan.FilterManifest(f)
		if said.LeftOut != "" {
			e.unsaid[f.ID] = said.LeftOut
			e.leaveOut(f.ID, of, said.LeftOut)
			continue
		}
		if !e.chosen[f.ID] {
			continue
		}
		e.refs[f.ID] = taken.of(f.Name, "filter", f.ID)
		e.complete(&spec.CloudSpec)
		e.add(filterKind, e.refs[f.ID], spec, of, said)
	}
}

func (e *exporter) sessions(sessions []cloud.Session) {
	taken := names{}
	owners := map[string]string{}
	for _, s := range e.present.Sessions {
		taken.take(s.Name)
		ids := []string{}
		for _, part := range s.Status.Sessions {
			ids = append(ids, part.ID)
		}
		own(owners, s, ids...)
	}
	for _, s := range sessions {
		taken.wish(s.Name, "session")
	}
	for _, s := range sessions {
		if !e.chosen[s.ID] {
			continue
		}
		of := of("session", s.ID, s.Name)
		if _, why := e.owner(sessionKind, s.ID, s.Description, owners); why != "" {
			e.leaveOut(s.ID, of, why)
			continue
		}
		spec, said := plan.SessionManifest(s)
		if said.LeftOut == "" {
			spec.FilterRef.Name, said.LeftOut = e.filterOf(s)
		}
		if said.LeftOut != "" {
			e.leaveOut(s.ID, of, said.LeftOut)
			continue
		}
		if gone := e.gone(s); gone != "" {
			said.Observe = append(said.Observe, gone)
			spec.ManagementPolicy = v1alpha1.ManagementObserve
		}
		e.complete(&spec.CloudSpec)
		e.add(sessionKind, taken.of(s.Name, "session", s.ID), spec, of, said)
	}
}

// own notes which object of the namespace stands for things of the cloud, by what it says and by its UID.
func own(owners map[string]string, o interface {
	metav1.Object
	Cloud() *v1alpha1.CloudSpec
}, ids ...string,
) {
	for _, key := range append(ids, o.Cloud().ImportID(), string(o.GetUID())) {
		if key != "" {
			owners[key] = o.GetName()
		}
	}
}

// owner is the object of the kind, in the namespace, that stands for something of the cloud already, empty for none there, and why it
// is left out for that.
func (e *exporter) owner(kind, id, description string, owners map[string]string) (name, why string) {
	mark, marked := plan.MarkOf(description)
	if name = owners[id]; name == "" && marked {
		name = owners[mark.UID]
	}
	switch {
	case name != "":
		return name, fmt.Sprintf("it is already managed by %s %s of namespace %s", kind, name, e.Namespace)
	case marked:
		return "", fmt.Sprintf("it is already managed: it bears the mark of the object with the UID %s in the cluster %s", mark.UID, mark.Cluster)
	default:
		return "", ""
	}
}

// filterOf is the MirrorFilter that stands for a session's filter, or why there is none.
func (e *exporter) filterOf(s cloud.Session) (name, leftOut string) {
	if name := e.refs[s.FilterID]; name != "" {
		return name, ""
	}
	if why := e.unsaid[s.FilterID]; why != "" {
		return "", fmt.Sprintf("its filter %s has no manifest, and no MirrorFilter of namespace %s stands for it: %s", s.FilterID, e.Namespace, why)
	}
	return "", fmt.Sprintf("its filter %s is none of the account", quoted(s.FilterID))
}

// gone is what the cloud does not have any more of what a session names, as a reason to observe it alone.
func (e *exporter) gone(s cloud.Session) string {
	var gone []string
	for _, id := range slices.Compact(slices.Sorted(slices.Values(s.Sources))) {
		if e.account.Gone[id] {
			gone = append(gone, "source "+id)
		}
	}
	if e.account.Gone[s.TargetID] {
		gone = append(gone, "target "+s.TargetID)
	}
	if len(gone) == 0 {
		return ""
	}
	return "the cloud does not have its " + strings.Join(gone, ", ") + ", which Ready will say"
}

// complete says in a spec what no object of the cloud does.
func (e *exporter) complete(spec *v1alpha1.CloudSpec) {
	spec.CredentialsRef = &v1alpha1.SecretReference{Name: e.Secret}
	spec.Region, spec.ProjectID = e.Region, e.ProjectID
	if e.Observe {
		spec.ManagementPolicy = v1alpha1.ManagementObserve
	}
}

func (e *exporter) add(kind, name string, spec any, of string, said plan.Said) {
	m := Manifest{Kind: kind, Name: name, Spec: spec, Of: of, Remarks: said.Notes}
	if !e.Observe {
		for _, why := range said.Observe {
			m.Remarks = append(m.Remarks, "only observed: "+why)
		}
	}
	e.Manifests = append(e.Manifests, m)
}

// leaveOut says why something that was asked for is left out.
func (e *exporter) leaveOut(id, of, why string) {
	if e.chosen[id] {
		e.LeftOut = append(e.LeftOut, of+" is left out: "+why)
	}
}

// of names an object of the cloud.
func of(kind, id, name string) string { return fmt.Sprintf("%s %s %s", kind, id, quoted(name)) }
