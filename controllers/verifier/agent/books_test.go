package agent

import (
	"testing"

	"vpcmirror.io/operator/controllers/verifier/capture"
)

func TestTheBooksAreOffOnlyByFramesThatCanNoLongerCome(t *testing.T) {
	for _, e := range []struct {
		name   string
		stats  []capture.Stats
		offset int64
	}{
		{"nothing came", []capture.Stats{{}, {}}, 0},
		{"all was read", []capture.Stats{{Frames: 9, Drops: 2, Read: 7}, {Frames: 9, Drops: 2, Read: 7}}, 0},
		{"some are in the ring", []capture.Stats{{Frames: 9, Read: 7}, {Frames: 20, Read: 9}}, 0},
		{"some never came", []capture.Stats{{Frames: 9, Read: 7}, {Frames: 20, Read: 7}}, -2},
		{"they came later", []capture.Stats{{Frames: 9, Read: 7}, {Frames: 20, Read: 7}, {Frames: 20, Read: 20}}, 0},
		{"more were read than came", []capture.Stats{{Frames: 9, Drops: 2, Read: 9}}, 2},
		{"more dropped than came", []capture.Stats{{Frames: 2, Drops: 3, Read: 1}}, 1},
		{"a damaged block", []capture.Stats{{Frames: 9, Read: 4, Damaged: 5}, {Frames: 9, Read: 4, Damaged: 5}}, -5},
	} {
		t.Run(e.name, func(t *testing.T) {
			var b books
			for _, s := range e.stats {
				b.check(s)
			}
			if b.off != e.offset {
				t.Errorf("off by %d, want %d", b.off, e.offset)
			}
		})
	}
}

func TestTheBooksAreCheckedWhenTheRingIsEmptyOrWasReadRound(t *testing.T) {
	var b books
	if !b.mayCheck(true, 4) {
		t.Error("not when the ring is empty")
	}
	for n := range 4 {
		if b.mayCheck(false, 4) {
			t.Errorf("after %d blocks of 4, when a frame may still be in the ring", n+1)
		}
	}
	if !b.mayCheck(false, 4) {
		t.Error("not when each block, and the one that was begun, must have been read")
	}
}
