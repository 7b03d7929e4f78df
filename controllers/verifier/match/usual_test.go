package match_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// usualPacket is a frame that is usual, and how it is walked.
func usualPacket(t *rapid.T) (*vxlan.Usual, *vxlan.Inner) {
	p := frametest.Inner("x")
	p.Source, p.Destination = address(false).Draw(t, "from"), address(false).Draw(t, "to")
	p.SourcePort, p.DestinationPort = rapid.Uint16Range(0, 8).Draw(t, "from port"), rapid.Uint16Range(0, 8).Draw(t, "to port")
	p.Protocol = rapid.SampledFrom([]uint8{match.TCP, match.UDP}).Draw(t, "packet's protocol")
	macs := rapid.SampledFrom([][6]byte{ownMAC, frametest.ClientMAC})
	p.SourceMAC, p.DestinationMAC = macs.Draw(t, "from MAC"), macs.Draw(t, "to MAC")
	frame := p.Bytes()
	outer := frametest.Copy(1, frame).Bytes()
	var inner vxlan.Inner
	vxlan.WalkInner(frame, &inner)
	u := vxlan.AsUsual(outer, len(outer), vxlan.Port)
	if u == nil {
		t.Fatalf("it is not usual: %x", outer)
	}
	return u, &inner
}

func TestAUsualPacketIsDecidedAsEveryOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, err := match.Compile(drawRules(t))
		if err != nil {
			t.Fatal(err)
		}
		u, inner := usualPacket(t)
		byMAC := match.Source{MAC: rapid.SampledFrom([][6]byte{ownMAC, {}}).Draw(t, "MAC of the source")}
		expect(t, rules, &byMAC, inner, u, match.DirectionByMAC(byMAC.UsualMAC(), u))
		own := address(false).Draw(t, "address of the source")
		byAddress := match.Source{Addrs: []netip.Addr{own}}
		expect(t, rules, &byAddress, inner, u, match.DirectionByAddress(binary.BigEndian.Uint32(own.AsSlice()), u))
	})
}

func expect(t *rapid.T, rules *match.Rules, source *match.Source, inner *vxlan.Inner, u *vxlan.Usual, d match.Direction) {
	t.Helper()
	got := match.Result{Verdict: match.DirectionUnknown, Rule: match.NoRule, Direction: d}
	if d != match.Unknown {
		got.Verdict, got.Rule = rules.CheckUsual(d, u)
	}
	if want := rules.Check(source, inner); got != want {
		t.Fatalf("%+v, but %+v as every other", got, want)
	}
}
