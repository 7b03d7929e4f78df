package cases

import "strconv"

// variant is one way to make a rule that differs from the plain one.
type variant struct {
	name, asks string
	fields     Fields
}

// after puts a filter before the steps.
func after(steps ...Step) []Step { return append([]Step{filter("filter", nil)}, steps...) }

// ruleCases ask for rules. No session uses their filters.
func ruleCases() []Case {
	out := []Case{
		{
			Name: "rule-plain", Asks: "What do create, show, update and delete of a rule answer, and how does its filter show it?",
			Steps: after(rule("rule", Fields{"source_cidr_block": "192.0.2.0/24", "destination_port_range": "80-80"}), rules.show("rule"), filters.show("filter"),
				rules.update("rule", Fields{"action": "reject"}), rules.remove("rule"), rules.remove("rule").named("delete it again"), filters.show("filter").named("show the filter without it")),
		},
		{
			Name: "rule-visible", Asks: "How soon do show, list and the filter have a rule that was made, deleted?",
			Steps: after(rule("rule", nil), rules.show("rule").until(Shown, "${rule}"),
				rules.list(map[string]string{"traffic_mirror_filter_id": "${filter}"}).until(Shown, "${rule}"), filters.show("filter").until(Shown, "${rule}"),
				rules.remove("rule"), rules.show("rule").until(Gone, "${rule}"), filters.show("filter").until(Gone, "${rule}")),
		},
		{
			Name: "rule-same-priority", Asks: "May two rules of a direction have the same priority, and two of different directions?",
			Steps: after(rule("rule", nil), rule("rule2", nil).named("create one of the same direction"), rule("rule3", Fields{"direction": "egress"}).named("create one of the other direction")),
		},
		{
			Name: "rule-to-taken-priority", Asks: "May an update give a rule the priority of another?",
			Steps: after(rule("rule", nil), rule("rule2", Fields{"priority": 2}), rules.update("rule2", Fields{"priority": 1})),
		},
		{
			Name: "rule-twice", Asks: "May two rules be alike but for their priority?",
			Steps: after(rule("rule", nil), rule("rule2", Fields{"priority": 2})),
		},
		{
			Name: "rule-unset-fields", Asks: "Do CIDRs and ports that were not sent come back as null, as \"\" or not at all?",
			Steps: after(rule("rule", Fields{"description": Without}), rules.show("rule")),
		},
		{
			Name: "rule-empty-fields", Asks: "May a create have empty CIDRs and ports, and what comes back?",
			Steps: after(rule("rule", Fields{"source_cidr_block": "", "destination_cidr_block": "", "source_port_range": "", "destination_port_range": ""})),
		},
		eleven(),
		batch(),
	}
	out = append(out, ruleUpdates()...)
	for _, v := range ruleVariants() {
		out = append(out, Case{Name: "rule-" + v.name, Asks: v.asks, Steps: after(rule("rule", v.fields))})
	}
	for _, field := range []string{"traffic_mirror_filter_id", "direction", "protocol", "ethertype", "action", "priority"} {
		out = append(out, Case{
			Name: "rule-without-" + field, Asks: "What does a rule say without " + field + "?", Steps: after(rule("rule", Fields{field: Without})),
		})
	}
	return out
}

// ruleUpdates ask what an update does.
func ruleUpdates() []Case {
	return []Case{
		{
			Name: "rule-empty-clears", Asks: "Does an update with \"\" clear a CIDR and a port range, and one with null?",
			Steps: after(
				rule("rule", Fields{"source_cidr_block": "192.0.2.0/24", "destination_port_range": "80-80"}),
				rules.update("rule", Fields{"source_cidr_block": nil, "destination_port_range": nil}).named("update to null"),
				rules.update("rule", Fields{"source_cidr_block": "", "destination_port_range": ""}).named("update to empty texts"),
				rules.show("rule")),
		},
		{
			Name: "rule-to-icmp", Asks: "Does a change to ICMP without ports drop the ports?",
			Steps: after(rule("rule", Fields{"protocol": "UDP", "destination_port_range": "53-53"}), rules.update("rule", Fields{"protocol": "ICMP"})),
		},
		{
			Name: "rule-move", Asks: "Is a direction in an update refused, ignored or obeyed, and the ID of another filter?",
			Steps: after(filter("filter2", nil), rule("rule", nil),
				rules.update("rule", Fields{"direction": "egress"}).named("update the direction"),
				rules.update("rule", Fields{"traffic_mirror_filter_id": "${filter2}"}).named("update the filter"), rules.show("rule")),
		},
		{
			Name: "rule-of-deleted-filter", Asks: "Does deleting a filter delete its rules?",
			Steps: after(rule("rule", nil), filters.remove("filter"), rules.show("rule")),
		},
	}
}

// eleven makes one rule more than the documented limit, and one of the other direction.
func eleven() Case {
	steps := []Step{filter("filter", nil)}
	for i := 1; i <= 11; i++ {
		steps = append(steps, rule("rule"+strconv.Itoa(i), Fields{"priority": i}))
	}
	steps = append(steps, rule("rule12", Fields{"direction": "egress"}))
	return Case{Name: "rule-eleventh", Asks: "What does the eleventh rule of a direction say, and is the other direction counted apart?", Steps: steps}
}

// batch asks for the call that no SDK has.
func batch() Case {
	one := Fields{"direction": "ingress", "protocol": "TCP", "ethertype": "IPv4", "action": "accept", "priority": 1, "description": "${mark}"}
	return Case{
		Name: "rule-batch-create", Asks: "Is there the call that makes several rules at once, and what does it answer?",
		Steps: []Step{filter("filter", nil), {
			Name: "create two at once", Method: "POST", Path: base + filters.plural + "/${filter}/" + rules.plural + "/batch-create",
			Body: Fields{"traffic_mirror_filter_rules": []any{one, one.with(Fields{"priority": 2})}},
		}},
	}
}

func ruleVariants() []variant {
	return []variant{
		{"protocol-lower-case", "In which case does a protocol come back that was sent in lower case?", Fields{"protocol": "tcp"}},
		{"protocol-unknown", "What does a protocol say that does not exist?", Fields{"protocol": "GRE"}},
		{"ethertype-lower-case", "In which case does an ethertype come back that was sent in lower case?", Fields{"ethertype": "ipv4"}},
		{"direction-upper-case", "May a direction be in upper case, and how does it come back?", Fields{"direction": "INGRESS"}},
		{"action-unknown", "What does an action say that does not exist?", Fields{"action": "drop"}},
		{"icmpv6-with-ipv4", "May ICMPV6 go with IPv4?", Fields{"protocol": "ICMPV6"}},
		{"icmp-with-ipv6", "May ICMP go with IPv6?", Fields{"protocol": "ICMP", "ethertype": "IPv6"}},
		{"all-with-ports", "May the protocol ALL have ports?", Fields{"protocol": "ALL", "destination_port_range": "80-80"}},
		{"icmp-with-ports", "May ICMP have ports?", Fields{"protocol": "ICMP", "destination_port_range": "80-80"}},
		{"priority-zero", "What does the priority 0 say?", Fields{"priority": 0}},
		{"priority-65535", "Is 65535 the largest priority?", Fields{"priority": 65535}},
		{"priority-65536", "What does the priority 65536 say?", Fields{"priority": 65536}},
		{"priority-text", "May a priority be a text of digits, as in other calls of the SDK?", Fields{"priority": "7"}},
		{"ports-single", "May a port range be one number?", Fields{"destination_port_range": "80"}},
		{"ports-reversed", "May a port range end before it begins?", Fields{"destination_port_range": "200-80"}},
		{"ports-from-zero", "May a port range begin with 0?", Fields{"destination_port_range": "0-10"}},
		{"ports-all", "How does the range of all ports come back?", Fields{"destination_port_range": "1-65535"}},
		{"ports-blanks", "Are blanks in a port range taken, and do they come back?", Fields{"destination_port_range": "80 - 90"}},
		{"cidr-any", "How does 0.0.0.0/0 come back?", Fields{"source_cidr_block": "0.0.0.0/0"}},
		{"cidr-host-bits", "Is a CIDR refused that has bits of the host, is it kept or cut?", Fields{"source_cidr_block": "192.0.2.7/24"}},
		{"cidr-address", "May a CIDR be an address without a length, and how does it come back?", Fields{"source_cidr_block": "192.0.2.7"}},
		{"cidr-blank", "Are blanks at the end of a CIDR trimmed?", Fields{"source_cidr_block": "192.0.2.0/24 "}},
		{"cidr-wrong-family", "What does a CIDR of IPv6 say in a rule for IPv4?", Fields{"source_cidr_block": "2001:db8::/32"}},
		{"cidr6-long", "Does a CIDR of IPv6 come back as it was sent, in upper case and long?", Fields{"ethertype": "IPv6", "source_cidr_block": "2001:0DB8:0:0::/32"}},
		{"cidr-bad", "What does a CIDR say that is none?", Fields{"source_cidr_block": "192.0.2.0/33"}},
		{"description-blanks", "Are blanks at the ends of a rule's description trimmed?", Fields{"description": " ${mark} "}},
	}
}
