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

// SessionDiff is how the cloud's session differs from the wanted one.
type SessionDiff struct {
	// Changes are empty when nothing differs.
	Changes []Change

	update                   cloud.SessionUpdate
	wantEnabled, haveEnabled bool
	count                    int // of sources that the cloud has
	add, remove              []string
	// targetIsSource is true when the new target is a source until it is removed, and
	// sourceIsTarget is the source to add that is the target until that moves, empty for
	// none: the cloud takes no interface as both.
	targetIsSource bool
	sourceIsTarget string
	target         string // the wanted one
}

// DiffSession compares have with want.
func DiffSession(want WantedSession, have cloud.Session) SessionDiff {
	d := SessionDiff{target: want.TargetID, wantEnabled: want.Enabled, haveEnabled: have.Enabled, count: len(have.Sources)}
	d.update, d.Changes = sessionFields(want.SessionSpec, have.SessionSpec)
	d.add, d.remove = difference(want.Sources, have.Sources), difference(have.Sources, want.Sources)
	d.targetIsSource = slices.Contains(have.Sources, want.TargetID)
	if slices.Contains(d.add, have.TargetID) {
		d.sourceIsTarget = have.TargetID
	}
	if len(d.add) > 0 || len(d.remove) > 0 {
		d.Changes = append(d.Changes, Change{Field: "sources", Have: list(have.Sources), Want: list(want.Sources)})
	}
	return d
}

// staying is how many sources are the same in both.
func (d *SessionDiff) staying() int { return d.count - len(d.remove) }

// MustReplace reports whether no order of calls leads to the wanted session: its only
// source and its target exchange their roles, and the last source can't be removed, as the
// cloud may refuse that or blank the target. The session has to be deleted and made anew.
func MustReplace(want WantedSession, have cloud.Session) bool {
	d := DiffSession(want, have)
	return d.targetIsSource && d.count == 1 && len(d.addable()) == 0
}

// addable are the sources that can be added before the target moves.
func (d *SessionDiff) addable() []string {
	return slices.DeleteFunc(slices.Clone(d.add), func(id string) bool { return id == d.sourceIsTarget })
}

// Steps orders the calls that mend the differences, unless MustReplace.
//
// Each packet that is copied on the way is one that the old or the new session would
// copy: a source never works with a filter or a target that it has neither in the old
// nor in the new state. Sources that stay are never without their session, and a new
// source is added before an old one goes. Where not a single source stays and filter
// or target change too, the session is off in between, because a gap is better than
// a leak. Where a source becomes the target it is removed before the target moves, and
// where the target becomes a source it is added afterwards.
//
// limit is how many sources a session may have, 0 or less for unknown.
func (d *SessionDiff) Steps(limit int) []SessionStep {
	var s sessionSteps
	update := d.update
	pathMoves := update.FilterID != nil || update.TargetID != nil
	switch {
	case !d.wantEnabled || !d.haveEnabled || (pathMoves && d.staying() == 0):
		s.whileOff(d, limit)
	case pathMoves:
		s.remove(d.remove)
		s.update(update)
		s.add(d.add)
	default:
		s.update(update)
		s.moveSources(d.add, d.remove, d.count, limit)
	}
	return s
}

// Narrowing are the steps that copy less and need nothing else to be done: switching off, and
// taking sources away as long as one stays.
func (d *SessionDiff) Narrowing() []SessionStep {
	var s sessionSteps
	if d.haveEnabled && !d.wantEnabled {
		off := false
		s.update(cloud.SessionUpdate{Enabled: &off})
	}
	if d.staying() > 0 {
		s.remove(d.remove)
	}
	return s
}

// sessionSteps are being gathered.
type sessionSteps []SessionStep

// whileOff changes everything while the session is off, and switches it on last where that
// is wanted.
func (s *sessionSteps) whileOff(d *SessionDiff, limit int) {
	off, on := false, true
	update := d.update
	if update.Enabled = nil; d.haveEnabled {
		update.Enabled = &off
	}
	if d.targetIsSource {
		s.update(cloud.SessionUpdate{Enabled: update.Enabled})
		update.Enabled = nil
		// Where nothing else is left for the moment, an old source goes last.
		first, last := d.remove, []string(nil)
		if d.staying() == 0 && len(d.addable()) == 0 {
			old := slices.DeleteFunc(slices.Clone(d.remove), func(id string) bool { return id == d.target })
			first, last = append(old[1:], d.target), old[:1]
		}
		s.moveSources(d.addable(), first, d.count, limit)
		s.update(update)
		if d.sourceIsTarget != "" {
			s.add([]string{d.sourceIsTarget})
		}
		s.remove(last)
	} else {
		s.update(update)
		s.moveSources(d.add, d.remove, d.count, limit)
	}
	if d.wantEnabled {
		s.update(cloud.SessionUpdate{Enabled: &on})
	}
}

// moveSources adds before it removes. Where the limit leaves no room it removes just
// enough, but never the last source: the cloud may then blank the target.
func (s *sessionSteps) moveSources(add, remove []string, count, limit int) {
	if limit < 2 {
		limit = max(count, 1) + len(add)
	}
	for len(add) > 0 {
		if room := limit - count; room > 0 {
			n := min(room, len(add))
			s.add(add[:n])
			add, count = add[n:], count+n
			continue
		}
		n := min(len(add), len(remove), count-1)
		if n <= 0 {
			s.add(add) // over the limit: the cloud says so in its own words
			break
		}
		s.remove(remove[:n])
		remove, count = remove[n:], count-n
	}
	s.remove(remove)
}

func (s *sessionSteps) add(sources []string) {
	if len(sources) > 0 {
		*s = append(*s, SessionStep{AddSources: sources})
	}
}

func (s *sessionSteps) remove(sources []string) {
	if len(sources) > 0 {
		*s = append(*s, SessionStep{RemoveSources: sources})
	}
}

func (s *sessionSteps) update(update cloud.SessionUpdate) {
	if update != (cloud.SessionUpdate{}) {
		*s = append(*s, SessionStep{Update: &update})
	}
}

func sessionFields(want, have cloud.SessionSpec) (cloud.SessionUpdate, []Change) {
	var (
		u       cloud.SessionUpdate
		changes []Change
	)
	compare(&changes, &u.Name, "name", have.Name, want.Name)
	compare(&changes, &u.Description, "description", trim(have.Description), want.Description)
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
