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

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// Judge holds every status that a manager stores against what the cloud had at that moment.
// It reads specs by itself: it shares nothing with what it judges but the ownership mark.
type Judge struct {
	// Behind is how old the cloud's answers may be: what it had that long before a read bears a claim out too. It is
	// set before there are claims.
	Behind time.Duration

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
	j.claims = append(j.claims, claim{o, since.Add(-j.Behind), answered})
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
	want := state.Filter{ID: f.ID, ProjectID: scenario.WalkthroughProject, Name: w.nameOf(o, 1), Description: w.described(o, 1)}
	if observes(o) {
		want.Name, want.Description = asIs(o, want.Name, f.Name), f.Description
	}
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
