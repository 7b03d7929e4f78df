package huawei

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestPortsAreReadInEveryFormThatTheCloudWrites(t *testing.T) {
	for text, want := range map[string][]cloud.PortRange{
		"80":            {{Low: 80, High: 80}},
		"1-30":          {{Low: 1, High: 30}},
		"22,3389,80":    {{Low: 22, High: 22}, {Low: 3389, High: 3389}, {Low: 80, High: 80}},
		"22, 1-30 , 80": {{Low: 22, High: 22}, {Low: 1, High: 30}, {Low: 80, High: 80}},
		"4000:5000":     {{Low: 4000, High: 5000}},
		"0-99":          {{Low: 1, High: 99}},
		"":              nil,
		" ":             nil,
		"any":           nil,
		"ALL":           nil,
		"*":             nil,
		"1-65535":       nil,
		"0-65535":       nil,
		"80,1-65535":    nil,
	} {
		got, ok := multiport(text)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%q is read: %t (-want +got):\n%s", text, ok, diff)
		}
	}
	for _, text := range []string{"http", "80-", "-80", "30-1", "70000", "1-70000", "22,,80", "22,", ",", "0", "80;90", "1-2-3", "+80", "0x50", "[1]"} {
		if got, ok := multiport(text); ok || got != nil {
			t.Errorf("%q is read as %v, want that it can't be read", text, got)
		}
	}
}

func TestWhateverPortsAreWrittenTheyAreReadAsTheyWereMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []cloud.PortRange
		var parts []string
		for range rapid.IntRange(1, 5).Draw(t, "ranges") {
			low := rapid.Uint16Range(2, 65535).Draw(t, "low")
			high := rapid.Uint16Range(low, 65535).Draw(t, "high")
			want = append(want, cloud.PortRange{Low: low, High: high})
			form := fmt.Sprintf("%d%s%d", low, rapid.SampledFrom([]string{"-", ":", " - "}).Draw(t, "between"), high)
			if low == high && rapid.Bool().Draw(t, "alone") {
				form = fmt.Sprint(low)
			}
			parts = append(parts, form)
		}
		text := strings.Join(parts, rapid.SampledFrom([]string{",", ", ", " ,"}).Draw(t, "separator"))
		got, ok := multiport(text)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Fatalf("%q is read: %t (-want +got):\n%s", text, ok, diff)
		}
	})
}

// FuzzAnyTextIsReadToTheEndOrNotAtAll feeds the readers of ports, networks and ranges with what a
// cloud could say.
func FuzzAnyTextIsReadToTheEndOrNotAtAll(f *testing.F) {
	for _, text := range []string{"80", "22,3389,80", "1-30", "0-65535", "any", "192.168.0.0/24", "::/0", "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.1-10.0.0.9", "10.0.0.9-::1", "-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ranges, ok := multiport(text)
		if !ok && ranges != nil {
			t.Errorf("ports %q can't be read and give %v", text, ranges)
		}
		for _, r := range ranges {
			if r.Low < 1 || r.High < r.Low || r == (cloud.PortRange{Low: 1, High: 65535}) {
				t.Errorf("ports %q give the range %v", text, r)
			}
		}
		if prefix, ok := networkOf(text); prefix.IsValid() && (!ok || prefix != prefix.Masked() || prefix.Addr().Is4In6() || prefix.Addr().Zone() != "") {
			t.Errorf("network %q gives %v and %t", text, prefix, ok)
		}
		addresses, ok := rangeOf(text)
		if ok && (addresses.Last.Less(addresses.First) || addresses.First.BitLen() != addresses.Last.BitLen() || addresses.First.Is4In6() || addresses.First.Zone() != "") {
			t.Errorf("addresses %q give %v", text, addresses)
		}
		if !ok && addresses != (cloud.AddressRange{}) {
			t.Errorf("addresses %q can't be read and give %v", text, addresses)
		}
	})
}

func TestNetworksAndRangesAreReadInEveryFormThatTheCloudWrites(t *testing.T) {
	networks := map[string]string{
		"192.168.0.0/24": "192.168.0.0/24", "192.168.0.7/24": "192.168.0.0/24", "192.168.0.7": "192.168.0.7/32", " 10.0.0.1 ": "10.0.0.1/32",
		"0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0", "2001:db8::1": "2001:db8::1/128", "::ffff:10.0.0.1": "10.0.0.1/32", "::ffff:10.0.0.0/104": "10.0.0.0/8",
	}
	for text, want := range networks {
		if got, ok := networkOf(text); !ok || got.String() != want {
			t.Errorf("network %q gives %v and %t, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "any", "Any", "*", "all"} {
		if got, ok := networkOf(text); !ok || got.IsValid() {
			t.Errorf("network %q gives %v and %t, want every address", text, got, ok)
		}
	}
	for _, text := range []string{"10.0.0.0/33", "10.0.0", "example.com", "fe80::1%eth0", "::ffff:0:0/64", "10.0.0.0/24/24"} {
		if got, ok := networkOf(text); ok || got.IsValid() {
			t.Errorf("network %q gives %v, want that it can't be read", text, got)
		}
	}
	for text, want := range map[string]string{
		"10.0.0.1": "10.0.0.1 10.0.0.1", "10.0.0.1-10.0.0.9": "10.0.0.1 10.0.0.9", "10.0.0.1 - 10.0.0.1": "10.0.0.1 10.0.0.1",
		"10.0.0.0/30": "10.0.0.0 10.0.0.3", "0.0.0.0/0": "0.0.0.0 255.255.255.255", "2001:db8::/126": "2001:db8:: 2001:db8::3",
	} {
		if got, ok := rangeOf(text); !ok || got.First.String()+" "+got.Last.String() != want {
			t.Errorf("addresses %q give %v and %t, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "any", "10.0.0.9-10.0.0.1", "10.0.0.1-", "-10.0.0.1", "10.0.0.1-::1", "10.0.0.1-10.0.0.2-10.0.0.3", "fe80::1%a-fe80::2%a"} {
		if got, ok := rangeOf(text); ok {
			t.Errorf("addresses %q give %v, want that they can't be read", text, got)
		}
	}
}

func TestTheLastAddressOfANetworkIsInItAndNoOneAfter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		address, ok := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "IPv4"))
		if rapid.Bool().Draw(t, "6") {
			address, ok = netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "IPv6"))
		}
		if !ok {
			t.Fatal("no address")
		}
		network := netip.PrefixFrom(address, rapid.IntRange(0, address.BitLen()).Draw(t, "bits")).Masked()
		last := lastOf(network)
		if next := last.Next(); !network.Contains(last) || next.IsValid() && network.Contains(next) {
			t.Fatalf("of %s the last is %s", network, last)
		}
	})
}

func TestProtocolsAreNamesOrNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"udp": "udp", "UDP": "udp", "17": "udp", "6": "tcp", "ICMPV6": "icmpv6", "ipv6-icmp": "icmpv6", "58": "icmpv6", "1": "icmp", "gre": "47", "47": "47", "047": "47",
		"": "", "any": "", "ALL": "", "-1": "", "0": "0", "255": "255",
	} {
		var odd oddities
		if got := odd.protocolIn(loose(text)); got != want || odd != nil {
			t.Errorf("protocol %q is %q (%s), want %q", text, got, odd, want)
		}
	}
	for _, text := range []string{"256", "udp,tcp", "quic", "1.5"} {
		var odd oddities
		odd.protocolIn(loose(text))
		if want := fmt.Sprintf("protocol %q", text); odd.String() != want {
			t.Errorf("protocol %q: not understood is %q, want %q", text, odd, want)
		}
	}
}

func TestARuleOfAGroupIsReadAsTheReferenceMeansIt(t *testing.T) {
	usual := func() groupRule {
		return groupRule{ID: someID, SecurityGroupID: "g", Direction: "ingress", Ethertype: "IPv4", Protocol: "udp", Multiport: "4789", Action: "allow", Priority: "1", Enabled: "true"}
	}
	want := func() cloud.GroupRule {
		return cloud.GroupRule{ID: someID, Direction: cloud.Ingress, Protocol: "udp", Ports: []cloud.PortRange{{Low: 4789, High: 4789}}, Allow: true, Priority: 1}
	}
	for name, tc := range map[string]struct {
		change func(*groupRule)
		want   func(*cloud.GroupRule)
	}{
		"as it is":                            {func(*groupRule) {}, func(*cloud.GroupRule) {}},
		"enabled, where it does not say":      {func(m *groupRule) { m.Enabled = "" }, func(*cloud.GroupRule) {}},
		"disabled":                            {func(m *groupRule) { m.Enabled = "false" }, func(r *cloud.GroupRule) { r.Disabled = true }},
		"about IPv4, where it does not say":   {func(m *groupRule) { m.Ethertype = "" }, func(*cloud.GroupRule) {}},
		"about IPv6":                          {func(m *groupRule) { m.Ethertype = "ipv6" }, func(r *cloud.GroupRule) { r.IPv6 = true }},
		"first, where it has no priority":     {func(m *groupRule) { m.Priority = "" }, func(*cloud.GroupRule) {}},
		"last":                                {func(m *groupRule) { m.Priority = "100" }, func(r *cloud.GroupRule) { r.Priority = 100 }},
		"as a denial, in any case of letters": {func(m *groupRule) { m.Action, m.Direction = "DENY", "Egress" }, func(r *cloud.GroupRule) { r.Allow, r.Direction = false, cloud.Egress }},
		"about every port":                    {func(m *groupRule) { m.Multiport = "" }, func(r *cloud.GroupRule) { r.Ports = nil }},
		"without the types and codes of ICMP": {func(m *groupRule) { m.Protocol, m.Multiport = "icmp", "8-0" }, func(r *cloud.GroupRule) { r.Protocol, r.Ports = "icmp", nil }},
		"about a network":                     {func(m *groupRule) { m.RemoteIPPrefix = "10.0.0.0/8" }, func(r *cloud.GroupRule) { r.Remote = netip.MustParsePrefix("10.0.0.0/8") }},
		"about a group":                       {func(m *groupRule) { m.RemoteGroupID = "h" }, func(r *cloud.GroupRule) { r.RemoteGroupID = "h" }},
		"about an address group":              {func(m *groupRule) { m.RemoteAddressGroupID = "a" }, func(r *cloud.GroupRule) { r.RemoteAddressGroupID = "a" }},
		"marked: two remotes": {func(m *groupRule) { m.RemoteGroupID, m.RemoteAddressGroupID = "h", "a" }, func(r *cloud.GroupRule) {
			r.RemoteGroupID, r.RemoteAddressGroupID, r.Unreadable = "h", "a", `remote_group_id beside another remote "h"`
		}},
		"marked: neither allow nor deny":       {func(m *groupRule) { m.Action = "" }, func(r *cloud.GroupRule) { r.Allow, r.Unreadable = false, `action ""` }},
		"marked: a priority that is none":      {func(m *groupRule) { m.Priority = "0" }, func(r *cloud.GroupRule) { r.Priority, r.Unreadable = 0, `priority "0"` }},
		"marked: a direction that is none":     {func(m *groupRule) { m.Direction = "both" }, func(r *cloud.GroupRule) { r.Direction, r.Unreadable = "", `direction "both"` }},
		"marked: a family that is none":        {func(m *groupRule) { m.Ethertype = "IPv5" }, func(r *cloud.GroupRule) { r.Unreadable = `ethertype "IPv5"` }},
		"marked: neither enabled nor disabled": {func(m *groupRule) { m.Enabled = "maybe" }, func(r *cloud.GroupRule) { r.Unreadable = `enabled "maybe"` }},
		"marked: ports that are none":          {func(m *groupRule) { m.Multiport = "vxlan" }, func(r *cloud.GroupRule) { r.Ports, r.Unreadable = nil, `multiport "vxlan"` }},
		"marked: a network that is none":       {func(m *groupRule) { m.RemoteIPPrefix = "10.0.0.0/99" }, func(r *cloud.GroupRule) { r.Unreadable = `remote_ip_prefix "10.0.0.0/99"` }},
		"marked, with the first oddities": {func(m *groupRule) { m.Protocol, m.Direction, m.Action, m.Ethertype = "x", "y", "z", "w" }, func(r *cloud.GroupRule) {
			r.Protocol, r.Direction, r.Allow, r.Unreadable = "x", "", false, `protocol "x", direction "y", ethertype "w"`
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m, want := usual(), want()
			tc.change(&m)
			tc.want(&want)
			got, err := groupRuleOf(&m)
			if err != nil || got.group != "g" {
				t.Fatalf("got a rule of %q and %v", got.group, err)
			}
			if diff := cmp.Diff(want, got.GroupRule, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARuleOfAnACLIsReadAsTheReferenceMeansIt(t *testing.T) {
	usual := func() firewallRule {
		return firewallRule{ID: someID, Name: "vxlan", Action: "allow", Protocol: "UDP", IPVersion: "4", SourceIPAddress: "192.168.0.0/24", DestinationPort: "4789", Enabled: "true"}
	}
	want := func() cloud.ACLRule {
		return cloud.ACLRule{ID: someID, Name: "vxlan", Allow: true, Protocol: "udp", Source: netip.MustParsePrefix("192.168.0.0/24"), DestinationPorts: []cloud.PortRange{{Low: 4789, High: 4789}}}
	}
	for name, tc := range map[string]struct {
		change func(*firewallRule)
		want   func(*cloud.ACLRule)
	}{
		"as it is":                          {func(*firewallRule) {}, func(*cloud.ACLRule) {}},
		"enabled, where it does not say":    {func(m *firewallRule) { m.Enabled = "" }, func(*cloud.ACLRule) {}},
		"disabled":                          {func(m *firewallRule) { m.Enabled = "False" }, func(r *cloud.ACLRule) { r.Disabled = true }},
		"about IPv4, where it does not say": {func(m *firewallRule) { m.IPVersion = "" }, func(*cloud.ACLRule) {}},
		"about IPv6":                        {func(m *firewallRule) { m.IPVersion = "6" }, func(r *cloud.ACLRule) { r.IPv6 = true }},
		"about anything, by words": {func(m *firewallRule) {
			m.Protocol, m.SourceIPAddress, m.DestinationIPAddress, m.SourcePort, m.DestinationPort = "any", "any", "*", "Any", "*"
		}, func(r *cloud.ACLRule) { r.Protocol, r.Source, r.DestinationPorts = "", netip.Prefix{}, nil }},
		"about an address group": {func(m *firewallRule) { m.SourceIPAddress, m.SourceAddressGroupID = "", "a" },
			func(r *cloud.ACLRule) { r.Source, r.SourceAddressGroup = netip.Prefix{}, "a" }},
		"about an address group beside every address": {func(m *firewallRule) { m.SourceIPAddress, m.SourceAddressGroupID = "0.0.0.0/0", "a" },
			func(r *cloud.ACLRule) { r.Source, r.SourceAddressGroup = netip.MustParsePrefix("0.0.0.0/0"), "a" }},
		"marked: an address group beside an address": {func(m *firewallRule) { m.SourceAddressGroupID = "a" },
			func(r *cloud.ACLRule) {
				r.SourceAddressGroup, r.Unreadable = "a", `source_address_group_id beside an address "a"`
			}},
		"without the types of ICMP": {func(m *firewallRule) { m.Protocol, m.DestinationPort = "icmp", "?" },
			func(r *cloud.ACLRule) { r.Protocol, r.DestinationPorts = "icmp", nil }},
		"marked: a version that is none": {func(m *firewallRule) { m.IPVersion = "5" }, func(r *cloud.ACLRule) { r.Unreadable = `ip_version "5"` }},
		"marked: ports that are none":    {func(m *firewallRule) { m.SourcePort = "9-8" }, func(r *cloud.ACLRule) { r.Unreadable = `source_port "9-8"` }},
		"marked: an action that is none": {func(m *firewallRule) { m.Action = "reject" }, func(r *cloud.ACLRule) { r.Allow, r.Unreadable = false, `action "reject"` }},
	} {
		t.Run(name, func(t *testing.T) {
			m, want := usual(), want()
			tc.change(&m)
			tc.want(&want)
			if diff := cmp.Diff(want, aclRuleOf(&m), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnyTextOfJSONIsReadAsItWasMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		written, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var meant string
		var got loose
		if err := json.Unmarshal(written, &meant); err != nil { // what can't be written is written as something else
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &got); err != nil || string(got) != strings.TrimSpace(meant) {
			t.Errorf("%s is read as %q and %v, want %q", written, got, err, meant)
		}
	})
}
