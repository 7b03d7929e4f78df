package agent

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"vpcmirror.io/operator/controllers/verifier/tally"
)

// The metrics are read from the counts at scrape time, so no series of a session that
// is gone stays behind. They begin at 0 with each run, as Prometheus expects; totals
// over restarts are in the status. The series are bounded by the sessions, their sources and the
// interfaces of this host, never by what a sender puts into packets.
var (
	packetsMetric = prometheus.NewDesc("vpcmirror_verifier_packets_total",
		"Packets of a mirror session that reached this host, by what the session's filter says about them.",
		[]string{"namespace", "session", "verdict"}, nil)
	truncatedMetric = prometheus.NewDesc("vpcmirror_verifier_truncated_packets_total",
		"Packets of a mirror session that the mirror cut, whatever their verdict.", []string{"namespace", "session"}, nil)
	sourcePacketsMetric = prometheus.NewDesc("vpcmirror_verifier_source_packets_total",
		"Packets that reached this host from a source of a mirror session, by what the session's filter says about them.",
		[]string{"namespace", "session", "source", "verdict"}, nil)
	sourceTruncatedMetric = prometheus.NewDesc("vpcmirror_verifier_source_truncated_packets_total",
		"Packets from a source of a mirror session that the mirror cut, whatever their verdict.", []string{"namespace", "session", "source"}, nil)
	bytesMetric = prometheus.NewDesc("vpcmirror_verifier_bytes_total",
		"Bytes of the inner frames of a mirror session's accepted packets.", []string{"namespace", "session"}, nil)
	lastMetric = prometheus.NewDesc("vpcmirror_verifier_last_packet_timestamp_seconds",
		"When the last packet of a mirror session came, in seconds since 1970.", []string{"namespace", "session"}, nil)
	framesMetric = prometheus.NewDesc("vpcmirror_verifier_frames_total",
		"Frames that were read from an interface, each in exactly one class.", []string{"interface", "class"}, nil)
	writesMetric = prometheus.NewDesc("vpcmirror_verifier_status_writes_total",
		"Writes of this host's entries to the API server: stored, gone (the session was deleted meanwhile), or failed and tried again.",
		[]string{"outcome"}, nil)
	ringMetric = prometheus.NewDesc("vpcmirror_verifier_ring_frames_total",
		"Frames that passed the kernel's filter on an interface: delivered, or dropped because the ring was full or the kernel could not describe them.",
		[]string{"interface", "outcome"}, nil)
	booksMetric = prometheus.NewDesc("vpcmirror_verifier_ring_imbalance_frames",
		"By how many frames the books of an interface are off: read and never delivered (above 0), or delivered and never found (below). "+
			"Other than 0 means that the counts are wrong.",
		[]string{"interface"}, nil)
	runningMetric = prometheus.NewDesc("vpcmirror_verifier_capture_running",
		"1 where an interface with targets is captured, 0 where something keeps this process from it.", []string{"interface"}, nil)
	scarcityMetric = prometheus.NewDesc("vpcmirror_verifier_memory_scarcity",
		"How scarce this process's memory is: 0 for enough, 1 for nearly short, 2 for short, so that it may be ended, or works for its memory alone.", nil, nil)
	knownMetric = prometheus.NewDesc("vpcmirror_verifier_known_sessions",
		"Mirror sessions of the whole cluster, of which this process keeps the least that tells whether they are its own.", nil, nil)
	assignmentsMetric = prometheus.NewDesc("vpcmirror_verifier_assignments_total",
		"How often the sessions of this host were assigned to its interfaces anew, because something had changed by which they are counted.", nil, nil)
)

// Describe lists the metrics.
func (a *Agent) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		packetsMetric, truncatedMetric, sourcePacketsMetric, sourceTruncatedMetric, bytesMetric, lastMetric, framesMetric, ringMetric, booksMetric, writesMetric,
		runningMetric, scarcityMetric, knownMetric, assignmentsMetric,
	} {
		out <- d
	}
}

// Collect reads the counts.
func (a *Agent) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	snapshots := a.snapshots()
	for c, s := range snapshots {
		collectFrames(out, c.local.Name, s)
	}
	for _, t := range a.tracked {
		if t.capturer == nil {
			continue
		}
		counts, _ := snapshots[t.capturer].Session(t.id)
		collectSession(out, t, t.past.plus(counts))
	}
	counter(out, writesMetric, a.writes.stored, "stored")
	counter(out, writesMetric, a.writes.gone, "gone")
	counter(out, writesMetric, a.writes.failed, "failed")
	counter(out, assignmentsMetric, a.reconciles)
	for desc, value := range map[*prometheus.Desc]int{scarcityMetric: int(a.scarcity.Level), knownMetric: a.index.Sessions()} {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value))
	}
}

func counter(out chan<- prometheus.Metric, desc *prometheus.Desc, value uint64, labels ...string) {
	out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
}

// past is what was counted of a session in stretches that are over: metrics don't fall where
// rules change.
type past struct{ tally.SessionCounts }

// plus is the sum, with the sources of the present stretch.
func (p past) plus(now tally.SessionCounts) tally.SessionCounts {
	now.PacketCounts = now.PacketCounts.Plus(p.PacketCounts)
	now.ForeignSource += p.ForeignSource
	now.Unreadable += p.Unreadable
	if now.LastSeen.Before(p.LastSeen) {
		now.LastSeen = p.LastSeen
	}
	now.Sources = slices.Clone(now.Sources)
	for i := range now.Sources {
		for _, before := range p.Sources {
			if before.ID == now.Sources[i].ID {
				now.Sources[i].PacketCounts = now.Sources[i].Plus(before.PacketCounts)
			}
		}
	}
	return now
}

func collectSession(out chan<- prometheus.Metric, t *tracked, c tally.SessionCounts) {
	namespace, name := t.session.Namespace, t.session.Name
	collectPackets(out, packetsMetric, c.PacketCounts, namespace, name)
	counter(out, packetsMetric, c.ForeignSource, namespace, name, "foreign-source")
	counter(out, packetsMetric, c.Unreadable, namespace, name, "unreadable")
	counter(out, truncatedMetric, c.Truncated, namespace, name)
	counter(out, bytesMetric, c.AcceptedBytes, namespace, name)
	if !c.LastSeen.IsZero() {
		out <- prometheus.MustNewConstMetric(lastMetric, prometheus.GaugeValue,
			float64(c.LastSeen.UnixMicro())/1e6, namespace, name)
	}
	if t.concealed {
		return // of copies that may be another tenant's there are numbers alone
	}
	for _, s := range c.Sources {
		collectPackets(out, sourcePacketsMetric, s.PacketCounts, namespace, name, s.ID)
		counter(out, sourceTruncatedMetric, s.Truncated, namespace, name, s.ID)
	}
}

// collectPackets gives packets by their verdict, the last label.
func collectPackets(out chan<- prometheus.Metric, desc *prometheus.Desc, c tally.PacketCounts, labels ...string) {
	for verdict, n := range map[string]uint64{
		"accepted":          c.Accepted,
		"unexpected":        c.Unexpected,
		"undecidable":       c.Undecidable,
		"not-ip":            c.NotIP,
		"malformed":         c.Malformed,
		"direction-unknown": c.DirectionUnknown,
	} {
		counter(out, desc, n, append(slices.Clone(labels), verdict)...)
	}
}

func collectFrames(out chan<- prometheus.Metric, name string, s *snapshot) {
	f := &s.Frames
	for class, value := range map[string]uint64{
		"attributed":     f.Attributed,
		"foreign-source": f.ForeignSource,
		"foreign-vni":    f.ForeignVNI,
		"unknown-stream": f.UnknownStream,
		"not-vxlan":      f.NotVXLAN,
		"outer-fragment": f.OuterFragment,
		"bad-header":     f.BadHeader,
		"gpe":            f.GPE,
		"malformed":      f.Malformed,
		"cut":            f.Cut,
		"other-host":     f.OtherHost,
	} {
		counter(out, framesMetric, value, name, class)
	}
	counter(out, ringMetric, s.stats.Delivered(), name, "delivered")
	counter(out, ringMetric, s.stats.Drops, name, "dropped")
	out <- prometheus.MustNewConstMetric(booksMetric, prometheus.GaugeValue, float64(s.off), name)
	running := 0.0
	if s.ready && s.problem == "" {
		running = 1
	}
	out <- prometheus.MustNewConstMetric(runningMetric, prometheus.GaugeValue, running, name)
}
