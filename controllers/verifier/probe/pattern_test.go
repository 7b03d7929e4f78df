package probe

import (
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// frame is a packet as the mirror source's interface sees it.
func frame(ip []byte) []byte {
	kind := byte(0x00)
	if ip[0]>>4 == 6 {
		return append([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0x86, 0xdd}, ip...)
	}
	return append([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0x08, kind}, ip...)
}

func anyPacket(t *rapid.T) Packet {
	a, b := netip.MustParseAddr("192.168.0.161"), netip.MustParseAddr("192.168.0.230")
	if rapid.Bool().Draw(t, "IPv6") {
		a, b = netip.MustParseAddr("fd00::161"), netip.MustParseAddr("fd00::230")
	}
	return Packet{
		Protocol: rapid.SampledFrom([]uint8{protocolTCP, protocolUDP, protocolICMP}).Draw(t, "protocol"), From: a, To: b,
		SourcePort: rapid.Uint16Range(40000, 50000).Draw(t, "source port"), DestinationPort: rapid.Uint16Range(40000, 50000).Draw(t, "port"),
		HopLimit: rapid.SampledFrom([]uint8{1, 64}).Draw(t, "hop limit"), Nonce: rapid.Uint32().Draw(t, "nonce"), Spoiled: rapid.Bool().Draw(t, "spoiled"),
	}
}

// gopacket is the judge: what it computes of a packet is what the packet has, or surely is not.
func TestAPacketIsWellFormedAndItsChecksumIsRightUnlessItIsSpoiled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPacket(t)
		if p.Protocol == protocolICMP {
			p.Spoiled = false
		}
		b := p.Bytes()
		first := gopacket.Decoder(layers.LayerTypeIPv4)
		if p.From.Is6() {
			first = layers.LayerTypeIPv6
		}
		parsed := gopacket.NewPacket(b, first, gopacket.Default)
		if failure := parsed.ErrorLayer(); failure != nil {
			t.Fatalf("%x can't be read: %v", b, failure.Error())
		}
		ip, transport := parsed.Layers()[0], parsed.Layers()[1]
		if l, ok := transport.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := l.SetNetworkLayerForChecksum(parsed.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
		}
		buffer := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{ComputeChecksums: true, FixLengths: true},
			ip.(gopacket.SerializableLayer), transport.(gopacket.SerializableLayer), gopacket.Payload(transport.LayerPayload())); err != nil {
			t.Fatal(err)
		}
		if same := string(b) == string(buffer.Bytes()); same == p.Spoiled {
			t.Fatalf("spoiled is %v, and it is\n%x, by gopacket\n%x", p.Spoiled, b, buffer.Bytes())
		}
	})
}

func TestTheCopyOfAPacketAndOfItsAnswerIsKnownAndNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPacket(t)
		pattern := Pattern{Source: "s", From: p.From, To: p.To, Nonce: p.Nonce}
		known := func(frame []byte) bool {
			var inner vxlan.Inner
			vxlan.WalkInner(frame, &inner)
			return pattern.Matches(frame, &inner)
		}
		sent := frame(p.Bytes())
		if !known(sent) {
			t.Fatalf("%x is not known", sent)
		}
		const least = 66 // what the manager asks of packetLength
		if !known(sent[:min(len(sent), least)]) {
			t.Fatalf("%x is not known when it is cut", sent)
		}
		for cut := range sent { // no panic, and no claim about what is not there
			known(sent[:cut])
		}
		other := p
		switch rapid.IntRange(0, 2).Draw(t, "differs in") {
		case 0:
			other.Nonce += rapid.Uint32Range(1, 1<<31).Draw(t, "other nonce")
		case 1:
			other.From = other.From.Next()
		case 2:
			other.To = other.To.Next()
		}
		if p.Protocol == protocolTCP && other.Nonce == p.Nonce+1 {
			other.Nonce++
		}
		if known(frame(other.Bytes())) {
			t.Fatalf("%+v passes for %+v", other, p)
		}
		answer := p
		answer.From, answer.To = p.To, p.From
		b := frame(answer.Bytes())
		if p.Protocol == protocolTCP { // it acknowledges, with a sequence number of its own
			at := len(b) - tcpHeader
			copy(b[at+atSequence:], []byte{0, 0, 0, 0})
			n := p.Nonce + 1
			copy(b[at+atAcknowledgement:], []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
		if !known(b) {
			t.Fatalf("the answer %x is not known", b)
		}
		if p.Protocol == protocolTCP { // the sender's kernel knows of no connection, and resets one that is offered
			reset := p
			reset.Nonce++
			b := frame(reset.Bytes())
			if b[len(b)-tcpHeader+13] = 0x04; !known(b) {
				t.Fatalf("what ends it, %x, is not known", b)
			}
		}
	})
}

func TestAVerifierSendsOnlyWhatAProbeMay(t *testing.T) {
	source := v1alpha1.ResolvedInterface{InterfaceID: "s", Addresses: []string{"192.168.0.230"}}
	good := v1alpha1.ProbeSend{InterfaceID: "s", Kind: v1alpha1.ProbeTCP, From: "192.168.0.161", To: "192.168.0.230", DestinationPort: 1, HopLimit: 64}
	for name, c := range map[string]struct {
		edit func(*v1alpha1.ProbeSend)
		ok   bool
	}{
		"to its source":                      {func(*v1alpha1.ProbeSend) {}, true},
		"to anybody":                         {func(s *v1alpha1.ProbeSend) { s.To = "192.168.0.9" }, false},
		"from its source, within the subnet": {func(s *v1alpha1.ProbeSend) { s.From, s.To, s.HopLimit = s.To, s.From, 1 }, true},
		"from its source, to anywhere":       {func(s *v1alpha1.ProbeSend) { s.From, s.To = s.To, s.From }, false},
		"of a kind that nobody knows":        {func(s *v1alpha1.ProbeSend) { s.Kind = "Flood" }, false},
		"from no address":                    {func(s *v1alpha1.ProbeSend) { s.From = "x" }, false},
		"from another family":                {func(s *v1alpha1.ProbeSend) { s.From = "fd00::1" }, false},
		"with a hop limit that is none":      {func(s *v1alpha1.ProbeSend) { s.HopLimit = 0 }, false},
		"from and to one address":            {func(s *v1alpha1.ProbeSend) { s.From = s.To }, false},
	} {
		t.Run(name, func(t *testing.T) {
			send := good
			c.edit(&send)
			o, err := read(send, source)
			if (err == nil) != c.ok || len(o.kinds) > v1alpha1.MaxProbePackets {
				t.Errorf("it is %+v, %v; want it sent: %v", o, err, c.ok)
			}
		})
	}
}
