package plan_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// A toy packet space that rules over it can tell apart: 16 addresses, 3 ports, 2
// protocols, 2 directions. Small enough to try every packet on every state.
type packet struct {
	direction cloud.Direction
	protocol  cloud.Protocol
	source    netip.Addr
	port      uint16
}

func everyPacket() []packet {
	var all []packet
	for _, direction := range []cloud.Direction{cloud.Ingress, cloud.Egress} {
		for _, protocol := range []cloud.Protocol{cloud.TCP, cloud.UDP} {
			for host := range byte(16) {
				for port := range uint16(3) {
					all = append(all, packet{direction, protocol, netip.AddrFrom4([4]byte{10, 0, 0, host}), port + 1})
				}
			}
		}
	}
	return all
}

// copied is the cloud's rule in its plainest form: the first match decides.
func copied(rules []cloud.Rule, p packet) bool {
	best, accept := 1<<20, false
	for _, r := range rules {
		if r.Direction != p.direction || r.Priority >= best {
			continue
		}
		if r.Protocol != cloud.All && r.Protocol != p.protocol {
			continue
		}
		if r.Source.IsValid() && !r.Source.Contains(p.source) {
			continue
		}
		if r.DestinationPorts != (cloud.PortRange{}) && (p.port < r.DestinationPorts.Low || p.port > r.DestinationPorts.High) {
			continue
		}
		best, accept = r.Priority, r.Accept
	}
	return accept
}

func rules(direction cloud.Direction) *rapid.Generator[[]cloud.RuleSpec] {
	rule := rapid.Custom(func(t *rapid.T) cloud.RuleSpec {
		r := cloud.RuleSpec{
			Direction: direction,
			Priority:  rapid.IntRange(1, 14).Draw(t, "priority"),
			Accept:    rapid.Bool().Draw(t, "accept"),
			Protocol:  rapid.SampledFrom([]cloud.Protocol{cloud.All, cloud.TCP, cloud.UDP}).Draw(t, "protocol"),
		}
		if bits := rapid.IntRange(27, 32).Draw(t, "bits"); bits > 27 {
			host := byte(rapid.IntRange(0, 15).Draw(t, "host"))
			r.Source = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), bits).Masked()
		}
		if r.Protocol != cloud.All && rapid.Bool().Draw(t, "has ports") {
			low := uint16(rapid.IntRange(1, 3).Draw(t, "low"))
			r.DestinationPorts = cloud.PortRange{Low: low, High: uint16(rapid.IntRange(int(low), 3).Draw(t, "high"))}
		}
		return r
	})
	return rapid.SliceOfNDistinct(rule, 0, 10, func(r cloud.RuleSpec) int { return r.Priority })
}

// toyCloud applies steps as the cloud would and refuses what it would refuse.
type toyCloud struct {
	filter cloud.Filter
	nextID int
}

func (c *toyCloud) do(step plan.FilterStep) error {
	switch {
	case step.UpdateFilter != nil:
		if step.UpdateFilter.Name != nil {
			c.filter.Name = *step.UpdateFilter.Name
		}
		if step.UpdateFilter.Description != nil {
			c.filter.Description = *step.UpdateFilter.Description
		}
	case step.CreateRule != nil:
		c.nextID++
		c.filter.Rules = append(c.filter.Rules, cloud.Rule{ID: fmt.Sprint("new-", c.nextID), RuleSpec: *step.CreateRule})
	case step.UpdateRule != nil:
		i := c.index(step.UpdateRule.ID)
		if i < 0 {
			return fmt.Errorf("update of a rule that is not there: %q", step.UpdateRule.ID)
		}
		was := c.filter.Rules[i]
		c.filter.Rules[i] = *step.UpdateRule
		if was.Source.IsValid() && !step.UpdateRule.Source.IsValid() {
			return fmt.Errorf("a PUT can't clear the source of %s", was.ID)
		}
		if was.DestinationPorts != (cloud.PortRange{}) && step.UpdateRule.DestinationPorts == (cloud.PortRange{}) {
			return fmt.Errorf("a PUT can't clear the ports of %s", was.ID)
		}
	case step.DeleteRule != nil:
		i := c.index(step.DeleteRule.ID)
		if i < 0 {
			return fmt.Errorf("delete of a rule that is not there: %q", step.DeleteRule.ID)
		}
		c.filter.Rules = slices.Delete(c.filter.Rules, i, i+1)
	}
	return c.check()
}

func (c *toyCloud) index(id string) int {
	return slices.IndexFunc(c.filter.Rules, func(r cloud.Rule) bool { return r.ID == id })
}

func (c *toyCloud) check() error {
	seen, count := map[string]bool{}, map[cloud.Direction]int{}
	for _, r := range c.filter.Rules {
		key := fmt.Sprint(r.Direction, r.Priority)
		if seen[key] {
			return fmt.Errorf("two rules with priority %s", key)
		}
		seen[key] = true
		if count[r.Direction]++; count[r.Direction] > 10 {
			return fmt.Errorf("more than 10 %s rules", r.Direction)
		}
	}
	return nil
}

func TestAnEditOfRulesNeverCopiesWhatNeitherFilterCopiesAndEnds(t *testing.T) {
	packets := everyPacket()
	rapid.Check(t, func(t *rapid.T) {
		var have []cloud.Rule
		for _, direction := range []cloud.Direction{cloud.Ingress, cloud.Egress} {
			for _, r := range rules(direction).Draw(t, "have") {
				have = append(have, cloud.Rule{ID: fmt.Sprint("old-", len(have)), RuleSpec: r})
			}
		}
		want := plan.WantedFilter{Name: "f", Rules: append(
			rules(cloud.Ingress).Draw(t, "want ingress"), rules(cloud.Egress).Draw(t, "want egress")...)}
		goal := asRules(want.Rules)

		c := &toyCloud{filter: cloud.Filter{Name: "f", Rules: slices.Clone(have)}}
		for round := 0; ; round++ {
			diff := plan.DiffFilter(want, c.filter)
			steps, gap := diff.Steps(10)
			if (len(steps) == 0) != (len(diff.Changes) == 0) {
				t.Fatalf("steps %+v and changes %+v don't agree", steps, diff.Changes)
			}
			if len(steps) == 0 {
				break
			}
			if round == 2 {
				t.Fatalf("still something to do after two rounds: %+v", diff.Changes)
			}
			for _, step := range steps {
				if err := c.do(step); err != nil {
					t.Fatal(err)
				}
				for _, pk := range packets {
					before, after, now := copied(have, pk), copied(goal, pk), copied(c.filter.Rules, pk)
					if now && !before && !after {
						t.Fatalf("leak of %+v after %+v", pk, step)
					}
					if !now && before && after && !gap {
						t.Fatalf("unannounced gap for %+v after %+v", pk, step)
					}
				}
			}
		}
		if diff := cmp.Diff(specs(goal), specs(c.filter.Rules), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Fatalf("the cloud has other rules than wanted (-want +got):\n%s", diff)
		}
	})
}

func asRules(specs []cloud.RuleSpec) []cloud.Rule {
	var out []cloud.Rule
	for _, s := range specs {
		out = append(out, cloud.Rule{RuleSpec: plan.Normalise(s)})
	}
	return out
}

func specs(rules []cloud.Rule) map[string]cloud.RuleSpec {
	out := map[string]cloud.RuleSpec{}
	for _, r := range rules {
		out[fmt.Sprint(r.Direction, r.Priority)] = r.RuleSpec
	}
	return out
}

func TestTheDiffNamesTheFieldOfTheRule(t *testing.T) {
	source := netip.MustParsePrefix("192.168.0.161/32")
	want := cloud.RuleSpec{Direction: cloud.Ingress, Priority: 1, Accept: true, Protocol: cloud.TCP, Source: source,
		DestinationPorts: cloud.PortRange{Low: 1234, High: 1234}}
	have := want
	have.DestinationPorts = cloud.PortRange{Low: 80, High: 90}
	diff := plan.DiffFilter(plan.WantedFilter{Name: "n", Rules: []cloud.RuleSpec{want}},
		cloud.Filter{Name: "other", Rules: []cloud.Rule{{ID: "r", RuleSpec: have}}})
	got := make([]string, 0, len(diff.Changes))
	for _, c := range diff.Changes {
		got = append(got, c.String())
	}
	if diff := cmp.Diff([]string{
		"name is other, wanted n",
		"rules[Ingress 1].destination is anywhere ports 80-90, wanted anywhere port 1234",
	}, got); diff != "" {
		t.Error(diff)
	}
}

func TestARuleThatCannotBeReadGoesAfterEveryAcceptAndIsNeverCopied(t *testing.T) {
	accept := cloud.RuleSpec{Direction: cloud.Ingress, Priority: 2, Accept: true, Protocol: cloud.All}
	unreadable := cloud.Rule{ID: "unreadable", Unreadable: "protocol", RuleSpec: cloud.RuleSpec{Direction: cloud.Ingress, Priority: 1}}
	kept := cloud.Rule{ID: "kept", RuleSpec: accept}
	diff := plan.DiffFilter(plan.WantedFilter{Rules: []cloud.RuleSpec{accept}}, cloud.Filter{Rules: []cloud.Rule{unreadable, kept}})
	steps, gap := diff.Steps(10)
	var got []string
	for _, step := range steps {
		switch {
		case step.DeleteRule != nil:
			got = append(got, "delete "+step.DeleteRule.ID)
		case step.CreateRule != nil:
			got = append(got, fmt.Sprint("create ", step.CreateRule.Priority))
		default:
			got = append(got, "something else")
		}
	}
	if diff := cmp.Diff([]string{"delete kept", "delete unreadable", "create 2"}, got); diff != "" {
		t.Error(diff)
	}
	if !gap {
		t.Error("the gap is not announced")
	}
}

func TestNarrowingTakesAwayOnlyWhatNoRuleOfTheSpecAccepts(t *testing.T) {
	prefix := netip.MustParsePrefix
	rule := func(priority int, source string, accept bool) cloud.RuleSpec {
		return cloud.RuleSpec{Direction: cloud.Ingress, Priority: priority, Accept: accept, Protocol: cloud.TCP, Source: prefix(source)}
	}
	described := rule(4, "10.0.4.0/24", true)
	described.Description = "before"
	have := []cloud.Rule{
		{ID: "stays", RuleSpec: rule(1, "10.0.1.0/24", true)},
		{ID: "widened", RuleSpec: rule(2, "10.0.2.0/24", true)},
		{ID: "narrowed", RuleSpec: rule(3, "10.0.0.0/8", true)},
		{ID: "described", RuleSpec: described},
		{ID: "gone", RuleSpec: rule(5, "10.0.5.0/24", true)},
		{ID: "rejects", RuleSpec: rule(6, "10.0.6.0/24", false)},
	}
	want := []cloud.RuleSpec{
		rule(1, "10.0.1.0/24", true), rule(2, "10.0.2.0/23", true), rule(3, "10.0.3.0/24", true), rule(4, "10.0.4.0/24", true),
	}
	diff := plan.DiffFilter(plan.WantedFilter{Rules: want}, cloud.Filter{Rules: have})
	var got []string
	for _, step := range diff.Narrowing() {
		got = append(got, step.DeleteRule.ID)
	}
	if diff := cmp.Diff([]string{"gone", "narrowed"}, got); diff != "" {
		t.Errorf("taken away (-want +got):\n%s", diff)
	}
}
