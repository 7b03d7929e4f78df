package report_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

func TestWhatAnEntryReportsOfSourcesRulesAndTheEpoch(t *testing.T) {
	counted := tally.SessionCounts{
		PacketCounts: tally.PacketCounts{Accepted: 3, AcceptedBytes: 300, Unexpected: 2, NotIP: 1, Truncated: 2},
		Sources: []tally.SourceCounts{{ID: "a", LastSeen: noon.Add(time.Second), PacketCounts: tally.PacketCounts{
			Arrived: 6, Accepted: 3, AcceptedBytes: 300, Unexpected: 2, NotIP: 1, Truncated: 2,
		}}, {ID: "left"}},
		Rules: []tally.RuleCounts{
			{Direction: v1alpha1.DirectionIngress, Priority: 7, Accept: true, Packets: 3},
			{Direction: v1alpha1.DirectionEgress, Priority: 9, Packets: 2}, {Direction: v1alpha1.DirectionEgress, Priority: 1},
		},
	}
	entry := func(judged bool, o report.Observation) v1alpha1.Verification {
		l := report.NewLedger(noon)
		l.List([]v1alpha1.SourceCounts{{InterfaceID: "b", Address: "10.0.0.2"}, {InterfaceID: "a", Address: "10.0.0.1"}},
			[]v1alpha1.RuleCounts{{Direction: v1alpha1.DirectionIngress, Priority: 7}, {Direction: v1alpha1.DirectionEgress, Priority: 9}})
		l.SetEpoch(4)
		l.Record(noon.Add(time.Second), report.Counted(counted, 0, judged))
		o.Node, o.At, o.ForeignSender, o.Imbalance = "node-1", noon, netip.MustParseAddr("10.0.0.9"), -5
		return l.Totals().Entry(o)
	}
	want := v1alpha1.Verification{
		Node: "node-1", ObservedAt: *at(0), Epoch: 4,
		Counts: v1alpha1.Counts{Packets: 3, Bytes: 300, Unexpected: 3, Truncated: 2}, InEpoch: &v1alpha1.Counts{Packets: 3, Bytes: 300, Unexpected: 3, Truncated: 2},
		Sources: []v1alpha1.SourceCounts{
			{InterfaceID: "a", Address: "10.0.0.1", Packets: 3, Bytes: 300, Unexpected: 3, Truncated: 2, LastPacketAt: at(time.Second)},
			{InterfaceID: "b", Address: "10.0.0.2"},
		},
		Rules:         []v1alpha1.RuleCounts{{Direction: v1alpha1.DirectionEgress, Priority: 9, Packets: 2}, {Direction: v1alpha1.DirectionIngress, Priority: 7, Packets: 3}},
		ForeignSender: "10.0.0.9", Imbalance: -5,
	}
	t.Run("those that are listed, with and without packets", func(t *testing.T) { expectEntry(t, want, entry(true, report.Observation{})) })
	t.Run("without the right rules none is said to have rejected a packet", func(t *testing.T) {
		w := want
		w.Counts = v1alpha1.Counts{Packets: 3, Bytes: 300, Unexpected: 1, Undecided: 2, Truncated: 2}
		w.InEpoch = &w.Counts
		w.Sources = slices.Clone(want.Sources)
		w.Sources[0].Unexpected = 1
		w.Rules = slices.Clone(want.Rules)
		w.Rules[0].Packets = 0
		expectEntry(t, w, entry(false, report.Observation{}))
	})
	t.Run("of concealed copies there are numbers alone", func(t *testing.T) {
		w := want
		w.Sources, w.Rules, w.ForeignSender = nil, nil, ""
		expectEntry(t, w, entry(true, report.Observation{Concealed: true}))
	})
}

// With one field that the API server refuses, none of the counts would be stored.
func TestWhateverWasSeenTheAPIServerTakesTheEntry(t *testing.T) {
	schema := env.Schema(t, "mirrorsessions").Properties["status"].Properties["verification"].Items.Schema
	texts := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		long := rapid.SampledFrom([]int{1, 1, 40}).Draw(t, "times")
		counts := rapid.Int64().Draw(t, "counts")
		stored := v1alpha1.Verification{
			LastPacketAt: at(0), LastPacket: strings.Repeat(texts.Draw(t, "line"), long),
			Counts: v1alpha1.Counts{Packets: counts, Bytes: -counts, Dropped: counts}, InEpoch: &v1alpha1.Counts{Packets: counts, Bytes: -counts},
			Epoch: rapid.Int64().Draw(t, "epoch"), Imbalance: rapid.Int64().Draw(t, "imbalance"),
		}
		for n := range rapid.IntRange(0, 30).Draw(t, "sources") {
			id := strings.Repeat(texts.Draw(t, "source"), long)
			stored.Sources = append(stored.Sources, v1alpha1.SourceCounts{InterfaceID: id, Address: texts.Draw(t, "address"), Packets: counts, LastPacketAt: at(0)})
			stored.Rules = append(stored.Rules, v1alpha1.RuleCounts{Direction: v1alpha1.DirectionEgress, Priority: int32(n), Packets: -counts})
		}
		totals := report.TotalsOf(stored).Plus(report.TotalsOf(stored))
		entry := totals.Entry(report.Observation{
			Node: "node-1", Interface: texts.Draw(t, "interface"), Message: strings.Repeat(texts.Draw(t, "message"), long), At: noon, Started: noon,
			ForeignSender: netip.MustParseAddr("fe80::1").WithZone(texts.Draw(t, "zone")), Imbalance: stored.Imbalance,
			Consumer: &v1alpha1.Consumer{
				Status: metav1.ConditionFalse, Reason: strings.Repeat(texts.Draw(t, "reason"), long),
				Message: strings.Repeat(texts.Draw(t, "said"), long), Remedy: strings.Repeat(texts.Draw(t, "remedy"), long),
			},
		})
		entry.LastPacket = totals.LastPacket(4789)
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&entry)
		if err != nil {
			t.Fatal(err)
		}
		expectTaken(t, "entry", schema, content)
	})
}

// expectTaken fails unless a value is within the bounds that the definition has for it.
func expectTaken(t *rapid.T, name string, of *apiextensionsv1.JSONSchemaProps, value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			property, known := of.Properties[key]
			if !known {
				t.Errorf("%s has no field %s", name, key)
			}
			expectTaken(t, name+"."+key, &property, field)
		}
	case []any:
		if of.MaxItems == nil || int64(len(value)) > *of.MaxItems {
			t.Errorf("%s has %d items", name, len(value))
		}
		for _, item := range value {
			expectTaken(t, name+"[]", of.Items.Schema, item)
		}
	case string:
		n := int64(utf8.RuneCountInString(value))
		switch {
		case len(of.Enum) > 0: // a direction
		case of.MaxLength == nil || n > *of.MaxLength || !regexp.MustCompile(of.Pattern).MatchString(value):
			t.Errorf("%s is %q: %d characters", name, value, n)
		}
	case int64:
		if of.Minimum == nil || float64(value) < *of.Minimum || of.Maximum != nil && float64(value) > *of.Maximum {
			t.Errorf("%s is %d", name, value)
		}
	}
}

// Anybody who can send to the host writes what becomes this line.
func TestWhateverIsInThePacketTheAPIServerTakesItsLine(t *testing.T) {
	whole := frametest.Copy(1, frametest.Inner("12345\n").Bytes()).Bytes()
	printable := regexp.MustCompile(`^[ -~]{0,512}$`)
	rapid.Check(t, func(t *rapid.T) {
		frame := slices.Clone(whole)
		if rapid.Bool().Draw(t, "any inner frame") {
			frame = append(frame[:50], rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "inner frame")...)
		}
		for range rapid.IntRange(0, 8).Draw(t, "replaced bytes") {
			frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		frame = frame[:rapid.IntRange(0, len(frame)).Draw(t, "captured")]
		length := len(frame) + rapid.IntRange(0, 70000).Draw(t, "more")
		totals := report.Counted(tally.SessionCounts{LastSeen: noon, Last: &tally.Packet{Data: frame, Length: length}}, 0, true)
		if line := report.TotalsOf(v1alpha1.Verification{}).Plus(totals).LastPacket(4789); !printable.MatchString(line) {
			t.Fatalf("%q", line)
		}
	})
}

func expectEntry(t *testing.T, want, got v1alpha1.Verification) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
}
