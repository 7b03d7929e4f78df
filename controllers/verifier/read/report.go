package read

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Report is what one file holds. Frames = the frames of all streams + all of
// Other.
type Report struct {
	File    string   `json:"file"`
	Frames  uint64   `json:"frames"`
	Streams []Stream `json:"streams"`
	Other   Other    `json:"other"`
	// Note says why the file was not read to its end, empty when it was.
	Note string `json:"note,omitempty"`
}

// Stream is what came from one outer source address with one VNI. A packet is
// one UDP datagram to the VXLAN port whose header has the I flag, outermost
// header only.
type Stream struct {
	Source  netip.Addr `json:"source"`
	VNI     uint32     `json:"vni"`
	Packets uint64     `json:"packets"`
	// Bytes is the length of the inner frames on the wire, also where the
	// capture cut them.
	Bytes  uint64 `json:"bytes"`
	Frames uint64 `json:"frames"`
}

// Other counts the frames that belong to no stream, by what they are; package
// vxlan explains the classes.
type Other struct {
	NotVXLAN      uint64 `json:"notVXLAN"`
	OuterFragment uint64 `json:"outerFragment"`
	BadHeader     uint64 `json:"badHeader"`
	GPE           uint64 `json:"gpe"`
	Malformed     uint64 `json:"malformed"`
	Cut           uint64 `json:"cut"`
	// TooManyStreams are frames of streams beyond the number that is kept
	// apart.
	TooManyStreams uint64 `json:"tooManyStreams"`
}

// maxStreams bounds the memory that a hostile file can ask for, to about
// 200 MB. Real captures have some hundred streams.
const maxStreams = 1 << 20

// counter counts the frames of one file. Streams lie in a slice that a map
// with a seeded hash leads to, so that nobody can craft a file that is slow to
// count; a small cache in front of it serves the streams that come often.
type counter struct {
	port    uint16
	index   map[vxlan.Key]int32
	streams []streamCount
	cache   [1 << cacheBits]int32 // index of a stream plus 1
	classes [vxlan.Classes]uint64
	beyond  uint64
	frames  uint64
}

const cacheBits = 12

type streamCount struct {
	key            vxlan.Key
	packets, bytes uint64
}

func newCounter(port uint16) *counter {
	return &counter{port: port, index: map[vxlan.Key]int32{}}
}

func (c *counter) all(file *capture.File) {
	var f capture.Frame
	var outer vxlan.Outer
	for file.Next(&f) {
		c.frames++
		if class := vxlan.Walk(f.Data, f.Length, c.port, &outer); class != vxlan.Stream {
			c.classes[class]++
			continue
		}
		s := c.stream(outer.Key)
		if s == nil {
			c.beyond++
			continue
		}
		s.packets++
		s.bytes += uint64(outer.InnerLength)
	}
}

// stream finds or makes the stream of a packet; nil when there are too many.
func (c *counter) stream(key vxlan.Key) *streamCount {
	slot := &c.cache[key.Hash()>>(64-cacheBits)]
	if i := int(*slot) - 1; uint(i) < uint(len(c.streams)) && c.streams[i].key == key {
		return &c.streams[i]
	}
	i, ok := c.index[key]
	if !ok {
		if len(c.streams) == maxStreams {
			return nil
		}
		i = int32(len(c.streams))
		c.streams = append(c.streams, streamCount{key: key})
		c.index[key] = i
	}
	*slot = i + 1
	return &c.streams[i]
}

// report sorts the streams by address and VNI.
func (c *counter) report(name string) Report {
	streams := make([]Stream, len(c.streams)) // never nil: an empty list is [] in JSON
	for i, s := range c.streams {
		// In a file a frame is one packet, whatever it was to the kernel.
		streams[i] = Stream{Source: s.key.Source(), VNI: s.key.VNI(), Packets: s.packets, Bytes: s.bytes, Frames: s.packets}
	}
	slices.SortFunc(streams, func(a, b Stream) int {
		return cmp.Or(a.Source.Compare(b.Source), cmp.Compare(a.VNI, b.VNI))
	})
	return Report{
		File: name, Frames: c.frames, Streams: streams,
		Other: Other{
			NotVXLAN:       c.classes[vxlan.NotVXLAN],
			OuterFragment:  c.classes[vxlan.Fragment],
			BadHeader:      c.classes[vxlan.BadHeader],
			GPE:            c.classes[vxlan.GPE],
			Malformed:      c.classes[vxlan.Malformed],
			Cut:            c.classes[vxlan.Cut],
			TooManyStreams: c.beyond,
		},
	}
}

// File counts the copies in a capture file, sent to the given UDP port. The
// error is nil when the file was read to its end. Otherwise ok reports whether
// the report holds what was read before.
func File(path string, port uint16) (report Report, ok bool, err error) {
	file, err := capture.Open(path)
	if err != nil {
		return Report{}, false, err
	}
	c := newCounter(port)
	file.Guard(func() { c.all(file) })
	err = errors.Join(file.Err(), file.Close())
	var link *capture.LinkTypeError
	if errors.As(err, &link) && c.frames == 0 {
		return Report{}, false, fmt.Errorf("%s: %w", path, err)
	}
	report = c.report(path)
	if err != nil {
		report.Note = err.Error()
	}
	return report, true, err
}
