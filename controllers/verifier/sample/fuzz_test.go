package sample_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/sample"
)

// The line goes into a status that people read: whatever a sender puts into a
// frame, it is one line of printable text of bounded length.
func FuzzALineIsAlwaysOneShortPrintableLine(f *testing.F) {
	inner := frametest.Inner("12345\n")
	inner.TCPOptions = true
	six := inner
	six.Source, six.Destination = frametest.Mapped(six.Source), frametest.Mapped(six.Destination)
	icmp, udp, tagged := inner, inner, inner
	icmp.Protocol, udp.Protocol, tagged.VLANs = 1, 17, []uint16{1, 2}
	for _, p := range []frametest.Packet{inner, six, icmp, udp, tagged} {
		frame := frametest.Copy(1, p.Bytes()).Bytes()
		for _, n := range []int{len(frame), 100, 85, 70, 60, 51, 50, 40, 14, 3, 0} {
			f.Add(frame[:min(n, len(frame))], len(frame))
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte, length int) {
		line := sample.Line(frame, length, 4789)
		if line == "" || len(line) > 600 || !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("%q of %x", line, frame)
		}
	})
}
