package harness

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// nameOf is the name in the cloud of a part of an object. What the first one imports has the name that it had.
func (w *World) nameOf(o status.Object, part int32) string {
	if name := o.Cloud().CloudName; name != "" {
		return name
	}
	if theirs, found := w.foreign[imports(o)]; found && part == 1 {
		return theirs.name
	}
	return o.GetNamespace() + "-" + o.GetName() + "-" + string(o.GetUID())[:8]
}

// described is the description in the cloud of a part of an object.
func (w *World) described(o status.Object, part int32) string {
	text := strings.TrimSpace(o.Cloud().Description)
	if theirs, found := w.foreign[imports(o)]; found && part == 1 && text == "" {
		text = theirs.description
	}
	return strings.TrimSpace(text + " " + w.markOf(o, part))
}

// markOf is the ownership mark as the documents describe it: from the second part on it has a number.
func (w *World) markOf(o client.Object, part int32) string {
	if part > 1 {
		return fmt.Sprintf("[vpcmirror %s/%s/%d]", w.inMark(), o.GetUID(), part)
	}
	return fmt.Sprintf("[vpcmirror %s/%s]", w.inMark(), o.GetUID())
}

// imports is the ID of what an object takes over or observes, empty for none.
func imports(o status.Object) string {
	if o.Cloud().Import == nil {
		return ""
	}
	return o.Cloud().Import.ID
}

func observes(o status.Object) bool {
	return o.Cloud().ManagementPolicy == v1alpha1.ManagementObserve
}

// asIs is the name of what is only observed: any, where the spec gives none.
func asIs(o status.Object, said, is string) string {
	if o.Cloud().CloudName == "" {
		return is
	}
	return said
}

// partInMark is the number at the end of a mark.
var partInMark = regexp.MustCompile(`/([2-9]|[1-9][0-9]+)\]$`)

// owner is an object of which the cloud may have something.
type owner struct {
	status.Object
	// retained: the object is gone.
	retained bool
	// has is what the cloud has of it.
	has []left
}

// left is one thing that the cloud has of an object.
type left struct {
	kind, id, called string
	part             int // 0 without a mark
	sources          []string
}

// Leftovers are what the cloud has that bears none of the marks of these objects, and what
// it has twice of one, or beside what its status names. What was retained of objects that are gone has
// their names, and need not bear their marks any more.
func (w *World) Leftovers(objects, retained []status.Object) (leaked, doubled []string) {
	world := w.Cloud.State.Snapshot()
	byMark, byName := map[string]*owner{}, map[string]*owner{}
	var all []*owner
	for _, o := range objects {
		all = append(all, &owner{Object: o})
	}
	for _, o := range retained {
		kept := &owner{Object: o, retained: true}
		byName[w.nameOf(o, 1)], byName[w.nameOf(o, 2)] = kept, kept
		all = append(all, kept)
	}
	for _, o := range all {
		byMark[w.markOf(o.Object, 1)] = o
	}
	give := func(l left, name, description string) {
		l.called = fmt.Sprintf("the %s %s (%s, %s)", l.kind, l.id, name, description)
		of := byName[name]
		if i := strings.LastIndex(description, "[vpcmirror "); i >= 0 {
			mark := description[i:]
			if n := partInMark.FindStringSubmatch(mark); n != nil {
				l.part, _ = strconv.Atoi(n[1]) // digits alone
				mark = strings.TrimSuffix(mark, n[0]) + "]"
			} else {
				l.part = 1
			}
			of = byMark[mark]
		}
		switch _, theirs := w.foreign[l.id]; {
		case of != nil && kindOf(of.Object) == l.kind:
			of.has = append(of.has, l)
		case theirs && l.part == 0: // nobody has taken it over
		default:
			leaked = append(leaked, "the cloud has "+l.called+" of nobody")
		}
	}
	for _, f := range world.Filters {
		give(left{kind: "MirrorFilter", id: f.ID}, f.Name, f.Description)
	}
	for _, s := range world.Sessions {
		give(left{kind: "MirrorSession", id: s.ID, sources: s.Sources}, s.Name, s.Description)
	}
	for _, r := range world.Rules {
		if _, ok := world.Filters[r.FilterID]; !ok {
			leaked = append(leaked, "the cloud has the rule "+r.ID+" of no filter")
		}
	}
	for _, o := range all {
		doubled = append(doubled, w.doubledOf(world, o)...)
	}
	return leaked, doubled
}

// doubledOf is what the cloud has too much of one object.
func (w *World) doubledOf(world *state.World, o *owner) (doubled []string) {
	parts, sources, most := map[int]bool{}, map[string]bool{}, w.mostParts(world, o.Object)
	for i, l := range o.has {
		double := i >= most || l.part > 0 && parts[l.part] || slices.ContainsFunc(l.sources, func(id string) bool { return sources[id] })
		parts[l.part] = true
		for _, id := range l.sources {
			sources[id] = true
		}
		switch {
		case double:
			doubled = append(doubled, "the cloud has a second time "+l.called)
		case !o.retained && !w.names(o.Object, l.id):
			doubled = append(doubled, "the cloud has "+l.called+", which no status names")
		}
	}
	return doubled
}

// names reports whether the status of an object that was seen last names what the cloud has.
func (w *World) names(o status.Object, id string) bool {
	latest, _ := w.Latest(o)
	switch is := latest.(type) {
	case *v1alpha1.MirrorFilter:
		return is.Status.ID == id
	case *v1alpha1.MirrorSession:
		return slices.ContainsFunc(is.Status.Sessions, func(c v1alpha1.CloudSession) bool { return c.ID == id })
	}
	return false
}

// foreign is what somebody else has made in the cloud, as it was then.
type foreign struct {
	name, description string
	vni, priority     int
}

// Terraformed makes the walkthrough's filter and session in the cloud as somebody else does, with names, texts and
// numbers of his own. The session copies from the walkthrough's source where none is given.
func (w *World) Terraformed(sources ...string) (filter state.Filter, session state.Session) {
	w.t.Helper()
	if len(sources) == 0 {
		sources = []string{scenario.WalkthroughSource}
	}
	made := func(err error) {
		if err != nil {
			w.t.Fatalf("making what somebody else has made: %v", err)
		}
	}
	st := w.Cloud.State
	filter, err := st.CreateFilter(scenario.WalkthroughProject, state.FilterInput{Name: new("tf-web"), Description: new("by Terraform")})
	made(err)
	rule := CloudRule(1)
	_, err = st.CreateRule(scenario.WalkthroughProject, state.RuleInput{
		FilterID: &filter.ID, Direction: &rule.Direction, Protocol: &rule.Protocol, EtherType: &rule.EtherType, Action: &rule.Action, Priority: &rule.Priority,
		SourceCIDR: &rule.SourceCIDR, DestinationCIDR: &rule.DestinationCIDR, DestinationPortRange: &rule.DestinationPortRange,
	})
	made(err)
	session, err = st.CreateSession(scenario.WalkthroughProject, state.SessionInput{
		Name: new("tf-mirror"), Description: new("by Terraform"), FilterID: &filter.ID, Sources: &sources,
		TargetID: new(scenario.WalkthroughTarget), TargetType: new(state.TargetENI), VNI: new(77), PacketLength: new(1460), Priority: new(42), Enabled: new(true),
	})
	made(err)
	w.foreign[filter.ID] = foreign{name: filter.Name, description: filter.Description}
	w.foreign[session.ID] = foreign{session.Name, session.Description, session.VNI, session.Priority}
	return filter, session
}

// Lost is what somebody else has made and the cloud has no more, though none of the objects that are gone imported it
// to have it deleted.
func (w *World) Lost(gone []status.Object) (lost []string) {
	world := w.Cloud.State.Snapshot()
	for id, theirs := range w.foreign {
		_, filter := world.Filters[id]
		_, session := world.Sessions[id]
		wanted := slices.ContainsFunc(gone, func(o status.Object) bool {
			return imports(o) == id && o.Cloud().DeletionPolicy == v1alpha1.DeletionDelete && !observes(o)
		})
		if !filter && !session && !wanted {
			lost = append(lost, fmt.Sprintf("the cloud has %s (%s) no more, which somebody else has made", theirs.name, id))
		}
	}
	return lost
}
