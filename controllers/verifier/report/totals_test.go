package report_test

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/test/env"
)

func TestWhatAnEntryReports(t *testing.T) {
	frame := frametest.Copy(1, frametest.Inner("12345\n").Bytes()).Bytes()
	counted := tally.SessionCounts{
		PacketCounts: tally.PacketCounts{
			Accepted: 100, Unexpected: 20, Undecidable: 3, NotIP: 4, Malformed: 5, DirectionUnknown: 6, ArrivedBytes: 9000, AcceptedBytes: 8000, Truncated: 8,
		},
		ForeignSource: 7, Unreadable: 10,
		FirstSeen: noon.Add(time.Second), LastSeen: noon.Add(2 * time.Second),
		Last: &tally.Packet{Data: frame, Length: len(frame)},
	}
	observation := report.Observation{Node: "node-1", Interface: "eth0", At: noon.Add(3*time.Second + 1500*time.Nanosecond), Started: noon}
	want := v1alpha1.Verification{
		Node: "node-1", Interface: "eth0", StartedAt: at(0),
		ObservedAt:    *at(3*time.Second + time.Microsecond), // as precise as the API server keeps it
		FirstPacketAt: at(time.Second), LastPacketAt: at(2 * time.Second),
		Counts:  v1alpha1.Counts{Packets: 100, Bytes: 8000, Unexpected: 24, Undecided: 14, ForeignSource: 7, Dropped: 9, Truncated: 8, Unreadable: 10},
		InEpoch: &v1alpha1.Counts{}, // what knows no epoch has counted nothing in it
	}

	t.Run("each class has a count", func(t *testing.T) {
		expectEntry(t, want, report.Counted(counted, 9, true).Entry(observation))
	})
	t.Run("without a filter nothing that a rule could allow is called unexpected", func(t *testing.T) {
		unjudged := counted
		unjudged.Accepted, unjudged.Unexpected = 0, 120
		w := want
		w.Packets, w.Unexpected, w.Undecided = 0, 4, 134
		expectEntry(t, w, report.Counted(unjudged, 9, false).Entry(observation))
	})
	t.Run("it goes on from what is stored", func(t *testing.T) {
		stored := want
		stored.FirstPacketAt, stored.LastPacketAt = at(-time.Hour), at(-time.Minute)
		w := want
		w.FirstPacketAt = at(-time.Hour)
		w.Counts = v1alpha1.Counts{Packets: 200, Bytes: 16000, Unexpected: 48, Undecided: 28, ForeignSource: 14, Dropped: 18, Truncated: 16, Unreadable: 20}
		expectEntry(t, w, report.TotalsOf(stored).Plus(report.Counted(counted, 9, true)).Entry(observation))
	})
	t.Run("the last packet is one line, and the stored one until another comes", func(t *testing.T) {
		stored := v1alpha1.Verification{LastPacketAt: at(0), LastPacket: "the one before"}
		lines := []string{
			report.Totals{}.LastPacket(4789),
			report.TotalsOf(stored).LastPacket(4789),
			report.TotalsOf(stored).Plus(report.Counted(tally.SessionCounts{}, 1, true)).LastPacket(4789),
			report.TotalsOf(stored).Plus(report.Counted(counted, 0, true)).LastPacket(4789),
		}
		want := []string{"", "the one before", "the one before",
			"fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 110: 192.168.0.230.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 1: " +
				"fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length 60: 192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], seq 1, length 6"}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	})
}

// With one text that the API server refuses, none of the counts would be stored.
func TestWhateverWasSeenTheAPIServerTakesTheEntry(t *testing.T) {
	schema := env.Schema(t, "mirrorsessions").Properties["status"].Properties["verification"].Items.Schema
	texts := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		long := rapid.SampledFrom([]int{1, 1, 40}).Draw(t, "times")
		counts := rapid.Int64().Draw(t, "counts")
		stored := v1alpha1.Verification{
			LastPacketAt: at(0), LastPacket: strings.Repeat(texts.Draw(t, "line"), long),
			Counts: v1alpha1.Counts{Packets: counts, Bytes: -counts, Dropped: counts},
		}
		totals := report.TotalsOf(stored).Plus(report.TotalsOf(stored))
		entry := totals.Entry(report.Observation{
			Node: "node-1", Interface: texts.Draw(t, "interface"), Message: strings.Repeat(texts.Draw(t, "message"), long), At: noon, Started: noon,
		})
		entry.LastPacket = totals.LastPacket(4789)
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&entry)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range content {
			of := schema.Properties[name]
			switch value := value.(type) {
			case string:
				if n := utf8.RuneCountInString(value); of.MaxLength == nil || int64(n) > *of.MaxLength || !regexp.MustCompile(of.Pattern).MatchString(value) {
					t.Errorf("%s is %q: %d characters", name, value, n)
				}
			case int64:
				if of.Minimum == nil || float64(value) < *of.Minimum || float64(value) > *of.Maximum {
					t.Errorf("%s is %d", name, value)
				}
			}
		}
	})
}

func expectEntry(t *testing.T, want, got v1alpha1.Verification) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
}
