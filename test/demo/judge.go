package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
)

// row is a line of the table: one kind of packets.
type row struct {
	ID string `json:"id"`
	// Sent says in words what was sent.
	Sent string `json:"sent"`
	// SourceKernel is what the kernel of ecs-source received of it, or sent.
	SourceKernel uint64 `json:"sourceKernel"`
	// ExpectedCopies had to reach ecs-target.
	ExpectedCopies uint64 `json:"expectedCopies"`
	// TargetKernel is how many copies the kernel of ecs-target received.
	TargetKernel uint64 `json:"targetKernel"`
	// Verifier is how many copies the verifier counted.
	Verifier uint64 `json:"verifier"`
	OK       bool   `json:"ok"`
}

// judge makes the table. What had to be copied follows from what the kernel of
// ecs-source received: all that the filter's one rule matches, as long as ecs-target
// lets copies in, and nothing else. The verifier does not tell the other kinds apart: what
// it counted as unexpected or undecided is their sum, and must be 0. Where it is the sum
// of what the kernel of ecs-target received of them, each gets its own part, else each
// shows the sum.
func judge(m marks, verifier v1alpha1.Counts) []row {
	open, closed, reopened := m.opened.since(m.began), m.closed.since(m.opened), m.reopened.since(m.closed)
	all := m.reopened.since(m.began)
	wrong := uint64(verifier.Unexpected + verifier.Undecided)
	matching := open.source[requests] + reopened.source[requests]
	explained := all.target[otherPorts]+all.target[otherClient]+all.target[datagrams]+all.target[replies] == wrong
	negative := func(id, sent string) row {
		r := row{ID: id, Sent: sent, SourceKernel: all.source[id], TargetKernel: all.target[id], Verifier: wrong}
		if explained {
			r.Verifier = r.TargetKernel
		}
		return r
	}
	rows := []row{
		{
			ID: requests, Sent: "ecs-test to ecs-source, TCP 1234: what the filter accepts",
			SourceKernel: matching, ExpectedCopies: matching,
			TargetKernel: open.target[requests] + reopened.target[requests], Verifier: uint64(verifier.Packets),
		},
		{
			ID: "closed", Sent: "the same while UDP 4789 is closed at ecs-target",
			SourceKernel: closed.source[requests], TargetKernel: closed.target[requests],
			Verifier: surplus(uint64(verifier.Packets), matching),
		},
		negative(otherPorts, "another port: ecs-test to ecs-source, TCP 4321"),
		negative(otherClient, "another client: ecs-target to ecs-source, TCP 1234"),
		negative(datagrams, "another protocol: ecs-test to ecs-source, UDP 1234"),
		negative(replies, "the other direction: ecs-source to ecs-test, from TCP 1234"),
	}
	for i := range rows {
		r := &rows[i]
		r.OK = r.SourceKernel > 0 && r.TargetKernel == r.ExpectedCopies && r.Verifier == r.ExpectedCopies
	}
	return rows
}

// surplus is what a count has beyond what is explained.
func surplus(count, explained uint64) uint64 {
	if count <= explained {
		return 0
	}
	return count - explained
}

// faults lists everything that does not fit, beyond the rows themselves: no datagram to
// UDP 4789 may be left unexplained, and every other count of the verifier must be 0.
func faults(m marks, rows []row, verifier v1alpha1.Counts) []string {
	var wrong []string
	for _, r := range rows {
		switch {
		case r.SourceKernel == 0:
			wrong = append(wrong, fmt.Sprintf("%s: nothing of it passed the kernel of ecs-source, so nothing is proved", r.Sent))
		case !r.OK:
			wrong = append(wrong, fmt.Sprintf("%s: %d copies had to arrive, the kernel of ecs-target received %d, the verifier counted %d",
				r.Sent, r.ExpectedCopies, r.TargetKernel, r.Verifier))
		}
	}
	all := m.reopened.since(m.began).target
	copied := rows[0].TargetKernel
	for _, c := range []struct {
		what string
		n    uint64
	}{
		{"datagrams to UDP 4789", all[all4789]}, {"of these from ecs-source", all[fromSource]}, {"of these with the session's VNI", all[ofSession]},
	} {
		if c.n != copied {
			wrong = append(wrong, fmt.Sprintf("the kernel of ecs-target received %d %s, but only %d copies of what the filter accepts", c.n, c.what, copied))
		}
	}
	for _, c := range []struct {
		what string
		n    int64
	}{
		{"unexpected", verifier.Unexpected}, {"undecided", verifier.Undecided},
		{"of a foreign source", verifier.ForeignSource}, {"dropped", verifier.Dropped},
		{"cut", verifier.Truncated}, {"unreadable", verifier.Unreadable},
	} {
		if c.n != 0 {
			wrong = append(wrong, fmt.Sprintf("the verifier counted %d packets as %s, where there was none", c.n, c.what))
		}
	}
	return wrong
}

// compare waits for the verifier's last counts, makes the table and lets four witnesses
// agree: both kernels, the verifier, and our own capture as `verifier read` reads it.
func (d *demo) compare(ctx context.Context) error {
	all := d.marks.reopened.since(d.marks.began)
	wanted := d.marks.opened.since(d.marks.began).source[requests] + d.marks.reopened.since(d.marks.closed).source[requests]
	entry, status, waited := d.waitCounted(ctx, wanted)
	if waited != nil && ctx.Err() != nil {
		return waited
	}
	d.report.Verifier = countedBy(entry)
	d.report.Rows = judge(d.marks, entry.Counts)
	d.show(table(d.report.Rows))
	if t := status.Traffic; t != nil {
		d.report.Sources, d.report.Rules = sourceParts(t.Sources), ruleParts(t.Rules)
	}
	d.show(partsTable(d.report.Sources, d.report.Rules))
	wrong := append(faults(d.marks, d.report.Rows, entry.Counts), partFaults(status, entry)...)
	copies, err := d.captured(ctx, all.target[all4789])
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	var inner int64
	for _, c := range copies {
		inner += int64(c.Inner.Length)
	}
	if inner != entry.Bytes {
		wrong = append(wrong, fmt.Sprintf("the captured copies carry %d bytes, the verifier counted %d", inner, entry.Bytes))
	}
	if wrong = append(wrong, d.compareFile(ctx, int64(len(copies)), inner)...); len(wrong) > 0 || waited != nil {
		return errors.Join(waited, errors.New(strings.Join(wrong, "\n")))
	}
	d.say("unexpected, undecided, of a foreign source, dropped, cut, unreadable: 0 of each")
	d.say("bytes: the verifier counted %d, a capture beside it has %d, and `verifier read %s` says the same", entry.Bytes, inner, d.shown(d.path("copies.pcap")))
	return nil
}

func countedBy(e v1alpha1.Verification) *counted {
	return &counted{
		Packets: e.Packets, Bytes: e.Bytes, Unexpected: e.Unexpected, Undecided: e.Undecided,
		ForeignSource: e.ForeignSource, Dropped: e.Dropped, LastPacket: e.LastPacket,
	}
}

// compareFile lets the offline reader read what we captured.
func (d *demo) compareFile(ctx context.Context, packets, inner int64) []string {
	if err := d.capture.Close(); err != nil {
		return []string{err.Error()}
	}
	command := exec.CommandContext(ctx, filepath.Join(d.programs, "verifier"), "read", "--output", "json", d.path("copies.pcap"))
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil {
		return []string{fmt.Sprintf("verifier read: %v: %s", err, bytes.TrimSpace(complaints.Bytes()))}
	}
	type stream struct {
		Source  string `json:"source"`
		VNI     int    `json:"vni"`
		Packets int64  `json:"packets"`
		Bytes   int64  `json:"bytes"`
	}
	var file struct {
		Frames  int64    `json:"frames"`
		Streams []stream `json:"streams"`
	}
	if err := json.Unmarshal(out.Bytes(), &file); err != nil {
		return []string{fmt.Sprintf("verifier read printed what is no JSON: %v", err)}
	}
	want := stream{Source: ecsSource.address.String(), VNI: sessionVNI, Packets: packets, Bytes: inner}
	if file.Frames != packets || len(file.Streams) != 1 || file.Streams[0] != want {
		return []string{fmt.Sprintf("verifier read finds %+v in the capture, wanted are %+v", file, want)}
	}
	d.report.CaptureFile = &fileFacts{Packets: packets, Bytes: inner}
	return nil
}
