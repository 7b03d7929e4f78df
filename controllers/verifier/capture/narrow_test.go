package capture_test

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// lets runs a program over a frame.
func lets(t testing.TB, program []bpf.Instruction, frame []byte) int {
	t.Helper()
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	n, err := vm.Run(frame)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestANarrowFilterLetsPassTheCopiesOfItsSourcesAlone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		address := rapid.Custom(func(r *rapid.T) netip.Addr {
			a := netip.AddrFrom4([4]byte{10, 0, rapid.Byte().Draw(r, "third"), rapid.Byte().Draw(r, "fourth")})
			if rapid.Bool().Draw(r, "six") {
				a = frametest.Mapped(a)
			}
			return a
		})
		n := capture.Narrow{Sources: rapid.SliceOfN(address, 1, 70).Draw(r, "sources"), Whole: rapid.Bool().Draw(r, "whole")}
		from := rapid.OneOf(address, rapid.SampledFrom(n.Sources)).Draw(r, "from")
		listed := false
		for _, a := range n.Sources {
			listed = listed || a == from
		}
		p := frametest.Copy(7, frametest.Inner("hello").Bytes())
		p.Source, p.Destination = from, target6
		if from.Is4() {
			p.Destination, p.Options = frametest.TargetAddr, rapid.IntRange(0, 10).Draw(r, "options")
		}
		p.VLANs = rapid.SliceOfN(rapid.Uint16Range(1, 4094), 0, 3).Draw(r, "tags")
		p.DestinationPort = rapid.SampledFrom([]uint16{vxlan.Port, vxlan.Port, vxlan.Port, 53}).Draw(r, "port")
		p.FragmentOffset = rapid.SampledFrom([]uint16{0, 0, 0, 9}).Draw(r, "fragment")
		if !from.Is4() {
			p.FragmentOffset = 0
		}
		want := 0
		if p.DestinationPort == vxlan.Port && p.FragmentOffset == 0 && listed {
			want = capture.SnapLength
			if n.Whole {
				want = capture.WholeLength
			}
		}
		if got := lets(t, capture.NarrowFilter(vxlan.Port, n), p.Bytes()); got != want {
			r.Errorf("the filter returns %d, want %d", got, want)
		}
		if len(p.VLANs) == 0 {
			if got := lets(t, capture.BareNarrowFilter(vxlan.Port, n), p.Bytes()[14:]); got != want {
				r.Errorf("the filter of a bare interface returns %d, want %d", got, want)
			}
		}
	})
}

func TestANarrowFilterOfManySourcesIsStillOneThatTheKernelTakes(t *testing.T) {
	for _, count := range []int{0, 1, 200, 499, 500, 10000} {
		var n capture.Narrow
		for i := range count {
			n.Sources = append(n.Sources, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			program := capture.NarrowFilter(vxlan.Port, n)
			if len(program) > 1200 {
				t.Errorf("the program has %d instructions", len(program))
			}
			if count > 499 {
				if got := lets(t, program, frametest.Copy(7, frametest.Inner("x").Bytes()).Bytes()); got != capture.SnapLength {
					t.Errorf("one of many sources: the filter returns %d", got)
				}
			}
		})
	}
}
