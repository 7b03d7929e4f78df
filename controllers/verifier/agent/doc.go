// Package agent is the verifier of one host: it finds the sessions whose target is an
// interface of this host, counts their copies there, and reports the counts.
//
// Three kinds of goroutines share the work, so that none waits for another's slow part.
// Each watch reads the ring of one interface and counts, whatever happens elsewhere.
// One goroutine places: it compares sessions and interfaces every 2 seconds, or when
// something changes, and decides what is counted where. One delivers: it asks the API
// server for what an earlier run had counted, and writes the entries that are worth it;
// while the API server is away, it alone waits.
//
// A session's totals are the sum of what is stored (read once, from the API server
// itself) and of what this run has counted. They go on when a session moves to another
// interface, leaves and comes back, or when the pod is restarted.
//
// The package holds no credentials of the cloud and knows only what the API server
// tells it. It may import api, controllers/verifier/capture, controllers/verifier/match,
// controllers/verifier/report and controllers/verifier/tally.
package agent
