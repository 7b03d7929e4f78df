package plan

import (
	"slices"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// FilterState is the same text for two states of the cloud exactly when a filter is the same in both, by its ID, name,
// description and rules, whatever spelling the cloud gives them and in whatever order.
func FilterState(have cloud.Filter) string {
	parts := []any{have.ID, have.Name, trim(have.Description)}
	for _, r := range rulesByID(have.Rules) {
		parts = append(parts, r)
	}
	return digest(parts...)
}

// rulesByID are rules in one spelling, in the order of their IDs.
func rulesByID(have []cloud.Rule) []cloud.Rule {
	rules := slices.SortedFunc(slices.Values(have), func(a, b cloud.Rule) int { return strings.Compare(a.ID, b.ID) })
	for i := range rules {
		rules[i].RuleSpec = Normalise(rules[i].RuleSpec)
	}
	return rules
}

// SessionState is the same for a session, by its ID, all its fields and its sources.
func SessionState(have cloud.Session) string {
	have.Description = trim(have.Description)
	parts := []any{have.ID, have.SessionSpec}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(have.Sources))) {
		parts = append(parts, id)
	}
	return digest(parts...)
}
