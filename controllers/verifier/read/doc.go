// Package read is the command "verifier read": it counts the copies in capture
// files, per outer source address and VNI.
//
// The package imports controllers/verifier/capture and vxlan, and nothing else
// of ours.
package read
