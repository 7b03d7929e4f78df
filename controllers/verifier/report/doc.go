// Package report turns counts into a verifier's own entry in the status of a
// MirrorSession: a Ledger decides what is to be reported, a Pace when that is worth a
// write, and Read and Write talk to the API server.
//
// It may import api, controllers/verifier/sample and controllers/verifier/tally.
package report
