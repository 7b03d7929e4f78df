package tally

import (
	"slices"
	"time"

	"vpcmirror.io/operator/controllers/verifier/probe"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// ProbeCounts are the copies of one probe's packets for one source.
type ProbeCounts struct {
	probe.Pattern
	Packets uint64
	// FirstSeen is the kernel's time of the first of them.
	FirstSeen time.Time
}

// maxProbes is of how many sources' probes the counts of a session are kept, the latest ones.
const maxProbes = 512

// probe counts a packet of a stream apart, for all sessions that claim it, where it is a probe's; it reports
// whether it is.
func (t *Tally) probe(s *stream, f *frameRef, outer *vxlan.Outer, inner *vxlan.Inner, n counted) bool {
	of := s.probeOf(f.inner(outer), inner)
	if of == nil {
		return false
	}
	for i := range s.claims {
		by := s.claims[i].session
		by.whole.probeFrames += n.frames
		// The sender may be a source too, and then is copied as well: that tells nothing of the source that is probed.
		if slices.Contains(by.config.Probes, *of) && s.claims[i].isOf(of.Source) {
			by.whole.countProbe(*of, n.packets, f.time)
		}
	}
	return true
}

// probeOf is the probe that a packet is of, nil for none.
func (s *stream) probeOf(frame []byte, inner *vxlan.Inner) *probe.Pattern {
	for i := range s.claims {
		probes := s.claims[i].session.config.Probes
		for j := range probes {
			if probes[j].Matches(frame, inner) {
				return &probes[j]
			}
		}
	}
	return nil
}

// isOf reports whether a claim is by the source with this ID.
func (c *claim) isOf(id string) bool {
	s := c.session.sources[id]
	return s != nil && (c.counts == &s.open || c.counts == &s.concealed)
}

func (w *whole) countProbe(of probe.Pattern, packets uint64, at int64) {
	i := slices.IndexFunc(w.probes, func(c ProbeCounts) bool { return c.Pattern == of })
	if i < 0 {
		if len(w.probes) >= maxProbes {
			w.probes = slices.Delete(w.probes, 0, 1)
		}
		w.probes, i = append(w.probes, ProbeCounts{Pattern: of, FirstSeen: moment(at)}), len(w.probes)
	}
	w.probes[i].Packets += packets
}

// inner is what is there of the inner frame of a datagram.
func (r *frameRef) inner(outer *vxlan.Outer) []byte {
	if r.own != nil {
		return r.own[min(vxlan.HeaderSize, len(r.own)):]
	}
	begin := min(outer.InnerOffset, len(r.data))
	return r.data[begin:max(begin, min(outer.InnerEnd, len(r.data)))]
}
