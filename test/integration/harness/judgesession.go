package harness

import (
	"fmt"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// lacksSession judges every part of a session by itself, and then what they are together: they divide the sources of the
// spec, each of which is in one alone, and they are no more than it takes.
func (w *World) lacksSession(world *state.World, o *v1alpha1.MirrorSession) string {
	parts := o.Status.Sessions
	if len(parts) == 0 || o.Status.VNI == nil {
		return "its status named no session"
	}
	if id := imports(o); id != "" && parts[0].ID != id {
		return fmt.Sprintf("its status named the session %s first, and it imports %s", parts[0].ID, id)
	}
	if most := w.mostParts(world, o); len(parts) > most {
		return fmt.Sprintf("its status named %d sessions, and its sources need %d", len(parts), most)
	}
	var sources []string
	own, numbers := map[string]bool{}, map[int32]bool{}
	for i := range parts {
		is := &parts[i]
		have, ok := world.Sessions[is.ID]
		if !ok {
			return fmt.Sprintf("the cloud had no session %q", is.ID)
		}
		number := max(1, is.Part)
		if own[is.ID] || numbers[number] {
			return fmt.Sprintf("its status named the session %s or the part %d twice", is.ID, number)
		}
		own[is.ID], numbers[number] = true, true
		if diff := gocmp.Diff(w.wantedPart(world, o, i, have), have, identity); diff != "" {
			return "the cloud's session differed (-said +was):\n" + diff
		}
		sources = append(sources, have.Sources...)
	}
	if diff := gocmp.Diff(sourcesOf(o, sources), sources, identity); diff != "" {
		return "the cloud's sessions together had other sources (-said +had):\n" + diff
	}
	return sharesVNI(world, o, own)
}

// sharesVNI says which session of the cloud, that is none of a session's own, has its target and the VNI that was chosen for it.
func sharesVNI(world *state.World, o *v1alpha1.MirrorSession, own map[string]bool) string {
	first := world.Sessions[o.Status.Sessions[0].ID]
	for _, other := range world.Sessions {
		if !own[other.ID] && other.TargetID == first.TargetID && other.VNI == first.VNI && o.Spec.VNI == nil {
			return fmt.Sprintf("the session %s had the VNI %d at its target too", other.ID, first.VNI)
		}
	}
	return ""
}

// wantedPart is what the cloud is to have of the part that comes at some place in the status: what the spec says, but for the
// share of the sources, and the priority of all but the first, which the status says.
func (w *World) wantedPart(world *state.World, o *v1alpha1.MirrorSession, at int, have state.Session) state.Session {
	is := &o.Status.Sessions[at]
	number := max(1, is.Part)
	want := state.Session{
		ID: is.ID, ProjectID: scenario.WalkthroughProject, Name: w.nameOf(o, number), Description: w.described(o, number),
		FilterID: w.filterIn(world, o.Spec.FilterRef.Name), TargetID: o.Spec.Target.InterfaceID, TargetType: state.TargetENI,
		VNI: int(or(o.Spec.VNI, *o.Status.VNI)), PacketLength: int(or(o.Spec.PacketLength, 1460)), Priority: int(is.Priority),
		Enabled: or(o.Spec.Enabled, true), Type: state.TargetENI, Sources: is.Sources,
	}
	if id := o.Spec.Target.LoadBalancerID; id != "" {
		want.TargetID, want.TargetType = id, state.TargetELB
	}
	theirs, found := w.foreign[imports(o)]
	if found && o.Spec.VNI == nil {
		want.VNI = theirs.vni
	}
	switch {
	case at > 0:
	case o.Spec.Priority != nil:
		want.Priority = int(*o.Spec.Priority)
	case found:
		want.Priority = theirs.priority
	}
	if observes(o) {
		want.Name, want.Description = asIs(o, want.Name, have.Name), have.Description
	}
	return want
}

// sourcesOf are those that the spec names; where it names none what the cloud has is observed.
func sourcesOf(o *v1alpha1.MirrorSession, have []string) (ids []string) {
	if len(o.Spec.Sources) == 0 && observes(o) {
		return have
	}
	for _, s := range o.Spec.Sources {
		ids = append(ids, s.InterfaceID)
	}
	return ids
}

// mostParts is how many parts an object may have at most: as many as the sources take that any version of it named, as
// nothing is moved to do with fewer.
func (w *World) mostParts(world *state.World, o status.Object) int {
	session, is := o.(*v1alpha1.MirrorSession)
	if !is {
		return 1
	}
	limit, sources := world.Quotas.SourcesPerSession, len(session.Spec.Sources)
	for _, u := range w.seen["MirrorSession"].copy() {
		if u.GetUID() == o.GetUID() {
			sources = max(sources, len(listIn(&u, "spec", "sources")))
		}
	}
	return max(1, (sources+limit-1)/limit)
}

// everNamed are the IDs of the sessions that any version of a session's status named.
func (w *World) everNamed(o *v1alpha1.MirrorSession) (ids []string) {
	for _, u := range w.seen["MirrorSession"].copy() {
		if u.GetUID() != o.GetUID() {
			continue
		}
		for _, part := range listIn(&u, "status", "sessions") {
			if fields, is := part.(map[string]any); is {
				id, _ := fields["id"].(string)
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// listIn is a list within an object, which is not to be changed: the many versions are not copied.
func listIn(u *unstructured.Unstructured, fields ...string) []any {
	list, _, _ := unstructured.NestedFieldNoCopy(u.Object, fields...)
	all, _ := list.([]any)
	return all
}

func or[T any](p *T, otherwise T) T {
	if p != nil {
		return *p
	}
	return otherwise
}

// filterIn is the ID of the filter in the cloud that bears the mark of a MirrorFilter of
// that name, or that was its own and has lost the mark; empty for none.
func (w *World) filterIn(world *state.World, name string) string {
	unmarked := ""
	for _, u := range w.seen["MirrorFilter"].copy() {
		if u.GetName() != name {
			continue
		}
		for _, f := range world.Filters {
			if strings.HasSuffix(f.Description, w.markOf(&u, 1)) {
				return f.ID
			}
			if id, _, _ := unstructured.NestedString(u.Object, "status", "id"); id == f.ID && !strings.Contains(f.Description, "[vpcmirror ") {
				unmarked = f.ID
			}
		}
	}
	return unmarked
}

// copiedBy is what a world copies by the sessions with these IDs, as a text.
func copiedBy(world *state.World, ids []string) string {
	var parts []string
	for _, id := range ids {
		if s, there := world.Sessions[id]; there {
			parts = append(parts, fmt.Sprint(slices.Sorted(slices.Values(s.Sources)), s.TargetID, s.VNI, s.Enabled, s.FilterID, " by ", rulesIn(world, s.FilterID)))
		}
	}
	return strings.Join(parts, " and ")
}
