package cases

// sessionCases ask for sessions. Their filters have no rules and they are off but where that is the question, so that
// nothing is ever copied; their priorities are the largest that are free, so that they come after every other session.
func sessionCases() []Case {
	byName := map[string]string{"name": "${mark}-session"}
	return append([]Case{
		onPorts("session-plain", "What do create, show, update and delete of a plain session answer?",
			session("session", nil), sessions.show("session"), sessions.list(byName),
			sessions.update("session", Fields{"virtual_network_id": 6, "enabled": "false", "description": "${mark} changed"}),
			sessions.show("session").named("show it again"), sessions.remove("session"), sessions.remove("session").named("delete it again")),
		onPorts("session-visible", "How soon do show and list have a session that was made, changed, deleted?",
			session("session", nil), sessions.show("session").until(Shown, "${session}"), sessions.list(byName).until(Shown, "${session}"),
			sessions.update("session", Fields{"description": "${mark} changed"}), sessions.show("session").named("show the change").until(Shown, "${mark} changed"),
			sessions.list(byName).named("list the change").until(Shown, "${mark} changed"),
			sessions.remove("session"), sessions.show("session").until(Gone, "${session}"), sessions.list(byName).until(Gone, "${session}")),
		onPorts("session-defaults", "What are enabled, VNI, length, type and description where a session is made without them?",
			session("session", Fields{"enabled": Without, "virtual_network_id": Without, "packet_length": Without, "type": Without, "description": Without})),
		onPorts("session-json-types", "Are numbers and a boolean taken where the SDK sends texts, in create and update?",
			session("session", Fields{"virtual_network_id": 5, "packet_length": 96, "enabled": false}),
			sessions.update("session", Fields{"virtual_network_id": "7", "packet_length": "97", "priority": Number("priority2"), "enabled": false})),
		onPorts("session-same-name", "May two sessions have the same name?",
			session("session", nil), session("session2", Fields{"name": "${mark}-session", "priority": Number("priority2")})),
		onPorts("session-same-priority", "May two sessions have the same priority, by create and by update?",
			session("session", nil), session("session2", nil).named("create with the same priority"), session("session3", Fields{"priority": Number("priority2")}),
			sessions.update("session3", Fields{"priority": Number("priority1")})),
		onPorts("session-same-vni", "May two sessions to one target have the same VNI?",
			session("session", nil), session("session2", Fields{"priority": Number("priority2")})),
		onPorts("session-of-missing-filter", "What does a session say whose filter does not exist, by create and by update?",
			session("session", Fields{"traffic_mirror_filter_id": "${nothing1}"}).named("create with a missing filter"), session("session", nil),
			sessions.update("session", Fields{"traffic_mirror_filter_id": "${nothing1}"})),
		onPorts("session-of-missing-source", "What does a session say with a source that does not exist?",
			session("session", Fields{"traffic_mirror_sources": []any{"${nothing1}"}})),
		onPorts("session-to-missing-target", "What does a session say with a target that does not exist, by create and by update?",
			session("session", Fields{"traffic_mirror_target_id": "${nothing1}"}).named("create with a missing target"), session("session", nil),
			sessions.update("session", Fields{"traffic_mirror_target_id": "${nothing1}"})),
		onPorts("session-to-empty-target", "May the target be empty, by create and by update?",
			session("session", Fields{"traffic_mirror_target_id": ""}).named("create with an empty target"), session("session", nil),
			sessions.update("session", Fields{"traffic_mirror_target_id": ""})),
		onPorts("session-to-itself", "May a source be the target too?",
			session("session", Fields{"traffic_mirror_target_id": "${source}"})),
		onPorts("session-target-as-source", "May the target of one session be the source of another?",
			session("session", nil),
			session("session2", Fields{"traffic_mirror_sources": []any{"${target}"}, "traffic_mirror_target_id": "${source}", "priority": Number("priority2")})),
		onPorts("session-wrong-target-type", "What does a port say as a target of the type elb?",
			session("session", Fields{"traffic_mirror_target_type": "elb"})),
		onPorts("session-update-sources", "Does an update ignore sources and a type, or refuse them?",
			session("session", nil), sessions.update("session", Fields{"traffic_mirror_sources": []any{}, "type": "eni", "virtual_network_id": 6})),
		onPorts("filter-in-use", "What does deleting a filter say that a session uses, and after the session is gone?",
			session("session", nil), filters.remove("filter").named("delete the filter in use"), sessions.remove("session"), filters.remove("filter")),
		onPorts("session-fourth", "What does the fourth session of a source say?",
			session("session", nil), session("session2", Fields{"priority": Number("priority2")}), session("session3", Fields{"priority": Number("priority3")}),
			session("session4", Fields{"priority": Number("priority4")})),
	}, sessionVariants()...)
}

func onPorts(name, asks string, steps ...Step) Case {
	return Case{Name: name, Asks: asks, Needs: ports, Steps: append([]Step{filter("filter", nil)}, steps...)}
}

func sessionVariants() []Case {
	variants := []variant{
		{"without-name", "What does a session say without a name?", Fields{"name": Without}},
		{"without-filter", "What does a session say without a filter?", Fields{"traffic_mirror_filter_id": Without}},
		{"without-target", "What does a session say without a target?", Fields{"traffic_mirror_target_id": Without}},
		{"without-target-type", "What does a session say without the type of its target?", Fields{"traffic_mirror_target_type": Without}},
		{"without-priority", "What does a session say without a priority?", Fields{"priority": Without}},
		{"without-sources", "May a session be made without the field of sources?", Fields{"traffic_mirror_sources": Without}},
		{"empty-sources", "May a session be made with an empty list of sources?", Fields{"traffic_mirror_sources": []any{}}},
		{"source-twice", "May a source be in the list twice?", Fields{"traffic_mirror_sources": []any{"${source}", "${source}"}}},
		{"vni-zero", "May the VNI be 0?", Fields{"virtual_network_id": "0"}},
		{"vni-largest", "Is 16777215 the largest VNI?", Fields{"virtual_network_id": "16777215"}},
		{"vni-too-large", "What does the VNI 16777216 say?", Fields{"virtual_network_id": "16777216"}},
		{"length-zero", "What does the length 0 say?", Fields{"packet_length": "0"}},
		{"length-one", "Is 1 the smallest length?", Fields{"packet_length": "1"}},
		{"length-1460", "Is 1460 the largest length?", Fields{"packet_length": "1460"}},
		{"length-1461", "What does the length 1461 say?", Fields{"packet_length": "1461"}},
		{"priority-zero", "What does the priority 0 say?", Fields{"priority": 0}},
		{"priority-32767", "What does the priority 32767 say?", Fields{"priority": 32767}},
		{"enabled-bad", "What does an enabled say that is neither true nor false?", Fields{"enabled": "on"}},
		{"type-unknown", "What does a type of sources say that does not exist?", Fields{"type": "none"}},
		{"text-blanks", "Are blanks at the ends of a session's description trimmed?", Fields{"description": " ${mark} "}},
	}
	var out []Case
	for _, v := range variants {
		out = append(out, onPorts("session-"+v.name, v.asks, session("session", v.fields)))
	}
	return out
}

// sourceCases ask for the two calls that change a session's sources.
func sourceCases() []Case {
	two := func(name, asks string, steps ...Step) Case {
		c := onPorts(name, asks, append([]Step{session("session", nil)}, steps...)...)
		c.Needs = twoSources
		return c
	}
	one := func(name, asks string, steps ...Step) Case {
		return onPorts(name, asks, append([]Step{session("session", nil)}, steps...)...)
	}
	return []Case{
		two("sources-change", "What do add-sources and remove-sources answer, and do sources keep their order?",
			sources("add", "session", "${source2}"), sources("remove", "session", "${source}"),
			sources("add", "session", "${source}").named("add the first again"), sessions.show("session")),
		one("sources-add-present", "Is a source that is there taken once more, or refused?",
			sources("add", "session", "${source}"), sessions.show("session")),
		two("sources-add-present-and-new", "Where a list has one source that is there and one that is not: is the new one added?",
			sources("add", "session", "${source}", "${source2}"), sessions.show("session")),
		two("sources-remove-absent", "Is removing a source that is not there an error?",
			sources("remove", "session", "${source2}"), sessions.show("session")),
		one("sources-add-missing", "What does adding a port say that does not exist?",
			sources("add", "session", "${nothing1}"), sessions.show("session")),
		one("sources-remove-missing", "What does removing a port say that does not exist?",
			sources("remove", "session", "${nothing1}"), sessions.show("session")),
		two("sources-add-twice", "May a list have a source twice?", sources("add", "session", "${source2}", "${source2}")),
		one("sources-add-target", "May the target be added as a source?", sources("add", "session", "${target}")),
		one("sources-add-none", "What do add-sources and remove-sources say of an empty list?", sources("add", "session"), sources("remove", "session")),
		one("sources-remove-last", "May the last source be removed, what becomes of the target, and can one be added after?",
			sources("remove", "session", "${source}"), sessions.show("session"), sources("add", "session", "${source}"),
			sessions.show("session").named("show it with the source")),
	}
}
