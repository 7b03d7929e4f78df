package plan

import (
	"maps"
	"slices"

	"vpcmirror.io/operator/controllers/cloud"
)

// DocumentedSources is how many sources the cloud takes in a session where no quota says
// otherwise (user guide, "Traffic Mirroring": constraints).
const DocumentedSources = 10

// Divide says which part copies from which sources, by the part's number: as many parts as it takes, as the
// cloud takes only so many sources in a session. in is which sources each part has now, and order the parts' numbers,
// the first one first; limit is how many sources a session may have, 0 or less for unknown.
//
// A source that stays keeps its part, so that its copies never stop for another's sake. A new one goes where there is
// room, and to a new part with the smallest free number where there is none. A part that has no source any more
// is not in the result: nothing is moved to keep it, and none is over the limit that was not before.
func Divide(sources []string, in map[int][]string, order []int, limit int) (parts map[int][]string) {
	if limit < 1 {
		limit = DocumentedSources
	}
	parts, placed := map[int][]string{}, map[string]bool{}
	for _, number := range order {
		for _, id := range sources {
			if !placed[id] && slices.Contains(in[number], id) {
				parts[number], placed[id] = append(parts[number], id), true
			}
		}
	}
	left := slices.DeleteFunc(slices.Clone(sources), func(id string) bool { return placed[id] })
	open := slices.Clone(order)
	for next := 1; len(left) > 0; {
		if len(open) == 0 {
			for parts[next] != nil || slices.Contains(order, next) {
				next++
			}
			open = append(open, next)
			next++
		}
		number := open[0]
		open = open[1:]
		room := max(0, min(limit-len(parts[number]), len(left)))
		if room > 0 {
			parts[number] = append(parts[number], left[:room]...)
		}
		left = left[room:]
	}
	return parts
}

// InTurn orders the parts of a session that are to be brought in line, by their numbers, so that the cloud refuses none
// and a source that comes is there before one goes: it takes no interface as a source of one session and the target of
// another. have is what it has of each, and want what each is to be; gone are those of have that nothing is wanted of,
// of which some have to go first.
//
// before are those that are deleted before all else, then the wanted ones are in turn, those to make among them, also
// those of before that are wanted and made anew; after are those that are deleted last.
func InTurn(want map[int]WantedSession, have map[int]cloud.Session) (before, turn, after []int) {
	rank := map[int]int{}
	for _, number := range slices.Sorted(maps.Keys(want)) {
		is, there := have[number]
		givesUp, bound := there && slices.Contains(is.Sources, want[number].TargetID), len(free(want[number], have)) == 0
		if givesUp && bound {
			before = append(before, number) // nothing of it stays
		}
		switch {
		case bound:
			rank[number] = 3 // all that it gets is the target of others yet
		case givesUp:
			rank[number] = 0 // the interface that is to be the target of all
		case len(difference(want[number].Sources, is.Sources)) > 0:
			rank[number] = 1 // it gets some
		default:
			rank[number] = 2
		}
		turn = append(turn, number)
	}
	slices.SortStableFunc(turn, func(a, b int) int { return rank[a] - rank[b] })
	for _, number := range slices.Sorted(maps.Keys(have)) {
		if _, wanted := want[number]; wanted {
			continue
		}
		is, changesRole := have[number], false
		for _, w := range want {
			changesRole = changesRole || slices.Contains(is.Sources, w.TargetID) || slices.Contains(w.Sources, is.TargetID)
		}
		if changesRole {
			before = append(before, number)
		} else {
			after = append(after, number)
		}
	}
	return before, turn, after
}

// Meanwhile is what a part is to be until no part has another target than wanted: without the sources that are
// the target of some. Where that leaves it none, it is as wanted.
func Meanwhile(want WantedSession, have map[int]cloud.Session) WantedSession {
	if left := free(want, have); len(left) > 0 {
		want.Sources = left
	}
	return want
}

// free are the wanted sources that are no part's target now.
func free(want WantedSession, have map[int]cloud.Session) []string {
	return slices.DeleteFunc(slices.Clone(want.Sources), func(id string) bool {
		for _, is := range have {
			if is.TargetID == id {
				return true
			}
		}
		return false
	})
}
