package huawei

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"vpcmirror.io/operator/controllers/cloud"
)

// loose is a value of an answer whatever its JSON type: a number can come as a text, and one odd
// object must not hide the others of its page. What is null or absent is empty. A list or an
// object is kept as its text, which no reader of a value takes.
type loose string

// UnmarshalJSON takes every value.
func (l *loose) UnmarshalJSON(value []byte) error {
	var text string
	switch last := len(value) - 1; {
	case last > 0 && value[0] == '"' && value[last] == '"' && !bytes.ContainsFunc(value, escapes): // nearly all
		text = string(value[1:last])
	case string(value) == "null":
	case json.Unmarshal(value, &text) == nil:
	default:
		text = string(value)
	}
	*l = loose(strings.TrimSpace(text))
	return nil
}

// escapes reports what stands for something else in a text of JSON, or may be no text.
func escapes(r rune) bool { return r == '\\' || r >= utf8.RuneSelf }

// or is the value, or another where it is empty.
func (l loose) or(other loose) loose {
	if l == "" {
		return other
	}
	return l
}

// textsOf gives the values as texts.
func textsOf(values []loose) []string {
	texts := make([]string, 0, len(values))
	for _, v := range values {
		texts = append(texts, string(v))
	}
	return texts
}

// maxOddities is how many fields of an object are named: one is enough to find it.
const maxOddities = 3

// oddities collects what could not be understood of an object.
type oddities []string

// unless notes the field where it was not understood.
func (o *oddities) unless(understood bool, field string, value loose) {
	if !understood && len(*o) < maxOddities {
		*o = append(*o, field+" "+strconv.Quote(shorten(string(value))))
	}
}

func (o oddities) String() string { return strings.Join(o, ", ") }

// switchedOn reads a switch that is on unless it says otherwise.
func (o *oddities) switchedOn(field string, value loose) bool {
	off := strings.EqualFold(string(value), "false")
	o.unless(off || value == "" || strings.EqualFold(string(value), "true"), field, value)
	return !off
}

// anything are the words for every address, port or protocol, beside nothing at all.
func anything(s string) bool {
	return s == "" || s == "*" || strings.EqualFold(s, "any") || strings.EqualFold(s, "all")
}

// protocolNames are the names of protocols by their number, and protocolNumbers other names of
// theirs, and the numbers of those that we have no name for.
var (
	protocolNames   = map[string]string{"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}
	protocolNumbers = map[string]string{
		"icmp6": "58", "ipv6-icmp": "58", "igmp": "2", "ipip": "4", "gre": "47", "esp": "50", "ah": "51", "vrrp": "112", "sctp": "132", "udplite": "136",
	}
)

// protocolIn reads the protocol of a rule of a group or an ACL: a name or a number.
func (o *oddities) protocolIn(value loose) string {
	s := strings.ToLower(string(value))
	if anything(s) || s == "-1" {
		return ""
	}
	if number, ok := protocolNumbers[s]; ok {
		s = number
	}
	if number, err := strconv.ParseUint(s, 10, 8); err == nil {
		s = strconv.FormatUint(number, 10)
		if name, ok := protocolNames[s]; ok {
			return name
		}
		return s
	}
	for _, name := range protocolNames {
		if s == name {
			return name
		}
	}
	o.unless(false, "protocol", value)
	return s
}

// isICMP reports whether the ports of a rule are types and codes.
func isICMP(protocol string) bool { return protocol == "icmp" || protocol == "icmpv6" }

// portsIn reads the ports of a rule of a group or an ACL: "80", "1-30", "22,3389,80", or a mix.
// What allows every port gives none.
func (o *oddities) portsIn(field string, value loose) []cloud.PortRange {
	ranges, ok := multiport(string(value))
	o.unless(ok, field, value)
	return ranges
}

func multiport(s string) ([]cloud.PortRange, bool) {
	if s = strings.TrimSpace(s); anything(s) {
		return nil, true
	}
	var ranges []cloud.PortRange
	every := false
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(strings.ReplaceAll(part, ":", "-"), "-")
		if !isRange {
			to = from
		}
		low, errLow := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
		high, errHigh := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
		if errLow != nil || errHigh != nil || high < low || high == 0 { // port 0 alone is no port of UDP or TCP
			return nil, false
		}
		low = max(low, 1)
		every = every || low == 1 && high == 65535
		ranges = append(ranges, cloud.PortRange{Low: uint16(low), High: uint16(high)})
	}
	if every {
		return nil, true
	}
	return ranges, true
}

// prefixIn reads an address or a CIDR; the zero value means every address.
func (o *oddities) prefixIn(field string, value loose) netip.Prefix {
	prefix, ok := networkOf(string(value))
	o.unless(ok, field, value)
	return prefix
}

func networkOf(s string) (netip.Prefix, bool) {
	if anything(s) {
		return netip.Prefix{}, true
	}
	prefix, ok := prefixOf(s)
	if !ok {
		return netip.Prefix{}, false
	}
	if address := prefix.Addr(); address.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, false
		}
		prefix = netip.PrefixFrom(address.Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), true
}

// rangeOf reads an entry of an address group: an address, a CIDR, or "first-last".
func rangeOf(s string) (cloud.AddressRange, bool) {
	if from, to, isRange := strings.Cut(s, "-"); isRange {
		first, err := netip.ParseAddr(strings.TrimSpace(from))
		if err != nil || first.Zone() != "" {
			return cloud.AddressRange{}, false
		}
		last, err := netip.ParseAddr(strings.TrimSpace(to))
		first, last = first.Unmap(), last.Unmap()
		if err != nil || last.Zone() != "" || first.BitLen() != last.BitLen() || last.Less(first) {
			return cloud.AddressRange{}, false
		}
		return cloud.AddressRange{First: first, Last: last}, true
	}
	prefix, ok := networkOf(s)
	if !ok || !prefix.IsValid() {
		return cloud.AddressRange{}, false
	}
	return cloud.AddressRange{First: prefix.Addr(), Last: lastOf(prefix)}, true
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes) // as long as it was
	return last
}
