package plan

import (
	"fmt"
	"slices"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// SessionStep is one call that changes a session; exactly one field is set.
type SessionStep struct {
	Update        *cloud.SessionUpdate
	AddSources    []string
	RemoveSources []string
}

// SessionPlan is what to do so that the cloud's session is the wanted one.
type SessionPlan struct {
	Steps   []SessionStep
	Changes []Change
}

// Empty says that there is nothing to do.
func (p SessionPlan) Empty() bool { return len(p.Steps) == 0 }

// Session plans the way from have to want.
//
// Each packet that is copied on the way is one that the old or the new session would
// copy: a source never works with a filter or a target that it has neither in the old
// nor in the new state. Sources that stay are never without their session, and a new
// source is added before an old one goes. Where not a single source stays and filter
// or target change too, the session is off in between, because a gap is better than
// a leak.
//
// limit is how many sources a session may have, negative for unknown.
func Session(want WantedSession, have cloud.Session, limit int) SessionPlan {
	update, changes := sessionFields(want.SessionSpec, have.SessionSpec)
	add, remove := difference(want.Sources, have.Sources), difference(have.Sources, want.Sources)
	if len(add) > 0 || len(remove) > 0 {
		changes = append(changes, Change{Field: "sources", Have: list(have.Sources), Want: list(want.Sources)})
	}
	p := SessionPlan{Changes: changes}
	pathMoves := update.FilterID != nil || update.TargetID != nil
	staying := len(have.Sources) - len(remove)
	switch {
	case !want.Enabled:
		p.update(update)
		p.moveSources(add, remove, len(have.Sources), limit)
	case !have.Enabled || (pathMoves && staying == 0):
		off, on := false, true
		if update.Enabled = nil; have.Enabled {
			update.Enabled = &off
		}
		p.update(update)
		p.moveSources(add, remove, len(have.Sources), limit)
		p.update(cloud.SessionUpdate{Enabled: &on})
	case pathMoves:
		p.remove(remove)
		p.update(update)
		p.add(add)
	default:
		p.update(update)
		p.moveSources(add, remove, len(have.Sources), limit)
	}
	return p
}

// moveSources adds before it removes. Where the limit leaves no room it removes just
// enough, but never the last source: the cloud may then blank the target.
func (p *SessionPlan) moveSources(add, remove []string, count, limit int) {
	if limit < 2 {
		limit = max(count, 1) + len(add)
	}
	for len(add) > 0 {
		if room := limit - count; room > 0 {
			n := min(room, len(add))
			p.add(add[:n])
			add, count = add[n:], count+n
			continue
		}
		n := min(len(add), len(remove), count-1)
		if n <= 0 {
			p.add(add) // over the limit: the cloud says so in its own words
			break
		}
		p.remove(remove[:n])
		remove, count = remove[n:], count-n
	}
	p.remove(remove)
}

func (p *SessionPlan) add(sources []string) {
	if len(sources) > 0 {
		p.Steps = append(p.Steps, SessionStep{AddSources: sources})
	}
}

func (p *SessionPlan) remove(sources []string) {
	if len(sources) > 0 {
		p.Steps = append(p.Steps, SessionStep{RemoveSources: sources})
	}
}

func (p *SessionPlan) update(update cloud.SessionUpdate) {
	if update != (cloud.SessionUpdate{}) {
		p.Steps = append(p.Steps, SessionStep{Update: &update})
	}
}

func sessionFields(want, have cloud.SessionSpec) (cloud.SessionUpdate, []Change) {
	var (
		u       cloud.SessionUpdate
		changes []Change
	)
	compare(&changes, &u.Name, "name", have.Name, want.Name)
	compare(&changes, &u.Description, "description", have.Description, want.Description)
	compare(&changes, &u.FilterID, "filter", have.FilterID, want.FilterID)
	compare(&changes, &u.TargetID, "target", have.TargetID, want.TargetID)
	compare(&changes, &u.TargetType, "target type", have.TargetType, want.TargetType)
	compare(&changes, &u.VNI, "vni", have.VNI, want.VNI)
	compare(&changes, &u.PacketLength, "packetLength", have.PacketLength, want.PacketLength)
	compare(&changes, &u.Priority, "priority", have.Priority, want.Priority)
	compare(&changes, &u.Enabled, "enabled", have.Enabled, want.Enabled)
	return u, changes
}

// compare notes a difference and fills the field of the update that mends it.
func compare[T comparable](changes *[]Change, field **T, name string, have, want T) {
	if have == want {
		return
	}
	*field = &want
	*changes = append(*changes, Change{Field: name, Have: show(have), Want: show(want)})
}

func show(v any) string {
	if s := fmt.Sprint(v); s != "" {
		return s
	}
	return `""`
}

// difference returns the members of a that are not in b, sorted.
func difference(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

func list(ids []string) string {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return "[" + strings.Join(sorted, " ") + "]"
}
