// Package vxlan turns the bytes of an Ethernet frame into the fields that the
// verifier counts by: the outermost VXLAN header with the addresses around it
// ([Walk]), and the headers of the inner frame as far as a filter rule can ask
// for them ([WalkInner]).
//
// Both are plain bounds-checked header walks. They never panic, never
// allocate, never look beyond the bytes given and never follow more than one
// level of encapsulation: a VXLAN packet inside a mirrored frame is payload,
// or a sender inside the mirrored network could choose the VNI that is
// counted.
//
// Missing bytes and wrong bytes are told apart everywhere, because copies are
// cut by design (the cloud keeps as little as 1 byte of the inner frame): what
// the headers promise but the capture does not hold is "cut", what
// contradicts itself is "malformed".
//
// It may import nothing of ours.
package vxlan
