package tally_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/probe"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// probed lets a session look for the packets of a probe.
func probed(nonce uint32) func(*tally.Session) {
	return func(s *tally.Session) {
		s.Probes = []probe.Pattern{{Probe: "p", Source: "source", From: frametest.ClientAddr, To: frametest.SourceAddr, Nonce: nonce}}
	}
}

// probeCopy is the copy of a probe's SYN, which the walkthrough's filter accepts.
func probeCopy(nonce uint32) []byte { return probeCopyFrom(frametest.SourceAddr, nonce) }

// probeCopyFrom is the one that another source sends.
func probeCopyFrom(source netip.Addr, nonce uint32) []byte {
	p := probe.Packet{Protocol: 6, From: frametest.ClientAddr, To: frametest.SourceAddr, SourcePort: 40000, DestinationPort: 1234, HopLimit: 64, Nonce: nonce, Spoiled: true}
	whole := frametest.Inner("").Bytes()
	out := frametest.Copy(1, append(append([]byte(nil), whole[:14]...), p.Bytes()...))
	out.Source = source
	return out.Bytes()
}

func TestTheCopiesOfAProbeAreInNoCountButTheirOwnAndTheBooksBalance(t *testing.T) {
	plain, probing := newTally(t, named("a", 1), named("b", 1)), newTally(t, named("a", 1), named("b", 1))
	plain.Count(block(good, good))
	probing.Count(block(good))
	set(t, probing, named("a", 1, probed(7)), named("b", 1))
	probing.Count(block(probeCopy(7), good, probeCopy(7)))
	for _, id := range []string{"a", "b"} {
		want, _ := ptr(snapshot(t, plain)).Session(id)
		got, _ := ptr(snapshot(t, probing)).Session(id)
		if got.ProbeFrames != 2 {
			t.Errorf("%s has %d frames of probes, want 2", id, got.ProbeFrames)
		}
		if packets := got.Probes; id == "a" && (len(packets) != 1 || packets[0].Packets != 2 || packets[0].FirstSeen != at(1)) || id == "b" && len(packets) > 0 {
			t.Errorf("%s has of the probe: %+v", id, packets)
		}
		ignored := cmpopts.IgnoreFields(tally.SessionCounts{}, "ProbeFrames", "Probes", "FirstSeen", "LastSeen", "Last", "LastUnexpected")
		if diff := cmp.Diff(want, got, ignored, cmpopts.IgnoreFields(tally.SourceCounts{}, "LastSeen"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("beside the probe %s counts (-without +with):\n%s", id, diff)
		}
	}
}

// The host that sends may be a source of the session too, and its interface copies the packet before it is on its way.
func TestACopyOfTheOtherEndIsTheProbesButDoesNotArriveForItsSource(t *testing.T) {
	peer := func(s *tally.Session) {
		s.Sources = append(s.Sources, tally.Source{ID: "peer", OuterAddrs: []netip.Addr{frametest.ClientAddr}, Addrs: []netip.Addr{frametest.ClientAddr}})
	}
	counts := newTally(t, named("a", 1, probed(7), peer))
	counts.Count(block(probeCopyFrom(frametest.ClientAddr, 7)))
	got, _ := ptr(snapshot(t, counts)).Session("a")
	if got.ProbeFrames != 1 || len(got.Probes) > 0 || got.Accepted+got.Unexpected > 0 {
		t.Errorf("it counts %+v", got)
	}
}

func TestOtherPacketsBetweenTheSameAddressesAreTraffic(t *testing.T) {
	counts := newTally(t, named("a", 1, probed(7)))
	counts.Count(block(probeCopy(8), probeCopy(6), good))
	got, _ := ptr(snapshot(t, counts)).Session("a")
	if got.Accepted != 3 || got.ProbeFrames != 0 {
		t.Errorf("%d are counted, and %d frames of probes", got.Accepted, got.ProbeFrames)
	}
}

func TestWhenAProbeIsOverItsFramesStayInTheBooks(t *testing.T) {
	counts := newTally(t, named("a", 1, probed(7)))
	counts.Count(block(probeCopy(7), good))
	set(t, counts, named("a", 1))
	counts.Count(block(good, probeCopy(7)))
	got, _ := ptr(snapshot(t, counts)).Session("a") // which checks the books
	if got.Accepted != 3 || got.ProbeFrames != 1 {
		t.Errorf("%d are counted, and %d frames of probes", got.Accepted, got.ProbeFrames)
	}
	removed := set(t, counts, named("b", 1))
	if len(removed) != 1 || removed[0].ProbeFrames != 1 {
		t.Errorf("handed out are %+v", removed)
	}
	snapshot(t, counts)
}
