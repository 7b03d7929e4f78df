package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// The families of series about objects. Names and help are an interface: alerts, dashboards and the list of
// metrics go by them. What a session is called comes first, as in every family.
var (
	sessionLabels = []string{"namespace", "session"}

	sessionCondition = family("vpcmirror_session_condition",
		"1 for the present status and reason of each condition of a mirror session.", sessionLabels, "type", "status", "reason")
	sessionFinding = family("vpcmirror_session_finding",
		"1 for each cause and severity that a mirror session's findings name.", sessionLabels, "reason", "severity")
	sessionInfo = family("vpcmirror_session_info",
		"1, with the target's interface, its node where it is one, and the VNI of a mirror session.", sessionLabels, "target", "node", "vni")
	sessionPackets = family("vpcmirror_session_packets_total",
		"Packets of a mirror session that came from its sources and that its filter accepts, by the verifiers of all nodes.", sessionLabels)
	sessionBytes = family("vpcmirror_session_bytes_total",
		"Bytes of the inner frames of a mirror session's accepted packets.", sessionLabels)
	sessionUnexpected = family("vpcmirror_session_unexpected_packets_total",
		"Packets of a mirror session that came from its sources, and that its filter does not accept.", sessionLabels)
	sessionUndecided = family("vpcmirror_session_undecided_packets_total",
		"Packets of a mirror session of which can't be told whether its filter accepts them.", sessionLabels)
	sessionForeign = family("vpcmirror_session_foreign_source_packets_total",
		"Packets with a mirror session's VNI that came from an address that is no source of it.", sessionLabels)
	sessionTruncated = family("vpcmirror_session_truncated_packets_total",
		"Packets of a mirror session whose copies were cut.", sessionLabels)
	sessionDropped = family("vpcmirror_session_dropped_frames_total",
		"Frames, of whatever session, that reached the nodes of a mirror session's target while the capture could not keep up.", sessionLabels)
	sessionLast = family("vpcmirror_session_last_packet_timestamp_seconds",
		"When the last packet of a mirror session came, in seconds since 1970.", sessionLabels)
	sessionSilence = family("vpcmirror_session_silence_after_seconds",
		"After how long without a packet a mirror session counts as silent, where its spec says that.", sessionLabels)
	sourcePackets = family("vpcmirror_session_source_packets_total",
		"Packets from one source of a mirror session with several, that its filter accepts.", sessionLabels, "source", "address")
	sourceTruncated = family("vpcmirror_session_source_truncated_packets_total",
		"Packets from one source of a mirror session with several, whose copies were cut.", sessionLabels, "source", "address")
	sourceLast = family("vpcmirror_session_source_last_packet_timestamp_seconds",
		"When the last packet from one source of a mirror session with several came, in seconds since 1970.", sessionLabels, "source", "address")
	rulePackets = family("vpcmirror_session_rule_packets_total",
		"Packets of a mirror session that a rule of its filter decided about, since sources, target, VNI or filter last changed.", sessionLabels, "rule")
	sessionChanged = family("vpcmirror_session_last_change_timestamp_seconds",
		"When what decides whether a mirror session's copies come was last changed by its spec, the operator or somebody in the cloud, in seconds since 1970.",
		sessionLabels, "by")

	filterCondition = family("vpcmirror_filter_condition",
		"1 for the present status and reason of each condition of a mirror filter.", []string{"namespace", "filter"}, "type", "status", "reason")

	objects = family("vpcmirror_objects",
		"Mirror filters and sessions of the cluster, by the status of their condition Ready; Unknown too where nothing has looked at them yet.", []string{"kind", "ready"})
	detailed = family("vpcmirror_session_metrics",
		"1 for of which mirror sessions this manager has series: all, troubled or off.", []string{"detail"})
	withheld = family("vpcmirror_session_metrics_left_out",
		"Mirror sessions in trouble that have no series of their own, because only the first 2000 by namespace and name have.", nil) // Many; the reference reads texts
	withheldFilters = family("vpcmirror_filter_metrics_left_out",
		"Mirror filters that are not ready and have no series of their own, because only the first 2000 by namespace and name have.", nil)
	leading = family("vpcmirror_leader",
		"1 where this manager leads, 0 where it stands by.", nil)
	unreadable = family("vpcmirror_objects_unreadable",
		"1 where the cache could not be read for this scrape, which then tells of no object; 0 else.", nil)
)

// described are all families, in the order in which they are told.
var described []*prometheus.Desc

// family makes one that is described.
func family(name, help string, of []string, labels ...string) *prometheus.Desc {
	desc := prometheus.NewDesc(name, help, append(append([]string(nil), of...), labels...), nil)
	described = append(described, desc)
	return desc
}
