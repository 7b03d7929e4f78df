package read

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// small sections need no large files.
var small = sectioning{workers: 3, size: 24 << 10}

// counted is what is said of a file that is read so.
func counted(t failer, path string, by sectioning, f *filter) (r Report, sections int) {
	t.Helper()
	file, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	c := newCounter(vxlan.Port, f)
	var stopped error
	file.Guard(func() {
		stopped = c.file(file, by, func() error {
			sections++ // it has no frames for a second call in a small file
			return nil
		})
	})
	r = c.report("", file.Unread())
	if err := errors.Join(stopped, file.Err(), file.Close()); err != nil {
		r.Note = err.Error()
	}
	return r, sections
}

// capturing writes a capture: of two interfaces, one of Ethernet and one of a type that is not read.
type capturing struct {
	bytes.Buffer
	ng bool
}

func (c *capturing) words(words ...uint32) {
	for _, w := range words {
		c.Write(binary.LittleEndian.AppendUint32(nil, w))
	}
}

func (c *capturing) header(links ...uint32) {
	if !c.ng {
		c.words(0xa1b2c3d4, 4<<16|2, 0, 0, 262144, links[0])
		return
	}
	c.words(0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 1<<32-1, 1<<32-1, 28)
	for _, link := range links {
		c.words(1, 20, link, 0, 20)
	}
}

func (c *capturing) frame(f *capture.Frame, on uint32) {
	captured, length := uint32(len(f.Data)), uint32(f.Length)
	if !c.ng {
		c.words(uint32(f.Time), 7, captured, length)
		c.Write(f.Data)
		return
	}
	padding := -len(f.Data) & 3
	size := uint32(32 + len(f.Data) + padding)
	c.words(6, size, on, 0, uint32(f.Time), captured, length)
	c.Write(append(slices.Clone(f.Data), make([]byte, padding)...))
	c.words(size)
}

// Whatever is in the file, and wherever it is damaged.
func TestAFileCountedInSectionsSaysWhatItSaysInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capture")
	rapid.Check(t, func(t *rapid.T) {
		c := capturing{ng: rapid.Bool().Draw(t, "pcapng")}
		c.header(rapid.SampledFrom([]uint32{1, 1, 1, 113, 147}).Draw(t, "link type"), 147)
		kinds := rapid.SliceOfN(rapid.Custom(anyFrame), 1, 20).Draw(t, "frames")
		order := rapid.SliceOfN(rapid.IntRange(0, len(kinds)-1), 1, 9).Draw(t, "order")
		step := rapid.Int64Range(-1, 1).Draw(t, "seconds from frame to frame")
		for i := range rapid.IntRange(300, 900).Draw(t, "number") {
			f := kinds[order[i%len(order)]]
			f.Time += 1000 + int64(i)*step
			if i == 400 && rapid.IntRange(0, 3).Draw(t, "other destination") == 0 {
				kinds[order[0]].Data = changed(f.Data)
			}
			if c.ng && i == 500 && rapid.IntRange(0, 3).Draw(t, "another section") == 0 {
				c.header(113, 1)
			}
			c.frame(&f, uint32(i%17/16))
		}
		data := c.Bytes()
		switch rapid.IntRange(0, 5).Draw(t, "damage") {
		case 0:
			data = data[:rapid.IntRange(48, len(data)).Draw(t, "cut")]
		case 1:
			data[rapid.IntRange(48, len(data)-1).Draw(t, "place")] = rapid.Byte().Draw(t, "byte")
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f := anyFilter(t)
		want, _ := counted(t, path, sectioning{}, f)
		got, _ := counted(t, path, small, f)
		same(t, want, got)
	})
}

// changed is a copy to somebody else.
func changed(frame []byte) []byte {
	out := slices.Clone(frame)
	if len(out) > frametest.AtUDP {
		out[frametest.AtUDP-1]++
	}
	return out
}

func TestALargeFileIsCountedInSectionsToItsEnd(t *testing.T) {
	for _, ng := range []bool{false, true} {
		c := capturing{ng: ng}
		c.header(1)
		good := frametest.Copy(1, frametest.Inner("12345\n").Bytes()).Bytes()
		for i := range 2000 {
			c.frame(&capture.Frame{Data: good, Length: len(good), Time: int64(i)}, 0)
		}
		path := filepath.Join(t.TempDir(), "capture")
		if err := os.WriteFile(path, c.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		_, sections := counted(t, path, small, nil)
		if all := c.Len() / small.size; sections < all-2 || sections > all {
			t.Errorf("pcapng %t: %d sections of %d", ng, sections, all)
		}
	}
}

// A sender can put into a packet what looks like records.
func TestWhatLooksLikeRecordsInsideOfARecordChangesNothing(t *testing.T) {
	var inside capturing
	for range 80 {
		inside.frame(&capture.Frame{Data: []byte{1}, Length: 1}, 0)
	}
	good := frametest.Copy(1, frametest.Inner(inside.String()).Bytes()).Bytes()
	var c capturing
	c.header(1)
	for range 200 {
		c.frame(&capture.Frame{Data: good, Length: len(good), Time: 1}, 0)
	}
	path := filepath.Join(t.TempDir(), "capture")
	if err := os.WriteFile(path, c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	want, _ := counted(t, path, sectioning{}, nil)
	got, _ := counted(t, path, small, nil)
	if same(t, want, got); got.Frames != 200 {
		t.Errorf("%d frames", got.Frames)
	}
}

// The first are kept apart, and a section does not know how many were before it.
func TestTooManyStreamsAreTheSameInSections(t *testing.T) {
	var c capturing
	c.header(1)
	p := frametest.Copy(0, frametest.Inner("x").Bytes()).Bytes()
	for _, most := range []int{maxStreams / 2, maxStreams + 100, 9000} {
		for vni := range most {
			p[46], p[47], p[48] = byte(vni>>16), byte(vni>>8), byte(vni)
			c.frame(&capture.Frame{Data: p, Length: len(p), Time: 1}, 0)
		}
	}
	path := filepath.Join(t.TempDir(), "capture")
	if err := os.WriteFile(path, c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	want, _ := counted(t, path, sectioning{}, nil)
	for _, size := range []int{256 << 10, 3200 << 10} { // with less streams than are kept apart, and with more
		got, _ := counted(t, path, sectioning{workers: 3, size: size}, nil)
		if same(t, want, got); got.Other.TooManyStreams != 100 {
			t.Errorf("%d frames of others", got.Other.TooManyStreams)
		}
	}
}

// What a mirrored machine sends: blocks of pcapng, 60 interfaces and a section of the other byte order.
func TestWhatIsInAPayloadDoesNotChangeHowTheFileIsRead(t *testing.T) {
	var inside capturing
	for range 60 {
		inside.words(1, 20, 1, 0, 20)
	}
	for _, w := range []uint32{0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 1<<32 - 1, 1<<32 - 1, 28} {
		inside.Write(binary.BigEndian.AppendUint32(nil, w))
	}
	data := frametest.Copy(7, frametest.Inner(inside.String()).Bytes()).Bytes()
	c := capturing{ng: true}
	c.header(1)
	for i := range 300 {
		c.frame(&capture.Frame{Data: data, Length: len(data), Time: int64(1000 + i)}, 0)
	}
	path := filepath.Join(t.TempDir(), "capture")
	if err := os.WriteFile(path, c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	want, _ := counted(t, path, sectioning{}, nil)
	for size := 24 << 10; size < 26<<10; size += 64 {
		got, _ := counted(t, path, sectioning{workers: 3, size: size}, nil)
		if got.Frames != want.Frames || got.Note != want.Note {
			t.Errorf("sections of %d: %d frames, note %q; in order %d frames, note %q", size, got.Frames, got.Note, want.Frames, want.Note)
			return
		}
	}
}

// No guess is wrong here: an interface is described where a section happens to begin, and one before that.
func TestAnInterfaceAtTheBeginningOfASectionIsReadOnce(t *testing.T) {
	data := frametest.Copy(7, frametest.Inner("x").Bytes()).Bytes()
	path := filepath.Join(t.TempDir(), "capture")
	for at := 100; at < 300; at++ {
		c := capturing{ng: true}
		c.header(1)
		for i := range 1500 {
			if i == 50 { // makes the first section one that depends on what came before
				c.words(1, 20, 147, 0, 20)
			}
			if i == at {
				c.words(1, 20, 1, 0, 20)
			}
			on := uint32(0)
			if i > at {
				on = 2
			}
			c.frame(&capture.Frame{Data: data, Length: len(data), Time: int64(1000 + i)}, on)
		}
		c.words(1, 20, 147, 0, 20)
		if err := os.WriteFile(path, c.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		want, _ := counted(t, path, sectioning{}, nil)
		got, _ := counted(t, path, small, nil)
		if got.Frames != want.Frames || got.Note != want.Note || len(got.Streams) != len(want.Streams) || got.Streams[0].Packets != want.Streams[0].Packets {
			t.Errorf("described before frame %d: %+v, in order %+v", at, got, want)
			return
		}
	}
}
