package v1alpha1

import "time"

// How counts get into a status: the verifiers keep to this pace, and the manager must know
// it, or it would take the time between two reports for silence.
const (
	// ReportInterval is the shortest time between two reports of one session by one verifier
	// that only move numbers.
	ReportInterval = 15 * time.Second
	// ReportSilence is after how long without a packet a stream's last counts are reported at
	// once.
	ReportSilence = 3 * time.Second
	// ClusterReportsPerSecond is how many reports that only move numbers the API server gets
	// from all verifiers together.
	ClusterReportsPerSecond = 50
	// NodeReportsPerSecond is how many reports that only move numbers the API server gets from one
	// verifier. The others have a budget of their own, which takes nothing from these.
	NodeReportsPerSecond = 1
	// reportTransit is what a report may take beyond its turn: to be written, read and summed up.
	reportTransit = 2 * time.Second
)

// ReportEvery is the time between two reports of one session that only move numbers, when the
// cluster has so many sessions. Up to a tenth is added to it by chance.
func ReportEvery(sessions int) time.Duration {
	return max(ReportInterval, time.Duration(sessions)*time.Second/ClusterReportsPerSecond)
}

// ReportTurn is how long numbers may wait at most before they go before all else, so that a host
// with many sessions, of which some always have news, leaves none out. The host has ofNode of the
// cluster's sessions.
func ReportTurn(sessions, ofNode int) time.Duration {
	every := ReportEvery(sessions)
	return max(every+every/10, time.Duration(ofNode)*time.Second/NodeReportsPerSecond)
}

// CountsDelay is the longest time between two moves of the counts in the status of a session
// whose traffic does not stop, when the cluster has so many sessions and the host of the target
// has ofNode of them: what is shorter than that is no silence.
func CountsDelay(sessions, ofNode int) time.Duration {
	return ReportTurn(sessions, ofNode) + ReportSilence + reportTransit
}
