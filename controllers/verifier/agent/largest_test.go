package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
)

func TestASessionOfAsManySourcesAndRulesAsThereMayBeIsReported(t *testing.T) {
	const sources, rules = 200, 10 // of each direction
	w := newWorld(t)
	w.filter("web", func(f *v1alpha1.MirrorFilter) {
		first := f.Spec.Rules[0]
		f.Spec.Rules = nil
		for _, direction := range []v1alpha1.Direction{v1alpha1.DirectionEgress, v1alpha1.DirectionIngress} {
			for n := range int32(rules) {
				r := *first.DeepCopy()
				r.Direction, r.Priority, r.Destination.Port = direction, n+1, new(1234+n)
				f.Spec.Rules = append(f.Spec.Rules, r)
			}
		}
	})
	addressOf := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 168, 1, byte(1 + n)}) }
	id := func(n int) string { return fmt.Sprintf("%03d", n) + strings.Repeat("-", 33) }
	s := w.session("web", "web", func(status *v1alpha1.MirrorSessionStatus) {
		status.Sources = nil
		for n := range sources {
			status.Sources = append(status.Sources, v1alpha1.ResolvedInterface{
				InterfaceID: id(n), Addresses: []string{addressOf(n).String()}, MAC: mac(frametest.SourceMAC),
			})
		}
	})
	h := w.host(node, w.pair)
	h.step()
	var want v1alpha1.Verification
	for _, direction := range []v1alpha1.Direction{v1alpha1.DirectionEgress, v1alpha1.DirectionIngress} {
		for n := range int32(rules) {
			want.Rules = append(want.Rules, v1alpha1.RuleCounts{Direction: direction, Priority: n + 1})
		}
	}
	for n := range sources { // each sends one packet more than the one before, all to one port
		rule := n % rules
		inner := frametest.Inner("12345\n")
		inner.DestinationPort = uint16(1234 + rule)
		w.send(copies(1, n, inner.Bytes(), from(addressOf(n)))...)
		want.Packets += int64(n)
		want.Rules[rules+rule].Packets += int64(n)
		want.Sources = append(want.Sources, v1alpha1.SourceCounts{
			InterfaceID: id(n), Address: addressOf(n).String(), Packets: int64(n), Bytes: int64(n) * goodBytes,
		})
	}
	h.trail()
	w.expectEntries(s, entry(want.Packets, func(e *v1alpha1.Verification) { e.Sources, e.Rules = want.Sources, want.Rules }))
}
