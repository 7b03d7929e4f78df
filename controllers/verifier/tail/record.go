package tail

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/sample"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// View is what of a copy is shown, and how.
type View struct {
	// Outer is true for the whole copy, with the headers in which the mirror packs it.
	Outer bool
	// Payload is true for all that came, and not the headers alone.
	Payload bool
	// Pcapng is true for a capture file, false for lines.
	Pcapng bool
}

// record renders a copy, before which so many are missing. rules are the filter's, and judged is whether the cloud has just these.
func (v View) record(c *tally.Copy, rules []v1alpha1.Rule, judged bool, port uint16, missing uint64) []byte {
	if v.Pcapng {
		data, length := v.bytes(c)
		return appendPacket(nil, c.Time, data, length, comment(c, rules, judged), missing)
	}
	line := v.line(c, rules, judged, port)
	if missing > 0 {
		line = told(missing) + line
	}
	return []byte(line)
}

// told says in the midst of lines how many copies are not there.
func told(missing uint64) string {
	return fmt.Sprintf("-- %d copies are missing here: they came faster than they were read\n", missing)
}

// bytes are what is shown of a copy, and how many it had on its way.
func (v View) bytes(c *tally.Copy) (data []byte, length int) {
	inner := c.InnerFrame()
	if !v.Payload {
		inner = inner[:vxlan.HeaderEnd(inner)]
	}
	if v.Outer {
		return append(append(append([]byte{}, c.Shared...), c.Own[:vxlan.HeaderSize]...), inner...), c.Length
	}
	// What the mirror cut was there once.
	return inner, max(c.Outer.InnerLength, c.Inner.Declared)
}

// line is a copy as tcpdump would show it, behind what the filter says of it.
func (v View) line(c *tally.Copy, rules []v1alpha1.Rule, judged bool, port uint16) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, from %s: ", time.Unix(0, c.Time).UTC().Format("15:04:05.000000"), verdict(c.Result, rules, judged), c.Outer.Key.Source())
	inner := c.InnerFrame()
	if v.Outer {
		b.WriteString(sample.Outer(c.Shared, &c.Outer, c.Length, port))
	}
	b.WriteString(sample.Inner(inner, c.Outer.InnerLength))
	if note := joined(c); note != "" {
		b.WriteString(" (" + note + ")")
	}
	b.WriteByte('\n')
	if v.Payload {
		dump(&b, inner[vxlan.HeaderEnd(inner):])
	}
	return b.String()
}

// dump writes bytes as tcpdump -X does, in printable characters alone.
func dump(to *strings.Builder, payload []byte) {
	for line := range bytes.Lines([]byte(hex.Dump(payload))) {
		to.WriteByte('\t')
		to.Write(line)
	}
}

// comment is what a capture file says of a copy.
func comment(c *tally.Copy, rules []v1alpha1.Rule, judged bool) string {
	text := verdict(c.Result, rules, judged)
	if c.Inner.Declared > c.Outer.InnerLength {
		text += fmt.Sprintf("; the mirror cut it to %d bytes", c.Outer.InnerLength)
	}
	if note := joined(c); note != "" {
		text += "; " + note
	}
	return text
}

// joined says that the kernel had joined a copy with others.
func joined(c *tally.Copy) string {
	switch {
	case c.Packets > 1:
		return fmt.Sprintf("%d packets that the kernel joined", c.Packets)
	case c.Joined:
		return "joined with others by the kernel"
	}
	return ""
}

// verdict says what the filter makes of a copy, in the words of the status.
func verdict(r match.Result, rules []v1alpha1.Rule, judged bool) string {
	if !judged && r.Verdict == match.Unexpected {
		return "undecided (the filter is being changed, or not known)"
	}
	by := ""
	if r.Rule >= 0 && r.Rule < len(rules) {
		by = fmt.Sprintf(" by %s rule %d", strings.ToLower(string(rules[r.Rule].Direction)), rules[r.Rule].Priority)
	}
	switch r.Verdict {
	case match.Accepted:
		return "accepted" + by
	case match.Unexpected:
		if by != "" {
			return "unexpected, rejected" + by
		}
		return "unexpected, no rule accepts it"
	case match.NotIP:
		return "unexpected, not IP"
	case match.Undecidable:
		return "undecided, cut or fragmented"
	case match.Malformed:
		return "undecided, malformed"
	case match.DirectionUnknown:
		return "undecided, neither to nor from the source"
	}
	return r.Verdict.String()
}
