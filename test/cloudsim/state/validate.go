package state

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName        = 64
	maxDescription = 255
)

func checkName(name string) error {
	n := utf8.RuneCountInString(name)
	if n < 1 || n > maxName {
		return invalid("name", "the length must be 1 to %d characters, it is %d", maxName, n)
	}
	for _, r := range name {
		if !nameRune(r) {
			return invalid("name", "only digits, letters, underscores, hyphens and periods are allowed, found %q", r)
		}
	}
	return nil
}

func nameRune(r rune) bool {
	switch {
	case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_', r == '-', r == '.':
		return true
	}
	return unicode.Is(unicode.Han, r)
}

// fillName writes a name that was sent over the one that is there.
func (q *Quirks) fillName(field *string, in *string) error {
	if in == nil {
		return nil
	}
	text := q.text(*in)
	if err := checkName(text); err != nil {
		return err
	}
	*field = text
	return nil
}

// fillDescription writes a description that was sent over the one that is there.
func (q *Quirks) fillDescription(field *string, in *string) error {
	if in == nil {
		return nil
	}
	text := q.text(*in)
	if err := q.checkDescription(text); err != nil {
		return err
	}
	*field = text
	return nil
}

// text is what is kept of one that was sent.
func (q *Quirks) text(text string) string {
	if q.TrimTexts {
		return strings.TrimSpace(text)
	}
	return text
}

func (q *Quirks) checkDescription(text string) error {
	n, unit := utf8.RuneCountInString(text), "characters"
	if q.BytesCount {
		n, unit = len(text), "bytes"
	}
	if n > maxDescription {
		return invalid("description", "at most %d %s are allowed, it has %d", maxDescription, unit, n)
	}
	if strings.ContainsAny(text, "<>") {
		return invalid("description", "angle brackets (< or >) are not allowed")
	}
	return nil
}

func checkRange(field string, value, low, high int) error {
	if value < low || value > high {
		return invalid(field, "'%d' must be in %d-%d", value, low, high)
	}
	return nil
}

// pick finds value among the allowed ones without regard to case, and returns it in the allowed spelling.
func pick(field, value string, allowed ...string) (string, error) {
	for _, a := range allowed {
		if strings.EqualFold(a, value) {
			return a, nil
		}
	}
	return "", invalid(field, "'%s' is not in [%s]", value, strings.Join(allowed, ", "))
}

var mirrorProtocols = []string{"TCP", "UDP", "ICMP", "ICMPV6", "ALL"}

// checkProtocol reads the protocol of a rule of a security group or network ACL.
func checkProtocol(text string) error {
	if slices.Contains([]string{"tcp", "udp", "icmp", "icmpv6"}, text) {
		return nil
	}
	if n, err := strconv.Atoi(text); err != nil || n < 0 || n > 255 {
		return invalid("protocol", "'%s' is none of tcp, udp, icmp, icmpv6 or a number 0-255", text)
	}
	return nil
}

func checkCIDR(field, cidr, etherType string) error {
	if cidr == "" {
		return nil
	}
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return invalid(field, "'%s' is not a valid CIDR", cidr)
	}
	if p.Addr().Is4() != (etherType == "IPv4") {
		return invalid(field, "'%s' does not belong to ethertype %s", cidr, etherType)
	}
	return nil
}

func checkPortRange(field, ports string) error {
	if ports == "" {
		return nil
	}
	if _, _, ok := ParsePortRange(ports); !ok {
		return invalid(field, "'%s' is not a range such as 80-200 within 1-65535", ports)
	}
	return nil
}

// ParsePortRange reads "low-high" with 1 <= low <= high <= 65535.
func ParsePortRange(text string) (low, high uint16, ok bool) {
	a, b, found := strings.Cut(text, "-")
	if !found {
		return 0, 0, false
	}
	low, okLow := parsePort(a)
	high, okHigh := parsePort(b)
	return low, high, okLow && okHigh && low <= high
}

func parsePort(text string) (uint16, bool) {
	if text == "" || len(text) > 5 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return 0, false
	}
	return uint16(n), true
}

// checkMultiport accepts what a security group rule may carry: 80, 1-30 or 22,3389,80.
func checkMultiport(field, text string) error {
	if text == "" {
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		if _, ok := parsePort(part); ok {
			continue
		}
		if _, _, ok := ParsePortRange(part); ok {
			continue
		}
		return invalid(field, "'%s' is not a list of ports and ranges such as 22,80-90", text)
	}
	return nil
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// FilterInput is the body of a filter's create or update; nil means absent.
type FilterInput struct {
	Name, Description *string
}

// RuleInput is the body of a rule's create or update; nil means absent.
type RuleInput struct {
	FilterID, Direction                   *string
	Protocol, EtherType, Action           *string
	Priority                              *int
	SourceCIDR, DestinationCIDR           *string
	SourcePortRange, DestinationPortRange *string
	Description                           *string
}

// SessionInput is the body of a session's create or update; nil means absent.
type SessionInput struct {
	Name, Description    *string
	FilterID             *string
	Sources              *[]string // create only
	TargetID, TargetType *string
	VNI, PacketLength    *int
	Priority             *int
	Enabled              *bool
	Type                 *string // create only
}

// GroupRuleInput is the body of a security group rule's create or update; nil means absent.
type GroupRuleInput struct {
	GroupID, Description, Direction, EtherType, Protocol, Multiport *string
	RemotePrefix, RemoteGroup, RemoteAddressGroup, Action           *string
	Priority                                                        *int
	Enabled                                                         *bool
}

// required reports the first absent field, in the order given.
func required(fields ...any) error {
	for i := 0; i+1 < len(fields); i += 2 {
		absent := false
		switch p := fields[i+1].(type) {
		case *string:
			absent = p == nil
		case *int:
			absent = p == nil
		case *[]string:
			absent = p == nil
		}
		if absent {
			return invalid(fields[i].(string), "the field is required")
		}
	}
	return nil
}

func without(list []string, remove []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(remove, s) })
}

func firstDuplicate(list []string) (string, bool) {
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if seen[s] {
			return s, true
		}
		seen[s] = true
	}
	return "", false
}
