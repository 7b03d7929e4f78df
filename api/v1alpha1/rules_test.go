package v1alpha1_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/api/v1alpha1"
)

var comparePrefixes = cmpopts.EquateComparable(netip.Prefix{})

func peer(cidr string, ports ...int32) *v1alpha1.RulePeer {
	p := &v1alpha1.RulePeer{CIDR: cidr}
	if len(ports) > 0 {
		p.Port = &ports[0]
	}
	if len(ports) > 1 {
		p.EndPort = &ports[1]
	}
	return p
}

func TestARuleIsReadTheSameHoweverItIsWritten(t *testing.T) {
	prefix := netip.MustParsePrefix
	for name, c := range map[string]struct {
		give *v1alpha1.RulePeer
		ipv6 bool
		want v1alpha1.Peer
	}{
		"no peer is everything":                     {nil, false, v1alpha1.Peer{}},
		"an empty peer is everything":               {peer(""), false, v1alpha1.Peer{}},
		"every IPv4 address is no prefix":           {peer("0.0.0.0/0"), false, v1alpha1.Peer{}},
		"every IPv6 address is no prefix":           {peer("::/0"), true, v1alpha1.Peer{}},
		"bits behind the prefix length are cleared": {peer("10.1.2.3/8"), false, v1alpha1.Peer{Prefix: prefix("10.0.0.0/8")}},
		"one port":                      {peer("", 1234), false, v1alpha1.Peer{Ports: v1alpha1.PortRange{Low: 1234, High: 1234}}},
		"a range of ports":              {peer("", 1, 65534), false, v1alpha1.Peer{Ports: v1alpha1.PortRange{Low: 1, High: 65534}}},
		"a range of every port is none": {peer("", 1, 65535), false, v1alpha1.Peer{}},
		"an IPv6 prefix":                {peer("2001:db8::1/64"), true, v1alpha1.Peer{Prefix: prefix("2001:db8::/64")}},
		"a prefix of one address and a port together": {peer("192.168.0.161/32", 80), false, v1alpha1.Peer{Prefix: prefix("192.168.0.161/32"), Ports: v1alpha1.PortRange{Low: 80, High: 80}}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := v1alpha1.MirrorFilterSpec{Rules: []v1alpha1.FilterRule{{
				Direction: v1alpha1.DirectionEgress, Priority: 7, Action: v1alpha1.ActionAccept, Source: c.give, Destination: c.give,
			}}}
			if c.ipv6 {
				spec.Rules[0].EtherType = v1alpha1.EtherTypeIPv6
			}
			got, err := spec.ReadRules()
			if err != nil {
				t.Fatal(err)
			}
			want := []v1alpha1.Rule{{
				Direction: v1alpha1.DirectionEgress, Priority: 7, Accept: true, IPv6: c.ipv6, Protocol: v1alpha1.ProtocolAll,
				Source: c.want, Destination: c.want,
			}}
			if diff := cmp.Diff(want, got, comparePrefixes); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARuleThatCantBeReadIsRefusedByFieldValueAndRemedy(t *testing.T) {
	for want, give := range map[string]v1alpha1.FilterRule{
		`spec.rules[1].source.cidr: "10.0.0.1" is not an address with a prefix length, such as 192.168.0.161/32`:           {Source: peer("10.0.0.1")},
		`spec.rules[1].destination.cidr: "2001:db8::/64" is not of the family of etherType: change one of the two`:         {Destination: peer("2001:db8::/64")},
		`spec.rules[1].source.cidr: "10.0.0.0/8" is not of the family of etherType: change one of the two`:                 {EtherType: v1alpha1.EtherTypeIPv6, Source: peer("10.0.0.0/8")},
		`spec.rules[1].source.port: 20 to 10 is no range of ports: ports go from 1 to 65535, the smaller first`:            {Source: peer("", 20, 10)},
		`spec.rules[1].destination.port: 0 to 0 is no range of ports: ports go from 1 to 65535, the smaller first`:         {Destination: peer("", 0)},
		`spec.rules[1].destination.port: 70000 to 70000 is no range of ports: ports go from 1 to 65535, the smaller first`: {Destination: peer("", 70000)},
		`spec.rules[1].destination.port: 443 to 65536 is no range of ports: ports go from 1 to 65535, the smaller first`:   {Destination: peer("", 443, 65536)},
	} {
		spec := v1alpha1.MirrorFilterSpec{Rules: []v1alpha1.FilterRule{{}, give}}
		if rules, err := spec.ReadRules(); err == nil || err.Error() != want || rules != nil {
			t.Errorf("%+v gives %v and the error %v, want %s", give, rules, err, want)
		}
	}
}
