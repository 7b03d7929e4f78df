// Package read is the command "verifier read": it counts the copies in capture
// files, per outer source address and VNI.
//
// It may import controllers/verifier/capture and vxlan.
package read
