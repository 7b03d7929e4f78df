package api

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// refusals are bad values: what they replace in a good body, and the words that the answer must hold.
type refusals []struct {
	name    string
	changes map[string]any
	want    string
}

func (list refusals) check(t *testing.T, g *gateway, path, key string, base map[string]any) {
	t.Helper()
	for _, tc := range list {
		t.Run(tc.name, func(t *testing.T) {
			g.t = t
			before := g.server.State.Snapshot().Version
			a := g.do("POST", path, wrap(t, key, fields(base, tc.changes)))
			g.want(a, 400, "VPC.9901")
			if message, _ := a.body["error_msg"].(string); !strings.Contains(message, tc.want) {
				t.Fatalf("message %q; want it to hold %q", message, tc.want)
			}
			if g.server.State.Snapshot().Version != before {
				t.Fatal("a refused request changed the cloud")
			}
		})
	}
}

func TestAFilterIsRefusedWith(t *testing.T) {
	g := newGateway(t)
	refusals{
		{"no name", map[string]any{"name": nil}, "name"},
		{"an empty name", map[string]any{"name": ""}, "1 to 64"},
		{"a name of 65 characters", map[string]any{"name": strings.Repeat("名", 65)}, "1 to 64"},
		{"a blank in its name", map[string]any{"name": "a b"}, "' '"},
		{"a name that is a number", map[string]any{"name": 7}, "not a string"},
		{"a description of 256 characters", map[string]any{"description": strings.Repeat("x", 256)}, "at most 255"},
		{"an angle bracket in its description", map[string]any{"description": "a<b"}, "angle brackets"},
	}.check(t, g, "traffic-mirror-filters", "traffic_mirror_filter", map[string]any{"name": "f"})
	t.Run("but not with Chinese characters, 64 of them", func(t *testing.T) {
		g.t = t
		f := g.must("POST", "traffic-mirror-filters", wrap(t, "traffic_mirror_filter", map[string]any{"name": strings.Repeat("名", 64)}), "traffic_mirror_filter")
		if f["description"] != "" {
			t.Fatalf("description = %v, want an empty string", f["description"])
		}
	})
}

func TestABodyIsRefusedThat(t *testing.T) {
	g := newGateway(t)
	for name, body := range map[string]string{
		"is empty":                        "",
		"is no JSON":                      "{",
		"is a list":                       "[]",
		"lacks its wrapper":               `{"name":"f"}`,
		"has a string in its wrapper":     `{"traffic_mirror_filter":"f"}`,
		"has null in its wrapper":         `{"traffic_mirror_filter":null}`,
		"is followed by something":        `{"traffic_mirror_filter":{"name":"f"}} {}`,
		"bears the wrapper of a session":  `{"traffic_mirror_session":{"name":"f"}}`,
		"has an object where text is due": `{"traffic_mirror_filter":{"name":{}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			g.t = t
			g.want(g.do("POST", "traffic-mirror-filters", body), 400, "VPC.9901")
		})
	}
}

func TestARuleIsRefusedWith(t *testing.T) {
	g := newGateway(t)
	refusals{
		{"no direction", map[string]any{"direction": nil}, "direction"},
		{"no protocol", map[string]any{"protocol": nil}, "protocol"},
		{"no ethertype", map[string]any{"ethertype": nil}, "ethertype"},
		{"no action", map[string]any{"action": nil}, "action"},
		{"no priority", map[string]any{"priority": nil}, "priority"},
		{"no filter", map[string]any{"traffic_mirror_filter_id": nil}, "traffic_mirror_filter_id"},
		{"a direction sideways", map[string]any{"direction": "sideways"}, "ingress, egress"},
		{"protocol SCTP", map[string]any{"protocol": "SCTP"}, "TCP, UDP, ICMP, ICMPV6, ALL"},
		{"ethertype IPv5", map[string]any{"ethertype": "IPv5"}, "IPv4, IPv6"},
		{"action drop", map[string]any{"action": "drop"}, "accept, reject"},
		{"priority 0", map[string]any{"priority": 0}, "1-65535"},
		{"priority 65536", map[string]any{"priority": 65536}, "1-65535"},
		{"a priority that is no integer", map[string]any{"priority": 1.5}, "not an integer"},
		{"a CIDR of the other family", map[string]any{"source_cidr_block": "fd00::/8"}, "does not belong to ethertype IPv4"},
		{"an address for a CIDR", map[string]any{"destination_cidr_block": "192.168.0.230"}, "not a valid CIDR"},
		{"one port instead of a range", map[string]any{"source_port_range": "80"}, "80-200"},
		{"a range from port 0", map[string]any{"source_port_range": "0-80"}, "1-65535"},
		{"a range that ends before it begins", map[string]any{"destination_port_range": "200-80"}, "1-65535"},
		{"a range beyond 65535", map[string]any{"destination_port_range": "1-65536"}, "1-65535"},
	}.check(t, g, "traffic-mirror-filter-rules", "traffic_mirror_filter_rule", ruleFields(g.filter()))
}

func TestASessionIsRefusedWith(t *testing.T) {
	g := newGateway(t)
	refusals{
		{"no name", map[string]any{"name": nil}, "name"},
		{"no filter", map[string]any{"traffic_mirror_filter_id": nil}, "traffic_mirror_filter_id"},
		{"no sources", map[string]any{"traffic_mirror_sources": nil}, "traffic_mirror_sources"},
		{"an empty list of sources", map[string]any{"traffic_mirror_sources": []string{}}, "at least one"},
		{"the same source twice", map[string]any{"traffic_mirror_sources": []string{scenario.WalkthroughSource, scenario.WalkthroughSource}}, "twice"},
		{"a source that is a number", map[string]any{"traffic_mirror_sources": []any{1}}, "list of strings"},
		{"no target", map[string]any{"traffic_mirror_target_id": nil}, "traffic_mirror_target_id"},
		{"no target type", map[string]any{"traffic_mirror_target_type": nil}, "traffic_mirror_target_type"},
		{"target type vm", map[string]any{"traffic_mirror_target_type": "vm"}, "eni, elb"},
		{"no priority", map[string]any{"priority": nil}, "priority"},
		{"priority 32767", map[string]any{"priority": 32767}, "1-32766"},
		{"VNI 16777216", map[string]any{"virtual_network_id": "16777216"}, "0-16777215"},
		{"VNI -1", map[string]any{"virtual_network_id": -1}, "0-16777215"},
		{"a VNI in words", map[string]any{"virtual_network_id": "one"}, "not an integer"},
		{"packet length 0", map[string]any{"packet_length": 0}, "1-1460"},
		{"packet length 1461", map[string]any{"packet_length": "1461"}, "1-1460"},
		{"enabled maybe", map[string]any{"enabled": "maybe"}, "not a boolean"},
		{"type eip", map[string]any{"type": "eip"}, "eni"},
		{"a target that is its source", map[string]any{"traffic_mirror_target_id": scenario.WalkthroughSource}, "also a source"},
	}.check(t, g, "traffic-mirror-sessions", "traffic_mirror_session", sessionFields(g.filter()))
}

func TestBothSpellingsOfTypesMakeTheSameSession(t *testing.T) {
	g := newGateway(t)
	filter := g.filter()
	base := sessionFields(filter)
	create := func(changes map[string]any) map[string]any {
		t.Helper()
		s := g.must("POST", "traffic-mirror-sessions", wrap(t, "traffic_mirror_session", fields(base, changes)), "traffic_mirror_session")
		g.want(g.do("DELETE", "traffic-mirror-sessions/"+s["id"].(string), ""), 204, "")
		delete(s, "id")
		return s
	}
	sdk := create(map[string]any{"virtual_network_id": "0", "packet_length": "1460", "enabled": "true", "type": "eni"})
	terraform := create(map[string]any{"virtual_network_id": 0, "packet_length": 1460, "enabled": true, "unknown_key": []int{1}})
	if diff := cmp.Diff(sdk, terraform); diff != "" {
		t.Fatalf("strings against numbers (-strings +numbers):\n%s", diff)
	}
	if sdk["virtual_network_id"] != 0.0 || sdk["packet_length"] != 1460.0 || sdk["enabled"] != true {
		t.Fatalf("the answer %v does not hold numbers and a boolean", sdk)
	}
	t.Run("and absent ones mean VNI 1, 96 bytes and off", func(t *testing.T) {
		s := create(nil)
		got := []any{s["virtual_network_id"], s["packet_length"], s["enabled"], s["type"], s["description"]}
		if diff := cmp.Diff([]any{1.0, 96.0, false, "eni", ""}, got); diff != "" {
			t.Fatalf("defaults (-want +got):\n%s", diff)
		}
	})
	t.Run("or on, as the documented example has it", func(t *testing.T) {
		g.server.State.SetQuirks(state.Quirks{EnabledByDefault: true})
		if s := create(nil); s["enabled"] != true {
			t.Fatalf("enabled = %v, want true", s["enabled"])
		}
	})
}

func TestWhatASessionRefersToMustExistAndFit(t *testing.T) {
	const nobody = "5a1f0c7e-0000-4000-8000-00000000dead"
	for _, tc := range []struct {
		name    string
		changes map[string]any
		edit    func(*state.World)
		status  int
		code    string
	}{
		{name: "an unknown filter", changes: map[string]any{"traffic_mirror_filter_id": nobody}, status: 404, code: "VPC.9904"},
		{name: "an unknown source", changes: map[string]any{"traffic_mirror_sources": []string{nobody}}, status: 404, code: "VPC.9904"},
		{name: "an unknown target", changes: map[string]any{"traffic_mirror_target_id": nobody}, status: 404, code: "VPC.9904"},
		{name: "an empty target", changes: map[string]any{"traffic_mirror_target_id": ""}, status: 400, code: "VPC.9901"},
		{name: "a port as a load balancer", changes: map[string]any{"traffic_mirror_target_type": "elb"}, status: 404, code: "VPC.9904"},
		{name: "a load balancer as a port", changes: map[string]any{"traffic_mirror_target_id": "lb"}, status: 404, code: "VPC.9904"},
		{name: "a load balancer as itself", changes: map[string]any{"traffic_mirror_target_id": "lb", "traffic_mirror_target_type": "ELB"}, status: 201},
		{name: "a source of an unsupported flavor", edit: editSource(func(p *state.Port) { p.Flavor = "s6.large.2" }), status: 400, code: "VPC.9902"},
		{name: "a source of a c7t flavor that no list names", edit: editSource(func(p *state.Port) { p.Flavor = "c7t.8xlarge.4" }), status: 201},
		{name: "a source without a server", edit: editSource(func(p *state.Port) { p.ServerID = "" }), status: 400, code: "VPC.9902"},
		{name: "a source of another customer", edit: editSource(func(p *state.Port) { p.ProjectID = scenario.WalkthroughOtherProject }), status: 404, code: "VPC.9904"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t)
			filter := g.filter()
			g.server.State.Edit(func(w *state.World) {
				w.LoadBalancers["lb"] = state.LoadBalancer{ID: "lb", ProjectID: scenario.WalkthroughProject}
			})
			if tc.edit != nil {
				g.server.State.Edit(tc.edit)
			}
			g.want(g.do("POST", "traffic-mirror-sessions", wrap(t, "traffic_mirror_session", fields(sessionFields(filter), tc.changes))), tc.status, tc.code)
		})
	}
}

func TestATargetCanNotBeEmptied(t *testing.T) {
	g := newGateway(t)
	session := g.must("POST", "traffic-mirror-sessions", wrap(t, sessionKey, sessionFields(g.filter())), sessionKey)
	path := "traffic-mirror-sessions/" + session["id"].(string)
	g.want(g.put(path, sessionKey, map[string]any{"traffic_mirror_target_id": ""}), 400, "VPC.9901")
	if now := g.must("GET", path, "", sessionKey); now["traffic_mirror_target_id"] != scenario.WalkthroughTarget {
		t.Fatalf("the target is %v after the refusal", now["traffic_mirror_target_id"])
	}
}

func editSource(f func(*state.Port)) func(*state.World) {
	return func(w *state.World) {
		p := w.Ports[scenario.WalkthroughSource]
		f(&p)
		w.Ports[p.ID] = p
	}
}

func TestAnInterfaceIsASourceOrATargetNeverBoth(t *testing.T) {
	g := newGateway(t)
	filter := g.filter()
	session := func(changes map[string]any) answer {
		return g.do("POST", "traffic-mirror-sessions", wrap(t, "traffic_mirror_session", fields(sessionFields(filter), changes)))
	}
	g.want(session(nil), 201, "")
	g.want(session(map[string]any{"priority": 2, "traffic_mirror_sources": []string{scenario.WalkthroughTarget}, "traffic_mirror_target_id": scenario.WalkthroughTest}), 409, "VPC.9907")
	g.want(session(map[string]any{"priority": 2, "traffic_mirror_sources": []string{scenario.WalkthroughTest}, "traffic_mirror_target_id": scenario.WalkthroughSource}), 409, "VPC.9907")
	g.want(session(map[string]any{"priority": 2, "traffic_mirror_sources": []string{scenario.WalkthroughTest}}), 201, "")
}

func TestTextsAreKeptAsTheQuirksSay(t *testing.T) {
	const key = "traffic_mirror_filter"
	german := strings.Repeat("ü", 128) // 256 bytes
	for _, tc := range []struct {
		name   string
		quirks state.Quirks
		sent   map[string]any
		want   map[string]any // nil: refused
	}{
		{name: "as sent", sent: map[string]any{"description": " d\n"}, want: map[string]any{"description": " d\n"}},
		{name: "a name with a space is refused", sent: map[string]any{"name": "n "}},
		{name: "trimmed", quirks: state.Quirks{TrimTexts: true}, sent: map[string]any{"name": "n ", "description": "\t d\r\n"}, want: map[string]any{"name": "n", "description": "d"}},
		{name: "characters are counted", sent: map[string]any{"description": german}, want: map[string]any{"description": german}},
		{name: "bytes are counted", quirks: state.Quirks{BytesCount: true}, sent: map[string]any{"description": german}},
		{name: "255 bytes fit", quirks: state.Quirks{BytesCount: true}, sent: map[string]any{"description": german[2:] + "x"}, want: map[string]any{"description": german[2:] + "x"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t)
			g.server.State.SetQuirks(tc.quirks)
			body := wrap(t, key, fields(map[string]any{"name": "f"}, tc.sent))
			if tc.want == nil {
				g.want(g.do("POST", "traffic-mirror-filters", body), 400, "VPC.9901")
				return
			}
			made := g.must("POST", "traffic-mirror-filters", body, key)
			for field, want := range tc.want {
				if made[field] != want {
					t.Errorf("%s = %q, want %q", field, made[field], want)
				}
			}
		})
	}
	t.Run("of rules and sessions too", func(t *testing.T) {
		g := newGateway(t)
		g.server.State.SetQuirks(state.Quirks{TrimTexts: true})
		filter := g.filter()
		text := map[string]any{"description": "d\n"}
		rule := g.must("POST", "traffic-mirror-filter-rules", wrap(t, ruleKey, fields(ruleFields(filter), text)), ruleKey)
		session := g.must("POST", "traffic-mirror-sessions", wrap(t, sessionKey, fields(sessionFields(filter), text)), sessionKey)
		if rule["description"] != "d" || session["description"] != "d" {
			t.Errorf("the descriptions %q and %q are not trimmed", rule["description"], session["description"])
		}
	})
}
