package huawei

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
)

const someID = "5a1f0c7e-0000-4000-8000-000000000001"

func wireModel(change func(*model.TrafficMirrorFilterRule)) *model.TrafficMirrorFilterRule {
	m := &model.TrafficMirrorFilterRule{
		Id: someID, Direction: "ingress", Protocol: "tcp", Ethertype: "ipv4", Action: "accept", Priority: 1,
		SourceCidrBlock: "192.168.0.161/32 ", DestinationPortRange: "1234-1234",
	}
	change(m)
	return m
}

func TestARuleOfTheCloudIsRead(t *testing.T) {
	base := cloud.Rule{ID: someID, RuleSpec: cloud.RuleSpec{
		Direction: cloud.Ingress, Priority: 1, Accept: true, Protocol: cloud.TCP,
		Source: netip.MustParsePrefix("192.168.0.161/32"), DestinationPorts: cloud.PortRange{Low: 1234, High: 1234},
	}}
	for name, tc := range map[string]struct {
		change func(*model.TrafficMirrorFilterRule)
		want   func(*cloud.Rule)
	}{
		"in any case of letters, with a trailing blank": {func(m *model.TrafficMirrorFilterRule) { m.Action, m.Direction = "ACCEPT", "Ingress" }, func(*cloud.Rule) {}},
		"with an address in place of a CIDR":            {func(m *model.TrafficMirrorFilterRule) { m.SourceCidrBlock = "192.168.0.161" }, func(*cloud.Rule) {}},
		"with one port in place of a range":             {func(m *model.TrafficMirrorFilterRule) { m.DestinationPortRange = "1234" }, func(*cloud.Rule) {}},
		"without a direction, which its list tells":     {func(m *model.TrafficMirrorFilterRule) { m.Direction = "" }, func(*cloud.Rule) {}},
		"without a CIDR and ports": {func(m *model.TrafficMirrorFilterRule) { m.SourceCidrBlock, m.DestinationPortRange = "", " " },
			func(r *cloud.Rule) { r.Source, r.DestinationPorts = netip.Prefix{}, cloud.PortRange{} }},
		"marked, with a protocol that is unknown": {func(m *model.TrafficMirrorFilterRule) { m.Protocol = "SCTP" },
			func(r *cloud.Rule) { r.Protocol, r.Unreadable = "", `protocol "SCTP"` }},
		"marked, with several broken fields": {func(m *model.TrafficMirrorFilterRule) {
			m.SourceCidrBlock, m.DestinationPortRange, m.Ethertype, m.Action, m.Priority, m.Direction = "10.0.0.0/99", "9-8", "", "drop", 0, "egress"
		}, func(r *cloud.Rule) {
			r.Source, r.DestinationPorts, r.Accept, r.Priority, r.Protocol = netip.Prefix{}, cloud.PortRange{}, false, 0, ""
			r.Unreadable = `direction "egress", priority "0", action "drop", ethertype "", source_cidr_block "10.0.0.0/99", destination_port_range "9-8"`
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want := base
			tc.want(&want)
			got, err := ruleOf(wireModel(tc.change), cloud.Ingress)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("not without an ID, because nobody could remove it", func(t *testing.T) {
		if got, err := ruleOf(wireModel(func(m *model.TrafficMirrorFilterRule) { m.Id = "" }), cloud.Ingress); err == nil {
			t.Errorf("got %+v, want an error", got)
		}
	})
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
			b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")
			return netip.PrefixFrom(netip.AddrFrom4([4]byte(b)), rapid.IntRange(0, 32).Draw(t, "bits"))
		})
		ports := rapid.Custom(func(t *rapid.T) cloud.PortRange {
			low := rapid.Uint16Range(1, 65535).Draw(t, "low")
			return cloud.PortRange{Low: low, High: rapid.Uint16Range(low, 65535).Draw(t, "high")}
		})
		want := cloud.RuleSpec{
			Direction:        rapid.SampledFrom([]cloud.Direction{cloud.Ingress, cloud.Egress}).Draw(t, "direction"),
			Priority:         rapid.IntRange(1, 65535).Draw(t, "priority"),
			Accept:           rapid.Bool().Draw(t, "accept"),
			IPv6:             rapid.Bool().Draw(t, "IPv6"),
			Protocol:         rapid.SampledFrom([]cloud.Protocol{cloud.TCP, cloud.UDP, cloud.ICMP, cloud.ICMPv6, cloud.All}).Draw(t, "protocol"),
			Source:           rapid.OneOf(rapid.Just(netip.Prefix{}), prefix).Draw(t, "source"),
			Destination:      rapid.OneOf(rapid.Just(netip.Prefix{}), prefix).Draw(t, "destination"),
			SourcePorts:      rapid.OneOf(rapid.Just(cloud.PortRange{}), ports).Draw(t, "source ports"),
			DestinationPorts: rapid.OneOf(rapid.Just(cloud.PortRange{}), ports).Draw(t, "destination ports"),
		}
		w, err := wireRule("op", want)
		if err != nil {
			t.Fatal(err)
		}
		text := func(s *string) string {
			if s == nil {
				return ""
			}
			return *s
		}
		got, err := ruleOf(&model.TrafficMirrorFilterRule{
			Id: someID, Direction: w.direction, Protocol: w.protocol, Ethertype: w.ethertype, Action: w.action, Priority: w.priority,
			SourceCidrBlock: text(w.source), DestinationCidrBlock: text(w.destination),
			SourcePortRange: text(w.sourcePorts), DestinationPortRange: text(w.destinationPorts),
		}, want.Direction)
		if err != nil || got != (cloud.Rule{ID: someID, RuleSpec: want}) {
			t.Fatalf("wrote %+v, read back %+v (%v)", want, got, err)
		}
	})
}

func FuzzPortsFromTheCloud(f *testing.F) {
	for _, s := range []string{"", "80", "80-200", "0-5", "9-8", "1-65536", "-", "1-2-3", "+1", "１"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := portsOf(s)
		if !ok || strings.TrimSpace(s) == "" {
			if got != (cloud.PortRange{}) {
				t.Errorf("%q gives %+v", s, got)
			}
			return
		}
		if got.Low < 1 || got.High < got.Low {
			t.Errorf("%q gives the impossible %+v", s, got)
		}
	})
}

func TestAWrongRequestIsRefusedBeforeItIsSent(t *testing.T) {
	good := cloud.RuleSpec{Direction: cloud.Ingress, Priority: 1, Protocol: cloud.TCP}
	for name, change := range map[string]func(*cloud.RuleSpec){
		"a protocol that is none":  func(r *cloud.RuleSpec) { r.Protocol = "SCTP" },
		"a direction that is none": func(r *cloud.RuleSpec) { r.Direction = "" },
		"a priority of 0":          func(r *cloud.RuleSpec) { r.Priority = 0 },
		"a priority above 65535":   func(r *cloud.RuleSpec) { r.Priority = 65536 },
	} {
		t.Run(name, func(t *testing.T) {
			rule := good
			change(&rule)
			if _, err := wireRule("op", rule); cloud.ClassOf(err) != cloud.ClassInvalid {
				t.Errorf("got %v, want Invalid", err)
			}
		})
	}
	for name, call := range map[string]func() error{
		"a VNI of more than 24 bits":       func() error { return checkNumbers("op", new(1<<24), nil, nil) },
		"a negative VNI":                   func() error { return checkNumbers("op", new(-1), nil, nil) },
		"a packet length of 1461":          func() error { return checkNumbers("op", nil, new(1461), nil) },
		"a priority of a session of 32767": func() error { return checkNumbers("op", nil, nil, new(32767)) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(); cloud.ClassOf(err) != cloud.ClassInvalid {
				t.Errorf("got %v, want Invalid", err)
			}
		})
	}
}

func TestATimeThatCanNotBeReadIsNone(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-01-02T03:04:05Z": at, "2026-01-02T03:04:05": at, "2026-01-02T11:04:05+08:00": at, "": {}, "yesterday": {},
	} {
		if got := timeOf(text); !got.Equal(want) {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}
