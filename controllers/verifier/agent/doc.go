// Package agent is the verifier of one host: it finds the sessions whose target is an
// interface of this host, counts their copies there, and reports the counts.
//
// Four kinds of goroutines share the work, so that none waits for another's slow part.
// Each capturer reads the ring of one interface and counts, whatever happens elsewhere.
// One goroutine reconciles: when something changes by which this host counts, it assigns each
// session to the capturer that is to count it. Which sessions concern the host at all is known by
// a nodecache.Index, and of changes of the interfaces the kernel tells. One
// flushes: when something has changed, or the time of what had to wait has come, it writes the
// entries that are worth it, each after it has read what the API server has; while the API server
// is away, it alone waits. One observes the host every 5
// seconds, and judges by the copies that have come meanwhile what takes them.
//
// What is reported of a session is decided by its report.Ledger: the totals go on when a
// session moves to another interface, leaves and comes back, or when the pod is replaced.
//
// The package holds no credentials of the cloud and knows only what it reads from
// the API server. It may import api, controllers/verifier/capture, controllers/verifier/consumer,
// controllers/verifier/match, controllers/verifier/memory, controllers/verifier/nodecache,
// controllers/verifier/probe, controllers/verifier/report and controllers/verifier/tally.
package agent
