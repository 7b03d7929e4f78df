package why

import (
	"fmt"
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

// probeRows say what a probe has told, a row for each source; nil where none was asked for.
func probeRows(p *v1alpha1.Probe) (rows []Row) {
	if p == nil {
		return nil
	}
	if p.Reason != "" {
		return []Row{{Name: "probe", Mark: Open, Says: []string{fmt.Sprintf("refused (%s): %s", p.Reason, p.Message)}}}
	}
	if p.Message != "" {
		rows = append(rows, Row{Name: "probe", Mark: None, Says: []string{p.Message}})
	}
	for i := range p.Results {
		r := &p.Results[i]
		name := r.Address
		if name == "" {
			name = r.InterfaceID
		}
		row := Row{Name: "probe", Mark: Open}
		switch r.Outcome {
		case v1alpha1.ProbeArrived:
			row.Mark = OK
			after := ""
			if r.LatencyMicroseconds != nil {
				after = " after " + (time.Duration(*r.LatencyMicroseconds) * time.Microsecond).String()
			}
			row.Says = []string{fmt.Sprintf("%s: a copy arrived%s; sent: %s", name, after, r.Message)}
		case v1alpha1.ProbeNotArrived:
			row.Mark = Fail
			row.Says = []string{fmt.Sprintf("%s: no copy arrived; sent: %s", name, r.Message)}
		case v1alpha1.ProbeCannotSend:
			row.Says = []string{fmt.Sprintf("%s: nothing was sent (%s): %s", name, r.Reason, r.Message)}
			if r.Command != "" {
				row.Says = append(row.Says, "run: "+r.Command)
			}
		default:
			row.Says = []string{name + ": it goes on"}
		}
		rows = append(rows, row)
	}
	return rows
}

// lostProbe reports whether packets of a probe were sent of which no copy arrived.
func lostProbe(p *v1alpha1.Probe) bool {
	return p != nil && slices.ContainsFunc(p.Results, func(r v1alpha1.ProbeResult) bool { return r.Outcome == v1alpha1.ProbeNotArrived })
}

// try is what to do next where no traffic is seen and no cause is known.
func try(a Answer) string {
	switch {
	case a.Probe == nil || a.Probe.Reason != "":
		return "have a packet sent to find out: kubectl mirror why " + a.Name + " -n " + a.Namespace + " --probe"
	case lostProbe(a.Probe):
		return "look where the packets get lost: with tcpdump on the source for what was sent, on the target for UDP 4789; a source's own security group may not let " +
			"them in, and the cloud may treat a wrong checksum or a TTL of 1 otherwise"
	case slices.ContainsFunc(a.Probe.Results, func(r v1alpha1.ProbeResult) bool { return r.Outcome == v1alpha1.ProbeArrived }):
		return "nothing has to be done: copies arrive when the filter accepts something, so there is no such traffic"
	}
	return "run what is named above, and ask again: kubectl mirror why " + a.Name + " -n " + a.Namespace
}
