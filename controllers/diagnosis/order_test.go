package diagnosis_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// other is another session that has both sources, with these rules.
func other(name string, priority int, texts ...string) diagnosis.Other {
	return diagnosis.Other{
		Session: cloud.Session{ID: "id-" + name, Sources: []string{"id-a", "id-b"}, SessionSpec: cloud.SessionSpec{Priority: priority, Enabled: true, TargetID: "id-u", VNI: 1}},
		Filter:  &cloud.Filter{Rules: rules(texts...)}, Name: "session default/" + name,
	}
}

// of has these sources alone.
func of(o diagnosis.Other, sources ...string) diagnosis.Other {
	o.Sources = sources
	return o
}

func aboutOrder(path *diagnosis.Path, edit func(*world)) []string {
	return shown(judged(path, edit, v1alpha1.ReasonTakenEarlier, v1alpha1.ReasonRejectedEarlier))
}

func TestSessionsThatDecideEarlierAreNamedWithTheirRules(t *testing.T) {
	const (
		both   = " of the packets of 10.0.0.10, 10.0.0.11 that the filter accepts are decided before it: "
		once   = "; each packet is copied once at most. Do: "
		before = "set spec.priority below 120, so that it gets the packets that both are to copy, or narrow the filter of session default/broad"
	)
	web := []string{"Ingress 1 TCP 10.9.0.0/16 > * 443"}
	broad := other("broad", 120, "Ingress 1 All * > *", "Egress 1 All * > *")
	for name, c := range map[string]struct {
		others []diagnosis.Other
		want   []string
	}{
		"a broader one copies all": {[]diagnosis.Other{broad}, []string{
			"Error TakenEarlier (session default/broad): all" + both + "session default/broad (priority 120, this one's is 500) copies all IPv4 from any to any, by its rule Ingress 1" + once + before}},
		"one with the same rule copies all": {[]diagnosis.Other{other("same", 1, web...)}, []string{
			"Error TakenEarlier (session default/same): all" + both + "session default/same (priority 1, this one's is 500) copies TCP from 10.9.0.0/16 to any port 443, by its rule Ingress 1" + once +
				"narrow the filter of session default/same, or give that session a priority above 500: none is below its own"}},
		"one rejects all": {[]diagnosis.Other{other("broad", 120, "reject Ingress 7 TCP * > *")}, []string{
			"Error RejectedEarlier (session default/broad): all" + both + "session default/broad (priority 120, this one's is 500) rejects TCP from any to any, by its rule Ingress 7" + once + before}},
		"one copies a part": {[]diagnosis.Other{other("broad", 120, "Ingress 1 TCP 10.9.1.0/24 > *")}, []string{
			"Warning TakenEarlier (session default/broad): some" + both + "session default/broad (priority 120, this one's is 500) copies TCP from 10.9.1.0/24 to any, by its rule Ingress 1" + once + before}},
		"one rejects a part of what it copies itself": {[]diagnosis.Other{other("broad", 120, "reject Ingress 1 TCP 10.9.1.0/24 > *", "Ingress 2 All * > *")}, []string{
			"Error RejectedEarlier (session default/broad): all" + both + "session default/broad (priority 120, this one's is 500) rejects TCP from 10.9.1.0/24 to any, by its rule Ingress 1; " +
				"session default/broad (priority 120, this one's is 500) copies all IPv4 from any to any, by its rule Ingress 2" + once + before}},
		"two together copy all": {[]diagnosis.Other{other("upper", 130, "Ingress 1 TCP 10.9.128.0/17 > *"), other("broad", 120, "Ingress 1 TCP 10.9.0.0/17 > *")}, []string{
			"Error TakenEarlier (session default/broad): all" + both + "session default/broad (priority 120, this one's is 500) copies TCP from 10.9.0.0/17 to any, by its rule Ingress 1; " +
				"session default/upper (priority 130, this one's is 500) copies TCP from 10.9.128.0/17 to any, by its rule Ingress 1" + once + before}},
		"one has one of the sources": {[]diagnosis.Other{of(broad, "id-b", "id-c")}, []string{
			"Warning TakenEarlier (source 10.0.0.11): all of the packets of 10.0.0.11 that the filter accepts are decided before it: " +
				"session default/broad (priority 120, this one's is 500) copies all IPv4 from any to any, by its rule Ingress 1" + once + before}},
		"each source has one of its own": {[]diagnosis.Other{of(broad, "id-b"), of(other("third", 90, "reject Ingress 4 TCP * > *"), "id-a")}, []string{
			"Error RejectedEarlier (source 10.0.0.10): all of the packets of 10.0.0.10 that the filter accepts are decided before it: " +
				"session default/third (priority 90, this one's is 500) rejects TCP from any to any, by its rule Ingress 4" + once +
				"set spec.priority below 90, so that it gets the packets that both are to copy, or narrow the filter of session default/third",
			"Error TakenEarlier (source 10.0.0.11): all of the packets of 10.0.0.11 that the filter accepts are decided before it: " +
				"session default/broad (priority 120, this one's is 500) copies all IPv4 from any to any, by its rule Ingress 1" + once + before}},
		"the first of two takes all": {[]diagnosis.Other{other("later", 121, "reject Ingress 1 All * > *"), broad}, []string{
			"Error TakenEarlier (session default/broad): all" + both + "session default/broad (priority 120, this one's is 500) copies all IPv4 from any to any, by its rule Ingress 1" + once + before}},
		"one comes later":                  {[]diagnosis.Other{other("later", 501, "Ingress 1 All * > *")}, nil},
		"one is switched off":              {[]diagnosis.Other{func() diagnosis.Other { o := broad; o.Enabled = false; return o }()}, nil},
		"one has other sources":            {[]diagnosis.Other{of(broad, "id-c")}, nil},
		"one is about other packets":       {[]diagnosis.Other{other("else", 120, "Egress 1 All * > *", "Ingress 1 UDP * > *", "reject Ingress 2 ipv6 All * > *", "Ingress 3 TCP 10.8.0.0/16 > *")}, nil},
		"one is about another's addresses": {[]diagnosis.Other{other("else", 120, "Ingress 1 All * > 10.0.0.99")}, nil},
		"one's filter is not known":        {[]diagnosis.Other{func() diagnosis.Other { o := broad; o.Filter = nil; return o }()}, nil},
		"one has no rules":                 {[]diagnosis.Other{other("empty", 120)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := pathOf(web...)
			path.Others = c.others
			same(t, "what is found", c.want, aboutOrder(path, nil))
		})
	}
}

func TestWhatCopiesSayGoesBeforeTheOrderOfSessions(t *testing.T) {
	path := pathOf("Ingress 1 TCP * > *")
	path.Others = []diagnosis.Other{other("broad", 120, "Ingress 1 All * > *")}
	come := func(a, b int64) func(*world) {
		return func(w *world) { w.delay = 2 * time.Minute; w.from(a, b) }
	}
	same(t, "while copies of both sources come", nil, aboutOrder(path, come(5, 5)))
	path.Others[0].Filter.Rules = rules("Ingress 1 TCP 10.9.0.0/16 > *")
	same(t, "while some packets may be lost", 1, len(aboutOrder(path, come(5, 5))))
}

func TestWhatDecidesEarlierAndCantBeReadLeavesThePathUndecided(t *testing.T) {
	unread := other("odd", 120, "Ingress 1 UDP * > *")
	unread.Filter.Rules[0].Unreadable = "protocol"
	unlisted := other("odd", 120)
	unlisted.Filter = nil
	for name, c := range map[string]struct {
		edit func(*diagnosis.Path)
		want string
	}{
		"nothing":                      {func(*diagnosis.Path) {}, ""},
		"a rule of an earlier one":     {func(p *diagnosis.Path) { p.Others = []diagnosis.Other{unread} }, "session default/odd is tried before this one, and which packets it decides about can't be told from its filter"},
		"the filter of an earlier one": {func(p *diagnosis.Path) { p.Others = []diagnosis.Other{unlisted} }, "session default/odd is tried before this one, and which packets it decides about can't be told from its filter"},
		"a rule of a session that has no source of this one": {func(p *diagnosis.Path) { p.Others = []diagnosis.Other{of(unread, "id-c")} }, ""},
		"a rule of its own filter":                           {func(p *diagnosis.Path) { p.Filter.Rules[0].Unreadable = "protocol" }, "rule Ingress 1 of filter \"ok\" can't be read by this version: protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWay()
			w.known.Session.Spec.FilterRef.Name = "ok"
			w.Session.Priority = 500
			c.edit(w.Path)
			v := diagnosis.JudgePath(w.known)
			same(t, "whether it is in doubt", c.want != "", v.Status == "Unknown" && v.Reason == v1alpha1.ReasonNotJudged)
			if c.want != "" {
				same(t, "what is said", c.want, v.Message)
			}
		})
	}
}

func TestTooManyRulesOfEarlierSessionsLeaveThePathUndecided(t *testing.T) {
	w := newWay()
	w.Session.Priority = 500
	var own, earlier []string
	for n := range 50 {
		own = append(own, fmt.Sprintf("Ingress %d TCP 10.9.%d.0/24 > *", n+1, 2*n))
		earlier = append(earlier, fmt.Sprintf("Ingress %d TCP * > * %d", n+1, 100+2*n))
	}
	w.Filter.Rules = rules(own...)
	w.Others = []diagnosis.Other{other("large", 120, earlier...)}
	v := diagnosis.JudgePath(w.known)
	same(t, "whether it is in doubt", true, v.Status == "Unknown" && v.Reason == v1alpha1.ReasonNotJudged)
	same(t, "what is said", "session default/large is tried before this one, and its filter and this one's have too many rules to tell which packets it decides about", v.Message)
}

func TestWhereSeveralShareAnAccountNothingOfAnotherSessionIsSaid(t *testing.T) {
	path := pathOf("Ingress 1 TCP * > *")
	path.Private = true
	path.Others = []diagnosis.Other{other("secret", 123, "Ingress 77 TCP * > * 443")}
	path.Others[0].Name = "another session"
	same(t, "what is found", []string{"Warning TakenEarlier (another session): some of the packets of 10.0.0.10, 10.0.0.11 that the filter accepts are decided before it: " +
		"another session, which is tried before this one, copies them; each packet is copied once at most. Do: lower spec.priority, or mirror something else"}, aboutOrder(path, nil))
}

// The verdict follows from sets; what the cloud does with each packet is tried one by one.
func TestOfTheSessionsThatAreTriedEarlierExactlyThoseAreNamedThatDecideAPacket(t *testing.T) {
	hosts := []string{"10.0.0.1", "10.0.0.2"}
	draw := func(t *rapid.T, name string) []string {
		var texts []string
		for i, n := 0, rapid.IntRange(0, 4).Draw(t, name); i < n; i++ {
			verb := rapid.SampledFrom([]string{"", "reject "}).Draw(t, "action")
			end := func() string {
				return rapid.SampledFrom([]string{"*", "10.0.0.0/30", hosts[0], hosts[1]}).Draw(t, "end")
			}
			texts = append(texts, verb+rapid.SampledFrom([]string{"Ingress", "Egress"}).Draw(t, "direction")+" "+string(rune('1'+i))+" TCP "+end()+" > "+end()+
				rapid.SampledFrom([]string{"", " 1", " 1-65535", " 2-65535"}).Draw(t, "ports"))
		}
		return texts
	}
	rapid.Check(t, func(t *rapid.T) {
		path := pathOf(draw(t, "own rules")...)
		path.Sources = []cloud.Interface{{ID: "id-a"}} // it may forward for others
		path.Others = []diagnosis.Other{other("x", 2, draw(t, "first")...), other("y", 1, draw(t, "second")...)}
		mine, lost := 0, 0
		for _, direction := range []cloud.Direction{cloud.Ingress, cloud.Egress} {
			for _, from := range append(hosts, "10.0.0.0", "9.9.9.9") {
				for _, to := range append(hosts, "10.0.0.0", "9.9.9.9") {
					for _, port := range []uint16{1, 2} {
						p := tcpPacket{direction, from, to, port}
						if p.decidedBy(path.Filter.Rules) != "copied" {
							continue
						}
						mine++
						if p.decidedBy(path.Others[0].Filter.Rules) != "" || p.decidedBy(path.Others[1].Filter.Rules) != "" {
							lost++
						}
					}
				}
			}
		}
		want := ""
		switch lost {
		case 0:
		case mine:
			want = "Error"
		default:
			want = "Warning"
		}
		got := ""
		if found := judged(path, nil, v1alpha1.ReasonTakenEarlier, v1alpha1.ReasonRejectedEarlier); len(found) > 0 {
			got = string(found[0].Severity)
		}
		if got != want {
			t.Fatalf("own %v, first %v, then %v: %d of %d packets are lost, and %q is said, want %q",
				ids(path.Filter.Rules), ids(path.Others[1].Filter.Rules), ids(path.Others[0].Filter.Rules), lost, mine, got, want)
		}
	})
}

// tcpPacket is one, of which nothing but its addresses and its destination port matters.
type tcpPacket struct {
	direction cloud.Direction
	from, to  string
	port      uint16
}

func (p tcpPacket) decidedBy(rules []cloud.Rule) string {
	for _, r := range rules { // they are in order
		from, to := netipOf(p.from), netipOf(p.to)
		matches := r.Direction == p.direction && (!r.Source.IsValid() || r.Source.Contains(from)) && (!r.Destination.IsValid() || r.Destination.Contains(to)) &&
			(r.DestinationPorts.Low == 0 || r.DestinationPorts.Low <= p.port && p.port <= r.DestinationPorts.High)
		switch {
		case matches && r.Accept:
			return "copied"
		case matches:
			return "rejected"
		}
	}
	return ""
}

func ids(rules []cloud.Rule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.ID)
	}
	return slices.Clip(all)
}
