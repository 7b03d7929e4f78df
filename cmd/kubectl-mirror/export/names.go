package export

import (
	"regexp"
	"strings"
)

// names gives the objects of one kind names that are made of those in the cloud, each its own. They do not depend on what
// else is exported: all that have one wish are told apart by their IDs.
type names map[string]int

// take keeps a name that an object of the namespace has.
func (n names) take(name string) { n[name] += 2 }

// wish notes which name something of the cloud would have.
func (n names) wish(name, otherwise string) { n[label(name, otherwise, "")]++ }

// of is the name of something that has wished.
func (n names) of(name, otherwise, id string) string {
	for _, ending := range []string{"", id[:8]} {
		wish := label(name, otherwise, ending)
		if ending == "" && n[wish] == 1 || ending != "" && n[wish] == 0 {
			n[wish] += 2
			return wish
		}
	}
	return label(name, otherwise, id)
}

var notInLabel = regexp.MustCompile(`[^a-z0-9]+`)

// maxLabel is how long a DNS label can be.
const maxLabel = 63

// label makes a DNS label of a name in the cloud, with an ending where that is not empty.
func label(name, otherwise, ending string) string {
	base := strings.Trim(notInLabel.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if base == "" {
		base = otherwise
	}
	if ending != "" {
		ending = "-" + ending
	}
	return strings.TrimRight(base[:min(len(base), maxLabel-len(ending))], "-") + ending
}
