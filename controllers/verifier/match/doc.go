// Package match decides whether a filter would have copied an inner packet: it
// finds the direction of the packet as seen from the mirror source and tries
// the rules of that direction in order, as the cloud does (the first rule that
// matches decides).
//
// A copy may be cut or be a later fragment, so a field that a rule asks for
// may be missing. Then each answer the missing field allows is followed, and
// the packet is undecidable only when the possible answers differ in whether
// the packet is to be copied.
//
// It may import api and controllers/verifier/vxlan.
package match
