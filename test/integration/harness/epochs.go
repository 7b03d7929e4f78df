package harness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/state"
)

func epochOf(o status.Object) int64 {
	switch o := o.(type) {
	case *v1alpha1.MirrorFilter:
		return o.Status.Epoch
	case *v1alpha1.MirrorSession:
		return o.Status.Epoch
	}
	return 0
}

// Outdated says that the epoch of an object, which is Ready, is of before the cloud last
// changed what is copied, empty when it is not. It reads the worlds of the cloud by itself.
func (j *Judge) Outdated(o status.Object) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var changed time.Time
	copied := j.w.copied(o)
	before, now := "", ""
	for i, m := range j.worlds {
		is := copied(m.world)
		if i > 0 && is != now {
			if at := j.known(i); !at.Before(changed) {
				before, changed = now, at
			}
		}
		now = is
	}
	if raised := j.w.seen[kindOf(o)].raised(o.GetUID()); raised.Before(changed) {
		return fmt.Sprintf("its epoch %d began at %s, and the cloud changed at %s from %q to %q", epochOf(o),
			raised.Format(time.StampMilli), changed.Format(time.StampMilli), before, now)
	}
	return ""
}

// known is since when the manager can know a world: since it began, or, where it came of a write that the
// cloud had acknowledged in full and that took effect only later, since the acknowledgement, as in worldsOf.
func (j *Judge) known(i int) time.Time {
	began := j.worlds[i].began
	for _, e := range j.acknowledged() {
		// The cloud notes when an effect comes right before it makes the world of it.
		made := e.Effect.Came != nil && e.Effect.Status < 300
		if made && !e.Effect.Came.Before(j.worlds[i-1].began) && !e.Effect.Came.After(began) {
			return e.Time
		}
	}
	return began
}

// acknowledged are the writes that the cloud accepted in full, and let take effect later.
func (j *Judge) acknowledged() (writes []journal.Entry) {
	kinds := map[string]fault.Kind{}
	for _, f := range j.w.Cloud.Faults.List() {
		kinds[f.ID] = f.Kind
	}
	for _, e := range j.w.Cloud.Journal.Writes(0) {
		if kinds[e.Fault] == fault.Accepted && e.Effect != nil {
			writes = append(writes, e)
		}
	}
	return writes
}

// copied tells of any world what it copies by a filter or a session, as a text.
func (w *World) copied(o status.Object) func(*state.World) string {
	if session, is := o.(*v1alpha1.MirrorSession); is {
		ids := w.everNamed(session)
		return func(world *state.World) string { return copiedBy(world, ids) }
	}
	id := o.(*v1alpha1.MirrorFilter).Status.ID // there is no third kind
	return func(world *state.World) string { return rulesIn(world, id) }
}

// rulesIn are the rules of a filter, as a text.
func rulesIn(world *state.World, filter string) string {
	var rules []string
	for _, r := range world.Rules {
		if r.FilterID == filter {
			rules = append(rules, fmt.Sprint(r.Direction, r.Priority, r.Action, r.EtherType, r.Protocol,
				r.SourceCIDR, r.SourcePortRange, r.DestinationCIDR, r.DestinationPortRange))
		}
	}
	slices.Sort(rules)
	return strings.Join(rules, "; ")
}
