// Package report turns counts into a verifier's own entry in the status of a
// MirrorSession, decides when it is worth a write, reads what an earlier run left
// there, and writes it.
//
// It may import api, controllers/verifier/sample and controllers/verifier/tally.
package report
