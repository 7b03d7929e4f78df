package capture_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
)

// The kernel takes a slot of the block for each such frame, fails to write the virtio header,
// counts the frame as dropped and leaves the slot with the bytes of the block's former life.
func TestASlotThatTheKernelRefusedIsNoFrame(t *testing.T) {
	for _, e := range []struct {
		name           string
		before, refuse []int // bytes of payload
	}{
		{"where copies of one size were", []int{300, 300}, []int{2900, 2900}},
		{"where a short one was", []int{0, 0}, []int{1500}},
		{"where payload was taken for a header", []int{1400, 0, 700}, []int{1481, 1600, 1700}},
		{"in a block that was never used", nil, []int{2900, 2900}},
		{"between plain frames", []int{20, 500}, []int{1481, 4000, 8000}},
	} {
		t.Run(e.name, func(t *testing.T) {
			pair := frametest.NewPair(t)
			tap := frametest.NewTap(t, &pair.Receiver, "tap7")
			ring := openRing(t, &tap.Side, capture.RingOptions{BlockSize: 1 << 16, Blocks: 2})
			frame := func(n int, fill byte) []byte {
				payload := make([]byte, n)
				for i := range payload {
					payload[i] = fill
				}
				p := frametest.Copy(1, frametest.Inner(string(payload)).Bytes())
				p.DestinationMAC = tap.MAC
				return p.Bytes()
			}
			plain := uint64(0)
			for range 4 { // both blocks, and each more than once
				for _, n := range e.before {
					tap.Put(t, frame(n, 0xff))
					plain++
				}
				empty(t, ring, 0)
			}
			for _, n := range e.refuse {
				tap.PutRefused(t, frame(n, 0))
				if e.name == "between plain frames" {
					tap.Put(t, frame(n, 0))
					plain++
				}
			}
			empty(t, ring, uint64(len(e.refuse)))
			stats, err := ring.Stats()
			if err != nil {
				t.Fatal(err)
			}
			refused := uint64(len(e.refuse))
			want := capture.Stats{Frames: plain + refused, Drops: refused, Refused: refused, Read: plain}
			if stats != want {
				t.Errorf("%+v, want %+v", stats, want)
			}
		})
	}
}

// empty reads what the kernel has put into the ring, with so many slots that hold no frame.
func empty(t *testing.T, ring *capture.Ring, refused uint64) {
	t.Helper()
	until := time.Now().Add(deadline)
	for {
		stats, err := ring.Stats()
		if err != nil {
			t.Fatal(err)
		}
		block, err := ring.Next(100 * time.Millisecond)
		switch {
		case err != nil:
			t.Fatal(err)
		case block != nil:
			var f capture.Frame
			for block.Next(&f) {
				if len(f.Data) < 64 || f.Length < len(f.Data) {
					t.Errorf("%d bytes captured of %d", len(f.Data), f.Length)
				}
			}
			block.Release()
		case stats.Read == stats.Delivered() && stats.Refused >= refused:
			return
		case time.Now().After(until):
			t.Fatalf("the ring is empty but the books are off: %+v", stats)
		}
	}
}
