package read

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// maxShown are the streams whose times and sample are shown to a person; JSON has all.
const maxShown = 16

// text prints a report for people.
func text(w io.Writer, r Report) error {
	var b strings.Builder
	packets := uint64(0)
	for i := range r.Streams {
		packets += r.Streams[i].Packets
	}
	sofar := ""
	if r.Interim {
		sofar = " so far"
	}
	fmt.Fprintf(&b, "%s: frames %d, streams %d, packets %d%s\n", r.File, r.Frames, len(r.Streams), packets, sofar)
	if len(r.Streams) > 0 {
		if err := table(&b, r.Streams); err != nil {
			return err
		}
		details(&b, r.Streams)
	}
	for i, rule := range r.Rules {
		action := "Reject"
		if rule.Accept {
			action = "Accept"
		}
		fmt.Fprintf(&b, "rule %d, %s priority %d, %s: packets %d\n", i, rule.Direction, rule.Priority, action, rule.Packets)
	}
	if other := otherText(r); other != "" {
		fmt.Fprintf(&b, "other frames: %s\n", other)
	}
	if r.Other.TooManyStreams > 0 {
		fmt.Fprintf(&b, "only the first %d streams are kept apart, what is in further ones is not counted by stream\n", maxStreams)
	}
	if r.Note != "" {
		fmt.Fprintf(&b, "note: %s\n", r.Note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// table has a line for each stream.
func table(b io.Writer, streams []Stream) error {
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	judged := streams[0].Judged != nil
	fmt.Fprint(table, "SOURCE\tVNI\tPACKETS\tBYTES\tPACKETS/S\tBYTES/S\tINGRESS\tEGRESS\tTRUNCATED\tSUPER-FRAMES\t")
	if judged {
		fmt.Fprint(table, "ACCEPTED\tUNEXPECTED\tUNDECIDED\t")
	}
	fmt.Fprint(table, "\n")
	for i := range streams {
		s := &streams[i]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t", s.Source, s.VNI, s.Packets, s.Bytes,
			perSecond(s.PacketsPerSecond), perSecond(s.BytesPerSecond), s.Directions.Ingress, s.Directions.Egress, s.Truncated, s.SuperFrames)
		if judged {
			fmt.Fprintf(table, "%d\t%d\t%d\t", s.Judged.Accepted, s.Judged.Unexpected, s.Judged.Undecided)
		}
		fmt.Fprint(table, "\n")
	}
	return table.Flush()
}

func perSecond(rate float64) string {
	switch {
	case rate == 0:
		return "-"
	case rate < 10:
		return strconv.FormatFloat(rate, 'f', 1, 64)
	}
	return strconv.FormatFloat(math.Round(rate), 'f', 0, 64)
}

// details has what the table has no room for.
func details(b io.Writer, streams []Stream) {
	for i := range streams[:min(len(streams), maxShown)] {
		s := &streams[i]
		fmt.Fprintf(b, "%s, VNI %d, to %s", s.Source, s.VNI, s.Destination)
		if s.OtherDestinations > 0 {
			fmt.Fprintf(b, " (%d packets elsewhere)", s.OtherDestinations)
		}
		if !s.Last.IsZero() {
			fmt.Fprintf(b, ", %s to %s", s.First.Format(time.RFC3339Nano), s.Last.Format(time.RFC3339Nano))
		}
		p := s.Protocols
		fmt.Fprintf(b, ": %s\n", list([]count{
			{"TCP", p.TCP}, {"UDP", p.UDP}, {"ICMP", p.ICMP}, {"ICMPv6", p.ICMPv6}, {"other IP", p.OtherIP},
			{"not IP", p.NotIP}, {"unknown protocol", p.Unknown}, {"of no known direction", s.Directions.Unknown},
		}))
		fmt.Fprintf(b, "  %s\n", s.Sample)
	}
	if more := len(streams) - maxShown; more > 0 {
		fmt.Fprintf(b, "and %d streams more; --output=json has all of each\n", more)
	}
}

// count is a number with its name.
type count struct {
	name string
	n    uint64
}

// list names the counts that are not 0.
func list(counts []count) string {
	var parts []string
	for _, c := range counts {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", c.name, c.n))
		}
	}
	return strings.Join(parts, ", ")
}

// otherText names the classes that occurred.
func otherText(r Report) string {
	o := r.Other
	var parts []string
	if o.NotVXLAN > 0 {
		part := fmt.Sprintf("not VXLAN %d", o.NotVXLAN)
		if len(r.OtherPorts) > 0 {
			p := r.OtherPorts[0]
			part += fmt.Sprintf(", of these %d to UDP %d: try --port %d", p.Frames, p.Port, p.Port)
		}
		parts = append(parts, part)
	}
	if rest := list([]count{
		{"outer fragment", o.OuterFragment}, {"bad VXLAN header", o.BadHeader}, {"VXLAN-GPE", o.GPE}, {"malformed", o.Malformed},
		{"cut by the capture", o.Cut}, {"too many streams", o.TooManyStreams},
	}); rest != "" {
		parts = append(parts, rest)
	}
	for _, l := range r.LinkTypes {
		parts = append(parts, l.String()+" (can't be read: capture on one Ethernet interface, as with tcpdump -i eth0)")
	}
	separator := ", "
	if len(r.OtherPorts) > 0 {
		separator = "; "
	}
	return strings.Join(parts, separator)
}
