package rehearsal

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// session is one with the ID, that copies from sources to a target with the filter f.
func session(id, target string, enabled bool, sources ...string) *cloud.Session {
	return &cloud.Session{ID: id, Sources: sources, SessionSpec: cloud.SessionSpec{TargetID: target, FilterID: "f", Enabled: enabled}}
}

func turned(before, after *cloud.Session) call {
	return call{session: &change[cloud.Session]{before, after}}
}

func TestWhatSomebodyElseMayHaveMadeIsNotNamedWhereTheAccountIsShared(t *testing.T) {
	calls := []call{
		turned(session("1", "theirs", true, "a"), session("1", "theirs", true, "a", "b")),
		turned(session("1", "theirs", true, "a", "b"), session("1", "t", true, "a", "b")),
	}
	for name, c := range map[string]struct {
		called func(string) string
		want   string
	}{
		"its own":  {naming{"a": "", "b": "10.0.0.2", "t": ""}.of, "for a moment 10.0.0.2 (b) is copied to theirs, which neither the old spec nor the new one asks for"},
		"a shared": {naming{"a": "", "b": "10.0.0.2", "t": ""}.own, "for a moment 10.0.0.2 (b) is copied to another interface, which neither the old spec nor the new one asks for"},
	} {
		if diff := cmp.Diff([]v1alpha1.PlanWarning{{Reason: "Leak", Message: c.want}}, meanwhile(calls, c.called)); diff != "" {
			t.Errorf("in %s account (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatHappensToPacketsBetweenTheCallsIsSaid(t *testing.T) {
	for name, row := range map[string]struct {
		calls []call
		want  []v1alpha1.PlanWarning
	}{
		"nothing is done": {},
		"it is made":      {calls: []call{turned(nil, session("1", "t", true, "a"))}},
		"it goes":         {calls: []call{turned(session("1", "t", true, "a"), nil)}},
		"one source is added before the other goes": {calls: []call{
			turned(session("1", "t", true, "a"), session("1", "t", true, "a", "b")),
			turned(session("1", "t", true, "a", "b"), session("1", "t", true, "b")),
		}},
		"it is made anew": {
			calls: []call{
				turned(session("1", "t", true, "a"), nil),
				turned(nil, session("2", "u", true, "a")),
			},
			want: []v1alpha1.PlanWarning{{Reason: "Gap", Message: "for a moment nothing is copied from 10.0.0.1 (a): the cloud knows no order of calls without that"}},
		},
		"it is off meanwhile": {
			calls: []call{
				turned(session("1", "t", true, "a", "b"), session("1", "t", false, "a", "b")),
				turned(session("1", "t", false, "a", "b"), session("1", "u", false, "a", "b")),
				turned(session("1", "u", false, "a", "b"), session("1", "u", true, "a", "b")),
			},
			want: []v1alpha1.PlanWarning{{Reason: "Gap", Message: "for a moment nothing is copied from 10.0.0.1 (a), b: the cloud knows no order of calls without that"}},
		},
		"another session of the object goes on with the source": {calls: []call{
			turned(nil, session("2", "t", true, "a")),
			turned(session("1", "t", true, "a"), nil),
		}},
		"the target moves while a source is there that is to have neither": {
			calls: []call{
				turned(session("1", "t", true, "a"), session("1", "u", true, "a")),
				turned(session("1", "u", true, "a"), session("1", "u", true, "a", "b")),
				turned(session("1", "u", true, "a", "b"), session("1", "u", true, "b")),
			},
			want: []v1alpha1.PlanWarning{{Reason: "Leak", Message: "for a moment 10.0.0.1 (a) is copied to u, which neither the old spec nor the new one asks for"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, meanwhile(row.calls, naming{"a": "10.0.0.1"}.of)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestALimitThatIsExceededIsNamed(t *testing.T) {
	quota := cloud.Quota{Sessions: 2, SourcesPerSession: 2, SessionsPerSource: 1, SessionsPerTarget: 1, RulesPerDirection: -1}
	others := []cloud.Session{*session("1", "t", true, "a")}
	wanted := func(id, target string, sources ...string) cloud.Session {
		s := *session(id, target, true, sources...)
		s.TargetType = cloud.TargetInterface
		return s
	}
	for name, row := range map[string]struct {
		quota  cloud.Quota
		all    []cloud.Session
		wanted cloud.Session
		added  []string
		want   string
	}{
		"within all":                {quota, others, wanted("", "u", "b"), []string{"b"}, ""},
		"unknown limits":            {cloud.Quota{Sessions: -1}, append(others, others...), wanted("", "t", "a"), []string{"a"}, ""},
		"too many sessions":         {quota, append(others, *session("2", "v", true, "c")), wanted("", "u", "b"), []string{"b"}, "the account may have 2 sessions, and this would be number 3"},
		"too many sources":          {quota, others, wanted("2", "u", "b", "c", "d"), []string{"d"}, "a session may have 2 sources, and this one would have 3"},
		"fewer than too many":       {quota, others, wanted("2", "u", "b", "c", "d"), nil, ""},
		"a source too often":        {quota, others, wanted("", "u", "a"), []string{"a"}, "a source may be in 1 sessions, and a would be in 2"},
		"a target too often":        {quota, others, wanted("", "t", "b"), []string{"b"}, "1 sessions may copy to one interface, and t would have 2"},
		"its own place counts once": {quota, others, wanted("1", "t", "a", "b"), []string{"b"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := overQuota(row.quota, row.all, row.wanted, row.added); got != row.want {
				t.Errorf("it says %q, want %q", got, row.want)
			}
		})
	}
}

func TestARuleIsWrittenAsPeopleReadIt(t *testing.T) {
	for want, rule := range map[string]cloud.RuleSpec{
		"Accept IPv4 TCP 10.0.0.0/8 to any port 80":               {Accept: true, Protocol: cloud.TCP, Source: netip.MustParsePrefix("10.0.0.0/8"), DestinationPorts: cloud.PortRange{Low: 80, High: 80}},
		"Reject IPv6 UDP any ports 1-9 to 2001:db8::/32 (no DNS)": {IPv6: true, Protocol: cloud.UDP, SourcePorts: cloud.PortRange{Low: 1, High: 9}, Destination: netip.MustParsePrefix("2001:db8::/32"), Description: "no DNS"},
		"Accept IPv4 All any to any":                              {Accept: true, Protocol: cloud.All, Source: netip.MustParsePrefix("0.0.0.0/0"), SourcePorts: cloud.PortRange{Low: 1, High: 65535}},
	} {
		if got := ruleText(rule); got != want {
			t.Errorf("it reads %q, want %q", got, want)
		}
	}
}

// What is shown as different is what differs: put into the place of what was, it gives what is.
func TestTheChangesOfACallLeadFromOneToTheOther(t *testing.T) {
	fields := func(t *rapid.T, label string) (all []field) {
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"vni", "priority", "target"}), rapid.ID[string]).Draw(t, label) {
			all = append(all, field{name, rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, label+" "+name)})
		}
		for _, id := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.ID[string]).Draw(t, label+" sources") {
			all = append(all, field{"sources", id})
		}
		return all
	}
	rapid.Check(t, func(t *rapid.T) {
		before, after := fields(t, "before"), fields(t, "after")
		is := map[field]bool{}
		for _, f := range before {
			is[f] = true
		}
		for _, c := range compared(before, after) {
			if c.Have == "" && c.Want == "" || c.Have == c.Want {
				t.Errorf("%+v is no change", c)
			}
			if c.Have != "" && !is[field{c.Field, c.Have}] {
				t.Errorf("%+v was not there", c)
			}
			delete(is, field{c.Field, c.Have})
			if c.Want != "" {
				is[field{c.Field, c.Want}] = true
			}
		}
		want := map[field]bool{}
		for _, f := range after {
			want[f] = true
		}
		if diff := cmp.Diff(want, is, cmp.AllowUnexported(field{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestACallThatMakesAFullSessionIsShownWhole(t *testing.T) {
	full := cloud.Session{ID: "1", SessionSpec: cloud.SessionSpec{
		Name: "n", Description: "d", FilterID: "f", TargetID: "t", TargetType: cloud.TargetInterface, VNI: 1, PacketLength: 96, Priority: 5, Enabled: true,
	}}
	for i := range plan.DocumentedSources {
		full.Sources = append(full.Sources, fmt.Sprint("source ", i))
	}
	shown, _ := planned([]call{turned(nil, &full)}, naming{}, false)
	for _, c := range shown[0].Changes {
		if c.Field == "more" {
			t.Errorf("%s are left out", c.Want)
		}
	}
	if len(shown[0].Changes) < plan.DocumentedSources {
		t.Errorf("it shows %v", shown[0].Changes)
	}
}
