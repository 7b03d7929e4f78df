package api

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// fault switches one on.
func (g *gateway) fault(f fault.Fault) {
	g.t.Helper()
	if _, err := g.server.Faults.Add(f); err != nil {
		g.t.Fatal(err)
	}
}

// content is all that the calls of the cloud change.
func (g *gateway) content() string {
	w := g.server.State.Snapshot()
	data, err := json.MarshalIndent([]any{
		w.Filters, w.Rules, w.Sessions, w.Ports, w.Servers, w.Jobs, w.Groups, w.GroupRules, w.AddressGroups, w.Firewalls, w.Peerings, w.RouteTables,
	}, "", " ")
	if err != nil {
		g.t.Fatal(err)
	}
	return string(data)
}

// written is one of every kind of write, on a cloud with a filter, a rule and a session.
type written struct{ method, path, body string }

func writes(g *gateway) map[string]written {
	g.t.Helper()
	filter := g.filter()
	rule := g.must("POST", "traffic-mirror-filter-rules", wrap(g.t, ruleKey, ruleFields(filter)), ruleKey)["id"].(string)
	session := g.must("POST", "traffic-mirror-sessions", wrap(g.t, sessionKey, sessionFields(filter)), sessionKey)["id"].(string)
	other := g.filter()
	acl := g.must("POST", "firewalls", `{"firewall":{"name":"acl"}}`, firewallKey)["id"].(string)
	const aclRule = `{"action":"allow","protocol":"any","ip_version":4}`
	const v1, subnet, server = "/v1/" + scenario.WalkthroughProject + "/", "5a1f0c7e-0000-4000-8000-000000000011", "5a1f0c7e-0000-4000-8000-0000000000c2"
	const filters, rules, sessions = "traffic-mirror-filters", "traffic-mirror-filter-rules", "traffic-mirror-sessions"
	sources := wrap(g.t, sessionKey, map[string]any{"traffic_mirror_sources": []string{scenario.WalkthroughTest}})
	remove := wrap(g.t, sessionKey, map[string]any{"traffic_mirror_sources": []string{scenario.WalkthroughSource}})
	return map[string]written{
		"creating a filter":  {"POST", filters, wrap(g.t, filterKey, map[string]any{"name": "late"})},
		"changing a filter":  {"PUT", filters + "/" + filter, wrap(g.t, filterKey, map[string]any{"name": "late"})},
		"deleting a filter":  {"DELETE", filters + "/" + other, ""},
		"creating a rule":    {"POST", rules, wrap(g.t, ruleKey, fields(ruleFields(filter), map[string]any{"priority": 2}))},
		"changing a rule":    {"PUT", rules + "/" + rule, wrap(g.t, ruleKey, map[string]any{"priority": 3})},
		"deleting a rule":    {"DELETE", rules + "/" + rule, ""},
		"creating a session": {"POST", sessions, wrap(g.t, sessionKey, fields(sessionFields(filter), map[string]any{"priority": 2, "virtual_network_id": 2}))},
		"changing a session": {"PUT", sessions + "/" + session, wrap(g.t, sessionKey, map[string]any{"priority": 7, "enabled": true})},
		"deleting a session": {"DELETE", sessions + "/" + session, ""},
		"adding a source":    {"PUT", sessions + "/" + session + "/add-sources", sources},
		"removing a source":  {"PUT", sessions + "/" + session + "/remove-sources", remove},

		"creating a group":     {"POST", "security-groups", `{"security_group":{"name":"late"}}`},
		"creating group rules": {"POST", "security-groups/" + scenario.WalkthroughTargetGroup + "/security-group-rules/batch-create", `{"security_group_rules":[{"direction":"ingress"},{"direction":"ingress","protocol":"tcp"}]}`},
		"creating an ACL":      {"POST", "firewalls", `{"firewall":{"name":"late"}}`},
		"inserting ACL rules":  {"PUT", "firewalls/" + acl + "/insert-rules", `{"firewall":{"ingress_rules":[` + aclRule + `,` + aclRule + `],"egress_rules":[` + aclRule + `]}}`},
		"binding an ACL":       {"PUT", "firewalls/" + acl + "/associate-subnets", `{"subnets":[{"virsubnet_id":"` + subnet + `"}]}`},
		"creating a port":      {"POST", v1 + "ports", `{"port":{"network_id":"` + subnet + `"}}`},
		"stopping a server":    {"POST", v1 + "cloudservers/action", `{"os-stop":{"servers":[{"id":"` + server + `"}]}}`},
		"adding an interface":  {"POST", v1 + "cloudservers/" + server + "/nics", `{"nics":[{"subnet_id":"` + subnet + `"}]}`},
		"creating routes":      {"POST", v1 + "routetables", `{"routetable":{"vpc_id":"` + scenario.WalkthroughVPC + `","routes":[{"type":"er","destination":"10.0.0.0/8","nexthop":"x"}]}}`},
	}
}

func TestEveryWriteCanTakeEffectLaterThanItIsAnswered(t *testing.T) {
	answers := map[string]struct {
		fault fault.Fault
		told  bool // the answer says what the write does
		code  int
	}{
		"as if all were well": {fault: fault.Late(fault.Accepted, "", 1, 6*time.Second), told: true},
		"with a page":         {fault: fault.Late(fault.HTML, "", 1, 6*time.Second), code: 502},
		"with an empty 200":   {fault: fault.Late(fault.Empty, "", 1, 6*time.Second), code: 200},
		"with a 500": {fault: fault.Fault{
			Kind: fault.Error, Times: 1, Status: 500, Code: "VPC.2502", Message: "internal", EffectIn: fault.Duration(6 * time.Second),
		}, code: 500},
	}
	for name := range writes(newGateway(t)) {
		for how, tc := range answers {
			t.Run(name+" "+how, func(t *testing.T) {
				g := newGateway(t)
				w := writes(g)[name]
				before := g.content()
				g.fault(tc.fault)
				a := g.do(w.method, w.path, w.body)
				if tc.told && a.status >= 300 || !tc.told && a.status != tc.code {
					t.Fatalf("answer %d %s", a.status, a.raw)
				}
				g.now = g.now.Add(6*time.Second - 1)
				g.do("GET", "quotas", "")
				if diff := cmp.Diff(before, g.content()); diff != "" {
					t.Fatalf("the effect came before its time (-before +now):\n%s", diff)
				}
				g.now = g.now.Add(1)
				g.do("GET", "quotas", "")
				if cmp.Equal(before, g.content()) {
					t.Fatal("the effect did not come at its time")
				}
				g.checkTold(t, w, a, tc.told)
			})
		}
	}
}

// checkTold compares what a late write told with what it did.
func (g *gateway) checkTold(t *testing.T, w written, a answer, told bool) {
	t.Helper()
	const v1 = "/v1/" + scenario.WalkthroughProject + "/"
	for key, path := range map[string]string{
		filterKey: "traffic-mirror-filters/", ruleKey: "traffic-mirror-filter-rules/", sessionKey: "traffic-mirror-sessions/",
		"security_group": "security-groups/", firewallKey: "firewalls/", "port": v1 + "ports/", routeTableKey: v1 + "routetables/",
	} {
		id, ok := a.object(key)["id"].(string)
		if !told || !ok {
			continue
		}
		now := g.must("GET", path+id, "", key)
		ignore := cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return strings.HasSuffix(k, "_at") })
		if diff := cmp.Diff(a.object(key), now, ignore); diff != "" {
			t.Errorf("what was told and what came (-told +came):\n%s", diff)
		}
	}
	for _, e := range g.server.Journal.Writes(0) {
		if e.Fault == "" {
			continue
		}
		if e.Effect == nil || e.Effect.Came == nil || !e.Effect.Came.Equal(e.Time.Add(6*time.Second)) || e.Effect.Status >= 300 {
			t.Errorf("the journal tells the effect of %s %s at %v as %+v", e.Method, e.Path, e.Time, e.Effect)
		}
		if e.Status == 0 || w.method != e.Method {
			t.Errorf("the journal tells the call as %+v", e)
		}
	}
}

func TestAWriteThatIsRefusedWhenItsEffectIsDueChangesNothingAndTheJournalSaysSo(t *testing.T) {
	g := newGateway(t)
	w := writes(g)["changing a session"]
	g.fault(fault.Late(fault.Empty, "UpdateTrafficMirrorSession", 1, time.Second))
	g.do(w.method, w.path, w.body)
	filter := g.filter()
	g.must("POST", "traffic-mirror-sessions", wrap(t, sessionKey, fields(sessionFields(filter), map[string]any{"priority": 7, "virtual_network_id": 9})), sessionKey)
	before := g.content()
	g.now = g.now.Add(time.Second)
	g.do("GET", "quotas", "")
	if diff := cmp.Diff(before, g.content()); diff != "" {
		t.Fatalf("it changed something (-before +after):\n%s", diff)
	}
	var effects []journal.Effect
	for _, e := range g.server.Journal.Since(0) {
		if e.Effect != nil {
			effects = append(effects, *e.Effect)
		}
	}
	want := []journal.Effect{{Due: g.now, Came: &g.now, Status: 409, ErrorCode: "VPC.9902"}}
	if diff := cmp.Diff(want, effects); diff != "" {
		t.Fatalf("the effects (-want +got):\n%s", diff)
	}
}

func TestAWriteThatTheGatewayRefusesNeverTakesEffect(t *testing.T) {
	g := newGateway(t)
	before := g.content()
	g.fault(fault.Late(fault.HTML, "", 1, time.Second))
	g.creds.SecretKey = "another"
	g.do("POST", "traffic-mirror-filters", wrap(t, filterKey, map[string]any{"name": "never"}))
	g.now = g.now.Add(time.Minute)
	g.do("GET", "quotas", "")
	if diff := cmp.Diff(before, g.content()); diff != "" {
		t.Fatalf("it took effect (-before +after):\n%s", diff)
	}
}

func TestALateEffectComesWithoutAnotherRequestAndNoneAfterClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, func(c *Config) { c.Clock = time.Now })
		g.now = time.Now()
		made := func() int { return len(g.server.State.Snapshot().Filters) }
		create := func() { g.do("POST", "traffic-mirror-filters", wrap(t, filterKey, map[string]any{"name": "late"})) }
		g.fault(fault.Late(fault.HTML, "CreateTrafficMirrorFilter", 2, 6*time.Second))
		create()
		<-time.After(5 * time.Second) // of the bubble's clock
		g.now = time.Now()
		create()
		<-time.After(time.Second)
		synctest.Wait()
		if made() != 1 {
			t.Fatalf("%d filters after 6 s, want one", made())
		}
		g.server.Close()
		<-time.After(time.Minute)
		synctest.Wait()
		if made() != 1 {
			t.Fatalf("%d filters after the end, want the one of before", made())
		}
	})
}
