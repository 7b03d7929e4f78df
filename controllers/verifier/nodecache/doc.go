// Package nodecache holds what the verifier of one node needs to know of all the sessions and filters
// of the cluster, and finds among them those that concern the node.
//
// [Keep] makes of an object, as soon as it was decoded, the least that is needed: by what a session
// is counted and where, as one string, so that neither memory nor the garbage collector feels that
// there are thousands. An [Index] finds sessions by the addresses and MACs of their targets, and
// says of each event whether anything that this node counts by has changed. [NewInformer] lists in
// pages where the server does not stream.
//
// It may import api.
package nodecache
