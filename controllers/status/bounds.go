package status

import (
	"fmt"
	"unicode/utf8"

	"vpcmirror.io/operator/api/v1alpha1"
)

// What the cloud, a node or the API server tells can be of any length, and with one field
// that is too long the API server would refuse the whole status: its content of before
// would stand for ever. So everything is cut to its bound right before it is written. These
// are the bounds of the definitions, by the path of a field, or tighter ones, so that a full
// object stays below what etcd takes, 1.5 MiB; tests compare them, and measure that.
var (
	// maxLengths are in characters.
	maxLengths = map[string]int{
		"changes[].what":                        512,
		"plan.calls[].changes[].field":          64,
		"plan.calls[].changes[].have":           v1alpha1.MaxPlannedText,
		"plan.calls[].changes[].want":           v1alpha1.MaxPlannedText,
		"plan.calls[].id":                       36,
		"plan.calls[].operation":                64,
		"plan.message":                          1024,
		"plan.reason":                           64,
		"plan.warnings[].message":               1024,
		"plan.warnings[].reason":                64,
		"probe.id":                              16,
		"probe.message":                         512,
		"probe.reason":                          64,
		"probe.requestedAt":                     64,
		"probe.results[].address":               45,
		"probe.results[].command":               128,
		"probe.results[].interfaceID":           64,
		"probe.results[].message":               256,
		"probe.results[].reason":                64,
		"probe.sends[].from":                    45,
		"probe.sends[].interfaceID":             64,
		"probe.sends[].node":                    253,
		"probe.sends[].to":                      45,
		"probe.watchers[]":                      253,
		"epochBasis":                            64,
		"findings[].message":                    1024,
		"findings[].reason":                     64,
		"findings[].remedy":                     512,
		"findings[].subject":                    256,
		"traffic.retired.sources[].address":     45,
		"traffic.retired.sources[].interfaceID": 36,
		"traffic.sources[].address":             45,
		"traffic.sources[].interfaceID":         36,
		"account.endpoint":                      512,
		"account.projectID":                     64,
		"account.region":                        40,
		"conditions[].message":                  2048,
		"conditions[].reason":                   1024,
		"conditions[].type":                     316,
		"id":                                    64,
		"lastHandledReconcileAt":                maxRequest,
		"rules[].id":                            64,
		"secretName":                            253,
		"sessions[].id":                         64,
		"sessions[].sources[]":                  64,
		"sources[].addresses[]":                 45,
		"sources[].interfaceID":                 64,
		"sources[].mac":                         17,
		"sources[].nodeName":                    253,
		"target.addresses[]":                    45,
		"target.interfaceID":                    64,
		"target.mac":                            17,
		"target.loadBalancerID":                 64,
		"target.members[].address":              45,
		"target.members[].health":               16,
		"target.members[].interfaceID":          64,
		"target.members[].mac":                  17,
		"target.members[].nodeName":             253,
		"target.nodeName":                       253,
	}
	maxItems = map[string]int{
		"changes":                 5,
		"findings":                16,
		"plan.calls":              v1alpha1.MaxPlannedCalls,
		"plan.calls[].changes":    v1alpha1.MaxPlannedChanges,
		"plan.warnings":           v1alpha1.MaxPlanWarnings,
		"traffic.retired.sources": 200,
		"probe.results":           32,
		"probe.sends":             32,
		"probe.watchers":          16,
		"traffic.rules":           20,
		"traffic.sources":         200,
		"conditions":              8,
		"rules":                   40,
		"sessions":                32,
		"sessions[].sources":      16,
		"sources":                 200,
		"sources[].addresses":     4,
		"target.addresses":        64,
		"target.members":          MaxMembers,
	}
)

// MaxMembers is how many members of a load balancer a status names.
const MaxMembers = 32

// asciiOnly are the texts of printable ASCII characters alone: the names of nodes, what is said of a probe, and what names a
// source in counts. There are so many of them that longer characters would make the status too large.
var asciiOnly = map[string]bool{
	"probe.results[].message":               true,
	"sources[].nodeName":                    true,
	"target.members[].nodeName":             true,
	"target.nodeName":                       true,
	"traffic.retired.sources[].address":     true,
	"traffic.retired.sources[].interfaceID": true,
	"traffic.sources[].address":             true,
	"traffic.sources[].interfaceID":         true,
}

// maxRequest is the bound of lastHandledReconcileAt.
const maxRequest = 128

// Echo is a request to reconcile as the status echoes it.
func Echo(request string) string { return v1alpha1.Fit(request, maxRequest) }

// within returns a part of a status cut to its bounds. What was left out of a text, or of a
// list of texts, is said at its end; a list of other things is only cut.
func within(path string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, field := range value {
			at := name
			if path != "" {
				at = path + "." + name
			}
			value[name] = within(at, field)
		}
	case []any:
		for i := range value {
			value[i] = within(path+"[]", value[i])
		}
		limit, bounded := maxItems[path]
		if !bounded || len(value) <= limit {
			break
		}
		if _, ofTexts := value[0].(string); ofTexts {
			value[limit-1] = fmt.Sprintf("… (+%d)", len(value)-limit+1)
		}
		return value[:limit:limit]
	case string:
		limit, bounded := maxLengths[path]
		switch {
		case bounded && asciiOnly[path]:
			return v1alpha1.FitASCII(value, limit)
		case bounded:
			return fit(value, limit)
		}
	}
	return value
}

// sentence is from how many characters on a bound is one of bytes too: what is long can be a
// cloud's own words, and where a character has four bytes, so many would be a lot.
const sentence = 256

func fit(text string, limit int) string {
	out := v1alpha1.Fit(text, limit)
	for characters := limit; limit >= sentence && len(out) > limit; out = v1alpha1.Fit(text, characters) {
		characters -= (len(out) - limit + utf8.UTFMax - 1) / utf8.UTFMax
	}
	return out
}
