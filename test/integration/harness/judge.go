package harness

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// Judge holds every status that a manager stores against what the cloud had at that moment.
// It reads specs by itself: it shares nothing with what it judges but the ownership mark.
type Judge struct {
	w *World

	mu      sync.Mutex
	worlds  []moment
	claims  []claim
	written int
}

// moment is a world of the cloud and when it began.
type moment struct {
	began time.Time
	world *state.World
}

// claim is a status that says Ready=True of the present spec.
type claim struct {
	object status.Object
	// The manager can have seen what the cloud had between the reads before and the answer
	// of the API server.
	since, until time.Time
}

// Judge watches the cloud from now on, and what managers behind its gates store.
func (w *World) Judge() *Judge {
	w.t.Helper()
	j := &Judge{w: w}
	cancel := w.Cloud.State.Subscribe(func(world *state.World) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.worlds = append(j.worlds, moment{time.Now(), world})
	})
	w.t.Cleanup(cancel)
	return j
}

// Gate returns one whose manager is judged.
func (j *Judge) Gate() *Gate {
	g := NewGate()
	g.stored = j.stored
	return g
}

// Written is how many statuses were stored.
func (j *Judge) Written() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.written
}

// stored notes a status. What was read may be of before the write: a change from outside,
// or the late effect of an earlier write, that came after the manager's read is no lie. So
// the claim holds if any world since the earliest of the last reads bears it out.
func (j *Judge) stored(body []byte, reads []time.Time, answered time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.written++
	o, err := decode(body)
	if err != nil || !status.IsSynced(o) {
		return // kstatus judges the others
	}
	since := answered
	if len(reads) > 0 {
		since = reads[0]
	}
	j.claims = append(j.claims, claim{o, since, answered})
}

// worldsOf are those that can bear a claim out. Where the cloud had acknowledged a write in
// full that took effect only later, the acknowledgement is believed: then the worlds
// afterwards count too, and what there is in the end decides.
func (j *Judge) worldsOf(c claim) (worlds []*state.World) {
	acknowledged := slices.ContainsFunc(j.acknowledged(), func(e journal.Entry) bool {
		return e.Time.Before(c.until) && (e.Effect.Came == nil || e.Effect.Came.After(c.since))
	})
	for i, m := range j.worlds {
		over := i+1 < len(j.worlds) && j.worlds[i+1].began.Before(c.since)
		if !over && (acknowledged || !m.began.After(c.until)) {
			worlds = append(worlds, m.world)
		}
	}
	return worlds
}

func decode(body []byte) (status.Object, error) {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(body, &kind); err != nil {
		return nil, err
	}
	var o status.Object = &v1alpha1.MirrorFilter{}
	if kind.Kind == "MirrorSession" {
		o = &v1alpha1.MirrorSession{}
	}
	return o, json.Unmarshal(body, o)
}

// Lies returns what is wrong with the statuses that were stored.
func (j *Judge) Lies() (lies []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.claims {
		var why string
		if !slices.ContainsFunc(j.worldsOf(c), func(world *state.World) bool {
			why = j.w.Lacks(world, c.object)
			return why == ""
		}) {
			lies = append(lies, fmt.Sprintf("%s %s, version %s, was Ready while %s", kindOf(c.object), c.object.GetName(), c.object.GetResourceVersion(), why))
		}
	}
	return lies
}

// Lacks says what a world of the cloud lacks of what a Ready object says, empty for nothing.
func (w *World) Lacks(world *state.World, o status.Object) string {
	switch o := o.(type) {
	case *v1alpha1.MirrorFilter:
		return w.lacksFilter(world, o)
	case *v1alpha1.MirrorSession:
		return w.lacksSession(world, o)
	}
	return ""
}

func (w *World) lacksFilter(world *state.World, o *v1alpha1.MirrorFilter) string {
	f, ok := world.Filters[o.Status.ID]
	if !ok {
		return fmt.Sprintf("the cloud had no filter %q", o.Status.ID)
	}
	want := state.Filter{ID: f.ID, ProjectID: scenario.WalkthroughProject, Name: w.nameOf(o), Description: w.described(o)}
	if diff := gocmp.Diff(want, f, identity); diff != "" {
		return "the cloud's filter differed (-said +was):\n" + diff
	}
	rules := make([]state.Rule, 0, len(o.Spec.Rules))
	for _, r := range o.Spec.Rules {
		rules = append(rules, wantedRule(f.ID, r))
	}
	have := append(world.RulesOf(f.ID, state.Ingress), world.RulesOf(f.ID, state.Egress)...)
	sortRules(rules)
	sortRules(have)
	if diff := gocmp.Diff(rules, have, identity); diff != "" {
		return "the cloud's rules differed (-said +were):\n" + diff
	}
	return ""
}

// wantedRule is a rule as the cloud has it.
func wantedRule(filter string, r v1alpha1.FilterRule) state.Rule {
	side := func(p *v1alpha1.RulePeer) (cidr, ports string) {
		if p == nil {
			return "", ""
		}
		if p.Port != nil {
			end := *p.Port
			if p.EndPort != nil {
				end = *p.EndPort
			}
			ports = fmt.Sprintf("%d-%d", *p.Port, end)
		}
		return p.CIDR, ports
	}
	out := state.Rule{
		ProjectID: scenario.WalkthroughProject, FilterID: filter, Direction: strings.ToLower(string(r.Direction)),
		Protocol: strings.ToUpper(string(r.Protocol)), EtherType: string(r.EtherType), Action: strings.ToLower(string(r.Action)),
		Priority: int(r.Priority), Description: r.Description,
	}
	out.SourceCIDR, out.SourcePortRange = side(r.Source)
	out.DestinationCIDR, out.DestinationPortRange = side(r.Destination)
	return out
}

func (w *World) lacksSession(world *state.World, o *v1alpha1.MirrorSession) string {
	if len(o.Status.Sessions) != 1 || o.Status.VNI == nil {
		return "its status named no session"
	}
	is := o.Status.Sessions[0]
	have, ok := world.Sessions[is.ID]
	if !ok {
		return fmt.Sprintf("the cloud had no session %q", is.ID)
	}
	want := state.Session{
		ID: is.ID, ProjectID: scenario.WalkthroughProject, Name: w.nameOf(o), Description: w.described(o),
		FilterID: w.filterIn(world, o.Spec.FilterRef.Name), TargetID: o.Spec.Target.InterfaceID, TargetType: state.TargetENI,
		VNI: int(or(o.Spec.VNI, *o.Status.VNI)), PacketLength: int(or(o.Spec.PacketLength, 1460)), Priority: int(or(o.Spec.Priority, is.Priority)),
		Enabled: or(o.Spec.Enabled, true), Type: state.TargetENI,
	}
	for _, s := range o.Spec.Sources {
		want.Sources = append(want.Sources, s.InterfaceID)
	}
	if diff := gocmp.Diff(want, have, identity); diff != "" {
		return "the cloud's session differed (-said +was):\n" + diff
	}
	for _, other := range world.Sessions {
		if other.ID != have.ID && other.TargetID == have.TargetID && other.VNI == have.VNI && o.Spec.VNI == nil {
			return fmt.Sprintf("the session %s had the VNI %d at its target too", other.ID, have.VNI)
		}
	}
	return ""
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
			if strings.HasSuffix(f.Description, w.markOf(&u)) {
				return f.ID
			}
			if id, _, _ := unstructured.NestedString(u.Object, "status", "id"); id == f.ID && !strings.Contains(f.Description, "[vpcmirror ") {
				unmarked = f.ID
			}
		}
	}
	return unmarked
}

// nameOf is the name in the cloud.
func (w *World) nameOf(o status.Object) string {
	if name := o.Cloud().CloudName; name != "" {
		return name
	}
	return o.GetNamespace() + "-" + o.GetName() + "-" + string(o.GetUID())[:8]
}

// described is the description in the cloud.
func (w *World) described(o status.Object) string {
	return strings.TrimSpace(strings.TrimSpace(o.Cloud().Description) + " " + w.markOf(o))
}

// markOf is the ownership mark as the documents describe it.
func (w *World) markOf(o client.Object) string {
	return fmt.Sprintf("[vpcmirror %s/%s]", w.inMark(), o.GetUID())
}

// Leftovers are what the cloud has that bears none of the marks of these objects, and what
// it has twice of one. What was retained of objects that are gone has their names, and need
// not bear their marks any more.
func (w *World) Leftovers(objects, retained []status.Object) (leaked, doubled []string) {
	world := w.Cloud.State.Snapshot()
	owners, known := map[string]string{}, map[string]bool{}
	for _, o := range slices.Concat(objects, retained) {
		owners[w.markOf(o)] = kindOf(o) + string(o.GetUID())
	}
	for _, o := range retained {
		owners[w.nameOf(o)] = kindOf(o) + string(o.GetUID())
	}
	judge := func(kind, id, name, description string) {
		owner := owners[name]
		if i := strings.LastIndex(description, "[vpcmirror "); i >= 0 {
			owner = owners[description[i:]]
		}
		switch {
		case owner == "":
			leaked = append(leaked, fmt.Sprintf("the cloud has the %s %s (%s, %s) of nobody", kind, id, name, description))
		case known[owner]:
			doubled = append(doubled, fmt.Sprintf("the cloud has a second %s %s (%s, %s)", kind, id, name, description))
		}
		known[owner] = true
	}
	for _, f := range world.Filters {
		judge("filter", f.ID, f.Name, f.Description)
	}
	for _, s := range world.Sessions {
		judge("session", s.ID, s.Name, s.Description)
	}
	for _, r := range world.Rules {
		if _, ok := world.Filters[r.FilterID]; !ok {
			leaked = append(leaked, "the cloud has the rule "+r.ID+" of no filter")
		}
	}
	return leaked, doubled
}

// evolved says what is wrong with a version of an object after the one before it: a
// condition's time moves with its status alone, nobody observes less than before, or more
// than there is, and no epoch is of before.
func evolved(before, after status.Object) string {
	was, is := before.Common(), after.Common()
	if is.ObservedGeneration > after.GetGeneration() {
		return fmt.Sprintf("it observed generation %d of %d", is.ObservedGeneration, after.GetGeneration())
	}
	if is.ObservedGeneration < was.ObservedGeneration && is.ObservedGeneration > 0 {
		return fmt.Sprintf("it observed generation %d after %d", is.ObservedGeneration, was.ObservedGeneration)
	}
	if was, is := epochOf(before), epochOf(after); is < was && after.Common().ObservedGeneration > 0 {
		return fmt.Sprintf("its epoch fell from %d to %d", was, is)
	}
	for _, c := range is.Conditions {
		if c.ObservedGeneration > after.GetGeneration() {
			return fmt.Sprintf("%s observed generation %d of %d", c.Type, c.ObservedGeneration, after.GetGeneration())
		}
		p := meta.FindStatusCondition(was.Conditions, c.Type)
		switch {
		case p == nil:
		case p.Status == c.Status && !p.LastTransitionTime.Equal(&c.LastTransitionTime):
			return fmt.Sprintf("%s stayed %s, and its lastTransitionTime moved from %s to %s", c.Type, c.Status, p.LastTransitionTime, c.LastTransitionTime)
		case c.LastTransitionTime.Before(&p.LastTransitionTime):
			return fmt.Sprintf("the lastTransitionTime of %s went back from %s to %s", c.Type, p.LastTransitionTime, c.LastTransitionTime)
		}
	}
	return ""
}
