package main

import (
	"fmt"
	"reflect"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// sourcePart and rulePart are what the session's status says of one source and of one rule.
type sourcePart struct {
	InterfaceID string `json:"interfaceID"`
	Address     string `json:"address"`
	Packets     int64  `json:"packets"`
	Bytes       int64  `json:"bytes"`
	Unexpected  int64  `json:"unexpected"`
	Truncated   int64  `json:"truncated"`
}

type rulePart struct {
	Direction string `json:"direction"`
	Priority  int32  `json:"priority"`
	Packets   int64  `json:"packets"`
}

func sourceParts(list []v1alpha1.SourceCounts) []sourcePart {
	out := make([]sourcePart, 0, len(list))
	for _, s := range list {
		out = append(out, sourcePart{s.InterfaceID, s.Address, s.Packets, s.Bytes, s.Unexpected, s.Truncated})
	}
	return out
}

func ruleParts(list []v1alpha1.RuleCounts) []rulePart {
	out := make([]rulePart, 0, len(list))
	for _, r := range list {
		out = append(out, rulePart{string(r.Direction), r.Priority, r.Packets})
	}
	return out
}

// partsTable renders the parts for people.
func partsTable(sources []sourcePart, rules []rulePart) string {
	var cells [][]string
	for _, s := range sources {
		cells = append(cells, []string{
			"from the source " + s.Address, fmt.Sprint(s.Packets), fmt.Sprint(s.Bytes), fmt.Sprint(s.Unexpected), fmt.Sprint(s.Truncated), "",
		})
	}
	for _, r := range rules {
		cells = append(cells, []string{fmt.Sprintf("by the rule %s, priority %d", r.Direction, r.Priority), fmt.Sprint(r.Packets), "", "", "", ""})
	}
	return grid([][]string{{"status.traffic, by source and by rule", "packets", "bytes", "unexpected", "truncated", ""}}, cells)
}

// partFaults compares the parts with the whole. The sample has one source and one rule, and
// nothing changed in the cloud since the first packet: each part is the whole, and so is what
// was counted since the last change.
func partFaults(status v1alpha1.MirrorSessionStatus, entry v1alpha1.Verification) []string {
	all := entry.Counts
	source := []sourcePart{{
		InterfaceID: scenario.WalkthroughSource, Address: ecsSource.address.String(),
		Packets: all.Packets, Bytes: all.Bytes, Unexpected: all.Unexpected, Truncated: all.Truncated,
	}}
	rule := []rulePart{{Direction: string(v1alpha1.DirectionIngress), Priority: 1, Packets: all.Packets}}
	var traffic v1alpha1.Traffic
	if status.Traffic != nil {
		traffic = *status.Traffic
	}
	var wrong []string
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"verification[0].sources", sourceParts(entry.Sources), source},
		{"verification[0].rules", ruleParts(entry.Rules), rule},
		{"verification[0].epoch", entry.Epoch, status.Epoch},
		{"verification[0].inEpoch", entry.InEpoch, &all},
		{"traffic.sources", sourceParts(traffic.Sources), source},
		{"traffic.rules", ruleParts(traffic.Rules), rule},
		{"traffic.inEpoch", traffic.InEpoch, &all},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			wrong = append(wrong, fmt.Sprintf("status.%s has %+v, wanted is %+v", c.what, c.got, c.want))
		}
	}
	return wrong
}
