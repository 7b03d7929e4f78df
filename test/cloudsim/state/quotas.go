package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Unlimited is the value of a quota that is not live.
const Unlimited = -1

// Quotas are the limits of the mirror objects, by the service's own names.
type Quotas struct {
	Sessions                   int // traffic_mirror_session, per project
	SourcesPerSession          int // traffic_mirror_session_contain_sources
	SessionsPerSource          int // traffic_mirror_source_referred_by_session
	SessionsPerENITarget       int // traffic_mirror_target_eni_referred_by_session
	SessionsPerELBTarget       int // traffic_mirror_target_elb_referred_by_session
	SessionsPerFilter          int // traffic_mirror_filter_referred_by_session
	RulesPerDirection          int // traffic_mirror_filter_contain_rules_each_direction
	Filters                    int // traffic_mirror_filter, per project; not documented
	SecurityGroupRulesPerGroup int // secgroup_contain_rules
}

// DefaultQuotas are those of the VPC user guide, where it names one.
func DefaultQuotas() Quotas {
	return Quotas{
		Sessions:                   20000,
		SourcesPerSession:          10,
		SessionsPerSource:          3,
		SessionsPerENITarget:       10,
		SessionsPerELBTarget:       200,
		SessionsPerFilter:          1000,
		RulesPerDirection:          10,
		Filters:                    Unlimited,
		SecurityGroupRulesPerGroup: 500,
	}
}

func exceeds(count, limit int) bool { return limit != Unlimited && count > limit }

// Quirks switch behaviour about which the documents are silent or contradict themselves. The zero value is the plainest
// reading of them.
type Quirks struct {
	// EnabledByDefault: a session created without "enabled" is on. The field table says off, the documented example on.
	EnabledByDefault bool
	// BlankTargetWithLastSource: removing the last source empties the target's fields too, as the documented example shows.
	BlankTargetWithLastSource bool
	// RefuseLastSource: the last source cannot be removed.
	RefuseLastSource bool
	// StrictSources: adding a source that is there, or removing one that is not, is refused.
	StrictSources bool
	// RefuseRuleMove: a rule update that names a direction or a filter is refused; otherwise both are ignored.
	RefuseRuleMove bool
	// StrictProtocols: ICMP only with IPv4, ICMPV6 only with IPv6, ports only with TCP and UDP, as the console has it.
	StrictProtocols bool
	// EmptyClears: an empty string in a rule update clears the CIDR or port range; otherwise it is ignored.
	EmptyClears bool
	// AcceptAnyFlavor: a source on an unsupported flavor is accepted, and then carries nothing.
	AcceptAnyFlavor bool
	// UniqueNames: names of filters and of sessions are unique per project.
	UniqueNames bool
	// TrimTexts: names and descriptions are kept without the white space at their ends.
	TrimTexts bool
	// StoppedPortsDown: the ports of a server that is stopped have the status DOWN; otherwise they stay ACTIVE.
	StoppedPortsDown bool
	// RemoteGroupsSkipCopies: a security group rule that names another group says nothing about copies.
	RemoteGroupsSkipCopies bool
	// SourceACLHoldsCopies: a copy passes the network ACL of the source's subnet too, on its way out.
	SourceACLHoldsCopies bool
	// RulesWithoutEnabled: security group rules are shown without "enabled", as in regions older than that field (early
	// 2025). Each is on then.
	RulesWithoutEnabled bool
	// DeadPortsLeaveSessions: a port that is deleted is taken out of the sessions' sources.
	DeadPortsLeaveSessions bool
	// BytesCount: a description may have 255 bytes in UTF-8; otherwise so many characters.
	BytesCount bool
}

// byName are the quirks by the names that the command line uses.
func (q *Quirks) byName() map[string]*bool {
	return map[string]*bool{
		"enabled-by-default":            &q.EnabledByDefault,
		"blank-target-with-last-source": &q.BlankTargetWithLastSource,
		"refuse-last-source":            &q.RefuseLastSource,
		"strict-sources":                &q.StrictSources,
		"refuse-rule-move":              &q.RefuseRuleMove,
		"strict-protocols":              &q.StrictProtocols,
		"empty-clears":                  &q.EmptyClears,
		"accept-any-flavor":             &q.AcceptAnyFlavor,
		"unique-names":                  &q.UniqueNames,
		"trim-texts":                    &q.TrimTexts,
		"bytes-count":                   &q.BytesCount,
		"stopped-ports-down":            &q.StoppedPortsDown,
		"remote-groups-skip-copies":     &q.RemoteGroupsSkipCopies,
		"source-acl-holds-copies":       &q.SourceACLHoldsCopies,
		"rules-without-enabled":         &q.RulesWithoutEnabled,
		"dead-ports-leave-sessions":     &q.DeadPortsLeaveSessions,
	}
}

// QuirkNames lists the names of all quirks.
func QuirkNames() []string { return slices.Sorted(maps.Keys((&Quirks{}).byName())) }

// Set switches one quirk on by the name that the command line uses.
func (q *Quirks) Set(name string) error {
	on, ok := q.byName()[name]
	if !ok {
		return fmt.Errorf("there is no quirk %q; there are %s", name, strings.Join(QuirkNames(), ", "))
	}
	*on = true
	return nil
}
