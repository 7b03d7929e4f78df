package state

import (
	"fmt"
	"net/netip"
	"testing"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// large is a cloud with as many sessions as an account may have, less one.
func large() *Store {
	s := newStore(fixed)
	s.Edit(func(w *World) {
		source, target := w.Ports[scenario.WalkthroughSource], w.Ports[scenario.WalkthroughTarget]
		put := func(port Port, kind, n int) string {
			port.ID, port.Interface = largeID(kind, n), ""
			port.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, byte(kind), byte(n >> 8), byte(n)})}
			w.Ports[port.ID] = port
			return port.ID
		}
		for n := range w.Quotas.Sessions - 1 {
			filter := Filter{ID: largeID(3, n/10), ProjectID: project}
			w.Filters[filter.ID] = filter
			if n%10 < 5 {
				rule := Rule{ID: largeID(4, n), ProjectID: project, FilterID: filter.ID, Direction: Ingress, Priority: n%10 + 1}
				w.Rules[rule.ID] = rule
			}
			session := Session{
				ID: largeID(5, n), ProjectID: project, FilterID: filter.ID, Sources: []string{put(source, 1, n)}, TargetID: put(target, 2, n/10),
				TargetType: TargetENI, Priority: n + 1,
			}
			w.Sessions[session.ID] = session
		}
	})
	return s
}

func largeID(kind, n int) string { return fmt.Sprintf("5a1f0c7e-0000-4000-800%d-%012x", kind, n) }

func BenchmarkASessionMoreOfTwentyThousand(b *testing.B) {
	s := large()
	filter, err := s.CreateFilter(project, FilterInput{Name: ptr("f")})
	if err != nil {
		b.Fatal(err)
	}
	in := SessionInput{
		Name: ptr("s"), FilterID: &filter.ID, Sources: &[]string{scenario.WalkthroughSource}, TargetType: ptr("eni"), TargetID: ptr(scenario.WalkthroughTarget),
		Priority: ptr(MaxSessionPriority),
	}
	for b.Loop() {
		made, err := s.CreateSession(project, in)
		if err == nil {
			err = s.DeleteSession(project, made.ID)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkARuleMoreOfTenThousand(b *testing.B) {
	s := large()
	in := RuleInput{
		FilterID: ptr(largeID(3, 0)), Direction: ptr(Egress), Protocol: ptr("TCP"), EtherType: ptr("IPv4"), Action: ptr("accept"), Priority: ptr(1),
	}
	for b.Loop() {
		made, err := s.CreateRule(project, in)
		if err == nil {
			err = s.DeleteRule(project, made.ID)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
