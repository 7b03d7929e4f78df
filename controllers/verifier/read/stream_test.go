package read_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/read"
)

// lines are the reports that were written, one at a time.
type lines chan read.Report

func (l lines) Write(b []byte) (int, error) {
	var r read.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return 0, err
	}
	l <- r
	return len(b), nil
}

// next is the next report that holds, passing over others.
func (l lines) next(t *testing.T, holds func(read.Report) bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case r := <-l:
			if holds(r) {
				return
			}
		case <-deadline:
			t.Fatal("no such report came")
		}
	}
}

func copies(n int) [][]byte {
	frames := make([][]byte, n)
	for i := range frames {
		frames[i] = frametest.Copy(1, frametest.Inner("x").Bytes()).Bytes()
	}
	return frames
}

func TestAPipeIsReportedEverySoOftenAndAtAnInterrupt(t *testing.T) {
	in, writer := io.Pipe()
	reports := make(lines, 1000)
	interrupt := make(chan os.Signal, 1)
	exit := make(chan int, 1)
	go func() {
		exit <- read.Main(read.Terminal{In: in, Out: reports, Err: io.Discard, Interrupt: interrupt},
			[]string{"-", "/no/such/file", "--output=json", "--every=10ms"})
	}()
	file := pcap(65535, copies(3)...)
	two := 24 + 2*(16+len(copies(1)[0]))
	write := func(b []byte) {
		if _, err := writer.Write(b); err != nil {
			t.Error(err)
		}
	}
	write(file[:two+5]) // the third is still on its way
	reports.next(t, func(r read.Report) bool { return r.Interim && r.Frames == 2 && r.Streams[0].Packets == 2 })
	write(file[two+5:])
	reports.next(t, func(r read.Report) bool { return r.Interim && r.Frames == 3 })
	interrupt <- os.Interrupt
	reports.next(t, func(r read.Report) bool {
		return !r.Interim && r.Frames == 3 && strings.Contains(r.Note, "interrupted")
	})
	if got := <-exit; got != read.ExitOK {
		t.Errorf("exit code %d", got)
	}
}

func TestWhatTheWriterHandsOutAfterTheInterruptIsCounted(t *testing.T) {
	in, writer := io.Pipe()
	reports := make(lines, 1000)
	interrupt := make(chan os.Signal, 1)
	exit := make(chan int, 1)
	go func() {
		exit <- read.Main(read.Terminal{In: in, Out: reports, Err: io.Discard, Interrupt: interrupt}, []string{"-", "--output=json", "--every=10ms"})
	}()
	file := pcap(65535, copies(3)...)
	if _, err := writer.Write(file[:24]); err != nil {
		t.Fatal(err)
	}
	reports.next(t, func(r read.Report) bool { return r.Interim })
	interrupt <- os.Interrupt
	if _, err := writer.Write(file[24:]); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	reports.next(t, func(r read.Report) bool { return !r.Interim && r.Frames == 3 && r.Note == "" })
	if got := <-exit; got != read.ExitOK {
		t.Errorf("exit code %d", got)
	}
}

func TestAnInterruptInTheMidstOfAFileIsSaid(t *testing.T) {
	path := save(t, "a.pcap", pcap(65535, copies(10_000)...))
	interrupt := make(chan os.Signal, 1)
	interrupt <- os.Interrupt
	var out, errs bytes.Buffer
	exit := read.Main(read.Terminal{Out: &out, Err: &errs, Interrupt: interrupt}, []string{path, "/no/such/file"})
	if exit != read.ExitFile || !strings.Contains(out.String(), "frames 4096,") || !strings.Contains(errs.String(), "interrupted; what came before is reported") ||
		strings.Contains(errs.String(), "/no/such/file") {
		t.Error(exit, out.String(), errs.String())
	}
}

func TestStandardInputMayBeCompressedAndCut(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(pcap(65535, copies(1000)...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for missing, want := range map[int]int{0: read.ExitOK, 4: read.ExitFile} {
		var out, errs bytes.Buffer
		exit := read.Main(read.Terminal{In: bytes.NewReader(packed.Bytes()[:packed.Len()-missing]), Out: &out, Err: &errs}, []string{"-"})
		if exit != want || !strings.HasPrefix(out.String(), "-: frames 1000, streams 1, packets 1000\n") ||
			strings.Contains(errs.String(), "-: read at byte") != (missing > 0) || strings.Contains(out.String(), "note: ") != (missing > 0) {
			t.Errorf("%d bytes are missing: %d\n%s%s", missing, exit, out.String(), errs.String())
		}
	}
}

func TestAnOutputThatCanNotBeWrittenEndsTheReading(t *testing.T) {
	full := errors.New("the disk is full")
	var errs bytes.Buffer
	exit := read.Main(read.Terminal{In: bytes.NewReader(pcap(65535, copies(1)...)), Out: failing{full}, Err: &errs}, []string{"-", "-"})
	if want := "verifier read: write the report: the disk is full\n"; exit != read.ExitFile || errs.String() != want {
		t.Errorf("%d, %s", exit, errs.String())
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// mixture has interfaces of Ethernet, RAW and USB_LINUX, with packets on 0, 1, 0, 2, 0.
func mixture() []byte {
	order := binary.LittleEndian
	block := func(kind uint32, body []byte) []byte {
		b := order.AppendUint32(nil, kind)
		b = append(order.AppendUint32(b, uint32(12+len(body))), body...)
		return order.AppendUint32(b, uint32(12+len(body)))
	}
	file := block(0x0a0d0d0a, []byte("\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"))
	for _, link := range []byte{1, 101, 189} {
		file = append(file, block(1, []byte{link, 0, 0, 0, 0, 0, 0, 0})...)
	}
	for _, number := range []uint32{0, 1, 0, 2, 0} {
		data := copies(1)[0]
		if number == 1 {
			data = data[14:]
		}
		body := order.AppendUint32(nil, number)
		body = order.AppendUint32(order.AppendUint32(body, 0), 1000)
		body = order.AppendUint32(order.AppendUint32(body, uint32(len(data))), uint32(len(data)))
		body = append(append(body, data...), make([]byte, -len(data)&3)...)
		file = append(file, block(6, body)...)
	}
	return file
}

func TestAMixtureOfLinkTypesIsReadToItsEnd(t *testing.T) {
	path := save(t, "a.pcapng", mixture())
	got := readJSON(t, path)
	if got.Frames != 5 || len(got.Streams) != 1 || got.Streams[0].Packets != 4 || got.Other.UnreadableLinkType != 1 {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]capture.LinkFrames{{Type: 189, Name: "USB_LINUX", Frames: 1}}, got.LinkTypes); diff != "" {
		t.Error(diff)
	}
	_, stdout, _ := run(path)
	if want := "other frames: link type USB_LINUX (189) 1 (can't be read: capture on one Ethernet interface, as with tcpdump -i eth0)\n"; !strings.HasSuffix(stdout, want) {
		t.Error(stdout)
	}
}
