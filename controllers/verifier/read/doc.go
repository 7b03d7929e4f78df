// Package read is the command "verifier read": it counts the copies in capture
// files and streams, per outer source address and VNI.
//
// It may import api, controllers/verifier/capture, controllers/verifier/match,
// controllers/verifier/sample and controllers/verifier/vxlan.
package read
