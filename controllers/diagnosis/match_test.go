package diagnosis_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// rule reads: [reject] Ingress 1 [ipv6] TCP FROM [PORT[-PORT]] > TO [PORT[-PORT]], where * is any.
func rule(text string) cloud.Rule {
	m := regexp.MustCompile(`^(reject )?(Ingress|Egress) (\d+) (ipv6 )?(\w+) (\S+?)(?: (\d+)(?:-(\d+))?)? > (\S+?)(?: (\d+)(?:-(\d+))?)?$`).FindStringSubmatch(text)
	if m == nil {
		panic("no rule: " + text)
	}
	number := func(s string) int {
		n, _ := strconv.Atoi("0" + s) // the pattern has digits alone, or none
		return n
	}
	ports := func(low, high string) cloud.PortRange {
		if high == "" {
			high = low
		}
		return cloud.PortRange{Low: uint16(number(low)), High: uint16(number(high))}
	}
	prefix := func(s string) netip.Prefix {
		if s == "*" {
			return netip.Prefix{}
		}
		if a, err := netip.ParseAddr(s); err == nil {
			return netip.PrefixFrom(a, a.BitLen())
		}
		return netip.MustParsePrefix(s)
	}
	return cloud.Rule{ID: text, RuleSpec: cloud.RuleSpec{
		Accept: m[1] == "", Direction: cloud.Direction(m[2]), Priority: number(m[3]), IPv6: m[4] != "", Protocol: cloud.Protocol(m[5]),
		Source: prefix(m[6]), SourcePorts: ports(m[7], m[8]), Destination: prefix(m[9]), DestinationPorts: ports(m[10], m[11]),
	}}
}

func rules(texts ...string) []cloud.Rule {
	all := []cloud.Rule{}
	for _, text := range texts {
		all = append(all, rule(text))
	}
	return all
}

// port is an interface of the cloud, which carries nothing for others.
func port(id string, addresses ...string) cloud.Interface {
	i := cloud.Interface{ID: "id-" + id, OwnAddressesOnly: true}
	for _, a := range addresses {
		i.Addresses = append(i.Addresses, netip.MustParseAddr(a))
	}
	return i
}

// pathOf is that of a session with priority 500 whose filter has these rules, from two sources.
func pathOf(texts ...string) *diagnosis.Path {
	return &diagnosis.Path{
		Session: cloud.Session{ID: "s", SessionSpec: cloud.SessionSpec{Priority: 500, Enabled: true, FilterID: "f", TargetID: "id-t", VNI: 7}, Sources: []string{"id-a", "id-b"}},
		Filter:  &cloud.Filter{ID: "f", Name: "default-ok", Rules: rules(texts...)},
		Sources: []cloud.Interface{port("a", "10.0.0.10"), port("b", "10.0.0.11")},
		Target:  new(port("t", "10.0.0.1")),
	}
}

// judged is what is found of a session whose way is so, of the reasons that are asked for.
func judged(path *diagnosis.Path, edit func(*world), reasons ...string) []v1alpha1.Finding {
	w := newWorld()
	w.session.Spec.FilterRef.Name = "ok"
	w.look(0)
	if edit != nil {
		edit(w)
	}
	w.look(time.Minute)
	w.known.Path = path
	return slices.DeleteFunc(diagnosis.Findings(w.known), func(f v1alpha1.Finding) bool { return !slices.Contains(reasons, f.Reason) })
}

// shown is findings in lines that can be read.
func shown(findings []v1alpha1.Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%s %s (%s): %s. Do: %s", f.Severity, f.Reason, f.Subject, f.Message, f.Remedy))
	}
	return out
}

func aboutFilter(path *diagnosis.Path, edit func(*world)) []string {
	return shown(judged(path, edit, v1alpha1.ReasonFilterMatchesNothing, v1alpha1.ReasonRuleMatchesNothing))
}

func TestAFilterThatCantMatchIsNamedWithWhatIsWrongInIt(t *testing.T) {
	const (
		nothing = "Error FilterMatchesNothing (filter \"ok\"): filter \"ok\" "
		of      = nothing + "accepts no packet of 10.0.0.10, 10.0.0.11: "
		add     = ". Do: add a rule with action Accept: Ingress for what the sources receive, Egress for what they send"
	)
	for name, c := range map[string]struct {
		rules []string
		want  string
	}{
		"it has no rules":  {nil, nothing + "has no rules: it copies nothing" + add},
		"it rejects alone": {[]string{"reject Ingress 1 All * > *", "reject Egress 1 All * > *"}, nothing + "has no rule that accepts, only 2 that reject: it copies nothing" + add},
		"source and destination are swapped": {[]string{"Ingress 1 TCP 10.0.0.8/29 > 10.0.0.99 1234"}, of +
			"rule Ingress 1 is about what a mirror source receives, so its destination has to be one, and 10.0.0.99/32 is not 10.0.0.10 or 10.0.0.11: " +
			"its source and destination are swapped, or its direction is wrong, as it would match as Egress. " +
			"Do: swap source and destination of rule Ingress 1, or give it the direction Egress, if what a mirror source sends is meant"},
		"the direction is wrong": {[]string{"Egress 1 TCP 10.0.0.99 > 10.0.0.8/29 1234"}, of +
			"rule Egress 1 is about what a mirror source sends, so its source has to be one, and 10.0.0.99/32 is not 10.0.0.10 or 10.0.0.11: " +
			"its source and destination are swapped, or its direction is wrong, as it would match as Ingress. " +
			"Do: swap source and destination of rule Egress 1, or give it the direction Ingress, if what a mirror source receives is meant"},
		"the client stands where the source has to": {[]string{"Ingress 1 TCP * > 10.0.0.99 1234"}, of +
			"rule Ingress 1 is about what a mirror source receives, so its destination has to be one, and 10.0.0.99/32 is not 10.0.0.10 or 10.0.0.11: " +
			"its source and destination are swapped, or its direction is wrong, as it would match as Egress. " +
			"Do: swap source and destination of rule Ingress 1, or give it the direction Egress, if what a mirror source sends is meant"},
		"it is about other addresses": {[]string{"Ingress 1 TCP 10.0.0.98 > 10.0.0.99 1234"}, of +
			"rule Ingress 1 is about what a mirror source receives, so its destination has to be one, and 10.0.0.99/32 is not 10.0.0.10 or 10.0.0.11. " +
			"Do: set the destination of rule Ingress 1 to 10.0.0.10/32 or 10.0.0.11/32, or leave it out"},
		"it is for IPv6": {[]string{"Ingress 1 ipv6 TCP * > * 80", "Egress 1 ipv6 All * > *"}, of +
			"rule Ingress 1 is for IPv6, and none of 10.0.0.10, 10.0.0.11 has an IPv6 address; " +
			"rule Egress 1 is for IPv6, and none of 10.0.0.10, 10.0.0.11 has an IPv6 address. " +
			"Do: set the etherType of rule Ingress 1 to IPv4, or give the source an IPv6 address"},
		"a rule before rejects all": {[]string{"reject Ingress 1 TCP * > *", "Ingress 2 TCP * > 10.0.0.10 443"}, of +
			"all that rule Ingress 2 is to accept (TCP from any to 10.0.0.10/32 port 443) is decided before it: rule Ingress 1 rejects TCP from any to any. " +
			"Do: give rule Ingress 2 a smaller priority than the rule that rejects its packets, or narrow that one"},
		"two rules together reject all": {[]string{"reject Ingress 1 TCP * 1-5000 > *", "reject Ingress 2 TCP * 4000-65535 > *", "Ingress 3 TCP * > *"}, of +
			"all that rule Ingress 3 is to accept (TCP from any to any) is decided before it: rule Ingress 1 rejects TCP from any ports 1-5000 to any, " +
			"rule Ingress 2 rejects TCP from any ports 4000-65535 to any. " +
			"Do: give rule Ingress 3 a smaller priority than the rule that rejects its packets, or narrow that one"},
		"its fields exclude each other": {[]string{"Ingress 1 ICMPv6 * > *"}, of +
			"rule Ingress 1 can match no packet, its fields exclude each other: ICMPv6 over IPv4 from any to any. Do: correct rule Ingress 1"},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "what is found", []string{c.want}, aboutFilter(pathOf(c.rules...), nil))
		})
	}
}

func TestOneSourceOrRuleThatCopiesNothingIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		rules []string
		want  []string
	}{
		"the filter is about one of the sources": {[]string{"Ingress 1 TCP 10.0.0.98 > 10.0.0.10"}, []string{
			"Warning FilterMatchesNothing (source 10.0.0.11): filter \"ok\" accepts no packet of 10.0.0.11: " +
				"rule Ingress 1 is about what a mirror source receives, so its destination has to be one, and 10.0.0.10/32 is not 10.0.0.11. " +
				"Do: add a rule like rule Ingress 1 whose destination is 10.0.0.11/32, or take the source out of spec.sources"}},
		"a source stands for the other end": {[]string{"Ingress 1 TCP 10.0.0.10 > *"}, []string{
			"Warning FilterMatchesNothing (source 10.0.0.10): filter \"ok\" accepts no packet of 10.0.0.10: " +
				"rule Ingress 1 is about what a mirror source receives, so its source is the other end, and 10.0.0.10/32 is the mirror source: " +
				"its source and destination are swapped, or its direction is wrong, as it would match as Egress. " +
				"Do: swap source and destination of rule Ingress 1, or give it the direction Egress, if what a mirror source sends is meant"}},
		"a rule before rejects all of one": {[]string{"reject Ingress 1 TCP * > *", "Ingress 2 TCP * > 10.0.0.10 443", "Ingress 3 UDP * > *"}, []string{
			"Warning RuleMatchesNothing (rule Ingress 2): all that rule Ingress 2 is to accept (TCP from any to 10.0.0.10/32 port 443) is decided before it: " +
				"rule Ingress 1 rejects TCP from any to any. Do: give rule Ingress 2 a smaller priority than the rule that rejects its packets, or narrow that one"}},
		"one of two rules has its ends swapped": {[]string{"Ingress 1 TCP * > *", "Egress 1 TCP 10.0.0.99 > 10.0.0.10 443"}, []string{
			"Info RuleMatchesNothing (rule Egress 1): rule Egress 1 is about what a mirror source sends, so its source has to be one, and 10.0.0.99/32 is not 10.0.0.10 or 10.0.0.11: " +
				"its source and destination are swapped, or its direction is wrong, as it would match as Ingress. " +
				"Do: swap source and destination of rule Egress 1, or give it the direction Ingress, if what a mirror source receives is meant"}},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "what is found", c.want, aboutFilter(pathOf(c.rules...), nil))
		})
	}
}

func TestAFilterThatWorksIsNoCause(t *testing.T) {
	forwards := func(p *diagnosis.Path) {
		for i := range p.Sources {
			p.Sources[i].OwnAddressesOnly = false
		}
	}
	nowhere := []string{"Ingress 1 TCP 10.0.0.98 > 10.0.0.99"}
	for name, c := range map[string]struct {
		rules []string
		edit  func(*diagnosis.Path)
		also  func(*world)
	}{
		"it accepts all":           {[]string{"Ingress 1 All * > *", "Egress 1 All * > *"}, nil, nil},
		"it accepts one direction": {[]string{"Egress 1 TCP 10.0.0.8/29 > 10.0.0.99 443"}, nil, nil},
		"a rule is for a family that the sources don't have": {[]string{"Ingress 1 All * > *", "Ingress 2 ipv6 All * > *"}, nil, nil},
		"a rule is for the source of another session":        {[]string{"Ingress 1 All * > *", "Egress 2 TCP 10.0.0.99 > 10.0.0.98"}, nil, nil},
		"a rule is accepted by one before it":                {[]string{"Ingress 1 TCP * > *", "Ingress 2 TCP * > 10.0.0.10 443"}, nil, nil},
		"a reject rule has nothing to reject":                {[]string{"Ingress 1 TCP * > *", "reject Ingress 2 TCP * > * 443"}, nil, nil},
		"a part of what a rule is to accept is rejected":     {[]string{"reject Ingress 1 TCP * > * 22", "Ingress 2 TCP * > *"}, nil, nil},
		"it is about multicast":                              {[]string{"Ingress 1 UDP * > 224.0.0.0/4"}, nil, nil},
		"the sources may forward for others":                 {nowhere, forwards, nil},
		"the addresses of the sources are not known":         {nowhere, func(p *diagnosis.Path) { p.Sources = []cloud.Interface{port("a"), port("b")} }, nil},
		"no source is there":                                 {nowhere, func(p *diagnosis.Path) { p.Sources = nil }, nil},
		"a rule can't be read":                               {nowhere, func(p *diagnosis.Path) { p.Filter.Rules[0].Unreadable = "protocol" }, nil},
		"it is not in the cloud":                             {nowhere, func(p *diagnosis.Path) { p.Filter = nil }, nil},
		"copies of both sources come all the same":           {nowhere, nil, func(w *world) { w.delay = 2 * time.Minute; w.from(5, 5) }},
		"the session is switched off":                        {nowhere, nil, func(w *world) { w.session.Spec.Enabled = new(false) }},
		"the session is suspended":                           {nowhere, nil, func(w *world) { w.session.Spec.Suspend = true }},
	} {
		t.Run(name, func(t *testing.T) {
			path := pathOf(c.rules...)
			if c.edit != nil {
				c.edit(path)
			}
			same(t, "what is found", nil, aboutFilter(path, c.also))
		})
	}
}

func netipOf(text string) netip.Addr { return netip.MustParseAddr(text) }
