package packets_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/cmd/kubectl-mirror/packets"
)

// seen is a copy that was captured on a node.
type seen struct {
	At   time.Time
	Node int
	Text string
}

// drawn are copies of several nodes, those of each in the order of their times, over midnight.
func drawn(t *rapid.T) [][]seen {
	begin := time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC)
	nodes := make([][]seen, rapid.IntRange(2, 4).Draw(t, "nodes"))
	for node := range nodes {
		at := begin
		for i := range rapid.IntRange(0, 12).Draw(t, "copies") {
			at = at.Add(time.Duration(rapid.IntRange(0, 400_000).Draw(t, "after")) * time.Microsecond)
			nodes[node] = append(nodes[node], seen{at, node, fmt.Sprintf("copy %d of %d", i, node)})
		}
	}
	return nodes
}

// ordered are those of all nodes in the order of their times.
func ordered(nodes [][]seen) []seen {
	all := slices.Concat(nodes...)
	slices.SortStableFunc(all, func(a, b seen) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Node, b.Node)) })
	return all
}

// feed writes the outputs of the nodes in parts of any size, in any order, and ends them.
func feed(t *rapid.T, m *packets.Merge, outputs [][]byte) {
	streams := make([]io.WriteCloser, len(outputs))
	for i := range outputs {
		streams[i] = m.Stream(fmt.Sprint("node-", i))
	}
	left := len(outputs)
	done := make([]bool, left)
	for left > 0 {
		i := rapid.IntRange(0, len(outputs)-1).Draw(t, "stream")
		if done[i] {
			continue
		}
		n := rapid.IntRange(0, len(outputs[i])).Draw(t, "bytes")
		if _, err := streams[i].Write(outputs[i][:n]); err != nil {
			t.Fatal(err)
		}
		if outputs[i] = outputs[i][n:]; len(outputs[i]) == 0 {
			if err := streams[i].Close(); err != nil {
				t.Fatal(err)
			}
			done[i] = true
			left--
		}
	}
}

var many = packets.Request{Packets: 1000, Bytes: 1 << 20, Time: time.Minute}

func TestTheLinesOfSeveralNodesAreInTheOrderOfTheirTimesAndNameTheNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawn(t)
		outputs := make([][]byte, len(nodes))
		for i, copies := range nodes {
			for _, c := range copies {
				outputs[i] = fmt.Appendf(outputs[i], "%s %s\n\tpayload of %[2]s\n-- 3 copies are missing here\n", c.At.Format("15:04:05.000000"), c.Text)
			}
		}
		var want strings.Builder
		for _, c := range ordered(nodes) {
			fmt.Fprintf(&want, "%s on node-%d: %s\n\tpayload of %[3]s\n-- on node-%[2]d: 3 copies are missing here\n", c.At.Format("15:04:05.000000"), c.Node, c.Text)
		}
		var got bytes.Buffer
		feed(t, packets.NewMerge(&got, many, func() { t.Fatal("a limit was reached") }), outputs)
		if diff := gocmp.Diff(want.String(), got.String()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// file is the capture file of a node.
func file(t *rapid.T, node int, copies []seen) []byte {
	var b bytes.Buffer
	nic := pcapgo.NgInterface{Name: fmt.Sprint("eth", node), LinkType: layers.LinkTypeEthernet, TimestampResolution: 9}
	w, err := pcapgo.NewNgWriterInterface(&b, nic, pcapgo.DefaultNgWriterOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range copies {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: c.At, CaptureLength: len(c.Text), Length: len(c.Text)}, []byte(c.Text)); err != nil {
			t.Fatal(err)
		}
	}
	end := pcapgo.NgInterfaceStatistics{LastUpdate: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)}
	if err := errors.Join(w.WriteInterfaceStats(0, end), w.Flush()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheCaptureFilesOfSeveralNodesBecomeOneWithAnInterfaceForEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawn(t)
		outputs := make([][]byte, len(nodes))
		for i, copies := range nodes {
			outputs[i] = file(t, i, copies)
		}
		request := many
		request.Pcapng = true
		var merged bytes.Buffer
		feed(t, packets.NewMerge(&merged, request, func() { t.Fatal("a limit was reached") }), outputs)
		r, err := pcapgo.NewNgReader(&merged, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []seen
		for {
			data, info, err := r.ReadPacketData()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			nic, err := r.Interface(info.InterfaceIndex)
			if err != nil {
				t.Fatal(err)
			}
			var node int
			if _, err := fmt.Sscanf(nic.Name, "eth%d", &node); err != nil {
				t.Fatal(err)
			}
			got = append(got, seen{info.Timestamp.UTC(), node, string(data)})
		}
		if diff := gocmp.Diff(ordered(nodes), got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestTheLimitsHoldForAllNodesTogether(t *testing.T) {
	for name, c := range map[string]struct {
		request packets.Request
		want    int
		over    string
	}{
		"packets": {packets.Request{Packets: 3, Bytes: 1 << 20}, 3, "3 copies of all nodes were shown (--packets)"},
		"bytes":   {packets.Request{Packets: 100, Bytes: 100}, 2, "68 bytes of all nodes were written (--bytes)"}, // with the names of nodes
	} {
		t.Run(name, func(t *testing.T) {
			over := 0
			var out bytes.Buffer
			m := packets.NewMerge(&out, c.request, func() { over++ })
			streams := []io.WriteCloser{m.Stream("node-0"), m.Stream("node-1")}
			for range 5 {
				for _, s := range streams {
					if _, err := io.WriteString(s, "10:00:00.000000 a copy\n"); err != nil {
						t.Fatal(err)
					}
				}
			}
			if lines := strings.Count(out.String(), "\n"); lines != c.want || over == 0 || m.Over() != c.over {
				t.Errorf("%d lines were written, the limit was reached %d times (%s): %s", lines, over, m.Over(), out.String())
			}
		})
	}
}

func TestWhatANodeHasIsShownThoughAnotherHasNothing(t *testing.T) {
	var out bytes.Buffer
	m := packets.NewMerge(&out, many, func() {})
	busy, idle := m.Stream("busy"), m.Stream("idle")
	if _, err := io.WriteString(busy, "10:00:00.000000 a copy\n"); err != nil || out.Len() != 0 {
		t.Errorf("%v: it did not wait for the other: %q", err, out.String())
	}
	const line = "10:00:00.000000 on busy: a copy\n"
	for end := time.Now().Add(10 * time.Second); out.String() != line && time.Now().Before(end); <-time.After(time.Millisecond) {
		m.Flush()
	}
	if err := errors.Join(idle.Close(), busy.Close()); err != nil || out.String() != line {
		t.Errorf("%v: %q", err, out.String())
	}
}

func TestWhatIsNoCaptureFileIsRefused(t *testing.T) {
	request := many
	request.Pcapng = true
	for name, content := range map[string]string{
		"text": "verifier: unknown command", "a packet before its interface": "\x06\x00\x00\x00\x20\x00\x00\x00" + strings.Repeat("\x00", 24),
		"a length that is too small": "\x0a\x0d\x0d\x0a\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		if _, err := io.WriteString(packets.NewMerge(io.Discard, request, func() {}).Stream("a"), content); err == nil || !strings.Contains(err.Error(), "no capture file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
